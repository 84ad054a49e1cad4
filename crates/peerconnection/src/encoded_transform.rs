//! Encoded transforms (W3C WebRTC Encoded Transform): the application sees, and may change, every frame between the
//! encoder and the packets, and between the packets and the decoder.

use crate::rtp_parameters::RtpCodecParameters;
use crate::rtp_transceiver::{ReceivedFrame, TransceiverShared, outgoing};
use bytes::Bytes;
use media::{EncodedFrame, MediaKind};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Weak;
use std::time::Duration;
use tokio::sync::mpsc;

/// Frames that may wait for a transform; more means that it cannot keep up, and they are dropped.
const QUEUE: usize = 64;

/// `RTCEncodedVideoFrame` and `RTCEncodedAudioFrame`: a frame on its way through a transform.
#[derive(Debug, Clone)]
pub struct RtcEncodedFrame {
    /// What the encoder made, or the packets brought; may be replaced.
    pub data: Bytes,
    metadata: EncodedFrameMetadata,
    route: Route,
}

/// `RTCEncodedVideoFrameMetadata` and `RTCEncodedAudioFrameMetadata`: what is known of a frame beside its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct EncodedFrameMetadata {
    /// Audio or video.
    pub kind: MediaKind,
    /// Whether it can be decoded without others; always true of sound.
    pub key_frame: bool,
    /// The stream that it is sent or was received on, once known.
    pub synchronization_source: Option<u32>,
    /// The RTP payload type.
    pub payload_type: u8,
    /// Its RTP time, before the random offset on the sending side.
    pub rtp_timestamp: u32,
    /// The codec, as in `video/VP8`.
    pub mime_type: String,
    /// The encoding, when there are several.
    pub rid: Option<String>,
}

#[derive(Debug, Clone)]
enum Route {
    Send {
        timestamp: Duration,
        duration: Duration,
        clock_rate: u32,
    },
    Receive(Box<ReceivedFrame>),
}

impl RtcEncodedFrame {
    /// `getMetadata`.
    pub fn metadata(&self) -> &EncodedFrameMetadata {
        &self.metadata
    }

    pub(crate) fn sent(
        frame: &EncodedFrame,
        codec: &RtpCodecParameters,
        rid: Option<&str>,
        ssrc: u32,
    ) -> Self {
        let clock_rate = codec.codec.clock_rate;
        RtcEncodedFrame {
            data: frame.data.clone(),
            metadata: EncodedFrameMetadata {
                kind: frame.kind,
                key_frame: frame.keyframe || frame.kind == MediaKind::Audio,
                synchronization_source: Some(ssrc),
                payload_type: codec.payload_type,
                rtp_timestamp: outgoing(frame, clock_rate).timestamp,
                mime_type: codec.codec.mime_type.clone(),
                rid: rid.map(str::to_owned),
            },
            route: Route::Send {
                timestamp: frame.timestamp,
                duration: frame.duration,
                clock_rate,
            },
        }
    }

    pub(crate) fn received(kind: MediaKind, received: ReceivedFrame) -> Self {
        let ReceivedFrame { frame, codec, rid } = &received;
        RtcEncodedFrame {
            data: frame.data.clone(),
            metadata: EncodedFrameMetadata {
                kind,
                key_frame: frame.keyframe || kind == MediaKind::Audio,
                synchronization_source: Some(frame.ssrc.0),
                payload_type: frame.payload_type,
                rtp_timestamp: frame.timestamp,
                mime_type: codec.codec.mime_type.clone(),
                rid: rid.clone(),
            },
            route: Route::Receive(Box::new(received)),
        }
    }
}

type Run = Box<dyn FnOnce(FrameTransformer) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send>;

/// `RTCRtpScriptTransform`: what is to happen to the frames of a sender or receiver.
///
/// ```
/// use peerconnection::EncodedTransform;
///
/// // Turns every bit around behind the first bytes, which tell keyframes from others.
/// let transform = EncodedTransform::new(|mut frames| async move {
///     while let Some(mut frame) = frames.read().await {
///         let changed = frame.data.iter().enumerate().map(|(index, byte)| if index < 10 { *byte } else { !byte });
///         frame.data = changed.collect();
///         frames.write(frame);
///     }
/// });
/// ```
pub struct EncodedTransform(Run);

impl EncodedTransform {
    /// A transform that reads frames and writes what becomes of them. What it does not write is dropped; when it ends,
    /// so does the flow of frames.
    pub fn new<F, R>(run: F) -> Self
    where
        F: FnOnce(FrameTransformer) -> R + Send + 'static,
        R: Future<Output = ()> + Send + 'static,
    {
        EncodedTransform(Box::new(move |frames| Box::pin(run(frames))))
    }

    /// A transform that changes each frame, or with `None` drops it.
    pub fn map(
        mut change: impl FnMut(RtcEncodedFrame) -> Option<RtcEncodedFrame> + Send + 'static,
    ) -> Self {
        EncodedTransform::new(move |mut frames| async move {
            while let Some(frame) = frames.read().await {
                if let Some(frame) = change(frame) {
                    frames.write(frame);
                }
            }
        })
    }

    /// Starts the transform; what is sent to the result runs through it.
    pub(crate) fn start(
        self,
        transceiver: Weak<TransceiverShared>,
        runtime: &tokio::runtime::Handle,
    ) -> mpsc::Sender<RtcEncodedFrame> {
        let (sender, reader) = mpsc::channel(QUEUE);
        runtime.spawn((self.0)(FrameTransformer {
            reader,
            transceiver,
        }));
        sender
    }
}

impl fmt::Debug for EncodedTransform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EncodedTransform")
    }
}

/// `RTCRtpScriptTransformer`: both ends of the stream of frames.
#[derive(Debug)]
pub struct FrameTransformer {
    reader: mpsc::Receiver<RtcEncodedFrame>,
    transceiver: Weak<TransceiverShared>,
}

impl FrameTransformer {
    /// `readable`: the next frame; `None` once the transform was replaced or the transceiver stopped.
    pub async fn read(&mut self) -> Option<RtcEncodedFrame> {
        self.reader.recv().await
    }

    /// `writable`: passes a frame on, to the packets or to the decoder.
    pub fn write(&self, frame: RtcEncodedFrame) {
        let Some(shared) = self.transceiver.upgrade() else {
            return;
        };
        let RtcEncodedFrame {
            data,
            metadata,
            route,
        } = frame;
        match route {
            Route::Send {
                timestamp,
                duration,
                clock_rate,
            } => {
                let frame = EncodedFrame {
                    kind: metadata.kind,
                    data,
                    timestamp,
                    duration,
                    keyframe: metadata.key_frame,
                };
                let frame = outgoing(&frame, clock_rate);
                let id = shared.id();
                shared.command(|session, now| {
                    session.write_frame(now, id, metadata.rid.as_deref(), &frame)
                });
            }
            Route::Receive(received) => {
                let mut received = *received;
                received.frame.data = data;
                shared.deliver(received);
            }
        }
    }

    /// `generateKeyFrame` of a sender's transform: the encoder of this `rid` (all, when `None`) makes its next picture a
    /// keyframe.
    pub fn generate_key_frame(&self, rid: Option<&str>) {
        if let Some(shared) = self.transceiver.upgrade() {
            shared.request_keyframe(rid);
        }
    }

    /// `sendKeyFrameRequest` of a receiver's transform: asks the peer for a keyframe.
    pub fn send_key_frame_request(&self) {
        if let Some(shared) = self.transceiver.upgrade() {
            let id = shared.id();
            shared.command(|session, now| session.request_keyframe(now, id));
        }
    }
}
