//! A call from a synthetic camera and microphone, and what its statistics say once a second.
//!
//!     cargo run --example stats

use pc_media_capture::{MediaDevices, MediaStreamConstraints, Synthetic};
use peerconnection::{Configuration, PeerConnection};
use std::error::Error;
use std::time::Duration;

type Failure = Box<dyn Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    for line in run(5, Duration::from_secs(1)).await? {
        println!("{line}");
    }
    Ok(())
}

/// Calls, and returns a line for every report.
pub(crate) async fn run(reports: usize, interval: Duration) -> Result<Vec<String>, Failure> {
    let sender = PeerConnection::new(Configuration::default())?;
    let receiver = PeerConnection::new(Configuration::default())?;
    let devices = MediaDevices::new(Synthetic::Only);
    let stream = devices.get_user_media(&MediaStreamConstraints::audio_and_video())?;
    for track in stream.tracks() {
        sender.add_track(&track, &[&stream])?;
    }
    connect(&sender, &receiver).await?;

    let mut lines = Vec::new();
    for _ in 0..reports {
        tokio::time::sleep(interval).await;
        let (sent, received) = (sender.stats().await, receiver.stats().await);
        for stream in sent.outbound() {
            lines.push(format!(
                "{} out: {} packets, {} bytes",
                stream.kind.as_str(),
                stream.packets_sent,
                stream.bytes_sent
            ));
        }
        for stream in received.inbound() {
            lines.push(format!(
                "{} in:  {} packets, {} lost, jitter {:.1} ms",
                stream.kind.as_str(),
                stream.packets_received,
                stream.packets_lost,
                stream.jitter * 1_000.0
            ));
        }
    }
    // Everything there is, under the names of the W3C text: what `getStats` of a browser gives.
    let json = receiver.stats().await.to_json();
    let entries = json.as_object().map_or(0, |entries| entries.len());
    lines.push(format!("{entries} entries in all"));
    sender.close();
    Ok(lines)
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
