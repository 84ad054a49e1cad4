//! SCTP packets, and data channels fed with arbitrary chunks, losses, delays and commands.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rand::SeedableRng;
use rand::rngs::StdRng;
use sctp::Config;
use sctp::datachannel::{
    ChannelConfig, ChannelId, DataChannels, DtlsRole, Event, MessageKind, RemoteParameters,
};
use sctp::wire::data::Data;
use sctp::wire::forward::ForwardTsn;
use sctp::wire::init::Init;
use sctp::wire::packet::{CommonHeader, HEADER_SIZE, checksum_is_right};
use sctp::wire::param::Params;
use sctp::wire::reconfig::Reconfig;
use sctp::wire::sack::Sack;
use sctp::wire::{Chunks, kind};

/// Every parser over one packet.
pub fn sctp_packet(data: &[u8]) {
    let _ = CommonHeader::parse(data);
    let _ = checksum_is_right(data);
    for chunk in Chunks::new(data, HEADER_SIZE.min(data.len())).map_while(Result::ok) {
        let value = &data[chunk.value.clone()];
        let _ = Data::parse(data, &chunk).map(|data| data.payload.len());
        if let Ok(sack) = Sack::parse(value) {
            let _ = sack.gaps().count() + sack.duplicates().count();
        }
        for interleaved in [false, true] {
            if let Ok(forward) = ForwardTsn::parse(value, interleaved) {
                assert!(forward.skipped().count() <= value.len() / 4);
            }
        }
        let _ = Init::parse(value).map(|init| init.check());
        for param in Params(value) {
            if let Ok(Reconfig::OutgoingReset { streams, .. }) = Reconfig::parse(&param) {
                let _ = streams.iter().count();
            }
        }
    }
}

/// Reads the input as commands.
struct Script<'a>(&'a [u8]);

impl<'a> Script<'a> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn bytes(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        taken
    }
}

struct Side {
    channels: DataChannels,
    ids: Vec<ChannelId>,
    /// Packets on their way here.
    inbound: VecDeque<Vec<u8>>,
    /// The header of the latest of them: its tag makes forged packets pass.
    header: Option<[u8; HEADER_SIZE]>,
}

/// A pair of endpoints and a script: forged chunks, losses, reordering, time, commands.
pub fn sctp_association(data: &[u8]) {
    let mut script = Script(data);
    let options = script.byte().unwrap_or(0);
    let config = Config {
        interleaving: options & 1 != 0,
        partial_reliability: options & 2 == 0,
        stream_reset: options & 4 == 0,
        receive_window: 64 * 1024,
        max_message_size: 16 * 1024,
        send_buffer: 64 * 1024,
        ..Config::default()
    };
    // The simulated clock needs one moment to start from; which one makes no difference.
    #[allow(clippy::disallowed_methods)]
    let mut now = Instant::now();
    let mut sides = [0, 1].map(|seed| Side {
        channels: DataChannels::new(config.clone(), StdRng::seed_from_u64(seed)),
        ids: Vec::new(),
        inbound: VecDeque::new(),
        header: None,
    });
    let roles = [DtlsRole::Client, DtlsRole::Server];
    for (side, role) in sides.iter_mut().zip(roles) {
        side.channels.start(now, role, RemoteParameters::default());
    }
    if options & 8 == 0 {
        for _ in 0..4 {
            exchange(&mut sides, now, 0);
        }
    }
    while let Some(command) = script.byte() {
        let which = usize::from(command >> 7);
        let argument = script.byte().unwrap_or(0);
        match command & 0x0f {
            0 | 1 => exchange(&mut sides, now, 0),
            2 => exchange(&mut sides, now, argument),
            3 => {
                now += Duration::from_millis(u64::from(argument) * 4);
                for side in &mut sides {
                    side.channels.handle_timeout(now);
                }
            }
            4 => {
                if let Ok(id) = sides[which].channels.open(ChannelConfig {
                    ordered: argument & 1 == 0,
                    reliability: match argument >> 6 {
                        0 => sctp::Reliability::MaxRetransmits(u16::from(argument & 3)),
                        1 => sctp::Reliability::MaxPacketLifeTime(Duration::from_millis(50)),
                        _ => sctp::Reliability::Reliable,
                    },
                    ..ChannelConfig::default()
                }) {
                    sides[which].ids.push(id);
                }
            }
            5 | 6 => {
                if let Some(id) = pick(&sides[which].ids, argument) {
                    let size = usize::from(argument) * 37;
                    let payload = Bytes::from(vec![argument; size]);
                    let kind = MessageKind::Binary;
                    let _ = sides[which].channels.send(now, id, kind, payload);
                }
            }
            7 => {
                if let Some(id) = pick(&sides[which].ids, argument) {
                    while sides[which].channels.read(now, id).is_some() {}
                }
            }
            8 => {
                if let Some(id) = pick(&sides[which].ids, argument) {
                    sides[which].channels.close(now, id);
                }
            }
            9 if argument == 255 => sides[which].channels.shutdown(now),
            10 if argument == 255 => sides[which].channels.abort(now),
            11 => {
                // A raw packet, ports and tag as they come.
                let bytes = script.bytes(usize::from(argument));
                sides[which]
                    .channels
                    .handle_packet(now, Bytes::copy_from_slice(bytes));
            }
            _ => forge(&mut sides[which], now, script.bytes(usize::from(argument))),
        }
        for side in &mut sides {
            check(side);
        }
    }
}

fn pick(ids: &[ChannelId], argument: u8) -> Option<ChannelId> {
    ids.get(usize::from(argument) % ids.len().max(1)).copied()
}

/// Chunks in a packet with the right ports and tag, and no checksum.
fn forge(side: &mut Side, now: Instant, chunks: &[u8]) {
    let Some(mut header) = side.header else {
        return;
    };
    header[8..].fill(0);
    if chunks.first() == Some(&kind::INIT) {
        header[4..8].fill(0);
    }
    let packet = [&header, chunks].concat();
    side.channels.handle_packet(now, packet.into());
}

/// Moves packets; bits of `faults` lose, duplicate and reorder.
fn exchange(sides: &mut [Side; 2], now: Instant, faults: u8) {
    for from in 0..2 {
        let mut buf = Vec::new();
        let mut packets = 0;
        while let Some(length) = sides[from].channels.poll_transmit(now, &mut buf) {
            assert_eq!(length, buf.len());
            assert!(length <= 1300, "a packet of {length} bytes");
            packets += 1;
            assert!(packets < 20_000, "sends for ever");
            let to = &mut sides[1 - from];
            to.header = buf.first_chunk().copied();
            let lost = faults >> (packets % 4) & 1 != 0;
            if !lost {
                to.inbound.push_back(buf.clone());
                if faults & 0x10 != 0 {
                    to.inbound.push_front(buf.clone());
                }
            }
            buf.clear();
        }
        let to = &mut sides[1 - from];
        if faults & 0x20 != 0 {
            to.inbound.make_contiguous().reverse();
        }
        while let Some(packet) = to.inbound.pop_front() {
            to.channels.handle_packet(now, packet.into());
        }
    }
}

fn check(side: &mut Side) {
    while let Some(event) = side.channels.poll_event() {
        if let Event::ChannelIncoming(id) = event {
            side.ids.push(id);
        }
    }
    let stats = side.channels.stats();
    assert!(stats.receive_window <= 64 * 1024);
    assert!(stats.bytes_in_flight <= 16 * 1024 * 1024);
    assert!(stats.congestion_window > 0);
}
