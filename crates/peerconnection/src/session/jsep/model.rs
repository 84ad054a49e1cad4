//! What a session description says, in the terms that offer and answer decide in.
//!
//! `text.rs` reads SDP into these types and writes SDP from them; everything between works on
//! the types alone.

use crate::rtp_parameters::{RtpCodecParameters, RtpHeaderExtensionParameters};
use crate::session::{PacketTime, TransceiverId};
use crate::states::TransceiverDirection;
use media::MediaKind;

/// One session description.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Described {
    /// `o=`: the session id and its version.
    pub(crate) session_id: u64,
    pub(crate) version: u64,
    /// `a=ice-lite`.
    pub(crate) ice_lite: bool,
    /// `a=ice-options:trickle`.
    pub(crate) trickle: bool,
    /// `a=ice-options:ice2` (RFC 8445 §10).
    pub(crate) ice2: bool,
    /// `a=ice-options:renomination` (draft-thatcher-ice-renomination §5).
    pub(crate) renomination: bool,
    /// `a=identity` (RFC 8827 §7.4.1).
    pub(crate) identity: Option<String>,
    /// `a=group:BUNDLE`, one list of mids a group.
    pub(crate) bundle: Vec<Vec<String>>,
    /// `a=group:LS`: the sections that are played in step (RFC 5888 §7).
    pub(crate) lip_sync: Vec<Vec<String>>,
    /// `b=CT`: what all sections together may be sent, in bits per second (RFC 9429 §5.10).
    pub(crate) most_total_bitrate: Option<u64>,
    pub(crate) sections: Vec<Section>,
}

impl Described {
    /// The group that this section is in, if any.
    pub(crate) fn bundle_of(&self, mid: &str) -> Option<&[String]> {
        self.bundle
            .iter()
            .find(|group| group.iter().any(|member| member == mid))
            .map(Vec::as_slice)
    }

    /// The section whose words count for a transport: the first of a group that shares it, or the only one that uses it
    /// (RFC 9143 §7.1.3).
    pub(crate) fn spokesman(&self, transport: usize) -> Option<&Section> {
        let mut users = self
            .sections
            .iter()
            .filter(|section| !section.rejected && section.transport == transport);
        let first = users.clone().next();
        users
            .find(|section| self.speaks_for_itself(&section.mid))
            .or(first)
    }

    /// Whether a section has these credentials.
    pub(crate) fn has_credentials(&self, credentials: &super::Credentials) -> bool {
        let mut accepted = self.sections.iter().filter(|section| !section.rejected);
        accepted.any(|section| {
            section.ice_ufrag == credentials.ufrag && section.ice_pwd == credentials.pwd
        })
    }

    /// Whether another section, which is not rejected, speaks for this one (RFC 9143 §7.1.3).
    pub(crate) fn is_bundled_into_another(&self, mid: &str) -> bool {
        let tag = self.bundle_of(mid).and_then(|group| group.first());
        tag.is_some_and(|tag| {
            tag != mid
                && self
                    .sections
                    .iter()
                    .any(|section| section.mid == *tag && !section.rejected)
        })
    }

    /// Whether this section is in no group, or is the one that speaks for its group.
    pub(crate) fn speaks_for_itself(&self, mid: &str) -> bool {
        self.bundle_of(mid)
            .is_none_or(|group| group.first().is_some_and(|first| first == mid))
    }
}

/// What a section is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SectionKind {
    Media(MediaKind),
    Application,
    /// A kind of media that this side does not know; always rejected.
    Other(String),
}

/// One `m=` section.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Section {
    pub(crate) kind: SectionKind,
    pub(crate) mid: String,
    /// Whether the mid is written; else it is one that was made up here.
    pub(crate) has_mid: bool,
    /// Port zero without `a=bundle-only`.
    pub(crate) rejected: bool,
    pub(crate) bundle_only: bool,
    /// The `proto` field and the formats, given back as they came when the section is rejected.
    pub(crate) protocol: String,
    pub(crate) formats: Vec<String>,
    pub(crate) direction: TransceiverDirection,
    pub(crate) ice_ufrag: String,
    pub(crate) ice_pwd: String,
    pub(crate) fingerprints: Vec<dtls::Fingerprint>,
    pub(crate) setup: Option<Setup>,
    /// `a=tls-id`: names the DTLS association (RFC 8842 §4).
    pub(crate) tls_id: Option<String>,
    /// `b=TIAS`, or what follows from `b=AS`: the most RTP to send to who wrote this, in bits per second (RFC 9429 §5.10).
    pub(crate) most_bitrate: Option<u64>,
    /// `a=candidate` values.
    pub(crate) candidates: Vec<String>,
    pub(crate) end_of_candidates: bool,
    pub(crate) rtcp_mux: bool,
    /// `a=rtcp-mux-only`, where nothing has been agreed yet (RFC 8858 §4).
    pub(crate) rtcp_mux_only: bool,
    /// `a=cryptex`: packets may come with their header extensions encrypted (RFC 9335 §4).
    pub(crate) cryptex: bool,
    pub(crate) rtcp_rsize: bool,
    pub(crate) codecs: Vec<RtpCodecParameters>,
    pub(crate) extensions: Vec<RtpHeaderExtensionParameters>,
    /// `a=msid`: media stream ids with the track id; a stream id of `-` is none (RFC 8830 §2).
    pub(crate) msids: Vec<Msid>,
    pub(crate) sources: Vec<Source>,
    pub(crate) rids: Vec<RidLine>,
    pub(crate) simulcast: Option<SimulcastLine>,
    pub(crate) sctp_port: Option<u16>,
    pub(crate) max_message_size: Option<u64>,
    /// `a=ptime` and `a=maxptime` (RFC 8866 §6.4, §6.5).
    pub(crate) packet_time: PacketTime,
    /// The transceiver a local section was written for, and the transport it uses.
    pub(crate) transceiver: Option<TransceiverId>,
    pub(crate) transport: usize,
}

impl Section {
    pub(crate) fn new(kind: SectionKind, mid: String) -> Self {
        let protocol = match kind {
            SectionKind::Application => "UDP/DTLS/SCTP",
            _ => "UDP/TLS/RTP/SAVPF",
        };
        Section {
            kind,
            mid,
            has_mid: true,
            rejected: false,
            bundle_only: false,
            protocol: protocol.to_owned(),
            formats: Vec::new(),
            direction: TransceiverDirection::SendRecv,
            ice_ufrag: String::new(),
            ice_pwd: String::new(),
            fingerprints: Vec::new(),
            setup: None,
            tls_id: None,
            most_bitrate: None,
            candidates: Vec::new(),
            end_of_candidates: false,
            rtcp_mux: true,
            rtcp_mux_only: false,
            cryptex: true,
            rtcp_rsize: true,
            codecs: Vec::new(),
            extensions: Vec::new(),
            msids: Vec::new(),
            sources: Vec::new(),
            rids: Vec::new(),
            simulcast: None,
            sctp_port: None,
            max_message_size: None,
            packet_time: PacketTime::default(),
            transceiver: None,
            transport: 0,
        }
    }

    /// The media kind, when the section is for one.
    pub(crate) fn media(&self) -> Option<MediaKind> {
        match self.kind {
            SectionKind::Media(kind) => Some(kind),
            _ => None,
        }
    }

    /// Whether a section of the peer wants another DTLS association than the one before (RFC 8842 §3.1, §4): without
    /// `a=tls-id` in both, the fingerprints alone tell.
    pub(crate) fn begins_another_association(&self, before: &Section) -> bool {
        let among = |one: &Section, two: &Section| {
            let mut own = one.fingerprints.iter();
            own.all(|fingerprint| two.fingerprints.contains(fingerprint))
        };
        let same_fingerprints = among(self, before) && among(before, self);
        let ids = self.tls_id.as_ref().zip(before.tls_id.as_ref());
        !same_fingerprints || ids.is_some_and(|(now, before)| now != before)
    }

    /// The stream ids that the peer (or this side) puts the track in.
    pub(crate) fn stream_ids(&self) -> Vec<String> {
        self.msids
            .iter()
            .filter(|msid| msid.stream != "-")
            .map(|msid| msid.stream.clone())
            .collect()
    }
}

/// `a=msid` (RFC 8830).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Msid {
    pub(crate) stream: String,
    pub(crate) track: Option<String>,
}

/// An SSRC that the section announces, with the one that repairs it (`a=ssrc`, `a=ssrc-group:FID`; RFC 5576).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Source {
    pub(crate) ssrc: u32,
    pub(crate) rtx: Option<u32>,
    pub(crate) cname: Option<String>,
}

/// `a=rid` (RFC 8851).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RidLine {
    pub(crate) id: String,
    pub(crate) send: bool,
    pub(crate) restrictions: String,
}

/// `a=simulcast` (RFC 8853): alternatives of restriction identifiers; a paused one starts with `~`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct SimulcastLine {
    pub(crate) send: Vec<Vec<String>>,
    pub(crate) receive: Vec<Vec<String>>,
}

/// `a=setup` (RFC 4145, RFC 5763 §5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Setup {
    Actpass,
    Active,
    Passive,
}
