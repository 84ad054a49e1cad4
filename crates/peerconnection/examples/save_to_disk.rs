//! Receives a call and saves it: video as it was encoded (IVF), sound decoded (WAV).
//!
//!     cargo run --example save_to_disk -- folder

use media::{AudioFrame, MediaKind};
use pc_media_capture::{MediaDevices, MediaStreamConstraints, Synthetic};
use peerconnection::{Configuration, Event, PeerConnection, RtpReceiver};
use std::error::Error;
use std::path::{Path, PathBuf};

type Failure = Box<dyn Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let folder = std::env::args().nth(1).unwrap_or_else(|| ".".into());
    for path in run(folder.as_ref(), 100).await? {
        println!("saved {}", path.display());
    }
    Ok(())
}

/// Saves so many frames of each kind, and says where.
pub(crate) async fn run(folder: &Path, frames: usize) -> Result<Vec<PathBuf>, Failure> {
    let sender = PeerConnection::new(Configuration::default())?;
    let receiver = PeerConnection::new(Configuration::default())?;
    let devices = MediaDevices::new(Synthetic::WhenMissing);
    let stream = devices.get_user_media(&MediaStreamConstraints::audio_and_video())?;
    for track in stream.tracks() {
        sender.add_track(&track, &[&stream])?;
    }
    let mut events = receiver.events();
    connect(&sender, &receiver).await?;

    let mut saving = Vec::new();
    while saving.len() < 2 {
        match events.next().await {
            Some(Event::Track(event)) => {
                let folder = folder.to_owned();
                saving.push(tokio::spawn(save(event.receiver, folder, frames)));
            }
            Some(_) => {}
            None => return Err("the connection ended".into()),
        }
    }
    let mut paths = Vec::new();
    for file in saving {
        paths.push(file.await??);
    }
    sender.close();
    paths.sort();
    Ok(paths)
}

async fn save(receiver: RtpReceiver, folder: PathBuf, frames: usize) -> Result<PathBuf, Failure> {
    let (path, bytes) = if receiver.track().kind() == MediaKind::Video {
        // Taken as they come off the wire, nothing is decoded.
        let mut incoming = receiver.encoded_frames();
        let mut file = Vec::from(*b"DKIF\0\0\x20\0VP80\x40\x01\xf0\0\x90\x5f\x01\0\x01\0\0\0");
        file.extend_from_slice(&u32::try_from(frames)?.to_le_bytes());
        file.extend_from_slice(&[0; 4]);
        for _ in 0..frames {
            let frame = incoming.next().await.ok_or("the video ended")?.frame;
            file.extend_from_slice(&u32::try_from(frame.data.len())?.to_le_bytes());
            file.extend_from_slice(&u64::from(frame.timestamp).to_le_bytes());
            file.extend_from_slice(&frame.data);
        }
        (folder.join("video.ivf"), file)
    } else {
        let mut incoming = (receiver.track().subscribe_audio()).ok_or("no sound")?;
        let mut sound = Vec::new();
        for _ in 0..frames {
            sound.push(incoming.recv().await.ok_or("the sound ended")?);
        }
        (folder.join("sound.wav"), wav(&sound)?)
    };
    tokio::fs::write(&path, bytes).await?;
    Ok(path)
}

/// RIFF with 16-bit samples.
fn wav(frames: &[AudioFrame]) -> Result<Vec<u8>, Failure> {
    let first = frames.first().ok_or("no sound")?;
    let (rate, channels) = (first.sample_rate(), first.channels());
    let samples = frames.iter().flat_map(|frame| frame.samples());
    let data: Vec<u8> = samples.flat_map(|sample| sample.to_le_bytes()).collect();
    let length = u32::try_from(data.len())?;
    let mut file = Vec::from(*b"RIFF");
    file.extend_from_slice(&(36 + length).to_le_bytes());
    file.extend_from_slice(b"WAVEfmt \x10\0\0\0\x01\0");
    file.extend_from_slice(&channels.to_le_bytes());
    file.extend_from_slice(&rate.to_le_bytes());
    file.extend_from_slice(&(rate * u32::from(channels) * 2).to_le_bytes());
    file.extend_from_slice(&(channels * 2).to_le_bytes());
    file.extend_from_slice(b"\x10\0data");
    file.extend_from_slice(&length.to_le_bytes());
    file.extend_from_slice(&data);
    Ok(file)
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
