//! The set of transceivers, as the application changes it (W3C WebRTC §5.1, §5.4).

use super::{Jsep, MOST_ENCODINGS, random_uuid};
use crate::error::Error;
use crate::rtp_parameters::{PTIME_TWICE, RtpEncodingParameters, check_encodings};
use crate::session::codecs::{self, Catalogue};
use crate::session::transceiver::{
    Encoding, PacketTime, Receiver, Sender, Transceiver, TransceiverId,
};
use crate::states::TransceiverDirection;
use media::MediaKind;
use rand::RngExt;

impl Jsep {
    /// `addTransceiver`.
    pub(crate) fn add_transceiver(
        &mut self,
        kind: MediaKind,
        track: Option<String>,
        direction: TransceiverDirection,
        streams: Vec<String>,
        encodings: Vec<RtpEncodingParameters>,
    ) -> Result<TransceiverId, Error> {
        self.check_open()?;
        if direction == TransceiverDirection::Stopped {
            return Err(Error::Type("a transceiver cannot be made stopped".into()));
        }
        let encodings = validated_encodings(&self.catalogue, kind, encodings)?;
        Ok(self.new_transceiver(kind, track, direction, streams, encodings))
    }

    /// `addTrack`: through a sender that was never used, or a new transceiver.
    pub(crate) fn add_track(
        &mut self,
        kind: MediaKind,
        track: String,
        streams: Vec<String>,
    ) -> Result<TransceiverId, Error> {
        self.check_open()?;
        let senders = || {
            self.transceivers
                .iter()
                .filter(|transceiver| !transceiver.stopped)
        };
        if senders().any(|transceiver| transceiver.sender.track.as_deref() == Some(track.as_str()))
        {
            return Err(Error::InvalidAccess(
                "this track is being sent already".into(),
            ));
        }
        let reusable = self.transceivers.iter_mut().find(|transceiver| {
            transceiver.sender.track.is_none()
                && transceiver.kind == kind
                && !transceiver.stopping
                && !transceiver.has_sent
        });
        if let Some(transceiver) = reusable {
            transceiver.sender.announced_track.clone_from(&track);
            transceiver.sender.track = Some(track);
            transceiver.sender.streams = unique(streams);
            transceiver.by_add_track = true;
            transceiver.direction = match transceiver.direction {
                TransceiverDirection::RecvOnly => TransceiverDirection::SendRecv,
                TransceiverDirection::Inactive => TransceiverDirection::SendOnly,
                other => other,
            };
            return Ok(transceiver.id);
        }
        let id = self.new_transceiver(
            kind,
            Some(track),
            TransceiverDirection::SendRecv,
            streams,
            vec![RtpEncodingParameters::default()],
        );
        if let Some(transceiver) = self.transceiver_mut(id) {
            transceiver.by_add_track = true;
        }
        Ok(id)
    }

    /// `removeTrack`.
    pub(crate) fn remove_track(&mut self, id: TransceiverId) -> Result<(), Error> {
        self.check_open()?;
        let Some(transceiver) = self.transceiver_mut(id) else {
            return Ok(());
        };
        if transceiver.stopping || transceiver.sender.track.take().is_none() {
            return Ok(());
        }
        transceiver.direction = match transceiver.direction {
            TransceiverDirection::SendRecv => TransceiverDirection::RecvOnly,
            TransceiverDirection::SendOnly => TransceiverDirection::Inactive,
            other => other,
        };
        Ok(())
    }

    /// The setter of `direction`.
    pub(crate) fn set_direction(
        &mut self,
        id: TransceiverId,
        direction: TransceiverDirection,
    ) -> Result<(), Error> {
        self.check_open()?;
        match self.transceiver_mut(id) {
            Some(transceiver) if !transceiver.stopping => match direction {
                TransceiverDirection::Stopped => {
                    Err(Error::Type("stop() stops a transceiver".into()))
                }
                direction => {
                    transceiver.direction = direction;
                    Ok(())
                }
            },
            _ => Err(Error::InvalidState("the transceiver is stopped".into())),
        }
    }

    /// `RTCRtpTransceiver.stop`: stopped once the next exchange is over.
    pub(crate) fn stop_transceiver(&mut self, id: TransceiverId) -> Result<(), Error> {
        self.check_open()?;
        if let Some(transceiver) = self.transceiver_mut(id) {
            transceiver.stopping = true;
            transceiver.direction = TransceiverDirection::Inactive;
        }
        Ok(())
    }

    pub(super) fn new_transceiver(
        &mut self,
        kind: MediaKind,
        track: Option<String>,
        direction: TransceiverDirection,
        streams: Vec<String>,
        encodings: Vec<RtpEncodingParameters>,
    ) -> TransceiverId {
        let id = TransceiverId(self.next_transceiver);
        self.next_transceiver += 1;
        let mut encodings: Vec<Encoding> = encodings
            .into_iter()
            .map(|parameters| self.new_encoding(parameters))
            .collect();
        // "Create an RTCRtpSender" (W3C WebRTC §5.2).
        if let (MediaKind::Video, [lone]) = (kind, encodings.as_mut_slice()) {
            lone.parameters.scale_resolution_down_by.get_or_insert(1.0);
        }
        // W3C WebRTC Extensions §5.1: those of the first transceiver of the kind, so that later ones are like it.
        let extensions_to_negotiate = self
            .transceivers
            .iter()
            .find(|transceiver| transceiver.kind == kind && !transceiver.stopping)
            .map_or_else(
                || codecs::extensions(kind),
                |first| first.extensions_to_negotiate.clone(),
            );
        let transceiver = Transceiver {
            id,
            kind,
            mid: None,
            section: None,
            direction,
            current_direction: None,
            fired_direction: None,
            stopping: false,
            stopped: false,
            by_add_track: false,
            by_remote_offer: false,
            has_sent: false,
            preferences: Vec::new(),
            extensions_to_negotiate,
            negotiated_extensions: Vec::new(),
            sender: Sender {
                announced_track: track.clone().unwrap_or_else(|| random_uuid(&mut self.rng)),
                track,
                streams: unique(streams),
                encodings,
                codecs: Vec::new(),
                extensions: Vec::new(),
                packet_time: PacketTime::default(),
                reduced_size: false,
                degradation_preference: None,
                last_returned: None,
            },
            receiver: Receiver {
                track: random_uuid(&mut self.rng),
                streams: Vec::new(),
                jitter_buffer_target: None,
                codecs: Vec::new(),
                extensions: Vec::new(),
            },
        };
        self.transceivers.push(transceiver);
        id
    }

    pub(super) fn new_encoding(&mut self, parameters: RtpEncodingParameters) -> Encoding {
        Encoding {
            parameters,
            ssrc: self.new_ssrc(),
            rtx: self.new_ssrc(),
        }
    }

    /// An SSRC that no other stream of this connection has (RFC 3550 §8.1).
    fn new_ssrc(&mut self) -> u32 {
        loop {
            let ssrc = self.rng.random_range(1..u32::MAX);
            let taken = |encoding: &Encoding| encoding.ssrc == ssrc || encoding.rtx == ssrc;
            if !self
                .transceivers
                .iter()
                .flat_map(|transceiver| &transceiver.sender.encodings)
                .any(taken)
            {
                return ssrc;
            }
        }
    }

    /// Gives an encoding other SSRCs: one stream has one clock (RFC 7160 §4.1).
    pub(crate) fn renew_ssrc(&mut self, before: u32) {
        let (ssrc, rtx) = (self.new_ssrc(), self.new_ssrc());
        let mut encodings = self
            .transceivers
            .iter_mut()
            .flat_map(|transceiver| &mut transceiver.sender.encodings);
        if let Some(encoding) = encodings.find(|encoding| encoding.ssrc == before) {
            (encoding.ssrc, encoding.rtx) = (ssrc, rtx);
        }
    }
}

/// "addTransceiver sendEncodings validation steps" (W3C WebRTC §5.1).
fn validated_encodings(
    catalogue: &Catalogue,
    kind: MediaKind,
    mut encodings: Vec<RtpEncodingParameters>,
) -> Result<Vec<RtpEncodingParameters>, Error> {
    if encodings.is_empty() {
        encodings.push(RtpEncodingParameters::default());
    }
    let rids: Vec<&String> = encodings
        .iter()
        .filter_map(|encoding| encoding.rid.as_ref())
        .collect();
    // RFC 8851 §10: rid-id is alphanumeric with - and _ (the bound is the header extension's, RFC 8852 §3).
    let well_formed = |rid: &String| {
        (1..=16).contains(&rid.len())
            && rid
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    if let Some(rid) = rids.iter().find(|rid| !well_formed(rid)) {
        return Err(Error::Type(format!("{rid:?} is no restriction identifier")));
    }
    if encodings
        .iter()
        .any(|one| one.adaptive_ptime && one.ptime.is_some())
    {
        return Err(Error::InvalidModification(PTIME_TWICE.into()));
    }
    if !rids.is_empty() && rids.len() != encodings.len() {
        return Err(Error::Type(
            "some encodings have a rid and some have none".into(),
        ));
    }
    if rids
        .iter()
        .enumerate()
        .any(|(index, rid)| rids[..index].contains(rid))
    {
        return Err(Error::Type("two encodings have the same rid".into()));
    }
    let known = catalogue.known(kind);
    if encodings.iter().any(|encoding| {
        encoding.codec.as_ref().is_some_and(|wanted| {
            !known
                .iter()
                .any(|known| known.codec.is_media() && known.codec.dictionary_match(wanted, true))
        })
    }) {
        return Err(Error::Operation(
            "an encoding names an unknown codec".into(),
        ));
    }
    if kind == MediaKind::Video && encodings.iter().any(|it| it.max_framerate == Some(0.0)) {
        return Err(Error::Range("max_framerate is not above 0.0".into()));
    }
    let given = encodings
        .iter()
        .any(|encoding| encoding.scale_resolution_down_by.is_some());
    let most = match kind {
        MediaKind::Audio => 1,
        MediaKind::Video => MOST_ENCODINGS,
    };
    let count = encodings.len().min(most);
    check_encodings(kind, &mut encodings, Error::Operation, |index| {
        if given {
            1.0
        } else {
            f64::from(1_u32 << count.saturating_sub(index + 1))
        }
    })?;
    encodings.truncate(most);
    match encodings.as_mut_slice() {
        [lone] => lone.rid = None,
        // Encodings without names are told apart by ones that are made up: on the wire they need them (RFC 8853 §5.1).
        several => {
            for (index, encoding) in several.iter_mut().enumerate() {
                encoding.rid.get_or_insert_with(|| index.to_string());
            }
        }
    }
    Ok(encodings)
}

fn unique(ids: Vec<String>) -> Vec<String> {
    let mut unique: Vec<String> = Vec::with_capacity(ids.len());
    for id in ids {
        if !unique.contains(&id) {
            unique.push(id);
        }
    }
    unique
}
