//! Two peers in one process, a data channel between them, and an echo.
//!
//!     cargo run --example data_channel

use peerconnection::{Configuration, DataChannelInit, Event, Message, PeerConnection};
use std::error::Error;

type Failure = Box<dyn Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    for line in run(&["hello", "grüße", "good bye"]).await? {
        println!("{line}");
    }
    Ok(())
}

/// Sends every text and returns what came back.
pub(crate) async fn run(texts: &[&str]) -> Result<Vec<String>, Failure> {
    let alice = PeerConnection::new(Configuration::default())?;
    let bob = PeerConnection::new(Configuration::default())?;
    let mut bobs_events = bob.events();

    // Who calls makes the channel before the offer, so that the offer has a section for data.
    let chat = alice.create_data_channel("chat", DataChannelInit::default())?;
    connect(&alice, &bob).await?;

    // Bob gives everything back in capitals.
    tokio::spawn(async move {
        while let Some(event) = bobs_events.next().await {
            let Event::DataChannel(channel) = event else {
                continue;
            };
            while let Some(Message::Text(text)) = channel.recv().await {
                channel.send_text(text.to_uppercase()).await?;
            }
        }
        Ok::<(), peerconnection::Error>(())
    });

    chat.opened().await?;
    let mut answers = Vec::new();
    for text in texts {
        chat.send_text(*text).await?;
        match chat.recv().await {
            Some(Message::Text(answer)) => answers.push(answer),
            other => return Err(format!("{other:?} came back").into()),
        }
    }
    alice.close();
    Ok(answers)
}

/// Offer and answer. Between two machines the descriptions travel over a server of yours; see `pc-signaling`.
async fn connect(caller: &PeerConnection, callee: &PeerConnection) -> Result<(), Failure> {
    caller.set_local_description(None).await?;
    let offer = caller.local_description().ok_or("no offer")?;
    callee.set_remote_description(&offer).await?;
    callee.set_local_description(None).await?;
    let answer = callee.local_description().ok_or("no answer")?;
    caller.set_remote_description(&answer).await?;
    Ok(())
}
