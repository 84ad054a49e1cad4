//! One publisher, many viewers: packets are forwarded as they come, nothing is decoded or encoded in between.
//!
//!     cargo run --example forward -- 3

use media::MediaKind;
use pc_media_capture::{MediaDevices, MediaStreamConstraints, Synthetic};
use peerconnection::{Configuration, Event, PeerConnection, RtpReceiver, RtpSender};
use peerconnection::{TransceiverDirection, TransceiverInit};
use std::error::Error;
use std::time::Duration;

type Failure = Box<dyn Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let viewers = std::env::args()
        .nth(1)
        .map_or(Ok(3), |count| count.parse())?;
    for (number, frames) in run(viewers, 30).await?.iter().enumerate() {
        println!("viewer {number} has seen {frames} frames");
    }
    Ok(())
}

/// Forwards to so many viewers until each has so many frames; how many each had.
pub(crate) async fn run(viewers: usize, frames: usize) -> Result<Vec<usize>, Failure> {
    // The publisher, and the server's end of its connection.
    let publisher = PeerConnection::new(Configuration::default())?;
    let devices = MediaDevices::new(Synthetic::WhenMissing);
    let stream = devices.get_user_media(&MediaStreamConstraints::video())?;
    for track in stream.tracks() {
        publisher.add_track(&track, &[&stream])?;
    }
    let ingest = PeerConnection::new(Configuration::default())?;
    let mut events = ingest.events();
    connect(&publisher, &ingest).await?;
    let source = loop {
        match events.next().await {
            Some(Event::Track(event)) => break event.receiver,
            Some(_) => {}
            None => return Err("the publisher is gone".into()),
        }
    };

    // Viewers, and the server's ends of theirs: each sends, and needs no track for that.
    let mut outputs = Vec::new();
    let mut watching = Vec::new();
    for _ in 0..viewers {
        let egress = PeerConnection::new(Configuration::default())?;
        let init = TransceiverInit {
            direction: TransceiverDirection::SendOnly,
            ..TransceiverInit::default()
        };
        let sender = egress.add_transceiver(MediaKind::Video, init)?.sender();
        let viewer = PeerConnection::new(Configuration::default())?;
        let mut events = viewer.events();
        connect(&egress, &viewer).await?;
        watching.push(tokio::spawn(async move {
            let mut seen = 0;
            while let Some(event) = events.next().await {
                let Event::Track(event) = event else { continue };
                let Some(mut pictures) = event.track.subscribe_video() else {
                    continue;
                };
                while seen < frames && pictures.recv().await.is_some() {
                    seen += 1;
                }
                break;
            }
            viewer.close();
            seen
        }));
        outputs.push((egress, sender));
    }
    let senders = outputs.iter().map(|(_, sender)| sender.clone()).collect();
    let forwarding = tokio::spawn(forward(source, senders));

    let mut seen = Vec::new();
    for viewer in watching {
        seen.push(tokio::time::timeout(Duration::from_secs(60), viewer).await??);
    }
    publisher.close();
    ingest.close();
    forwarding.await?;
    Ok(seen)
}

/// Every packet goes to every viewer: a copy of a reference, no more. Who asks for a keyframe asks the publisher.
async fn forward(source: RtpReceiver, senders: Vec<RtpSender>) {
    let mut packets = source.packets();
    source.request_keyframe();
    while let Some(packet) = packets.next().await {
        for sender in &senders {
            // A viewer that is not connected yet, or has left, misses it.
            let _ = sender.send_packet(&packet);
        }
        if senders.iter().any(RtpSender::take_keyframe_request) {
            source.request_keyframe();
        }
    }
}

async fn connect(caller: &PeerConnection, callee: &PeerConnection) -> Result<(), Failure> {
    caller.set_local_description(None).await?;
    let offer = caller.local_description().ok_or("no offer")?;
    callee.set_remote_description(&offer).await?;
    callee.set_local_description(None).await?;
    let answer = callee.local_description().ok_or("no answer")?;
    caller.set_remote_description(&answer).await?;
    Ok(())
}
