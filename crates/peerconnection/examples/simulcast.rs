//! A camera sends its picture in three sizes; a server passes on the one that its viewer has room for.
//!
//!     cargo run --example simulcast

use media::{EncodedFrame, MediaKind};
use pc_media_capture::{MediaDevices, MediaStreamConstraints, Synthetic};
use peerconnection::{Configuration, Event, PeerConnection, RtpEncodingParameters, RtpReceiver};
use peerconnection::{RtpSender, TrackEvent, TransceiverDirection, TransceiverInit};
use std::error::Error;
use std::time::Duration;
use tokio::sync::watch;

type Failure = Box<dyn Error + Send + Sync>;

/// A quarter of the width and height, a half, all of it.
const SIZES: [&str; 3] = ["quarter", "half", "full"];

#[tokio::main]
async fn main() -> Result<(), Failure> {
    for (size, (width, height)) in SIZES.iter().zip(run(30).await?) {
        println!("{size}: {width} × {height}");
    }
    Ok(())
}

/// Shows so many pictures of each size, one size after the other; what size they were.
pub(crate) async fn run(pictures: usize) -> Result<Vec<(u32, u32)>, Failure> {
    let camera = PeerConnection::new(Configuration::default())?;
    let ingest = PeerConnection::new(Configuration::default())?;
    let devices = MediaDevices::new(Synthetic::Only);
    let stream = devices.get_user_media(&MediaStreamConstraints::video())?;
    let encodings = SIZES.map(|rid| RtpEncodingParameters {
        rid: Some(rid.into()),
        ..RtpEncodingParameters::default()
    });
    let init = TransceiverInit {
        direction: TransceiverDirection::SendOnly,
        track: stream.tracks().into_iter().next(),
        send_encodings: encodings.to_vec(),
        ..TransceiverInit::default()
    };
    camera.add_transceiver(MediaKind::Video, init)?;
    connect(&camera, &ingest).await?;
    let source = track(&ingest).await?.receiver;

    let egress = PeerConnection::new(Configuration::default())?;
    let viewer = PeerConnection::new(Configuration::default())?;
    let init = TransceiverInit {
        direction: TransceiverDirection::SendOnly,
        ..TransceiverInit::default()
    };
    let output = egress.add_transceiver(MediaKind::Video, init)?.sender();
    connect(&egress, &viewer).await?;
    let (wish, wanted) = watch::channel(SIZES[0]);
    tokio::spawn(forward(source, output, wanted));

    let shown = track(&viewer).await?.track;
    let mut shown = shown.subscribe_video().ok_or("not a video")?;
    let mut sizes: Vec<(u32, u32)> = Vec::new();
    for size in SIZES {
        // A viewer's bandwidth, or its window, would decide.
        wish.send(size)?;
        let (mut last, mut seen) = ((0, 0), 0);
        while seen < pictures {
            let picture = shown.recv().await.ok_or("the picture is gone")?;
            let now = (picture.width(), picture.height());
            // Those of the size before are on their way still.
            let is_new = sizes.last() != Some(&now);
            seen = usize::from(is_new) * if now == last { seen + 1 } else { 1 };
            last = now;
        }
        sizes.push(last);
    }
    camera.close();
    Ok(sizes)
}

/// Passes on one size. Another one begins with its next keyframe, which the camera is asked for.
async fn forward(source: RtpReceiver, output: RtpSender, wanted: watch::Receiver<&'static str>) {
    let mut frames = source.encoded_frames();
    let (mut size, mut started, mut asked) = (String::new(), None, Duration::ZERO);
    while let Some(received) = frames.next().await {
        let rid = received.rid.unwrap_or_default();
        let (wish, frame) = (*wanted.borrow(), received.frame);
        let time = frame.arrival - *started.get_or_insert(frame.arrival);
        if rid == wish && frame.keyframe {
            size = rid.clone();
        }
        let waits = size != wish || output.take_keyframe_request();
        if waits && time > asked + Duration::from_millis(200) {
            source.request_keyframe();
            asked = time;
        }
        if rid == size {
            let _ = output.send_encoded(&EncodedFrame::video(frame.data, time, frame.keyframe));
        }
    }
}

async fn track(pc: &PeerConnection) -> Result<TrackEvent, Failure> {
    let mut events = pc.events();
    while let Some(event) = events.next().await {
        if let Event::Track(event) = event {
            return Ok(event);
        }
    }
    Err("the connection is closed".into())
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
