//! Appends RTCP packets to a buffer, one after another, forming a compound.

use super::{
    FirEntry, ReportBlock, SenderInfo, XrBlock, bye, ccfb, fir, nack, pli, receiver_report, remb,
    sdes, sender_report, twcc, xr,
};
use crate::types::{SeqNum, Ssrc};

/// Writes RTCP packets in place; what the buffer held before is kept.
///
/// A compound starts with SR or RR (RFC 3550 §6.1) unless reduced size was negotiated (RFC 5506); the order is the caller's.
#[derive(Debug)]
pub struct Writer<'b> {
    buf: &'b mut Vec<u8>,
    start: usize,
}

impl<'b> Writer<'b> {
    /// Appends to what `buf` holds.
    pub fn new(buf: &'b mut Vec<u8>) -> Self {
        let start = buf.len();
        Self { buf, start }
    }

    /// The bytes written so far.
    pub fn len(&self) -> usize {
        self.buf.len() - self.start
    }

    /// Whether nothing has been written.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// SR; report blocks past 31 go into RRs that follow it.
    pub fn sender_report(&mut self, info: &SenderInfo, reports: &[ReportBlock]) {
        let (now, later) = reports.split_at(reports.len().min(31));
        sender_report::write(self.buf, info, now);
        if !later.is_empty() {
            self.receiver_report(info.ssrc, later);
        }
    }

    /// RR, several of them when there are more than 31 report blocks.
    pub fn receiver_report(&mut self, sender: Ssrc, reports: &[ReportBlock]) {
        if reports.is_empty() {
            receiver_report::write(self.buf, sender, &[]);
        }
        for reports in reports.chunks(31) {
            receiver_report::write(self.buf, sender, reports);
        }
    }

    /// SDES with one CNAME.
    pub fn cname(&mut self, ssrc: Ssrc, cname: &str) {
        sdes::write(self.buf, &[(ssrc, cname)]);
    }

    /// SDES with the CNAMEs of up to 31 sources.
    pub fn cnames(&mut self, sources: &[(Ssrc, &str)]) {
        for sources in sources.chunks(31) {
            sdes::write(self.buf, sources);
        }
    }

    /// BYE of up to 31 sources.
    pub fn bye(&mut self, sources: &[Ssrc], reason: &str) {
        for sources in sources.chunks(31) {
            bye::write(self.buf, sources, reason);
        }
    }

    /// Generic NACK of the sequence numbers, given in ascending order; nothing when there are none.
    pub fn nack(&mut self, sender: Ssrc, media: Ssrc, lost: impl IntoIterator<Item = SeqNum>) {
        nack::write(self.buf, sender, media, lost);
    }

    /// PLI.
    pub fn pli(&mut self, sender: Ssrc, media: Ssrc) {
        pli::write(self.buf, sender, media);
    }

    /// FIR.
    pub fn fir(&mut self, sender: Ssrc, entries: &[FirEntry]) {
        fir::write(self.buf, sender, entries);
    }

    /// REMB: a bitrate in bit/s, and the streams it is for (at most 255).
    pub fn remb(&mut self, sender: Ssrc, bitrate: u64, streams: &[Ssrc]) {
        remb::write(self.buf, sender, bitrate, streams);
    }

    /// Transport-wide feedback; see [`TransportFeedback`](super::TransportFeedback) for the units. Returns how many of the
    /// arrivals it could carry: the rest belongs to a next packet.
    pub fn transport_feedback(
        &mut self,
        sender: Ssrc,
        media: Ssrc,
        feedback_count: u8,
        base: SeqNum,
        arrivals: &[Option<i64>],
    ) -> usize {
        twcc::write(self.buf, sender, media, feedback_count, base, arrivals)
    }

    /// Congestion control feedback of RFC 8888.
    pub fn congestion_feedback(
        &mut self,
        sender: Ssrc,
        blocks: &[(Ssrc, SeqNum, &[ccfb::CcfbArrival])],
        timestamp: u32,
    ) {
        ccfb::write(self.buf, sender, blocks, timestamp);
    }

    /// XR.
    pub fn extended_report(&mut self, sender: Ssrc, blocks: &[XrBlock<'_>]) {
        xr::write(self.buf, sender, blocks);
    }
}

/// Writes one packet: header, `body`, padding with zeros to a whole word, then the header's length.
pub(super) fn packet(
    buf: &mut Vec<u8>,
    count: u8,
    packet_type: u8,
    body: impl FnOnce(&mut Vec<u8>),
) {
    let start = buf.len();
    buf.extend_from_slice(&[0x80 | (count & 0x1f), packet_type, 0, 0]);
    body(buf);
    while !(buf.len() - start).is_multiple_of(4) {
        buf.push(0);
    }
    let words = ((buf.len() - start) / 4 - 1) as u16;
    if let Some(length) = buf.get_mut(start + 2..start + 4) {
        length.copy_from_slice(&words.to_be_bytes());
    }
}

/// Appends a word.
pub(super) fn put(buf: &mut Vec<u8>, word: u32) {
    buf.extend_from_slice(&word.to_be_bytes());
}
