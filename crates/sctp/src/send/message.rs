//! Messages on their way out: held once, chunks refer to them.

use bytes::Bytes;

use crate::serial::Tsn;
use crate::time::Time;

/// Where a message is in the [`Slab`].
pub(crate) type MessageKey = u32;

/// A message, from `send` until its last chunk is cumulatively acknowledged.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(crate) payload: Bytes,
    pub(crate) ppid: u32,
    /// Slot of its stream, see [`super::streams::Streams`].
    pub(crate) stream: u32,
    pub(crate) unordered: bool,
    /// Of the layer above itself: not counted as buffered.
    pub(crate) control: bool,
    /// When partial reliability gives it up.
    pub(crate) expires: Time,
    /// How often a chunk of it may be retransmitted; `u32::MAX` for ever.
    pub(crate) max_retransmits: u32,
    /// Position in the order of `send` calls.
    pub(crate) order: u64,
    /// SSN or MID, once the first fragment left.
    pub(crate) number: u32,
    /// Bytes put into chunks so far.
    pub(crate) offset: u32,
    /// Chunks made so far.
    pub(crate) fragments: u32,
    /// TSNs of the first and the last chunk so far.
    pub(crate) first: Tsn,
    pub(crate) last: Tsn,
    /// Chunks in the window.
    pub(crate) in_window: u32,
    /// No further chunk will be made.
    pub(crate) complete: bool,
    pub(crate) abandoned: bool,
}

impl Default for Outgoing {
    fn default() -> Self {
        Self {
            payload: Bytes::new(),
            ppid: 0,
            stream: 0,
            unordered: false,
            control: false,
            expires: Time::NEVER,
            max_retransmits: u32::MAX,
            order: 0,
            number: 0,
            offset: 0,
            fragments: 0,
            first: Tsn(0),
            last: Tsn(0),
            in_window: 0,
            complete: false,
            abandoned: false,
        }
    }
}

/// Messages by key; a freed place is used again.
#[derive(Debug, Default)]
pub(crate) struct Slab {
    entries: Vec<Outgoing>,
    free: Vec<MessageKey>,
}

impl Slab {
    pub(crate) fn insert(&mut self, message: Outgoing) -> MessageKey {
        match self.free.pop() {
            Some(key) => {
                self.entries[key as usize] = message;
                key
            }
            None => {
                self.entries.push(message);
                (self.entries.len() - 1) as MessageKey
            }
        }
    }

    #[inline]
    pub(crate) fn get(&self, key: MessageKey) -> &Outgoing {
        &self.entries[key as usize]
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, key: MessageKey) -> &mut Outgoing {
        &mut self.entries[key as usize]
    }

    /// Lets go of a message and its payload.
    pub(crate) fn remove(&mut self, key: MessageKey) {
        self.entries[key as usize].payload = Bytes::new();
        self.free.push(key);
    }
}
