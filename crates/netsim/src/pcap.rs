//! A capture file that Wireshark reads: nanosecond pcap, link type RAW (packets start with the IP header).

use crate::{Datagram, Transport};
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// Nanosecond-resolution pcap, in the writer's (little-endian) byte order.
const MAGIC: u32 = 0xa1b2_3c4d;
/// LINKTYPE_RAW: the packet begins with an IPv4 or IPv6 header.
const LINKTYPE_RAW: u32 = 101;

pub(crate) struct PcapWriter {
    out: Box<dyn Write>,
    /// Bytes already sent in each direction of a TCP stream.
    streams: BTreeMap<(SocketAddr, SocketAddr), u32>,
}

impl PcapWriter {
    pub(crate) fn new(mut out: Box<dyn Write>) -> io::Result<Self> {
        out.write_all(&MAGIC.to_le_bytes())?;
        out.write_all(&2u16.to_le_bytes())?;
        out.write_all(&4u16.to_le_bytes())?;
        out.write_all(&[0; 8])?; // time zone and accuracy: always zero
        out.write_all(&u32::from(u16::MAX).to_le_bytes())?;
        out.write_all(&LINKTYPE_RAW.to_le_bytes())?;
        Ok(Self {
            out,
            streams: BTreeMap::new(),
        })
    }

    pub(crate) fn write(&mut self, since_epoch: Duration, datagram: &Datagram) -> io::Result<()> {
        let packet = self.packet(datagram);
        let length = packet.len() as u32;
        self.out
            .write_all(&(since_epoch.as_secs() as u32).to_le_bytes())?;
        self.out
            .write_all(&since_epoch.subsec_nanos().to_le_bytes())?;
        self.out.write_all(&length.to_le_bytes())?;
        self.out.write_all(&length.to_le_bytes())?;
        self.out.write_all(&packet)?;
        self.out.flush()
    }

    fn packet(&mut self, d: &Datagram) -> Vec<u8> {
        let segment = match d.transport {
            Transport::Udp => udp(d),
            Transport::Tcp => self.tcp(d),
        };
        let protocol = match d.transport {
            Transport::Udp => 17u8,
            Transport::Tcp => 6,
        };
        let mut packet = Vec::with_capacity(40 + segment.len());
        let length = segment.len();
        let checksum_at = if d.transport == Transport::Udp { 6 } else { 16 };
        let header = match (d.src.ip(), d.dst.ip()) {
            (IpAddr::V4(src), IpAddr::V4(dst)) => {
                packet.extend([0x45, d.ecn as u8]);
                packet.extend(((20 + length) as u16).to_be_bytes());
                packet.extend([0, 0, 0x40, 0, 64, protocol, 0, 0]); // don't fragment, 64 hops
                packet.extend(src.octets());
                packet.extend(dst.octets());
                let sum = checksum(&[&packet]);
                packet[10..12].copy_from_slice(&sum.to_be_bytes());
                [&src.octets()[..], &dst.octets()[..]].concat()
            }
            (src, dst) => {
                let (src, dst) = (as_v6(src), as_v6(dst));
                packet.extend([0x60, (d.ecn as u8) << 4, 0, 0]);
                packet.extend((length as u16).to_be_bytes());
                packet.extend([protocol, 64]);
                packet.extend(src);
                packet.extend(dst);
                [src, dst].concat()
            }
        };
        let start = packet.len();
        packet.extend(segment);
        let pseudo = [
            &header[..],
            &(length as u32).to_be_bytes(),
            &[0, 0, 0, protocol],
        ]
        .concat();
        let sum = match checksum(&[&pseudo, &packet[start..]]) {
            0 if d.transport == Transport::Udp => 0xffff, // RFC 768: zero would mean "none"
            sum => sum,
        };
        packet[start + checksum_at..start + checksum_at + 2].copy_from_slice(&sum.to_be_bytes());
        packet
    }

    fn tcp(&mut self, d: &Datagram) -> Vec<u8> {
        let acknowledged = self.streams.get(&(d.dst, d.src)).copied().unwrap_or(1);
        let next = self.streams.entry((d.src, d.dst)).or_insert(1);
        let mut segment = Vec::with_capacity(20 + d.payload.len());
        segment.extend(d.src.port().to_be_bytes());
        segment.extend(d.dst.port().to_be_bytes());
        segment.extend(next.to_be_bytes());
        segment.extend(acknowledged.to_be_bytes());
        segment.extend([0x50, 0x18, 0xff, 0xff, 0, 0, 0, 0]); // 20 bytes, PSH ACK, full window
        segment.extend(&d.payload);
        *next = next.wrapping_add(d.payload.len() as u32);
        segment
    }
}

fn udp(d: &Datagram) -> Vec<u8> {
    let mut segment = Vec::with_capacity(8 + d.payload.len());
    segment.extend(d.src.port().to_be_bytes());
    segment.extend(d.dst.port().to_be_bytes());
    segment.extend(((8 + d.payload.len()) as u16).to_be_bytes());
    segment.extend([0, 0]);
    segment.extend(&d.payload);
    segment
}

fn as_v6(ip: IpAddr) -> [u8; 16] {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
        IpAddr::V6(ip) => ip.octets(),
    }
}

/// The Internet checksum (RFC 1071) of these pieces; all but the last have an even length.
fn checksum(pieces: &[&[u8]]) -> u16 {
    let mut sum = 0u32;
    for piece in pieces {
        for pair in piece.chunks(2) {
            sum += u32::from(pair[0]) << 8 | pair.get(1).copied().map_or(0, u32::from);
        }
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}
