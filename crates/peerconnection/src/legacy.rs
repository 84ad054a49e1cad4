//! Names of before tracks and transceivers, built on these; kept for programs that still use them.

use crate::dtmf::DtmfSender;
use crate::error::Error;
use crate::peer_connection::PeerConnection;
use media::{MediaStream, MediaStreamTrack};

impl PeerConnection {
    /// `addStream`: sends every track of the stream, those that are sent already excepted.
    ///
    /// # Errors
    /// `InvalidStateError` when closed.
    #[deprecated(note = "use `add_track` for each track")]
    pub fn add_stream(&self, stream: &MediaStream) -> Result<(), Error> {
        for track in stream.tracks() {
            match self.add_track(&track, &[stream]) {
                // It is sent already.
                Ok(_) | Err(Error::InvalidAccess(_)) => {}
                Err(error) => return Err(error),
            }
        }
        self.registry.add_local_stream(stream);
        Ok(())
    }

    /// `removeStream`: sends the tracks of the stream no longer.
    ///
    /// # Errors
    /// `InvalidStateError` when closed.
    #[deprecated(note = "use `remove_track` for each sender")]
    pub fn remove_stream(&self, stream: &MediaStream) -> Result<(), Error> {
        for sender in self.senders() {
            let sent = sender.track();
            if sent.is_some_and(|track| stream.track_by_id(track.id()).is_some()) {
                self.remove_track(&sender)?;
            }
        }
        self.registry.remove_local_stream(stream.id());
        Ok(())
    }

    /// `getLocalStreams`: those of `add_stream`.
    #[deprecated(note = "use `senders`")]
    pub fn local_streams(&self) -> Vec<MediaStream> {
        self.registry.local_streams()
    }

    /// `getRemoteStreams`: those that the peer puts its tracks in.
    #[deprecated(note = "use `receivers` and the streams of `Event::Track`")]
    pub fn remote_streams(&self) -> Vec<MediaStream> {
        self.registry.remote_streams()
    }

    /// `getStreamById`, local or remote.
    #[deprecated(note = "keep the streams of `Event::Track`")]
    pub fn stream_by_id(&self, id: &str) -> Option<MediaStream> {
        let streams = self.registry.local_streams().into_iter();
        streams
            .chain(self.registry.remote_streams())
            .find(|stream| stream.id() == id)
    }

    /// `createDTMFSender` for a track that is sent.
    ///
    /// # Errors
    /// `InvalidAccessError` for a track that is not sent here, or is not sound.
    #[deprecated(note = "use `RtpSender::dtmf`")]
    pub fn create_dtmf_sender(&self, track: &MediaStreamTrack) -> Result<DtmfSender, Error> {
        self.senders()
            .into_iter()
            .find(|sender| sender.track().is_some_and(|sent| sent.id() == track.id()))
            .and_then(|sender| sender.dtmf())
            .ok_or_else(|| Error::InvalidAccess("no sender of sound has this track".into()))
    }
}
