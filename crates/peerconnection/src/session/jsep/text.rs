//! From SDP to the model and back.
//!
//! The model keeps what offer and answer decide on. A remote description is shown as it came, with the candidates
//! that were added since; a local one is written from the model alone.

use super::model::{Msid, RidLine, SimulcastLine, Source};
use super::{Applied, Described, Section, SectionKind, Setup, sdp_error};
use crate::description::SessionDescription;
use crate::error::Error;
use crate::rtp_parameters::{RtpCodec, RtpCodecParameters, RtpHeaderExtensionParameters};
use crate::session::PacketTime;
use crate::states::TransceiverDirection;
use ::sdp::attributes as a;
use ::sdp::{Attribute, Bandwidth, Connection, MediaDescription, MediaLine, Origin};
use media::MediaKind;
use std::net::IpAddr;

/// Reads a description of the peer.
pub(super) fn read(text: &str) -> Result<Described, Error> {
    let parse_error =
        |error: ::sdp::ParseError| sdp_error(error.to_string(), u32::try_from(error.line).ok());
    let session = ::sdp::SessionDescription::parse(text).map_err(parse_error)?;
    // A malformed attribute is an error here, not something to skip: half a description helps nobody.
    session.check().map_err(parse_error)?;
    let mut described = Described {
        session_id: session.origin.session_id().parse().unwrap_or(0),
        version: session.origin.version().unwrap_or(0),
        ice_lite: session.is_ice_lite(),
        trickle: false,
        ice2: false,
        renomination: false,
        identity: session.attributes.value("identity").map(str::to_owned),
        bundle: session.bundles().collect(),
        lip_sync: session
            .groups()
            .filter(|group| group.semantics == a::GroupSemantics::LipSync)
            .map(|group| group.mids)
            .collect(),
        most_total_bitrate: bandwidth(&session.bandwidths, "CT")
            .map(|kbps| kbps.saturating_mul(1000)),
        sections: Vec::with_capacity(session.media.len()),
    };
    for media in &session.media {
        let options = session.ice_options(media);
        described.trickle |= options.has("trickle");
        described.ice2 |= options.has("ice2");
        described.renomination |= options.has("renomination");
        described.sections.push(read_section(&session, media)?);
    }
    name_sections(&mut described);
    // What the section that speaks for a group says of the transport is said for all (RFC 9143 §7.1.3).
    for index in 0..described.sections.len() {
        let mid = described.sections[index].mid.clone();
        if described.is_bundled_into_another(&mid) {
            let tag = described.bundle_of(&mid).and_then(|group| group.first());
            let mut sections = described.sections.iter();
            let reduced = sections.any(|it| Some(&it.mid) == tag && it.rtcp_rsize);
            described.sections[index].rtcp_rsize |= reduced;
        }
    }
    // Firefox goes on to write the port 9 of a section that it has stopped.
    for index in 0..described.sections.len() {
        let section = &described.sections[index];
        let lifeless = section.media().is_some()
            && section.direction == TransceiverDirection::Inactive
            && section.ice_ufrag.is_empty()
            && !section.rtcp_mux
            && described.bundle_of(&section.mid).is_none();
        described.sections[index].rejected |= lifeless;
    }
    Ok(described)
}

fn read_section(
    session: &::sdp::SessionDescription,
    media: &MediaDescription,
) -> Result<Section, Error> {
    let kind = match media.kind() {
        ::sdp::MediaKind::Audio if media.media.is_rtp() => SectionKind::Media(MediaKind::Audio),
        ::sdp::MediaKind::Video if media.media.is_rtp() => SectionKind::Media(MediaKind::Video),
        ::sdp::MediaKind::Application if media.media.is_sctp() => SectionKind::Application,
        _ => SectionKind::Other(media.media.kind_text().to_owned()),
    };
    let mid = media.mid();
    let mut section = Section::new(kind, mid.unwrap_or_default().to_owned());
    section.has_mid = mid.is_some();
    section.rejected = media.is_rejected();
    section.bundle_only = media.media.port() == 0 && media.attributes.has("bundle-only");
    section.protocol = media.media.protocol().to_owned();
    section.formats = media.media.formats().map(str::to_owned).collect();
    section.direction = from_direction(session.direction(media));
    section.ice_ufrag = session.ice_ufrag(media).unwrap_or_default().to_owned();
    section.ice_pwd = session.ice_pwd(media).unwrap_or_default().to_owned();
    section.fingerprints = session
        .fingerprints(media)
        .iter()
        .filter_map(|fingerprint| fingerprint.to_string().parse::<dtls::Fingerprint>().ok())
        .collect();
    section.setup = session.setup(media).and_then(|setup| match setup {
        a::Setup::ActPass => Some(Setup::Actpass),
        a::Setup::Active => Some(Setup::Active),
        a::Setup::Passive => Some(Setup::Passive),
        _ => None,
    });
    let own_tls_id = media.attributes.get::<a::TlsId>();
    section.tls_id = own_tls_id
        .or_else(|| session.attributes.get())
        .map(|id| id.0);
    section.most_bitrate = most_bitrate(&media.bandwidths);
    section.candidates = media
        .attributes
        .iter()
        .filter(|attribute| attribute.name() == "candidate")
        .filter_map(|attribute| attribute.value().map(str::to_owned))
        .collect();
    section.end_of_candidates = media.attributes.has("end-of-candidates");
    section.cryptex = media.attributes.has("cryptex") || session.attributes.has("cryptex");
    section.rtcp_mux = media.attributes.has("rtcp-mux") || section.media().is_none();
    section.rtcp_rsize = media.attributes.has("rtcp-rsize");
    section.sctp_port = media.attributes.get::<a::SctpPort>().map(|port| port.0);
    section.max_message_size = media
        .attributes
        .get::<a::MaxMessageSize>()
        .map(|size| size.0);
    if let SectionKind::Application = section.kind
        && section.sctp_port.is_none()
    {
        // Peers of before RFC 8841 wrote `a=sctpmap:5000 webrtc-datachannel 1024`.
        section.sctp_port = media
            .attributes
            .get::<a::SctpMap>()
            .map(|map| map.port)
            .or(Some(sctp::config::DEFAULT_PORT));
    }
    if let Some(kind) = section.media() {
        read_media(&mut section, media, kind)?;
    }
    Ok(section)
}

/// RFC 9429 §5.10: a section without a mid is given one, of three bytes at most (§5.2.1).
fn name_sections(described: &mut Described) {
    for index in 0..described.sections.len() {
        if !described.sections[index].has_mid {
            let mid = (0_u32..).map(|number| number.to_string()).find(|mid| {
                let mut sections = described.sections.iter();
                !sections.any(|section| section.mid == *mid)
            });
            described.sections[index].mid = mid.unwrap_or_default();
        }
    }
}

/// The value of the `b=` line of one kind.
fn bandwidth(lines: &[Bandwidth], kind: &str) -> Option<u64> {
    let mut lines = lines.iter();
    lines.find(|line| line.kind() == kind).map(Bandwidth::value)
}

/// RFC 9429 §5.10: `TIAS` (RFC 3890), else `AS` without RTCP and the headers of 50 packets a second. Less than these
/// headers take is nothing. `CT` means nothing here.
fn most_bitrate(lines: &[Bandwidth]) -> Option<u64> {
    bandwidth(lines, "TIAS").or_else(|| {
        let kbps = bandwidth(lines, "AS")?;
        let without_rtcp = kbps.saturating_mul(1000).saturating_mul(95) / 100;
        Some(without_rtcp.saturating_sub(50 * 40 * 8))
    })
}

fn from_direction(direction: a::Direction) -> TransceiverDirection {
    match direction {
        a::Direction::SendRecv => TransceiverDirection::SendRecv,
        a::Direction::SendOnly => TransceiverDirection::SendOnly,
        a::Direction::RecvOnly => TransceiverDirection::RecvOnly,
        a::Direction::Inactive => TransceiverDirection::Inactive,
    }
}

fn to_direction(direction: TransceiverDirection) -> a::Direction {
    match direction {
        TransceiverDirection::SendRecv => a::Direction::SendRecv,
        TransceiverDirection::SendOnly => a::Direction::SendOnly,
        TransceiverDirection::RecvOnly => a::Direction::RecvOnly,
        _ => a::Direction::Inactive,
    }
}

fn read_media(
    section: &mut Section,
    media: &MediaDescription,
    kind: MediaKind,
) -> Result<(), Error> {
    for payload_type in media.media.payload_types() {
        let Some(map) = media.rtp_map(payload_type) else {
            continue;
        };
        section.codecs.push(RtpCodecParameters {
            payload_type,
            codec: RtpCodec {
                mime_type: format!("{}/{}", kind.as_str(), map.encoding),
                clock_rate: map.clock_rate,
                channels: map.channels.filter(|channels| *channels > 1),
                sdp_fmtp_line: media
                    .fmtp(payload_type)
                    .map(|fmtp| fmtp.parameters)
                    .unwrap_or_default(),
            },
            feedback: media
                .rtcp_feedback(payload_type)
                .map(|feedback| match &feedback.parameter {
                    Some(parameter) => format!("{} {parameter}", feedback.kind),
                    None => feedback.kind.clone(),
                })
                .collect(),
        });
    }
    section.packet_time = PacketTime {
        preferred: media.attributes.get::<a::Ptime>().map(|ptime| ptime.0),
        most: media.attributes.get::<a::MaxPtime>().map(|ptime| ptime.0),
    };
    section.extensions = media
        .extensions()
        .filter_map(|extension| {
            let id = u8::try_from(extension.id).ok().filter(|id| *id != 0)?;
            Some(RtpHeaderExtensionParameters {
                uri: extension.uri,
                id,
                encrypted: false,
                direction: extension
                    .direction
                    .map_or(TransceiverDirection::SendRecv, from_direction),
            })
        })
        .collect();
    section.msids = media
        .msids()
        .map(|msid| Msid {
            stream: msid.stream,
            track: msid.track,
        })
        .collect();
    read_sources(section, media)?;
    section.rids = media
        .attributes
        .all::<a::Rid>()
        .map(|rid| RidLine {
            send: rid.direction == a::RidDirection::Send,
            restrictions: String::new(),
            id: rid.id,
        })
        .collect();
    section.simulcast = media.attributes.get::<a::Simulcast>().map(|simulcast| {
        let list = |streams: &[Vec<a::SimulcastStream>]| -> Vec<Vec<String>> {
            let rid = |stream: &a::SimulcastStream| {
                if stream.paused {
                    format!("~{}", stream.rid)
                } else {
                    stream.rid.clone()
                }
            };
            streams
                .iter()
                .map(|alternatives| alternatives.iter().map(rid).collect())
                .collect()
        };
        SimulcastLine {
            send: list(&simulcast.send),
            receive: list(&simulcast.recv),
        }
    });
    Ok(())
}

/// `a=ssrc` and `a=ssrc-group:FID` (RFC 5576).
fn read_sources(section: &mut Section, media: &MediaDescription) -> Result<(), Error> {
    let pairs: Vec<(u32, u32)> = media
        .attributes
        .all::<a::SsrcGroup>()
        .filter(|group| group.semantics.eq_ignore_ascii_case("FID"))
        .filter_map(|group| Some((*group.ssrcs.first()?, *group.ssrcs.get(1)?)))
        .collect();
    let mut tracks: Vec<String> = Vec::new();
    for line in media.attributes.all::<a::Ssrc>() {
        if line.attribute == "msid"
            && let Some(track) = line
                .value
                .as_deref()
                .and_then(|value| value.split_once(' '))
                .map(|(_, track)| track)
            && !tracks.iter().any(|known| known == track)
        {
            tracks.push(track.to_owned());
        }
        if pairs.iter().any(|(_, rtx)| *rtx == line.ssrc) {
            continue;
        }
        let source = match section
            .sources
            .iter_mut()
            .find(|source| source.ssrc == line.ssrc)
        {
            Some(source) => source,
            None => {
                let rtx = pairs
                    .iter()
                    .find(|(primary, _)| *primary == line.ssrc)
                    .map(|(_, rtx)| *rtx);
                section.sources.push(Source {
                    ssrc: line.ssrc,
                    rtx,
                    cname: None,
                });
                let last = section.sources.len() - 1;
                &mut section.sources[last]
            }
        };
        if line.attribute == "cname" {
            source.cname.clone_from(&line.value);
        }
    }
    if tracks.len() > 1 {
        return Err(Error::InvalidAccess(format!(
            "media section {:?} holds {} tracks: Plan B is not spoken here, only Unified Plan (RFC 9429)",
            section.mid,
            tracks.len()
        )));
    }
    Ok(())
}

/// Writes a description of this side (RFC 9429 §5.2.1).
pub(super) fn write(described: &Described) -> String {
    let mut session =
        ::sdp::SessionDescription::new(Origin::new(described.session_id, described.version));
    for group in &described.bundle {
        session
            .attributes
            .add(a::Group::bundle(group.iter().map(String::as_str)));
    }
    session
        .attributes
        .add(Attribute::flag("extmap-allow-mixed"));
    session
        .attributes
        .add(Attribute::new("msid-semantic", "WMS *"));
    if described.ice_lite {
        session.attributes.add(Attribute::flag("ice-lite"));
    }
    for group in &described.lip_sync {
        session.attributes.add(a::Group {
            semantics: a::GroupSemantics::LipSync,
            mids: group.clone(),
        });
    }
    if described.trickle || described.ice2 {
        let mut options = a::IceOptions(Vec::new());
        for (option, has) in [
            ("trickle", described.trickle),
            ("ice2", described.ice2),
            ("renomination", described.renomination),
        ] {
            options.0.extend(has.then(|| option.to_owned()));
        }
        session.attributes.add(options);
    }
    if let Some(identity) = &described.identity {
        session.attributes.add(Attribute::new("identity", identity));
    }
    for section in &described.sections {
        session.media.push(write_section(section));
    }
    session.to_string()
}

fn write_section(section: &Section) -> MediaDescription {
    let (default_port, default_address) = default_candidate(section);
    let port = match (section.rejected, section.bundle_only) {
        (true, _) | (_, true) => 0,
        _ => default_port,
    };
    let line = match &section.kind {
        SectionKind::Media(kind) if !section.codecs.is_empty() => {
            let formats = section.codecs.iter().map(|codec| codec.payload_type);
            MediaLine::new(kind.as_str(), port, &section.protocol, formats)
        }
        SectionKind::Media(kind) => MediaLine::new(
            kind.as_str(),
            port,
            &section.protocol,
            formats_or(section, "0"),
        ),
        SectionKind::Application => MediaLine::new(
            "application",
            port,
            &section.protocol,
            formats_or(section, "webrtc-datachannel"),
        ),
        SectionKind::Other(kind) => {
            MediaLine::new(kind, port, &section.protocol, formats_or(section, "0"))
        }
    };
    let mut media = MediaDescription::new(line).with_connection(match default_address {
        Some(address) => Connection::new(address),
        None => Connection::unspecified(),
    });
    if section.has_mid {
        media.attributes.add(Attribute::new("mid", &section.mid));
    }
    if section.rejected {
        write_codecs(&mut media, section);
        media.attributes.add(Attribute::flag("inactive"));
        return media;
    }
    if section.bundle_only {
        media.attributes.add(Attribute::flag("bundle-only"));
    }
    for candidate in &section.candidates {
        media.attributes.add(Attribute::new("candidate", candidate));
    }
    if section.end_of_candidates {
        media.attributes.add(Attribute::flag("end-of-candidates"));
    }
    media
        .attributes
        .add(Attribute::new("ice-ufrag", &section.ice_ufrag));
    media
        .attributes
        .add(Attribute::new("ice-pwd", &section.ice_pwd));
    for fingerprint in &section.fingerprints {
        media
            .attributes
            .add(Attribute::new("fingerprint", fingerprint));
    }
    if let Some(setup) = section.setup {
        media.attributes.add(match setup {
            Setup::Actpass => a::Setup::ActPass,
            Setup::Active => a::Setup::Active,
            Setup::Passive => a::Setup::Passive,
        });
    }
    if let Some(id) = &section.tls_id {
        media.attributes.add(a::TlsId(id.clone()));
    }
    match section.kind {
        SectionKind::Application => {
            media.attributes.add(a::SctpPort(
                section.sctp_port.unwrap_or(sctp::config::DEFAULT_PORT),
            ));
            if let Some(size) = section.max_message_size {
                media.attributes.add(a::MaxMessageSize(size));
            }
        }
        _ => write_media(&mut media, section),
    }
    media
}

fn formats_or<'s>(section: &'s Section, default: &'s str) -> Vec<&'s str> {
    match section.formats.as_slice() {
        [] => vec![default],
        formats => formats.iter().map(String::as_str).collect(),
    }
}

/// The address and port that peers without ICE would use: the best UDP candidate (RFC 8839 §4.3.1),
/// else the placeholder of trickle ICE (RFC 8840 §4.1.1).
fn default_candidate(section: &Section) -> (u16, Option<IpAddr>) {
    let candidates = section
        .candidates
        .iter()
        .filter_map(|text| text.parse::<a::Candidate>().ok());
    let usable = candidates.filter(|candidate| {
        candidate.transport.eq_ignore_ascii_case("udp") && candidate.component == 1
    });
    let best = usable.filter_map(|candidate| {
        let reach = match candidate.typ {
            a::CandidateType::Relayed => 3,
            a::CandidateType::ServerReflexive => 2,
            _ => 1,
        };
        Some((reach, candidate.priority, candidate.port, candidate.ip()?))
    });
    match best.max_by_key(|(reach, priority, ..)| (*reach, *priority)) {
        Some((_, _, port, address)) => (port, Some(address)),
        None => (9, None),
    }
}

fn write_media(media: &mut MediaDescription, section: &Section) {
    for extension in &section.extensions {
        let mut line = a::ExtMap::new(u16::from(extension.id), extension.uri.as_str());
        // RFC 8285 §5: without a direction it is sendrecv.
        line.direction = (extension.direction != TransceiverDirection::SendRecv)
            .then(|| to_direction(extension.direction));
        media.attributes.add(line);
    }
    media.attributes.add(to_direction(section.direction));
    for msid in &section.msids {
        let track = msid.track.as_deref().unwrap_or_default();
        media
            .attributes
            .add(a::Msid::new(Some(msid.stream.as_str()), track));
    }
    if section.rtcp_mux_only {
        // There is never another address for RTCP (RFC 9429 §5.2.1).
        let nowhere = Attribute::new("rtcp", "9 IN IP4 0.0.0.0");
        media.attributes.add(nowhere);
    }
    media.attributes.add(Attribute::flag("rtcp-mux"));
    if section.rtcp_mux_only {
        media.attributes.add(Attribute::flag("rtcp-mux-only"));
    }
    if section.rtcp_rsize {
        media.attributes.add(Attribute::flag("rtcp-rsize"));
    }
    if section.cryptex {
        media.attributes.add(Attribute::flag("cryptex"));
    }
    write_codecs(media, section);
    if let Some(most) = section.packet_time.most {
        media.attributes.add(a::MaxPtime(most));
    }
    for rid in &section.rids {
        let direction = if rid.send {
            a::RidDirection::Send
        } else {
            a::RidDirection::Recv
        };
        media
            .attributes
            .add(a::Rid::new(rid.id.as_str(), direction));
    }
    if let Some(simulcast) = &section.simulcast {
        let list = |alternatives: &[Vec<String>]| -> Vec<Vec<a::SimulcastStream>> {
            let stream = |rid: &String| a::SimulcastStream {
                paused: rid.starts_with('~'),
                rid: rid.trim_start_matches('~').to_owned(),
            };
            alternatives
                .iter()
                .map(|rids| rids.iter().map(stream).collect())
                .collect()
        };
        media.attributes.add(a::Simulcast {
            send: list(&simulcast.send),
            recv: list(&simulcast.receive),
            recv_first: false,
        });
    }
    for source in &section.sources {
        if let Some(rtx) = source.rtx {
            media
                .attributes
                .add(a::SsrcGroup::retransmission(source.ssrc, rtx));
        }
    }
    for source in &section.sources {
        for ssrc in std::iter::once(source.ssrc).chain(source.rtx) {
            if let Some(cname) = &source.cname {
                media.attributes.add(a::Ssrc::cname(ssrc, cname.as_str()));
            }
        }
    }
}

fn write_codecs(media: &mut MediaDescription, section: &Section) {
    for codec in &section.codecs {
        let map = a::RtpMap::new(
            codec.payload_type,
            codec.codec.name(),
            codec.codec.clock_rate,
        );
        media.attributes.add(match codec.codec.channels {
            Some(channels) => map.with_channels(channels),
            None => map,
        });
        for feedback in &codec.feedback {
            media
                .attributes
                .add(a::RtcpFb::new(codec.payload_type, feedback));
        }
        if !codec.codec.sdp_fmtp_line.is_empty() {
            media
                .attributes
                .add(a::Fmtp::new(codec.payload_type, &codec.codec.sdp_fmtp_line));
        }
    }
}

/// The description as the interface shows it.
pub(crate) fn to_description(applied: &Applied) -> SessionDescription {
    let sdp = match &applied.text {
        None => write(&applied.described),
        Some(text) => with_added_candidates(text, &applied.described),
    };
    SessionDescription {
        sdp_type: applied.sdp_type,
        sdp,
    }
}

/// A remote text with the candidates that came after it.
fn with_added_candidates(text: &str, described: &Described) -> String {
    let Ok(mut session) = ::sdp::SessionDescription::parse(text) else {
        return text.to_owned();
    };
    let mut changed = false;
    for (media, section) in session.media.iter_mut().zip(&described.sections) {
        let known: Vec<String> = media
            .attributes
            .iter()
            .filter(|attribute| attribute.name() == "candidate")
            .filter_map(|attribute| attribute.value().map(str::to_owned))
            .collect();
        for candidate in section
            .candidates
            .iter()
            .filter(|candidate| !known.contains(candidate))
        {
            media.attributes.add(Attribute::new("candidate", candidate));
            changed = true;
        }
        if section.end_of_candidates && !media.attributes.has("end-of-candidates") {
            media.attributes.add(Attribute::flag("end-of-candidates"));
            changed = true;
        }
    }
    if changed {
        session.to_string()
    } else {
        text.to_owned()
    }
}
