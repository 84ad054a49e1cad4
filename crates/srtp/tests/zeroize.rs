//! Keys are wiped before their memory goes back: an allocator looks at what it is given.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use pc_srtp::{Config, Profile, Protector, Unprotector};

/// Master key and salt of RFC 3711 appendix B.3, and what is derived from them.
const KEY: [u8; 16] = [
    0xe1, 0xf9, 0x7a, 0x0d, 0x3e, 0x01, 0x8b, 0xe0, 0xd6, 0x4f, 0xa3, 0x2c, 0x06, 0xde, 0x41, 0x39,
];
const SALT: [u8; 14] = [
    0x0e, 0xc6, 0x75, 0xad, 0x49, 0x8a, 0xfe, 0xeb, 0xb6, 0x96, 0x0b, 0x3a, 0xab, 0xe6,
];
const SECRETS: [[u8; 8]; 5] = [
    [0xe1, 0xf9, 0x7a, 0x0d, 0x3e, 0x01, 0x8b, 0xe0], // master key
    [0x0e, 0xc6, 0x75, 0xad, 0x49, 0x8a, 0xfe, 0xeb], // master salt
    [0xc6, 0x1e, 0x7a, 0x93, 0x74, 0x4f, 0x39, 0xee], // session key
    [0x30, 0xcb, 0xbc, 0x08, 0x86, 0x3d, 0x8c, 0x85], // session salt
    [0xce, 0xbe, 0x32, 0x1f, 0x6f, 0xf7, 0x71, 0x6b], // authentication key
];

struct Watching;

static FREED: AtomicUsize = AtomicUsize::new(0);
static LEAKED: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is passed on to the system's allocator as it is; memory to be freed is read before.
unsafe impl GlobalAlloc for Watching {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promises are passed on. Zeroed, so that all of it may be read later.
        unsafe { System.alloc_zeroed(layout) }
    }
    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the caller owns that many bytes, initialized since `alloc`.
        let bytes = unsafe { std::slice::from_raw_parts(memory, layout.size()) };
        FREED.fetch_add(1, Ordering::Relaxed);
        if bytes
            .windows(8)
            .any(|window| SECRETS.iter().any(|secret| secret == window))
        {
            LEAKED.fetch_add(1, Ordering::Relaxed);
        }
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static GLOBAL: Watching = Watching;

#[test]
fn no_key_is_left_in_freed_memory() {
    // The watch works.
    drop(Box::new(KEY));
    assert_eq!(LEAKED.swap(0, Ordering::Relaxed), 1);

    let config = Config {
        encrypted_extensions: vec![1],
        ..Config::default()
    };
    let profile = Profile::Aes128CmHmacSha1_80;
    let mut sender = Box::new(Protector::new(profile, &KEY, &SALT, config.clone()).unwrap());
    let mut receiver = Box::new(Unprotector::new(profile, &KEY, &SALT, config).unwrap());
    let mut packet = vec![
        0x90, 96, 0, 1, 0, 0, 0, 0, 0, 0, 0, 7, 0xbe, 0xde, 0, 1, 0x10, 9, 0, 0, 1, 2, 3,
    ];
    sender.protect_rtp(&mut packet, 0).unwrap();
    receiver.unprotect_rtp_slice(&mut packet).unwrap();
    receiver.rekey(profile, &[9; 16], &[9; 14]).unwrap();
    receiver.retire_previous();
    let before = FREED.load(Ordering::Relaxed);
    drop(sender);
    drop(receiver);
    assert!(FREED.load(Ordering::Relaxed) > before);
    assert_eq!(LEAKED.load(Ordering::Relaxed), 0);
}
