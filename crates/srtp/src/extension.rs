//! Header extensions in the dark: whole (cryptex, RFC 9335) or element by element (RFC 6904).

use crate::config::Cryptex;
use crate::header::{RTP_FIXED, RtpHeader};
use crate::transform::{CounterMode, Refused};

/// "Defined by profile" of RFC 8285 §4.2 and §4.3, and their encrypted counterparts (RFC 9335 §5).
const ONE_BYTE: u16 = 0xbede;
const TWO_BYTE: u16 = 0x1000;
const ONE_BYTE_ENCRYPTED: u16 = 0xc0de;
const TWO_BYTE_ENCRYPTED: u16 = 0xc2de;

/// Which part of a packet is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Layout {
    /// Where the encrypted portion starts, after [`gather`](Self::gather).
    pub(crate) body: usize,
    /// Bytes of encrypted CSRCs, which the extension's header parts from the rest.
    csrcs: usize,
}

impl Layout {
    /// The payload alone.
    pub(crate) fn payload(header: &RtpHeader) -> Self {
        Self {
            body: header.len,
            csrcs: 0,
        }
    }

    /// CSRCs, extension data and payload (RFC 9335 §6.1).
    pub(crate) fn cryptex(header: &RtpHeader) -> Self {
        Self {
            body: RTP_FIXED + 4,
            csrcs: header.csrcs,
        }
    }

    /// Brings associated data and encrypted portion together: the extension's header goes before the CSRCs
    /// (RFC 9335 §6.2, figure 2).
    pub(crate) fn gather(self, packet: &mut [u8]) {
        if self.csrcs > 0
            && let Some(moved) = packet.get_mut(RTP_FIXED..self.body + self.csrcs)
        {
            moved.rotate_right(4);
        }
    }

    /// Undoes [`gather`](Self::gather).
    pub(crate) fn scatter(self, packet: &mut [u8]) {
        if self.csrcs > 0
            && let Some(moved) = packet.get_mut(RTP_FIXED..self.body + self.csrcs)
        {
            moved.rotate_left(4);
        }
    }
}

/// What cryptex has to do with a packet to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outgoing {
    /// Nothing: there is neither a CSRC nor an extension, or the extension is not of RFC 8285 (§5.1).
    Clear,
    /// Mark the extension with this value.
    Mark(u16),
    /// Insert an empty, marked extension: there are CSRCs alone (§5.1).
    Insert,
}

pub(crate) fn outgoing(cryptex: Cryptex, header: &RtpHeader) -> Outgoing {
    if cryptex == Cryptex::Off {
        return Outgoing::Clear;
    }
    match header.extension {
        Some((ONE_BYTE, _)) => Outgoing::Mark(ONE_BYTE_ENCRYPTED),
        Some((TWO_BYTE, _)) => Outgoing::Mark(TWO_BYTE_ENCRYPTED),
        Some(_) => Outgoing::Clear,
        None if header.csrcs > 0 => Outgoing::Insert,
        None => Outgoing::Clear,
    }
}

/// An empty extension block of one-byte elements, encrypted.
pub(crate) const EMPTY: [u8; 4] = [0xc0, 0xde, 0, 0];

/// The clear counterpart of an encrypted packet's mark; `None` if the packet does not use cryptex.
pub(crate) fn incoming(cryptex: Cryptex, header: &RtpHeader) -> Option<u16> {
    match header.extension {
        _ if cryptex == Cryptex::Off => None,
        Some((ONE_BYTE_ENCRYPTED, _)) => Some(ONE_BYTE),
        Some((TWO_BYTE_ENCRYPTED, _)) => Some(TWO_BYTE),
        _ => None,
    }
}

/// Writes the "defined by profile" field of a packet that has an extension.
pub(crate) fn mark(packet: &mut [u8], header: &RtpHeader, value: u16) {
    let at = RTP_FIXED + header.csrcs;
    if let Some(field) = packet.get_mut(at..at + 2) {
        field.copy_from_slice(&value.to_be_bytes());
    }
}

/// The identifiers whose elements are encrypted.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Selection([u64; 4]);

impl Selection {
    pub(crate) fn new(identifiers: &[u8]) -> Self {
        let mut bits = [0; 4];
        for &identifier in identifiers {
            bits[usize::from(identifier / 64)] |= 1 << (identifier % 64);
        }
        Self(bits)
    }

    pub(crate) fn is_empty(self) -> bool {
        self.0 == [0; 4]
    }

    fn contains(self, identifier: u8) -> bool {
        self.0[usize::from(identifier / 64)] & 1 << (identifier % 64) != 0
    }
}

/// Encrypts or decrypts the selected elements of a header extension: the keystream covers all of its data, the elements'
/// payloads alone take it (RFC 6904 §3).
pub(crate) fn mask_elements(
    cipher: &CounterMode,
    selection: Selection,
    header: &RtpHeader,
    index: u64,
    packet: &mut [u8],
    keystream: &mut Vec<u8>,
) -> Result<(), Refused> {
    let Some((profile, len)) = header.extension else {
        return Ok(());
    };
    let one_byte = match profile {
        ONE_BYTE => true,
        // The low four bits are "appbits" (RFC 8285 §4.3).
        profile if profile & 0xfff0 == TWO_BYTE => false,
        _ => return Ok(()),
    };
    let start = header.len - len;
    let Some(data) = packet.get_mut(start..header.len) else {
        return Ok(());
    };
    let mut elements = Elements {
        data,
        one_byte,
        at: 0,
    };
    if !elements.any(|element| selection.contains(element.identifier)) {
        return Ok(());
    }
    keystream.clear();
    keystream.resize(len, 0);
    cipher.apply(header.ssrc, index, keystream)?;
    let mut at = 0;
    while let Some(element) = (Elements { data, one_byte, at }).next() {
        at = element.end;
        if selection.contains(element.identifier) {
            let range = element.start..element.end;
            if let (Some(payload), Some(stream)) =
                (data.get_mut(range.clone()), keystream.get(range))
            {
                payload
                    .iter_mut()
                    .zip(stream)
                    .for_each(|(byte, key)| *byte ^= key);
            }
        }
    }
    Ok(())
}

struct Element {
    identifier: u8,
    start: usize,
    end: usize,
}

/// The elements of a header extension (RFC 8285 §4.2, §4.3), padding left out.
struct Elements<'a> {
    data: &'a [u8],
    one_byte: bool,
    at: usize,
}

impl Iterator for Elements<'_> {
    type Item = Element;

    fn next(&mut self) -> Option<Element> {
        loop {
            let first = *self.data.get(self.at)?;
            if first == 0 {
                self.at += 1;
                continue;
            }
            let (identifier, len, start) = if self.one_byte {
                // Identifier 15 ends the extension (RFC 8285 §4.2).
                if first >> 4 == 15 {
                    return None;
                }
                (first >> 4, usize::from(first & 0x0f) + 1, self.at + 1)
            } else {
                (
                    first,
                    usize::from(*self.data.get(self.at + 1)?),
                    self.at + 2,
                )
            };
            let end = start + len;
            if end > self.data.len() {
                return None;
            }
            self.at = end;
            // A one-byte element with identifier 0 and a length is padding all the same.
            if identifier != 0 {
                return Some(Element {
                    identifier,
                    start,
                    end,
                });
            }
        }
    }
}
