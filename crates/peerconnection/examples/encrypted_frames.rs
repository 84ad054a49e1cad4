//! End-to-end encryption: frames are encrypted (SFrame, RFC 9605) before they become packets, so that a server between the two
//! ends can pass them on and not look at them.
//!
//!     cargo run --example encrypted_frames

use pc_media_capture::{MediaDevices, MediaStreamConstraints, Synthetic};
use peerconnection::{Configuration, Event, PeerConnection, Sframe, SframeSuite};
use std::error::Error;

type Failure = Box<dyn Error + Send + Sync>;

/// Which key: members of a meeting have one each.
const KEY_ID: u64 = 7;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let (pictures, seconds) = run(b"agreed on by other means", 50).await?;
    println!("{pictures} pictures and {seconds:.1} s of sound, both encrypted end to end");
    Ok(())
}

/// Calls until so many pictures were seen; how many, and how much was heard meanwhile.
pub(crate) async fn run(secret: &[u8], pictures: usize) -> Result<(usize, f64), Failure> {
    let alice = PeerConnection::new(Configuration::default())?;
    let devices = MediaDevices::new(Synthetic::Only);
    let stream = devices.get_user_media(&MediaStreamConstraints::audio_and_video())?;
    for track in stream.tracks() {
        let sender = alice.add_track(&track, &[&stream])?;
        // Every stream has keys of its own, or a counter would be used twice (RFC 9605 §9.1).
        let mut keys = Sframe::new(SframeSuite::Aes256Gcm);
        keys.add_encryption_key(KEY_ID, &key(secret, track.kind().as_str()))?;
        sender.set_transform(Some(keys.encryptor(KEY_ID)))?;
    }

    let bob = PeerConnection::new(Configuration::default())?;
    let mut events = bob.events();
    connect(&alice, &bob).await?;
    let (mut seen, mut heard) = (None, None);
    while seen.is_none() || heard.is_none() {
        let event = match events.next().await {
            Some(Event::Track(event)) => event,
            Some(_) => continue,
            None => return Err("the connection is closed".into()),
        };
        let mut keys = Sframe::new(SframeSuite::Aes256Gcm);
        keys.add_decryption_key(KEY_ID, &key(secret, event.track.kind().as_str()))?;
        event.receiver.set_transform(Some(keys.decryptor()))?;
        seen = seen.or_else(|| event.track.subscribe_video());
        heard = heard.or_else(|| event.track.subscribe_audio());
    }
    let (mut seen, mut heard) = (seen.ok_or("no picture")?, heard.ok_or("no sound")?);

    let (mut count, mut seconds) = (0, 0.0);
    while count < pictures {
        tokio::select! {
            picture = seen.recv() => {
                picture.ok_or("the picture is gone")?;
                count += 1;
            }
            sound = heard.recv() => seconds += sound.ok_or("the sound is gone")?.duration().as_secs_f64(),
        }
    }
    alice.close();
    Ok((count, seconds))
}

/// A key for one use out of the shared secret. A real application takes them from its key agreement, as MLS (RFC 9420).
fn key(secret: &[u8], purpose: &str) -> Vec<u8> {
    [secret, b"/", purpose.as_bytes()].concat()
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
