//! Many agents behind one port: to which does a datagram belong?

use crate::event::Path;
use rand::{Rng, RngExt};
use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, Hasher};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};
use stun::{Class, Message, Method, TransactionId};

/// How long an answer to a request may take, its retransmissions included.
const PATIENCE: Duration = Duration::from_secs(60);
/// Requests whose answers are awaited; beyond that the oldest is forgotten.
const MAX_ASKED: usize = 1 << 16;
/// Addresses that one agent may own; beyond that it loses the oldest, until it is proven again.
const MAX_PLACES: usize = 64;
/// Username fragments that one agent may have: those of restarts that were taken back, too.
const MAX_UFRAGS: usize = 16;

/// Sorts the datagrams of one port, or several, among many agents, or whatever stands for them.
///
/// - A Binding request goes to the agent whose username fragment it names (RFC 8445 §7.2.2);
/// - a response goes to the agent that asked;
/// - everything else goes to the agent that owns the address it comes from.
///
/// Nothing is believed that an agent has not verified: [`accepted`](Self::accepted) tells what one has taken. A request, whose source
/// anybody can forge, makes an address the agent's only while nobody owns it. A signed response proves that the peer is there,
/// and so changes the owner.
///
/// ```
/// use ice::{Agent, Config, Input, LocalSocket, Mux, Path};
/// use rand::{SeedableRng, rngs::StdRng};
/// # use stun::{Class, Method, TransactionId, Writer};
/// # #[expect(clippy::disallowed_methods, reason = "an example needs a time")]
/// # let now = std::time::Instant::now();
/// # let path = Path::udp("192.0.2.1:3478".parse()?, "198.51.100.7:5000".parse()?);
///
/// let mut mux = Mux::new(&mut StdRng::seed_from_u64(1));
/// let mut agent = Agent::new(Config::default(), StdRng::seed_from_u64(2));
/// agent.add_local_socket(now, LocalSocket::udp("192.0.2.1:3478".parse()?));
/// let ufrag = agent.local_parameters().ufrag.clone();
/// let key = mux.insert(agent);
/// mux.add_ufrag(key, &ufrag);
///
/// # let mut datagram = Vec::new();
/// # let integrity = stun::IntegrityKey::short_term(&mux.get(key).ok_or("there")?.local_parameters().pwd);
/// # Writer::new(&mut datagram, Class::Request, Method::BINDING, TransactionId([0; 12]))
/// #     .ice_username(&ufrag, "theirs").finish_with(&integrity, true);
/// // A datagram comes in on `path`:
/// if let Some(key) = mux.route(path, &datagram) {
///     let agent = mux.get_mut(key).ok_or("it is there")?;
///     if agent.handle_datagram(now, path, &datagram) == Input::Consumed {
///         mux.accepted(key, path, &datagram);
///     }
/// }
/// // A datagram of an agent goes out: mux.sent(now, key, path, &datagram);
/// assert_eq!(mux.route(path, b"what follows from there"), Some(key));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Mux<V> {
    slots: Vec<Slot<V>>,
    free: Vec<u32>,
    len: usize,
    by_ufrag: HashMap<Box<str>, MuxKey, Mixing>,
    by_place: HashMap<Place, MuxKey, Mixing>,
    asked: HashMap<TransactionId, MuxKey, Mixing>,
    asked_at: VecDeque<(Instant, TransactionId)>,
    locals: Vec<SocketAddr>,
    counters: MuxCounters,
}

/// The name of an agent behind a [`Mux`]. It is never used again for another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MuxKey {
    index: u32,
    generation: u32,
}

impl MuxKey {
    /// Evenly, one of so many: for an owner who has several sockets or threads. 0 when there is none.
    pub fn spread(self, count: usize) -> usize {
        (self.index as usize).checked_rem(count).unwrap_or(0)
    }
}

/// Datagrams that belong to nobody, by reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct MuxCounters {
    /// STUN that does not parse.
    pub malformed: u64,
    /// Requests without a fragment, or with one that no agent has.
    pub unknown_ufrag: u64,
    /// Responses that nobody waits for.
    pub unknown_transaction: u64,
    /// Everything else from addresses that nobody owns.
    pub unknown_address: u64,
}

#[derive(Debug)]
struct Slot<V> {
    generation: u32,
    taken: Option<Taken<V>>,
}

#[derive(Debug)]
struct Taken<V> {
    value: V,
    ufrags: Vec<Box<str>>,
    /// Oldest first.
    places: Vec<Place>,
}

/// A remote address at a local one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Place {
    ip: [u64; 2],
    /// The remote port, and which of the local addresses.
    ports: u32,
}

impl<V> Mux<V> {
    /// One without agents. The generator makes where addresses are kept unpredictable.
    pub fn new(rng: &mut impl Rng) -> Self {
        let mixing = Mixing(rng.random());
        Mux {
            slots: Vec::new(),
            free: Vec::new(),
            len: 0,
            by_ufrag: HashMap::with_hasher(mixing),
            by_place: HashMap::with_hasher(mixing),
            asked: HashMap::with_hasher(mixing),
            asked_at: VecDeque::new(),
            locals: Vec::new(),
            counters: MuxCounters::default(),
        }
    }

    // Agents.

    /// Takes in an agent.
    pub fn insert(&mut self, value: V) -> MuxKey {
        self.len += 1;
        let taken = Some(Taken {
            value,
            ufrags: Vec::new(),
            places: Vec::new(),
        });
        if let Some(index) = self.free.pop()
            && let Some(slot) = self.slots.get_mut(index as usize)
        {
            slot.taken = taken;
            let generation = slot.generation;
            return MuxKey { index, generation };
        }
        let index = u32::try_from(self.slots.len()).unwrap_or(u32::MAX);
        let generation = 0;
        self.slots.push(Slot { generation, taken });
        MuxKey { index, generation }
    }

    /// Binding requests to this fragment are for this agent; more than one are, after a restart. `false` when another agent has it:
    /// then choose another one.
    pub fn add_ufrag(&mut self, key: MuxKey, ufrag: &str) -> bool {
        if let Some(owner) = self.by_ufrag.get(ufrag) {
            return *owner == key;
        }
        let Some(taken) = self.taken(key) else {
            return false;
        };
        let oldest = (taken.ufrags.len() >= MAX_UFRAGS).then(|| taken.ufrags.remove(0));
        taken.ufrags.push(ufrag.into());
        if let Some(oldest) = oldest {
            self.by_ufrag.remove(&oldest);
        }
        self.by_ufrag.insert(ufrag.into(), key);
        true
    }

    /// The agent is gone; nothing is for it any more.
    pub fn remove(&mut self, key: MuxKey) -> Option<V> {
        let slot = self.slots.get_mut(key.index as usize)?;
        if slot.generation != key.generation {
            return None;
        }
        let taken = slot.taken.take()?;
        self.len -= 1;
        // A slot whose generations are used up is given up.
        if let Some(next) = slot.generation.checked_add(1) {
            slot.generation = next;
            self.free.push(key.index);
        }
        for ufrag in &taken.ufrags {
            self.by_ufrag.remove(ufrag);
        }
        for place in &taken.places {
            self.by_place.remove(place);
        }
        Some(taken.value)
    }

    /// An agent.
    pub fn get(&self, key: MuxKey) -> Option<&V> {
        let slot = self.slots.get(key.index as usize)?;
        let taken = slot.taken.as_ref()?;
        (slot.generation == key.generation).then_some(&taken.value)
    }

    /// An agent, to change it.
    pub fn get_mut(&mut self, key: MuxKey) -> Option<&mut V> {
        self.taken(key).map(|taken| &mut taken.value)
    }

    /// All agents.
    pub fn iter(&self) -> impl Iterator<Item = (MuxKey, &V)> {
        (0..).zip(&self.slots).filter_map(|(index, slot)| {
            let generation = slot.generation;
            Some((MuxKey { index, generation }, &slot.taken.as_ref()?.value))
        })
    }

    /// How many agents there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// What belonged to nobody.
    pub fn counters(&self) -> &MuxCounters {
        &self.counters
    }

    fn taken(&mut self, key: MuxKey) -> Option<&mut Taken<V>> {
        let slot = self.slots.get_mut(key.index as usize)?;
        let taken = slot.taken.as_mut()?;
        (slot.generation == key.generation).then_some(taken)
    }

    // Datagrams.

    /// Whom a datagram is for; nobody, and counted, when it fits none.
    pub fn route(&mut self, path: Path, datagram: &[u8]) -> Option<MuxKey> {
        let owner = |mux: &Self| {
            let place = mux.place(path)?;
            mux.by_place.get(&place).copied()
        };
        let counters = |mux: &mut Self, pick: fn(&mut MuxCounters) -> &mut u64| {
            *pick(&mut mux.counters) += 1;
            None
        };
        let Some((class, _, id)) = stun::peek(datagram) else {
            return owner(self).or_else(|| counters(self, |all| &mut all.unknown_address));
        };
        match class {
            Class::Request => {
                let Ok(message) = Message::parse(datagram) else {
                    return counters(self, |all| &mut all.malformed);
                };
                let named = message.username().and_then(|name| name.split_once(':'));
                (named.and_then(|(own, _)| self.by_ufrag.get(own).copied()))
                    .or_else(|| counters(self, |all| &mut all.unknown_ufrag))
            }
            Class::Success | Class::Error => (self.asked.get(&id).copied())
                .filter(|key| self.get(*key).is_some())
                .or_else(|| owner(self))
                .or_else(|| counters(self, |all| &mut all.unknown_transaction)),
            Class::Indication => {
                owner(self).or_else(|| counters(self, |all| &mut all.unknown_address))
            }
        }
    }

    /// An agent has sent this: it waits for the answer, if it is a request.
    pub fn sent(&mut self, now: Instant, key: MuxKey, path: Path, datagram: &[u8]) {
        let Some((Class::Request, _, id)) = stun::peek(datagram) else {
            return;
        };
        while let Some((at, id)) = self.asked_at.front()
            && (*at + PATIENCE <= now || self.asked_at.len() >= MAX_ASKED)
        {
            self.asked.remove(id);
            self.asked_at.pop_front();
        }
        if self.asked_at.is_empty() && self.asked_at.capacity() > 64 {
            self.asked_at.shrink_to_fit();
            self.asked.shrink_to_fit();
        }
        let place = self.place_of(path);
        // From its own address the answer finds it anyway.
        if self.by_place.get(&place) != Some(&key) && self.asked.insert(id, key).is_none() {
            self.asked_at.push_back((now, id));
        }
    }

    /// An agent has taken this datagram as genuine: what comes from there is for it, too.
    pub fn accepted(&mut self, key: MuxKey, path: Path, datagram: &[u8]) {
        let Some((class, method, id)) = stun::peek(datagram) else {
            return;
        };
        let proves = match (class, method) {
            (Class::Request, Method::BINDING) => false,
            (Class::Success, Method::BINDING) => {
                self.asked.remove(&id);
                // Those of STUN servers are not signed, and other agents ask the same server.
                if Message::parse(datagram).is_ok_and(|message| message.integrity().is_none()) {
                    return;
                }
                true
            }
            // A server knows one allocation of a socket (RFC 8656 §7.2), be it one that has moved there (RFC 8016).
            (Class::Success, Method::ALLOCATE | Method::REFRESH) => {
                self.asked.remove(&id);
                true
            }
            _ => return,
        };
        let place = self.place_of(path);
        let owner = self.by_place.get(&place).copied();
        if owner == Some(key) || owner.is_some() && !proves {
            return;
        }
        if let Some(former) = owner.and_then(|owner| self.taken(owner)) {
            former.places.retain(|one| *one != place);
        }
        let Some(taken) = self.taken(key) else {
            return;
        };
        let oldest = (taken.places.len() >= MAX_PLACES).then(|| taken.places.remove(0));
        taken.places.push(place);
        if let Some(oldest) = oldest {
            self.by_place.remove(&oldest);
        }
        self.by_place.insert(place, key);
    }

    fn place(&self, path: Path) -> Option<Place> {
        let local = (self.locals.iter()).position(|known| *known == path.local)?;
        Some(Place::new(path.remote, local))
    }

    fn place_of(&mut self, path: Path) -> Place {
        if let Some(place) = self.place(path) {
            return place;
        }
        self.locals.push(path.local);
        Place::new(path.remote, self.locals.len() - 1)
    }
}

impl Place {
    fn new(remote: SocketAddr, local: usize) -> Self {
        let ip = match remote.ip() {
            IpAddr::V4(ip) => ip.to_ipv6_mapped(),
            IpAddr::V6(ip) => ip,
        }
        .to_bits();
        Place {
            ip: [(ip >> 64) as u64, ip as u64],
            ports: u32::from(remote.port()) << 16 | (local as u32 & 0xffff),
        }
    }
}

/// A keyed hash that is a multiplication a word: what is kept under it comes from peers that have authenticated, and a lookup is part
/// of every datagram's way.
#[derive(Debug, Clone, Copy)]
struct Mixing([u64; 2]);

#[derive(Debug)]
struct Mixer {
    state: u64,
    key: u64,
}

impl BuildHasher for Mixing {
    type Hasher = Mixer;

    fn build_hasher(&self) -> Mixer {
        Mixer {
            state: self.0[0],
            // An odd factor loses nothing.
            key: self.0[1] | 1,
        }
    }
}

impl Hasher for Mixer {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.write_u64(u64::from_le_bytes(word));
        }
    }

    fn write_u8(&mut self, value: u8) {
        self.write_u64(value.into());
    }

    fn write_u32(&mut self, value: u32) {
        self.write_u64(value.into());
    }

    fn write_usize(&mut self, value: usize) {
        self.write_u64(value as u64);
    }

    fn write_u64(&mut self, value: u64) {
        let wide = u128::from(self.state ^ value) * u128::from(self.key);
        self.state = (wide as u64) ^ (wide >> 64) as u64 ^ self.key.rotate_left(32);
    }

    fn finish(&self) -> u64 {
        self.state
    }
}
