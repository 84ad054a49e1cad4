#![no_main]
use libfuzzer_sys::fuzz_target;
fuzz_target!(|data: &[u8]| pc_fuzz::stun::stun_discovery(data));
