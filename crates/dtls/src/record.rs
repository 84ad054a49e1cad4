//! The outsides of records: where each one in a datagram ends, and what can be seen without keys.

/// The header of a record of DTLS 1.2, and of an unprotected one of 1.3 (RFC 6347 §4.1).
const PLAIN_HEADER: usize = 13;

/// What a record shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Header {
    /// Content type, epoch and sequence number.
    Plain { epoch: u16, number: u64 },
    /// The low bits of the epoch of a protected record of DTLS 1.3 (RFC 9147 §4).
    Unified { epoch: u8 },
}

/// Splits a datagram into its records. What cannot be a record ends the iteration.
pub(crate) fn records(datagram: &[u8]) -> impl Iterator<Item = (Header, &[u8])> {
    let mut rest = datagram;
    std::iter::from_fn(move || {
        let (header, len) = header(rest)?;
        let (record, tail) = rest.split_at_checked(len)?;
        rest = tail;
        Some((header, record))
    })
}

/// The header of the first record, and the length of all of it.
fn header(datagram: &[u8]) -> Option<(Header, usize)> {
    let first = *datagram.first()?;
    if first & 0xe0 == 0x20 {
        // 0 0 1 C S L E E: connection identifiers are never negotiated here.
        let epoch = first & 3;
        let number_len = if first & 8 == 0 { 1 } else { 2 };
        let header = Header::Unified { epoch };
        if first & 4 == 0 {
            // Without a length, the record fills the datagram.
            return Some((header, datagram.len()));
        }
        let len = datagram.get(1 + number_len..)?.first_chunk().copied()?;
        return Some((
            header,
            3 + number_len + usize::from(u16::from_be_bytes(len)),
        ));
    }
    let bytes: &[u8; PLAIN_HEADER] = datagram.first_chunk()?;
    let mut number = [0; 8];
    number[2..].copy_from_slice(&bytes[5..11]);
    let header = Header::Plain {
        epoch: u16::from_be_bytes([bytes[3], bytes[4]]),
        number: u64::from_be_bytes(number),
    };
    Some((
        header,
        PLAIN_HEADER + usize::from(u16::from_be_bytes([bytes[11], bytes[12]])),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_datagram_is_split_into_its_records_and_a_damaged_tail_is_left() {
        let plain = [22, 0xfe, 0xfd, 0, 1, 0, 0, 0, 0, 1, 2, 0, 2, 9, 9];
        let unified = [0x2e, 1, 2, 0, 1, 7];
        let short = [0x26, 1, 0, 1, 7];
        let endless = [0x2b, 1, 2, 3, 4, 5];
        let datagram = [&plain[..], &unified, &short, &endless].concat();
        let split: Vec<_> = records(&datagram).collect();
        assert_eq!(
            split,
            [
                (
                    Header::Plain {
                        epoch: 1,
                        number: 0x102
                    },
                    &plain[..]
                ),
                (Header::Unified { epoch: 2 }, &unified[..]),
                (Header::Unified { epoch: 2 }, &short[..]),
                (Header::Unified { epoch: 3 }, &endless[..]),
            ]
        );
        for len in 0..plain.len() {
            assert_eq!(records(&plain[..len]).count(), 0);
        }
        let cut = [&plain[..], &unified[..5]].concat();
        assert_eq!(records(&cut).count(), 1);
    }
}
