//! The agent: state, public methods, and the order in which things happen. What they do is in the files beside.

mod checks;
mod consent;
mod explain;
mod gather;
pub(crate) mod ids;
mod local;
mod moves;
mod nominate;
mod pairs;
mod relays;
mod remote;
mod requests;
mod restart;
mod state;

use crate::candidate::Candidate;
use crate::config::TransportPolicy;
use crate::config::{Config, LocalSocket, Role, Server};
use crate::counters::Counters;
use crate::credentials::Parameters;
use crate::event::{DropReason, Event, Frame, GatheringState, Input, Path, State, Transmit};
use crate::pair::{CandidatePair, Pair, Route};
use crate::relay::Relay;
use crate::report::Report;
use checks::{Response, Transaction};
use gather::{GatherState, StunServer};
use ids::{PairId, RelayId};
use local::{Foundations, Local, Socket};
use rand::{RngExt, rngs::StdRng};
use remote::Remote;
use requests::EarlyCheck;
use restart::Generation;
use state::Progress;
use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

pub use remote::{AddCandidateError, ParametersError};

/// An ICE agent (RFC 8445) for one data stream of one component.
///
/// - **commands**: `add_*`, `remove_*`, `set_*`, [`restart`](Self::restart), [`close`](Self::close);
/// - **`handle_*`**: a datagram, a timeout, a name resolved, a TCP connection opened or gone;
/// - **`poll_*`**: [`poll_transmit`](Self::poll_transmit), [`poll_event`](Self::poll_event), [`poll_timeout`](Self::poll_timeout);
/// - **queries**: everything else.
///
/// After any command or `handle_*`, drain `poll_transmit` and `poll_event`, and wait until `poll_timeout` or the next
/// datagram. In any order, late, early or twice: nothing breaks.
///
/// ```ignore
/// loop {
///     while let Some(transmit) = agent.poll_transmit(now, &mut buf) { socket.send(transmit, &buf); buf.clear(); }
///     while let Some(event) = agent.poll_event() { tell(event); }
///     match wait_for_datagram_until(agent.poll_timeout()) {
///         Some((path, datagram)) => match agent.handle_datagram(now, path, &datagram) {
///             Input::Data(range) => application.receive(&datagram[range]),
///             Input::Consumed | Input::Dropped(_) => {}
///         },
///         None => agent.handle_timeout(now),
///     }
/// }
/// ```
///
/// A datagram from the network never makes the agent panic or fail: what is wrong with it is counted, in
/// [`counters`](Self::counters), and changes nothing.
pub struct Agent {
    config: Config,
    rng: StdRng,
    role: Role,
    /// RFC 8445 §16.1
    tie_breaker: u64,
    current: Generation,
    /// After a restart: the generation whose pair still carries data.
    previous: Option<Generation>,
    next_id: u32,

    sockets: Vec<Socket>,
    sockets_complete: bool,
    foundations: Foundations,
    locals: Vec<Local>,
    stun_servers: Vec<StunServer>,
    relays: Vec<Relay>,
    gather: GatherState,

    remotes: Vec<Remote>,
    remote_complete: bool,
    early: Vec<EarlyCheck>,

    pairs: Vec<Pair>,
    discarded: Vec<(Route, &'static str)>,
    triggered: VecDeque<PairId>,
    transactions: Vec<Transaction>,
    responses: VecDeque<Response>,

    selected: Option<Selected>,
    nomination: nominate::Nomination,
    progress: Progress,
    state: State,
    gathering: GatheringState,
    timeout: Option<Instant>,
    events: VecDeque<Event>,
    counters: Counters,
}

/// The pair that application data takes.
struct Selected {
    id: PairId,
    route: Route,
    public: Box<CandidatePair>,
    last_received: Option<Instant>,
}

impl std::fmt::Debug for Agent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Agent")
            .field("state", &self.state)
            .field("role", &self.role)
            .field("pairs", &self.pairs.len())
            .finish_non_exhaustive()
    }
}

/// Longer STUN messages than this are none of ICE's.
const MAX_STUN: usize = 1500;

impl Agent {
    /// An agent. All its randomness comes from `rng`, which must be unpredictable outside tests.
    pub fn new(config: Config, mut rng: StdRng) -> Self {
        let generation = Generation::new(0, &mut rng, &config);
        Self {
            role: config.role,
            tie_breaker: rng.random(),
            current: generation,
            previous: None,
            next_id: 0,
            sockets: Vec::new(),
            sockets_complete: false,
            foundations: Foundations::default(),
            locals: Vec::new(),
            stun_servers: Vec::new(),
            relays: Vec::new(),
            gather: GatherState::default(),
            remotes: Vec::new(),
            remote_complete: false,
            early: Vec::new(),
            pairs: Vec::new(),
            discarded: Vec::new(),
            triggered: VecDeque::new(),
            transactions: Vec::new(),
            responses: VecDeque::new(),
            selected: None,
            nomination: nominate::Nomination::default(),
            progress: Progress::default(),
            state: State::New,
            gathering: GatheringState::New,
            timeout: None,
            events: VecDeque::new(),
            counters: Counters::default(),
            config,
            rng,
        }
    }

    // Commands.

    /// Takes a role, as JSEP finds it (RFC 9429 §3.5.1). Once checks run, a role conflict may change it again.
    pub fn set_role(&mut self, role: Role) {
        if self.role != role {
            self.role = role;
            self.recompute_priorities();
        }
    }

    /// Begins anew with new credentials (RFC 8445 §9). The pair in use goes on carrying data until a new one works.
    /// The candidates are announced again, with the new fragment.
    pub fn restart(&mut self, now: Instant) {
        if self.state != State::Closed {
            self.begin_generation(now);
            self.drive(now);
        }
    }

    /// Takes the peer's credentials and options. Other ones than before mean that the peer has restarted: then this side
    /// does, too, unless [`restart`](Self::restart) was called just before.
    pub fn set_remote_parameters(
        &mut self,
        now: Instant,
        parameters: Parameters,
    ) -> Result<(), ParametersError> {
        self.take_remote_parameters(now, parameters)?;
        self.drive(now);
        Ok(())
    }

    /// Takes a candidate of the peer; may come before its parameters. One that is known already is ignored.
    pub fn add_remote_candidate(
        &mut self,
        now: Instant,
        candidate: Candidate,
    ) -> Result<(), AddCandidateError> {
        self.take_remote_candidate(now, candidate)?;
        self.drive(now);
        Ok(())
    }

    /// The peer has no more candidates (RFC 8838 §14).
    pub fn end_of_remote_candidates(&mut self, now: Instant) {
        self.remote_complete = true;
        self.drive(now);
    }

    /// Takes a socket to gather candidates on, at any time.
    pub fn add_local_socket(&mut self, now: Instant, socket: LocalSocket) {
        if self.state != State::Closed {
            self.take_socket(now, socket);
            self.drive(now);
        }
    }

    /// The socket is gone, with its interface: so are its candidates and pairs.
    pub fn remove_local_socket(&mut self, now: Instant, addr: SocketAddr) {
        self.drop_socket(now, addr);
        self.drive(now);
    }

    /// No more sockets for now: gathering ends when every server has answered or failed. A socket or server added later
    /// begins it again.
    pub fn local_sockets_complete(&mut self, now: Instant) {
        self.sockets_complete = true;
        self.drive(now);
    }

    /// Takes a server to gather candidates from, at any time.
    pub fn add_server(&mut self, now: Instant, server: Server) {
        if self.state != State::Closed {
            self.take_server(now, server);
            self.drive(now);
        }
    }

    /// Takes other servers instead of those it has; they are asked from the next restart on (RFC 9429 §4.1.18). A relay
    /// that is allocated already stays.
    pub fn set_servers(&mut self, servers: Vec<Server>) {
        self.gather.next_servers = Some(servers);
    }

    /// Takes another transport policy; candidates that are known stay, new ones obey it from the next restart on
    /// (RFC 9429 §4.1.18).
    pub fn set_transport_policy(&mut self, policy: TransportPolicy) {
        self.config.transport_policy = policy;
    }

    /// Ends everything. What `poll_transmit` still has releases the relays.
    pub fn close(&mut self, now: Instant) {
        if self.state != State::Closed {
            self.shut_down(now);
        }
    }

    // What happened outside.

    /// A datagram, or one message from a TCP connection, without its frame.
    pub fn handle_datagram(&mut self, now: Instant, path: Path, data: &[u8]) -> Input {
        let is_stun = stun::is_message(data);
        if !is_stun
            && let Some(selected) = &mut self.selected
            && selected.route == Route::Direct(path)
        {
            selected.last_received = Some(now);
            if self.state == State::Disconnected {
                self.drive(now);
            }
            return Input::Data(0..data.len());
        }
        let input = self.sort_datagram(now, path, data, is_stun);
        if let Input::Dropped(reason) = input {
            tracing::trace!(?reason, ?path, "dropped");
            self.counters.drop(reason);
        }
        input
    }

    fn sort_datagram(&mut self, now: Instant, path: Path, data: &[u8], is_stun: bool) -> Input {
        if self.state == State::Closed {
            return Input::Dropped(DropReason::Closed);
        }
        if let Some(index) = self.relay_at(path)
            && !self.is_gather_response(path, data)
        {
            return self.handle_relay_datagram(now, index, data);
        }
        let route = Route::Direct(path);
        if is_stun {
            let input = self.handle_stun(now, route, data);
            self.drive(now);
            return input;
        }
        self.handle_data(now, route, 0..data.len())
    }

    /// The time that [`poll_timeout`](Self::poll_timeout) named has come, or any other time.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.drive(now);
    }

    /// A name is resolved, or can't be: see [`Event::ResolveName`].
    pub fn handle_resolved(&mut self, now: Instant, name: &str, address: Option<IpAddr>) {
        self.take_resolved(now, name, address);
        self.drive(now);
    }

    /// The socket that [`Event::OpenPort`] asked for is open, or can't be. `false` when nothing waits for it. It serves a relay alone: it
    /// is not to be added as a local socket.
    pub fn handle_port(
        &mut self,
        now: Instant,
        beside: SocketAddr,
        local: Option<SocketAddr>,
    ) -> bool {
        let taken = self.relay_moved(now, beside, local);
        self.drive(now);
        taken
    }

    /// A TCP connection is open: one asked for by [`Event::Connect`], or an incoming one.
    pub fn handle_connected(&mut self, now: Instant, path: Path) {
        self.connection_opened(now, path);
        self.drive(now);
    }

    /// A TCP connection could not be made, or is gone.
    pub fn handle_disconnected(&mut self, now: Instant, path: Path) {
        self.connection_gone(now, path);
        self.drive(now);
    }

    // What should happen outside.

    /// When [`handle_timeout`](Self::handle_timeout) is due. O(1).
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timeout
    }

    /// Appends one datagram of the agent's own (STUN or TURN) to `buf`, if one is due.
    pub fn poll_transmit(&mut self, now: Instant, buf: &mut Vec<u8>) -> Option<Transmit> {
        self.next_transmit(now, buf)
    }

    /// The next thing that happened.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    // Application data out.

    /// Opens a datagram to the peer at the end of `buf`: nothing on a direct path, room for the relay's header on a relayed
    /// one. Append the payload, then call [`close_frame`](Self::close_frame), then send `buf[frame.start..]`.
    ///
    /// `None` while there is no usable path, or no consent to use it (RFC 7675).
    pub fn open_frame(&self, buf: &mut Vec<u8>) -> Option<Frame> {
        let selected = self.selected.as_ref()?;
        let start = buf.len();
        match selected.route {
            Route::Direct(path) => Some(Frame {
                protocol: path.protocol,
                local: path.local,
                remote: path.remote,
                start,
                header: 0,
                relay: None,
            }),
            Route::Relayed { relay, peer } => {
                let relay = self.relay(relay)?;
                let frame = relay.open(peer, buf)?;
                let path = relay.path();
                Some(Frame {
                    protocol: path.protocol,
                    local: path.local,
                    remote: path.remote,
                    start,
                    header: buf.len() - start,
                    relay: Some(frame),
                })
            }
        }
    }

    /// Completes a datagram: fixes the lengths in the relay's header, and pads where the relay wants it.
    pub fn close_frame(&self, frame: Frame, buf: &mut Vec<u8>) {
        if let Some(relay) = frame.relay {
            crate::relay::close(relay, buf);
        }
    }

    // Queries.

    /// This side's credentials and options, for the description.
    pub fn local_parameters(&self) -> &Parameters {
        &self.current.local
    }

    /// The peer's, once known.
    pub fn remote_parameters(&self) -> Option<&Parameters> {
        self.current
            .remote
            .as_ref()
            .map(|remote| &remote.parameters)
    }

    /// The state of connectivity.
    pub fn state(&self) -> State {
        self.state
    }

    /// The state of gathering.
    pub fn gathering_state(&self) -> GatheringState {
        self.gathering
    }

    /// The role now.
    pub fn role(&self) -> Role {
        self.role
    }

    /// This side's candidates as they were announced.
    pub fn local_candidates(&self) -> impl Iterator<Item = &Candidate> {
        self.locals.iter().filter_map(Local::announced)
    }

    /// The peer's candidates, those it announced and those that checks have shown.
    pub fn remote_candidates(&self) -> impl Iterator<Item = &Candidate> {
        let current = self.current.number;
        self.remotes
            .iter()
            .filter(move |remote| remote.generation == current)
            .map(|remote| &remote.candidate)
    }

    /// The pair that application data takes.
    pub fn selected_pair(&self) -> Option<&CandidatePair> {
        self.selected.as_ref().map(|selected| &*selected.public)
    }

    /// What was dropped, and other counts.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Everything that was tried and what became of it.
    pub fn report(&self) -> Report {
        self.explain()
    }

    // Inside.

    fn fresh_id(&mut self) -> u32 {
        self.next_id = self.next_id.wrapping_add(1);
        self.next_id
    }

    fn pair(&self, id: PairId) -> Option<&Pair> {
        self.pairs.iter().find(|pair| pair.id == id)
    }

    fn pair_mut(&mut self, id: PairId) -> Option<&mut Pair> {
        self.pairs.iter_mut().find(|pair| pair.id == id)
    }

    fn relay(&self, id: RelayId) -> Option<&Relay> {
        self.relays.iter().find(|relay| relay.id == id)
    }

    /// Does everything that is due, then sets the next timeout.
    fn drive(&mut self, now: Instant) {
        if self.state != State::Closed {
            self.expire_transactions(now);
            self.keep_consent(now);
            self.nominate(now);
            self.start_checks(now);
            self.gather(now);
            self.install_permissions(now);
            self.update_state(now);
        }
        self.timeout = match self.state {
            State::Closed => None,
            _ => self.next_timeout(now),
        };
    }
}
