//! What SRTP needs to know of RTP and RTCP headers.
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |V=2|P|X|  CC   |M|     PT      |       sequence number         |
//! |                           timestamp                           |
//! |           synchronization source (SSRC) identifier            |
//! |            contributing source (CSRC) identifiers             |
//! |                             ....                              |
//! |      defined by profile       |           length              |  if X
//! |                        header extension                       |
//! ```
//!
//! Nothing here panics, whatever the bytes.

/// The fixed part of an RTP header (RFC 3550 §5.1).
pub(crate) const RTP_FIXED: usize = 12;
/// The header of an RTCP packet with its SSRC (RFC 3550 §6.4); the first of a compound stays in the clear.
pub(crate) const RTCP_FIXED: usize = 8;

/// Where the parts of an RTP packet lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RtpHeader {
    pub(crate) ssrc: u32,
    pub(crate) seq: u16,
    /// Bytes of CSRCs.
    pub(crate) csrcs: usize,
    /// The extension's "defined by profile" field, and the bytes of its data, without its four-byte header.
    pub(crate) extension: Option<(u16, usize)>,
    /// All of the header.
    pub(crate) len: usize,
}

impl RtpHeader {
    pub(crate) fn parse(packet: &[u8]) -> Option<Self> {
        let fixed: &[u8; RTP_FIXED] = packet.first_chunk()?;
        if fixed[0] >> 6 != 2 {
            return None;
        }
        let csrcs = 4 * usize::from(fixed[0] & 0x0f);
        let mut len = RTP_FIXED + csrcs;
        let mut extension = None;
        if fixed[0] & 0x10 != 0 {
            let header: &[u8; 4] = packet.get(len..)?.first_chunk()?;
            let data = 4 * usize::from(u16::from_be_bytes([header[2], header[3]]));
            extension = Some((u16::from_be_bytes([header[0], header[1]]), data));
            len += 4 + data;
        }
        if len > packet.len() {
            return None;
        }
        Some(Self {
            ssrc: u32::from_be_bytes([fixed[8], fixed[9], fixed[10], fixed[11]]),
            seq: u16::from_be_bytes([fixed[2], fixed[3]]),
            csrcs,
            extension,
            len,
        })
    }
}

/// The SSRC of the first packet of an RTCP compound.
pub(crate) fn rtcp_ssrc(packet: &[u8]) -> Option<u32> {
    let fixed: &[u8; RTCP_FIXED] = packet.first_chunk()?;
    (fixed[0] >> 6 == 2).then(|| u32::from_be_bytes([fixed[4], fixed[5], fixed[6], fixed[7]]))
}
