//! Cutting a byte stream into messages, and putting messages into one.

use ice::Framing;

/// The longest message: 65,535 bytes behind two of length (RFC 4571 §2), or a STUN message of the longest
/// attributes behind its header (RFC 8489 §5).
const LONGEST: usize = 20 + 65_536;
/// What an idle connection holds.
const SMALLEST: usize = 2048;

/// The stream carries something else than was agreed: nothing after it can be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the stream cannot be cut into messages")]
pub(super) struct NotMessages;

/// Cuts what comes on a stream. Holds one message and what came with its end, never more.
#[derive(Debug)]
pub(super) struct Deframer {
    framing: Framing,
    buf: Vec<u8>,
    start: usize,
    end: usize,
}

impl Deframer {
    pub(super) fn new(framing: Framing) -> Self {
        Deframer {
            framing,
            buf: vec![0; SMALLEST],
            start: 0,
            end: 0,
        }
    }

    /// Where to read to; never empty once [`next`](Self::next) has given all there was.
    pub(super) fn room(&mut self) -> &mut [u8] {
        self.buf.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        // Grows with what really came, not with what a length field announces.
        if self.end == self.buf.len() {
            let len = (2 * self.buf.len()).min(LONGEST);
            self.buf.resize(len, 0);
        }
        &mut self.buf[self.end..]
    }

    /// So many bytes have been read.
    pub(super) fn filled(&mut self, bytes: usize) {
        self.end = (self.end + bytes).min(self.buf.len());
    }

    /// How long the next message says it is, where the frame says so.
    pub(super) fn announced(&self) -> Option<usize> {
        let bytes = self.buf[self.start..self.end].first_chunk::<2>()?;
        let framed = self.framing == Framing::Rfc4571;
        framed.then(|| usize::from(u16::from_be_bytes(*bytes)))
    }

    /// The next whole message, which stays the next one.
    pub(super) fn peek(&mut self) -> Result<Option<&[u8]>, NotMessages> {
        let start = self.start;
        let len = self.next()?.map(<[u8]>::len);
        let end = std::mem::replace(&mut self.start, start);
        Ok(len.map(|len| &self.buf[end - len..end]))
    }

    /// The next whole message.
    pub(super) fn next(&mut self) -> Result<Option<&[u8]>, NotMessages> {
        let bytes = &self.buf[self.start..self.end];
        let (header, len) = match self.framing {
            Framing::Rfc4571 => {
                let Some(length) = bytes.first_chunk::<2>() else {
                    return Ok(None);
                };
                (2, usize::from(u16::from_be_bytes(*length)))
            }
            Framing::Turn => match turn::framing::frame_len(bytes) {
                Ok(Some(len)) => (0, len),
                Ok(None) => return Ok(None),
                Err(_) => return Err(NotMessages),
            },
        };
        if bytes.len() < header + len {
            return Ok(None);
        }
        let from = self.start + header;
        self.start = from + len;
        Ok(Some(&self.buf[from..from + len]))
    }
}

/// Appends messages of one size (the last may be shorter) to what a stream shall carry. False, and nothing appended,
/// when they cannot be framed.
pub(super) fn frame(framing: Framing, messages: &[u8], size: usize, out: &mut Vec<u8>) -> bool {
    match framing {
        // They carry their own lengths, and ChannelData is padded already.
        Framing::Turn => out.extend_from_slice(messages),
        Framing::Rfc4571 => {
            let size = size.max(1);
            if size > usize::from(u16::MAX) {
                return false;
            }
            for message in messages.chunks(size) {
                out.extend_from_slice(&(message.len() as u16).to_be_bytes());
                out.extend_from_slice(message);
            }
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(framing: Framing, stream: &[u8], piece: usize) -> Result<Vec<Vec<u8>>, NotMessages> {
        let mut deframer = Deframer::new(framing);
        let mut messages = Vec::new();
        let mut rest = stream;
        while !rest.is_empty() {
            let room = deframer.room();
            let len = rest.len().min(piece).min(room.len());
            assert!(len > 0, "a stuck stream");
            room[..len].copy_from_slice(&rest[..len]);
            rest = &rest[len..];
            deframer.filled(len);
            while let Some(message) = deframer.next()? {
                messages.push(message.to_vec());
            }
        }
        assert!(deframer.buf.len() <= LONGEST);
        Ok(messages)
    }

    #[test]
    fn messages_survive_any_cut_of_the_stream() {
        let messages: Vec<Vec<u8>> = [0, 1, 2, 1200, 1200, 65_535, 7]
            .iter()
            .map(|&len| (0..len).map(|index| index as u8).collect())
            .collect();
        let mut stream = Vec::new();
        for message in &messages {
            if message.is_empty() {
                stream.extend_from_slice(&[0, 0]);
            } else {
                assert!(frame(Framing::Rfc4571, message, message.len(), &mut stream));
            }
        }
        for piece in [1, 2, 3, 1000, 4096, 1 << 20] {
            assert!(cut(Framing::Rfc4571, &stream, piece) == Ok(messages.clone()));
        }
    }

    #[test]
    fn a_batch_is_framed_message_by_message() {
        let mut stream = Vec::new();
        assert!(frame(
            Framing::Rfc4571,
            &[1, 1, 1, 2, 2, 2, 3],
            3,
            &mut stream
        ));
        assert_eq!(stream, [0, 3, 1, 1, 1, 0, 3, 2, 2, 2, 0, 1, 3]);
        assert!(!frame(
            Framing::Rfc4571,
            &vec![0; 70_000],
            70_000,
            &mut stream
        ));
    }

    #[test]
    fn messages_of_a_turn_server_carry_their_own_lengths() {
        let mut stream = vec![0x40, 0, 0, 3, 9, 9, 9, 0];
        let request_start = stream.len();
        stun::Writer::new(
            &mut stream,
            stun::Class::Request,
            stun::Method::BINDING,
            stun::TransactionId([1; 12]),
        )
        .finish(true);
        let request = stream[request_start..].to_vec();
        for piece in [1, 5, 100] {
            let messages = cut(Framing::Turn, &stream, piece).unwrap();
            assert_eq!(messages, [stream[..8].to_vec(), request.clone()]);
        }
        assert_eq!(cut(Framing::Turn, b"SSH-2.0-x", 100), Err(NotMessages));
    }

    #[test]
    fn memory_follows_what_came_and_not_what_is_announced() {
        let mut deframer = Deframer::new(Framing::Rfc4571);
        deframer.room()[..2].copy_from_slice(&[0xff, 0xff]);
        deframer.filled(2);
        assert_eq!(deframer.next(), Ok(None));
        assert_eq!(deframer.room().len() + 2, SMALLEST);
    }
}
