//! The rtc command: devices, a call, a signalling server, a NAT report

fn main() {}
