//! RTP, RTCP, header extensions, payload formats and stream repair
