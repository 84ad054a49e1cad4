//! What was sent, until feedback tells what became of it.
//!
//! Packets have transport-wide numbers, or their own streams' numbers (RFC 8888); both lead to the same record.

use std::collections::VecDeque;
use std::time::Instant;

/// Records kept; more than a window of any feedback.
const KEPT: usize = 8_192;
/// Numbers remembered for each stream, a power of two.
const STREAM_RING: usize = 2_048;
/// Streams whose own numbers are remembered.
const MAX_STREAMS: usize = 64;

/// A packet about to leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    /// Its stream.
    pub ssrc: u32,
    /// Its number within the stream.
    pub sequence: u16,
    /// Its transport-wide number, when it carries one: consecutive over all streams.
    pub transport_sequence: Option<u16>,
    /// Its size in bytes, as the network sees it.
    pub size: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Outstanding,
    Lost,
    Received,
}

#[derive(Clone, Copy, Debug)]
struct Record {
    sent: Instant,
    size: usize,
    fate: Fate,
}

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// When it was sent.
    pub sent: Instant,
    /// Its size in bytes.
    pub size: usize,
    /// When it arrived, in microseconds on the receiver's clock; `None` when it was lost.
    pub arrival: Option<i64>,
    /// Whether it came marked as having met congestion (ECN-CE).
    pub marked: bool,
}

#[derive(Debug)]
struct Stream {
    ssrc: u32,
    /// Number and record of the stream's last packets.
    ring: Box<[(u16, u64)]>,
}

/// The packets sent lately.
#[derive(Debug, Default)]
pub struct History {
    records: VecDeque<Record>,
    /// The first record's index; with transport-wide numbers, indices are those numbers, unwrapped.
    first: u64,
    in_flight: usize,
    streams: Vec<Stream>,
}

impl History {
    /// Nothing sent yet.
    pub fn new() -> Self {
        Self {
            first: 1 << 32,
            ..Self::default()
        }
    }

    /// Takes note of a packet as it leaves.
    pub fn sent(&mut self, now: Instant, packet: Sent) {
        let mut index = self.first + self.records.len() as u64;
        if let Some(sequence) = packet.transport_sequence {
            let expected = index;
            index = near(expected, sequence);
            if index != expected {
                // A number was skipped: the old ones cannot be told apart any more.
                self.records.clear();
                self.in_flight = 0;
                self.first = index;
            }
        } else {
            self.index_stream(packet.ssrc, packet.sequence, index);
        }
        self.records.push_back(Record {
            sent: now,
            size: packet.size,
            fate: Fate::Outstanding,
        });
        self.in_flight += packet.size;
        while self.records.len() > KEPT {
            if let Some(record) = self.records.pop_front()
                && record.fate == Fate::Outstanding
            {
                self.in_flight -= record.size;
            }
            self.first += 1;
        }
    }

    fn index_stream(&mut self, ssrc: u32, sequence: u16, index: u64) {
        let stream = match self.streams.iter().position(|stream| stream.ssrc == ssrc) {
            Some(position) => self.streams.get_mut(position),
            None => {
                if self.streams.len() >= MAX_STREAMS {
                    self.streams.remove(0);
                }
                self.streams.push(Stream {
                    ssrc,
                    ring: vec![(0, 0); STREAM_RING].into(),
                });
                self.streams.last_mut()
            }
        };
        if let Some(place) = stream.and_then(|stream| {
            stream
                .ring
                .get_mut(usize::from(sequence) & (STREAM_RING - 1))
        }) {
            *place = (sequence, index);
        }
    }

    /// Feedback on the packet with this transport-wide number: its arrival, or that it is missing. `None` when the packet is
    /// not known, or the news is old.
    pub fn transport_feedback(&mut self, sequence: u16, arrival: Option<i64>) -> Option<Outcome> {
        let newest = self.first + (self.records.len() as u64).checked_sub(1)?;
        let index = near(newest, sequence);
        self.settle(index, arrival, false)
    }

    /// Feedback on a packet by its stream's own number.
    pub fn stream_feedback(
        &mut self,
        ssrc: u32,
        sequence: u16,
        arrival: Option<i64>,
        marked: bool,
    ) -> Option<Outcome> {
        let stream = self.streams.iter().find(|stream| stream.ssrc == ssrc)?;
        let (known, index) = *stream.ring.get(usize::from(sequence) & (STREAM_RING - 1))?;
        if known != sequence {
            return None;
        }
        self.settle(index, arrival, marked)
    }

    fn settle(&mut self, index: u64, arrival: Option<i64>, marked: bool) -> Option<Outcome> {
        let place = usize::try_from(index.checked_sub(self.first)?).ok()?;
        let record = self.records.get_mut(place)?;
        let news = match (record.fate, arrival) {
            (Fate::Received, _) | (Fate::Lost, None) => return None,
            (_, Some(_)) => Fate::Received,
            (Fate::Outstanding, None) => Fate::Lost,
        };
        if record.fate == Fate::Outstanding {
            self.in_flight -= record.size;
        }
        record.fate = news;
        Some(Outcome {
            sent: record.sent,
            size: record.size,
            arrival,
            marked,
        })
    }

    /// Bytes of which nothing is known yet.
    pub fn bytes_in_flight(&self) -> usize {
        self.in_flight
    }
}

/// The index nearest to `reference` whose low 16 bits are `sequence`.
fn near(reference: u64, sequence: u16) -> u64 {
    let distance = sequence.wrapping_sub(reference as u16) as i16;
    reference.wrapping_add_signed(i64::from(distance))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[allow(
        clippy::disallowed_methods,
        reason = "one base for the simulated clock"
    )]
    fn start() -> Instant {
        Instant::now()
    }

    fn packet(sequence: u16, transport: Option<u16>) -> Sent {
        Sent {
            ssrc: 7,
            sequence,
            transport_sequence: transport,
            size: 100,
        }
    }

    #[test]
    fn each_packet_has_one_outcome_across_the_wrap() {
        let now = start();
        let mut history = History::new();
        for sequence in 65_530u16..=65_535 {
            history.sent(now, packet(0, Some(sequence)));
        }
        for sequence in 0..5 {
            history.sent(now, packet(0, Some(sequence)));
        }
        assert_eq!(history.bytes_in_flight(), 1100);
        assert!(history.transport_feedback(65_531, Some(5)).is_some());
        assert!(history.transport_feedback(65_531, Some(5)).is_none());
        assert!(history.transport_feedback(3, Some(9)).is_some());
        assert!(history.transport_feedback(4_000, Some(9)).is_none());
        assert_eq!(history.bytes_in_flight(), 900);
    }

    #[test]
    fn a_packet_called_lost_may_still_arrive_but_not_the_other_way_round() {
        let now = start();
        let mut history = History::new();
        history.sent(now, packet(0, Some(0)));
        assert_eq!(history.transport_feedback(0, None).unwrap().arrival, None);
        assert_eq!(history.transport_feedback(0, None), None);
        assert_eq!(
            history.transport_feedback(0, Some(4)).unwrap().arrival,
            Some(4)
        );
        assert_eq!(history.transport_feedback(0, None), None);
        assert_eq!(history.bytes_in_flight(), 0);
    }

    #[test]
    fn packets_are_found_by_their_streams_numbers() {
        let now = start();
        let mut history = History::new();
        for sequence in 0..3000 {
            history.sent(now, packet(sequence, None));
        }
        assert!(
            history
                .stream_feedback(7, 2999, Some(1), true)
                .unwrap()
                .marked
        );
        // Overwritten long ago; another stream.
        assert_eq!(history.stream_feedback(7, 5, Some(1), false), None);
        assert_eq!(history.stream_feedback(8, 2998, Some(1), false), None);
    }
}
