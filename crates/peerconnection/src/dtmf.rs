//! `RTCDTMFSender` (W3C WebRTC §7).

use crate::error::Error;
use crate::rtp_transceiver::TransceiverShared;
use crate::session::{DEFAULT_INTER_TONE_GAP, DEFAULT_TONE_DURATION};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// `RTCDTMFSender`: sends telephone tones in place of sound.
///
/// ```no_run
/// # async fn example(sender: peerconnection::RtpSender) -> Result<(), peerconnection::Error> {
/// if let Some(dtmf) = sender.dtmf().filter(|dtmf| dtmf.can_insert_dtmf()) {
///     let mut tones = dtmf.events();
///     dtmf.insert_dtmf("1199##9,*")?;
///     while let Some(tone) = tones.next().await {
///         println!("{tone:?}");
///         if tone.is_empty() {
///             break;
///         }
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct DtmfSender {
    shared: Arc<TransceiverShared>,
}

impl DtmfSender {
    pub(crate) fn new(shared: Arc<TransceiverShared>) -> Self {
        DtmfSender { shared }
    }

    /// `insertDTMF` with the default times: 100 ms of tone, 70 ms between two. The tones replace those that are still to
    /// come; an empty text cancels them.
    ///
    /// # Errors
    /// `InvalidStateError` when [`DtmfSender::can_insert_dtmf`] is false; `InvalidCharacterError` for anything but
    /// `0`–`9`, `A`–`D`, `a`–`d`, `#`, `*` and `,` (a pause of 2 s).
    pub fn insert_dtmf(&self, tones: &str) -> Result<(), Error> {
        self.insert_dtmf_with(tones, DEFAULT_TONE_DURATION, DEFAULT_INTER_TONE_GAP)
    }

    /// `insertDTMF`: each tone takes `duration`, 40 ms to 6 s, with `inter_tone_gap`, 30 ms to 6 s, between two; other
    /// values are cut to these.
    ///
    /// # Errors
    /// As [`DtmfSender::insert_dtmf`].
    pub fn insert_dtmf_with(
        &self,
        tones: &str,
        duration: Duration,
        inter_tone_gap: Duration,
    ) -> Result<(), Error> {
        self.shared.connection()?.command(|session, now| {
            session.insert_dtmf(now, self.shared.id(), tones, duration, inter_tone_gap)
        })
    }

    /// `canInsertDTMF`.
    pub fn can_insert_dtmf(&self) -> bool {
        self.shared
            .query(|session| session.can_insert_dtmf(self.shared.id()))
            .unwrap_or(false)
    }

    /// `toneBuffer`: the tones that are still to come.
    pub fn tone_buffer(&self) -> String {
        self.shared
            .query(|session| session.tone_buffer(self.shared.id()).to_owned())
            .unwrap_or_default()
    }

    /// `tonechange` from now on.
    pub fn events(&self) -> ToneChanges {
        let (sender, receiver) = mpsc::unbounded_channel();
        self.shared.lock().tones.push(sender);
        ToneChanges(receiver)
    }
}

impl fmt::Debug for DtmfSender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DtmfSender")
            .field("tone_buffer", &self.tone_buffer())
            .finish_non_exhaustive()
    }
}

/// `tonechange` events of one sender.
#[derive(Debug)]
pub struct ToneChanges(mpsc::UnboundedReceiver<String>);

impl ToneChanges {
    /// The tone that has just begun; empty when all have been played. `None` once the transceiver is stopped.
    pub async fn next(&mut self) -> Option<String> {
        self.0.recv().await
    }
}
