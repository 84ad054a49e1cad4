//! Camera and microphone both ways. Where there are none, a test card and a tone stand in.
//!
//!     cargo run --example camera_call

use media::MediaKind;
use pc_media_capture::{MediaDevices, MediaStreamConstraints, Synthetic};
use peerconnection::{Configuration, Event, PeerConnection, TrackEvent};
use std::error::Error;

type Failure = Box<dyn Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    for line in run(MediaDevices::new(Synthetic::WhenMissing), 50).await? {
        println!("{line}");
    }
    Ok(())
}

/// Calls until each side has so many frames of each kind, and says what they were.
pub(crate) async fn run(devices: MediaDevices, frames: usize) -> Result<Vec<String>, Failure> {
    let alice = PeerConnection::new(Configuration::default())?;
    let bob = PeerConnection::new(Configuration::default())?;
    let mut watching = Vec::new();
    for (name, pc) in [("alice", &alice), ("bob", &bob)] {
        // Opening a device can take a second.
        let constraints = MediaStreamConstraints::audio_and_video();
        let devices = devices.clone();
        let stream =
            tokio::task::spawn_blocking(move || devices.get_user_media(&constraints)).await??;
        for track in stream.tracks() {
            pc.add_track(&track, &[&stream])?;
        }
        let mut events = pc.events();
        watching.push(tokio::spawn(async move {
            let mut lines = Vec::new();
            while lines.len() < 2 {
                match events.next().await {
                    Some(Event::Track(event)) => lines.push(watch(name, event, frames).await),
                    Some(_) => {}
                    None => break,
                }
            }
            lines
        }));
    }
    connect(&alice, &bob).await?;
    let mut lines = Vec::new();
    for watcher in watching {
        lines.extend(watcher.await?);
    }
    alice.close();
    Ok(lines)
}

/// Takes frames of one track. A window would draw them; a `playout::Speaker` plays sound.
async fn watch(name: &str, event: TrackEvent, frames: usize) -> String {
    let mut seen = 0;
    let mut what = String::new();
    let mut received = event.track.subscribe();
    while seen < frames {
        let Some(frame) = received.recv().await else {
            break;
        };
        what = match &frame {
            media::Frame::Video(picture) => format!("{} × {}", picture.width(), picture.height()),
            media::Frame::Audio(sound) => format!("{} Hz", sound.sample_rate()),
        };
        seen += 1;
    }
    let kind = match event.track.kind() {
        MediaKind::Audio => "hears",
        MediaKind::Video => "sees",
    };
    format!("{name} {kind} {seen} frames of {what}")
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
