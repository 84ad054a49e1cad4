//! The `sdp` crate 0.17.2 reads what this one writes, and agrees; this one reads what that one writes.

use pc_sdp::attributes::*;
use pc_sdp::{
    Attribute, Attributes, Bandwidth, Connection, Key, MediaDescription, MediaLine, Origin, Repeat,
    SessionDescription, TimeDescription, Timing, ZoneAdjustments,
};
use rand::{RngExt, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use std::io::Cursor;
use std::net::IpAddr;

struct Generator(StdRng);

impl Generator {
    fn coin(&mut self) -> bool {
        self.0.random()
    }

    fn number(&mut self, below: u32) -> u32 {
        self.0.random_range(0..below)
    }

    fn pick<T: Clone>(&mut self, of: &[T]) -> T {
        of.choose(&mut self.0).unwrap().clone()
    }

    fn some<T>(&mut self, make: impl FnOnce(&mut Self) -> T) -> Option<T> {
        self.coin().then(|| make(self))
    }

    fn many<T>(&mut self, up_to: u32, mut make: impl FnMut(&mut Self) -> T) -> Vec<T> {
        (0..self.number(up_to + 1)).map(|_| make(self)).collect()
    }

    fn word(&mut self, longest: u32) -> String {
        let letters: Vec<char> = ('a'..='z').chain('A'..='Z').chain('0'..='9').collect();
        (0..=self.number(longest))
            .map(|_| self.pick(&letters))
            .collect()
    }

    fn phrase(&mut self) -> String {
        let words: Vec<_> = (0..=self.number(4)).map(|_| self.word(9)).collect();
        words.join(self.pick(&[" ", " ü ", ": ", "=", "; "]))
    }

    fn address(&mut self) -> IpAddr {
        if self.coin() {
            self.0.random::<[u8; 4]>().into()
        } else {
            self.0.random::<[u16; 8]>().into()
        }
    }

    fn bandwidth(&mut self) -> Bandwidth {
        let kind = self.pick(&["AS", "CT", "TIAS", "RS", "RR", "X-own"]);
        Bandwidth::new(kind, self.number(1_000_000).into())
    }

    fn key(&mut self) -> Key {
        let line = match self.number(3) {
            0 => "prompt".to_owned(),
            1 => format!("clear:{}", self.word(9)),
            _ => format!("base64:{}", self.word(20)),
        };
        Key::from_line(line).unwrap()
    }

    fn payload_type(&mut self) -> u8 {
        self.number(128) as u8
    }

    fn attribute(&mut self) -> Attribute {
        let payload_type = self.payload_type();
        match self.number(24) {
            0 => RtpMap::new(payload_type, self.word(8), self.number(192_001)).into(),
            1 => RtpMap::new(payload_type, "opus", 48_000)
                .with_channels(2)
                .into(),
            2 => Fmtp::new(
                payload_type,
                format!("a={};b={}", self.word(5), self.word(5)),
            )
            .into(),
            3 => RtcpFb::new(
                payload_type,
                self.pick(&["nack", "nack pli", "ccm fir", "goog-remb"]),
            )
            .into(),
            4 => ExtMap::new(
                self.number(255) as u16 + 1,
                format!("urn:{}", self.word(20)),
            )
            .into(),
            5 => Mid(self.word(6)).into(),
            6 => Group::bundle(self.many(5, |g| g.word(3))).into(),
            7 => Msid::new(self.some(|g| g.word(30)).as_deref(), &self.word(30)).into(),
            8 => Ssrc::cname(self.0.random(), self.word(16)).into(),
            9 => SsrcGroup::retransmission(self.0.random(), self.0.random()).into(),
            10 => Rid::new(
                self.word(8),
                self.pick(&[RidDirection::Send, RidDirection::Recv]),
            )
            .into(),
            11 => Simulcast::new(RidDirection::Send, [self.word(3), self.word(3)]).into(),
            12 => IceUfrag(self.word(4) + "aaaa").into(),
            13 => IcePwd(self.word(8) + &"a".repeat(22)).into(),
            14 => IceOptions::webrtc().into(),
            15 => Fingerprint {
                algorithm: "sha-256".into(),
                bytes: self.0.random::<[u8; 32]>().into(),
            }
            .into(),
            16 => self
                .pick(&[Setup::ActPass, Setup::Active, Setup::Passive])
                .into(),
            17 => SctpPort(self.0.random()).into(),
            18 => MaxMessageSize(self.0.random::<u32>().into()).into(),
            19 => self
                .pick(&[
                    Direction::SendRecv,
                    Direction::SendOnly,
                    Direction::RecvOnly,
                    Direction::Inactive,
                ])
                .into(),
            20 => Attribute::flag(self.pick(&[
                "rtcp-mux",
                "rtcp-rsize",
                "bundle-only",
                "ice-lite",
                "end-of-candidates",
            ])),
            21 => self.candidate().into(),
            22 => Attribute::new(&self.word(12), self.phrase()),
            _ => Rtcp::unspecified().into(),
        }
    }

    fn candidate(&mut self) -> Candidate {
        let related = self.some(|g| (g.address().to_string(), g.0.random()));
        Candidate {
            foundation: self.word(8),
            component: self.number(2) as u16 + 1,
            transport: self.pick(&["udp", "tcp", "UDP"]).into(),
            priority: self.0.random_range(1..1 << 31),
            address: self.address().to_string(),
            port: self.0.random(),
            typ: if related.is_some() {
                CandidateType::ServerReflexive
            } else {
                CandidateType::Host
            },
            related,
            extensions: self.many(2, |g| (g.word(8), g.word(8))),
        }
    }

    fn attributes(&mut self, up_to: u32) -> Attributes {
        self.many(up_to, Self::attribute).into_iter().collect()
    }

    fn media(&mut self) -> MediaDescription {
        let port = self.0.random();
        let media = if self.number(4) == 0 {
            MediaLine::new("application", port, MediaLine::SCTP, ["webrtc-datachannel"])
        } else {
            let kind = self.pick(&["audio", "video", "text"]);
            let protocol = self.pick(&[MediaLine::RTP, "RTP/AVP", "RTP/SAVPF"]);
            let formats: Vec<_> = (0..=self.number(8)).map(|_| self.payload_type()).collect();
            MediaLine::new(kind, port, protocol, formats)
        };
        MediaDescription {
            information: self.some(Self::phrase).map(Into::into),
            connections: self
                .some(Self::address)
                .map(Connection::new)
                .into_iter()
                .collect(),
            bandwidths: self.many(2, Self::bandwidth),
            key: self.some(Self::key),
            attributes: self.attributes(20),
            ..MediaDescription::new(media)
        }
    }

    fn time(&mut self) -> TimeDescription {
        let start = u64::from(self.0.random::<u32>());
        TimeDescription {
            timing: Timing::new(start, start + 3600),
            repeats: self.many(2, |g| {
                let [interval, duration, offset] =
                    [g.number(604_800) + 1, g.number(3600) + 1, g.number(90_000)];
                Repeat::from_line(format!("{interval} {duration} {offset}")).unwrap()
            }),
            zones: None,
        }
    }

    fn session(&mut self) -> SessionDescription {
        let mut times: Vec<_> = (0..=self.number(2)).map(|_| self.time()).collect();
        // The other crate knows them only at the end of all times.
        times.last_mut().unwrap().zones = self.some(|g| {
            let line = format!("{} -{}", g.0.random::<u32>(), g.number(7200) + 1);
            ZoneAdjustments::from_line(line).unwrap()
        });
        SessionDescription {
            name: self.phrase().into(),
            information: self.some(Self::phrase).map(Into::into),
            uri: self
                .some(|g| format!("http://example.com/{}", g.word(12)))
                .map(Into::into),
            // Nor more than one of these.
            emails: self.many(1, |g| format!("{}@example.com", g.word(8)).into()),
            phones: self.many(1, |g| format!("+1 617 555-{}", g.number(10_000)).into()),
            connection: self.some(Self::address).map(Connection::new),
            bandwidths: self.many(2, Self::bandwidth),
            times,
            key: self.some(Self::key),
            attributes: self.attributes(6),
            media: self.many(4, Self::media),
            ..SessionDescription::new(Origin::new(self.0.random::<u64>() >> 2, self.0.random()))
        }
    }
}

fn same_attributes(ours: &Attributes, theirs: &[sdp017::description::common::Attribute]) {
    let ours: Vec<_> = ours.iter().map(|a| (a.name(), a.value())).collect();
    let theirs: Vec<_> = theirs
        .iter()
        .map(|a| (a.key.as_str(), a.value.as_deref()))
        .collect();
    assert_eq!(ours, theirs);
}

#[test]
fn both_crates_read_and_write_a_thousand_random_descriptions_alike() {
    let mut generator = Generator(StdRng::seed_from_u64(8866));
    for _ in 0..1_000 {
        let ours = generator.session();
        let text = ours.to_sdp();
        let theirs = sdp017::SessionDescription::unmarshal(&mut Cursor::new(&text))
            .unwrap_or_else(|error| panic!("{error}:\n{text}"));

        assert_eq!(
            theirs.origin.session_id.to_string(),
            ours.origin.session_id()
        );
        assert_eq!(Some(theirs.origin.session_version), ours.origin.version());
        assert_eq!(theirs.session_name, ours.name.as_str());
        assert_eq!(theirs.time_descriptions.len(), ours.times.len());
        assert_eq!(theirs.bandwidth.len(), ours.bandwidths.len());
        same_attributes(&ours.attributes, &theirs.attributes);
        assert_eq!(theirs.media_descriptions.len(), ours.media.len());
        for (ours, theirs) in ours.media.iter().zip(&theirs.media_descriptions) {
            let name = &theirs.media_name;
            assert_eq!(name.media, ours.media.kind_text());
            assert_eq!(name.port.value, isize::try_from(ours.media.port()).unwrap());
            assert_eq!(name.protos.join("/"), ours.media.protocol());
            assert!(
                ours.media
                    .formats()
                    .eq(name.formats.iter().map(String::as_str))
            );
            same_attributes(&ours.attributes, &theirs.attributes);
        }

        let written = theirs.marshal();
        assert_eq!(written, text);
        assert_eq!(SessionDescription::parse(&written).as_ref(), Ok(&ours));
        assert_eq!(ours.check(), Ok(()));
    }
}
