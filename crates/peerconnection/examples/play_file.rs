//! Sends a film (Y4M) and its sound (WAV), and shows how much of it arrives.
//!
//!     cargo run --example play_file -- film.y4m sound.wav

use media::TrackState;
use pc_media_capture::input::file::{AudioFile, VideoFile};
use pc_media_capture::{MediaDevices, MediaStreamConstraints, Synthetic};
use peerconnection::{Configuration, Event, PeerConnection};
use std::error::Error;
use std::path::Path;
use std::time::Duration;

type Failure = Box<dyn Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [film, sound] = arguments.as_slice() else {
        return Err("usage: play_file film.y4m sound.wav".into());
    };
    let (pictures, seconds) = run(film.as_ref(), sound.as_ref()).await?;
    println!("{pictures} pictures and {seconds:.1} s of sound arrived");
    Ok(())
}

/// Plays both files to their end. How many pictures and how many seconds of sound came out on the other side.
pub(crate) async fn run(film: &Path, sound: &Path) -> Result<(usize, f64), Failure> {
    // Files are devices like any other, that end when they are over.
    let devices = MediaDevices::new(Synthetic::Never)
        .with_device(VideoFile::open(film)?.repeat(false))
        .with_device(AudioFile::open(sound)?.repeat(false));
    let sender = PeerConnection::new(Configuration::default())?;
    let receiver = PeerConnection::new(Configuration::default())?;
    let stream = devices.get_user_media(&MediaStreamConstraints::audio_and_video())?;
    for track in stream.tracks() {
        sender.add_track(&track, &[&stream])?;
    }
    let mut events = receiver.events();
    connect(&sender, &receiver).await?;

    let mut watching = Vec::new();
    while watching.len() < 2 {
        match events.next().await {
            Some(Event::Track(event)) => watching.push(tokio::spawn(count(event.track))),
            Some(_) => {}
            None => break,
        }
    }
    for track in stream.tracks() {
        let mut events = track.events();
        while track.ready_state() == TrackState::Live {
            events.recv().await;
        }
    }
    // A track that has ended would be shown as black pictures for as long as it is sent.
    for sender in sender.senders() {
        sender.replace_track(None).await?;
    }
    let (mut pictures, mut heard) = (0, Duration::ZERO);
    for watcher in watching {
        let (more_pictures, more_sound) = watcher.await?;
        pictures += more_pictures;
        heard += more_sound;
    }
    sender.close();
    Ok((pictures, heard.as_secs_f64()))
}

/// Counts frames until none has come for a second.
async fn count(track: media::MediaStreamTrack) -> (usize, Duration) {
    let mut frames = track.subscribe();
    let (mut pictures, mut sound) = (0, Duration::ZERO);
    let patience = Duration::from_secs(1);
    // The first frame may take as long as the connection.
    let mut next = tokio::time::timeout(Duration::from_secs(10), frames.recv()).await;
    while let Ok(Some(frame)) = next {
        match frame {
            media::Frame::Video(_) => pictures += 1,
            // A receiver that hears nothing goes on with silence.
            media::Frame::Audio(frame) if frame.rms() < 0.001 && !sound.is_zero() => break,
            media::Frame::Audio(frame) => sound += frame.duration(),
        }
        next = tokio::time::timeout(patience, frames.recv()).await;
    }
    (pictures, sound)
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
