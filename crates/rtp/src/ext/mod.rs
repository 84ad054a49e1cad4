//! RTP header extensions: the two general forms (RFC 8285) and the elements WebRTC uses.
//!
//! ```text
//! one-byte element (§4.2)        two-byte element (§4.3)
//!  0 1 2 3 4 5 6 7                0                   1
//! +-+-+-+-+-+-+-+-+               0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5
//! |  ID   | len-1 | data…        +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! +-+-+-+-+-+-+-+-+              |       ID      |     length    | data…
//! ```
//! Nothing here panics: an element that runs past its block ends the iteration.

mod elements;

pub use elements::*;

/// The profile of a block of one-byte elements.
pub const ONE_BYTE_PROFILE: u16 = 0xbede;
/// The profile of a block of two-byte elements; the low four bits are free for an application.
pub const TWO_BYTE_PROFILE: u16 = 0x1000;

/// One element of an extension block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Element<'a> {
    /// The identifier negotiated in SDP's `a=extmap`.
    pub id: u8,
    /// Its content.
    pub data: &'a [u8],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    OneByte,
    TwoByte,
    Unknown,
}

/// Iterates over the elements of an extension block.
#[derive(Clone, Debug)]
pub struct Elements<'a> {
    form: Form,
    rest: &'a [u8],
}

impl<'a> Elements<'a> {
    /// The elements of a block's content; none when the profile is not one of RFC 8285's.
    pub fn new(profile: u16, block: &'a [u8]) -> Self {
        let form = match profile {
            ONE_BYTE_PROFILE => Form::OneByte,
            _ if profile & 0xfff0 == TWO_BYTE_PROFILE => Form::TwoByte,
            _ => Form::Unknown,
        };
        Self { form, rest: block }
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = Element<'a>;

    fn next(&mut self) -> Option<Element<'a>> {
        loop {
            let (&first, rest) = self.rest.split_first()?;
            let (id, len, rest) = match self.form {
                Form::Unknown => return None,
                // A zero byte is padding between elements in both forms.
                _ if first == 0 => {
                    self.rest = rest;
                    continue;
                }
                Form::OneByte => {
                    let id = first >> 4;
                    // Identifier 15 stops the reading; 0 with a length is not valid and is stepped over (§4.2).
                    if id == 15 {
                        self.rest = &[];
                        return None;
                    }
                    (id, usize::from(first & 0x0f) + 1, rest)
                }
                Form::TwoByte => {
                    let (&len, rest) = rest.split_first()?;
                    (first, usize::from(len), rest)
                }
            };
            let Some((data, rest)) = rest.split_at_checked(len) else {
                self.rest = &[];
                return None;
            };
            self.rest = rest;
            if id != 0 {
                return Some(Element { id, data });
            }
        }
    }
}

/// Writes an extension block; starts in the one-byte form and changes to the other when an element asks for it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Writer {
    start: usize,
    two_byte: bool,
}

impl Writer {
    /// Leaves room for the block's own header.
    pub(crate) fn begin(buf: &mut Vec<u8>) -> Self {
        let start = buf.len();
        buf.extend_from_slice(&[0; 4]);
        Self {
            start,
            two_byte: false,
        }
    }

    pub(crate) fn element(&mut self, buf: &mut Vec<u8>, id: u8, data: &[u8]) {
        let Ok(len) = u8::try_from(data.len()) else {
            return;
        };
        if id == 0 {
            return;
        }
        if !self.two_byte && (id > 14 || len == 0 || len > 16) {
            self.widen(buf);
        }
        if self.two_byte {
            buf.extend_from_slice(&[id, len]);
        } else {
            buf.push((id << 4) | (len - 1));
        }
        buf.extend_from_slice(data);
    }

    /// Rewrites the elements so far in the two-byte form: one more byte each.
    fn widen(&mut self, buf: &mut Vec<u8>) {
        self.two_byte = true;
        let mut at = self.start + 4;
        while let Some(first) = buf.get(at).copied() {
            let len = (first & 0x0f) + 1;
            if let Some(id) = buf.get_mut(at) {
                *id = first >> 4;
            }
            buf.insert(at + 1, len);
            at += 2 + usize::from(len);
        }
    }

    /// Pads the block to a whole number of words and writes its header.
    pub(crate) fn finish(self, buf: &mut Vec<u8>) {
        while !(buf.len() - self.start).is_multiple_of(4) {
            buf.push(0);
        }
        let words = ((buf.len() - self.start) / 4 - 1) as u16;
        let profile = if self.two_byte {
            TWO_BYTE_PROFILE
        } else {
            ONE_BYTE_PROFILE
        };
        if let Some(header) = buf.get_mut(self.start..self.start + 4) {
            header[..2].copy_from_slice(&profile.to_be_bytes());
            header[2..].copy_from_slice(&words.to_be_bytes());
        }
    }
}

/// Where the content of element `id` lies in a written packet, to stamp it when the packet leaves.
pub fn find(packet: &[u8], id: u8) -> Option<std::ops::Range<usize>> {
    let data = crate::Packet::parse(packet).ok()?.extension(id)?;
    let start = data.as_ptr() as usize - packet.as_ptr() as usize;
    Some(start..start + data.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(elements: &[(u8, &[u8])]) -> Vec<u8> {
        let mut buf = Vec::new();
        let mut writer = Writer::begin(&mut buf);
        for (id, data) in elements {
            writer.element(&mut buf, *id, data);
        }
        writer.finish(&mut buf);
        buf
    }

    fn read(block: &[u8]) -> Vec<(u8, Vec<u8>)> {
        let profile = u16::from_be_bytes([block[0], block[1]]);
        Elements::new(profile, &block[4..])
            .map(|element| (element.id, element.data.to_vec()))
            .collect()
    }

    #[test]
    fn one_byte_elements_are_read_as_in_the_rfc_example() {
        // RFC 8285 §4.2: elements of length 1, 2 and 4 with padding between them.
        let block = [
            0xbe, 0xde, 0, 3, 0x10, b'a', 0x21, b'b', b'c', 0, 0, 0x33, b'd', b'e', b'f', b'g',
        ];
        assert_eq!(
            read(&block),
            [
                (1, b"a".to_vec()),
                (2, b"bc".to_vec()),
                (3, b"defg".to_vec())
            ]
        );
    }

    #[test]
    fn an_element_that_needs_it_widens_the_whole_block() {
        let long = [7; 20];
        let written = block(&[(1, b"abc"), (2, &long), (3, b"")]);
        assert_eq!(&written[..2], &TWO_BYTE_PROFILE.to_be_bytes());
        assert_eq!(
            read(&written),
            [(1, b"abc".to_vec()), (2, long.to_vec()), (3, Vec::new())]
        );
        assert_eq!(read(&block(&[(200, b"x")])), [(200, b"x".to_vec())]);
    }

    #[test]
    fn identifier_fifteen_and_overlong_elements_end_the_block() {
        assert_eq!(read(&[0xbe, 0xde, 0, 1, 0x10, 1, 0xf0, 2]), [(1, vec![1])]);
        assert_eq!(read(&[0xbe, 0xde, 0, 1, 0x1f, 1, 2, 3]), []);
        assert_eq!(read(&[0x10, 0x00, 0, 1, 5, 9, 1, 2]), []);
        assert_eq!(read(&[0x12, 0x34, 0, 1, 0x10, 1, 0, 0]), []);
    }
}
