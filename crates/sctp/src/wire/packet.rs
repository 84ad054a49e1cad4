//! The common header and its checksum (RFC 9260 §3.1, appendix A).

use super::{WireError, read_u16, read_u32};

/// Bytes of the common header.
pub const HEADER_SIZE: usize = 12;

/// The common header.
///
/// ```text
///  0                   1                   2                   3
///  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
/// |      Source Port Number       |    Destination Port Number    |
/// |                       Verification Tag                        |
/// |                           Checksum                            |
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommonHeader {
    /// The sender's port.
    pub source_port: u16,
    /// The receiver's port.
    pub destination_port: u16,
    /// The tag that the receiver chose.
    pub verification_tag: u32,
    /// The checksum field as it stands in the packet.
    pub checksum: u32,
}

impl CommonHeader {
    /// Reads the header; chunks follow it.
    pub fn parse(packet: &[u8]) -> Result<Self, WireError> {
        let header: &[u8; HEADER_SIZE] = packet
            .first_chunk::<HEADER_SIZE>()
            .ok_or(WireError::TooShort)?;
        Ok(Self {
            source_port: read_u16(header, 0)?,
            destination_port: read_u16(header, 2)?,
            verification_tag: read_u32(header, 4)?,
            checksum: u32::from_le_bytes([header[8], header[9], header[10], header[11]]),
        })
    }

    /// Appends the header, with a checksum of zero.
    pub fn write(&self, buf: &mut Vec<u8>) {
        let mut header = [0; HEADER_SIZE];
        header[0..2].copy_from_slice(&self.source_port.to_be_bytes());
        header[2..4].copy_from_slice(&self.destination_port.to_be_bytes());
        header[4..8].copy_from_slice(&self.verification_tag.to_be_bytes());
        buf.extend_from_slice(&header);
    }
}

/// Computes the checksum of the packet at `start` and writes it into its header.
pub fn seal(buf: &mut [u8], start: usize) {
    let Some(packet) = buf.get_mut(start..) else {
        return;
    };
    if let Some(field) = packet.get_mut(8..12) {
        field.fill(0);
    }
    let sum = crc_fast::crc32_iscsi(packet);
    if let Some(field) = packet.get_mut(8..12) {
        field.copy_from_slice(&sum.to_le_bytes());
    }
}

/// Whether a packet's checksum field is right.
pub fn checksum_is_right(packet: &[u8]) -> bool {
    // CRC32c over the packet with the field at zero, without writing to the packet: the checksum is linear, so
    // the field's own contribution is taken out piecewise.
    let (Some(header), Some(rest)) = (
        packet.first_chunk::<HEADER_SIZE>(),
        packet.get(HEADER_SIZE..),
    ) else {
        return false;
    };
    let mut zeroed = *header;
    zeroed[8..12].fill(0);
    let claimed = u32::from_le_bytes([header[8], header[9], header[10], header[11]]);
    let mut digest = crc_fast::Digest::new(crc_fast::CrcAlgorithm::Crc32Iscsi);
    digest.update(&zeroed);
    digest.update(rest);
    digest.finalize() as u32 == claimed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksum_matches_the_crc32c_check_value() {
        // The check value of CRC-32C: the digits 1 to 9.
        assert_eq!(crc_fast::crc32_iscsi(b"123456789"), 0xe306_9283);
    }

    #[test]
    fn a_sealed_packet_verifies_and_a_damaged_one_does_not() {
        let mut buf = vec![0xff; 3];
        let header = CommonHeader {
            source_port: 5000,
            destination_port: 5001,
            verification_tag: 0x0102_0304,
            checksum: 0,
        };
        header.write(&mut buf);
        buf.extend_from_slice(&[11, 0, 0, 4]);
        seal(&mut buf, 3);
        assert!(checksum_is_right(&buf[3..]));
        let parsed = CommonHeader::parse(&buf[3..]).unwrap();
        assert_eq!(parsed.destination_port, 5001);
        buf[5] ^= 1;
        assert!(!checksum_is_right(&buf[3..]));
        assert!(!checksum_is_right(&buf[3..10]));
    }
}
