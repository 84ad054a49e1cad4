//! ICE for all transports of a session: which exist, what they gather, what the peer told about its side.

use super::jsep::{Applied, Section, Setup};
use super::transport::Transport;
use super::{Event, IceTransportPolicy, SdpType, Session, jsep, pool};
use crate::description::{IceCandidate, IceCandidateError, IceCandidateInit, SessionDescription};
use crate::error::Error;
use crate::states::{
    DtlsTransportState, IceConnectionState, IceGatheringState, PeerConnectionState,
};
use rand::SeedableRng;
use rand::rngs::StdRng;
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::time::Instant;

/// `errorCode` of a server that cannot be reached (W3C WebRTC §4.8.3).
const UNREACHABLE: u16 = 701;

/// What the driver has opened and resolved; every transport uses all of it.
#[derive(Debug, Default)]
pub(super) struct Sockets {
    open: Vec<ice::LocalSocket>,
    servers: Vec<ice::Server>,
    complete: bool,
}

impl Session {
    // Commands and inputs of the driver.

    /// Whether a local description asks for candidates and no sockets have been given yet.
    pub fn wants_sockets(&self) -> bool {
        !self.closed
            && !self.transports.is_empty()
            && self.sockets.open.is_empty()
            && !self.sockets.complete
    }

    /// A socket has been opened; candidates are gathered on it.
    pub fn add_local_socket(&mut self, now: Instant, socket: ice::LocalSocket) {
        for transport in &mut self.transports {
            transport.agent.add_local_socket(now, socket.clone());
        }
        self.sockets.open.push(socket);
        self.drain_agents(now);
    }

    /// A socket is gone, as when its interface went down.
    pub fn remove_local_socket(&mut self, now: Instant, address: SocketAddr) {
        self.sockets.open.retain(|socket| socket.addr != address);
        for transport in &mut self.transports {
            transport.agent.remove_local_socket(now, address);
        }
        self.drain_agents(now);
    }

    /// The addresses of the sockets it has been given and not been told to be gone.
    pub fn local_sockets(&self) -> impl Iterator<Item = SocketAddr> {
        self.sockets.open.iter().map(|socket| socket.addr)
    }

    /// The username fragments that checks of peers name, one for each transport: a port that serves several sessions tells by them
    /// whose a check is.
    pub fn local_ufrags(&self) -> impl Iterator<Item = &str> {
        (self.transports.iter()).map(|transport| transport.agent.local_parameters().ufrag.as_str())
    }

    /// A STUN or TURN server, its name resolved.
    pub fn add_server(&mut self, now: Instant, server: ice::Server) {
        for transport in &mut self.transports {
            transport.agent.add_server(now, server.clone());
        }
        self.sockets.servers.push(server);
        self.drain_agents(now);
    }

    /// The servers after a `setConfiguration`, their names resolved: they are asked when candidates are gathered next.
    pub fn set_servers(&mut self, now: Instant, servers: Vec<ice::Server>) {
        for transport in &mut self.transports {
            transport.agent.set_servers(servers.clone());
        }
        self.sockets.servers = servers;
        self.renew_pool(now);
    }

    /// No further sockets and servers will come for now: gathering can complete.
    pub fn local_sockets_complete(&mut self, now: Instant) {
        self.sockets.complete = true;
        for transport in &mut self.transports {
            transport.agent.local_sockets_complete(now);
        }
        self.drain_agents(now);
    }

    /// `addIceCandidate`: a candidate of the peer, or with an empty text (or `None`) the end of them.
    ///
    /// # Errors
    /// `TypeError` when neither `mid` nor index is given, `InvalidStateError` before there is a
    /// remote description, `OperationError` for a section or a user fragment that it does not have,
    /// or a candidate that cannot be read.
    pub fn add_ice_candidate(
        &mut self,
        now: Instant,
        candidate: Option<&IceCandidateInit>,
    ) -> Result<(), Error> {
        let end = IceCandidateInit::default();
        let init = candidate.unwrap_or(&end);
        init.check()?;
        if self.is_closed() {
            return Err(Error::InvalidState("the connection is closed".into()));
        }
        let Some(applied) = self
            .jsep
            .pending_remote
            .as_ref()
            .or(self.jsep.current_remote.as_ref())
        else {
            return Err(Error::InvalidState("there is no remote description".into()));
        };
        let sections = &applied.described.sections;
        let index = match (&init.sdp_mid, init.sdp_m_line_index) {
            (Some(mid), _) => Some(
                sections
                    .iter()
                    .position(|section| section.mid == *mid)
                    .ok_or_else(|| {
                        Error::Operation(format!("the remote description has no section {mid:?}"))
                    })?,
            ),
            (None, Some(index)) if usize::from(index) < sections.len() => Some(usize::from(index)),
            (None, Some(index)) => {
                return Err(Error::Operation(format!(
                    "the remote description has no section number {index}"
                )));
            }
            (None, None) => None,
        };
        // Nobody is at the other end of a section that is stopped.
        if index.is_some_and(|index| sections[index].rejected) {
            return Ok(());
        }
        if let Some(ufrag) = &init.username_fragment {
            let known = |applied: &Applied| match index {
                Some(index) => applied
                    .described
                    .sections
                    .get(index)
                    .is_some_and(|section| section.ice_ufrag == *ufrag),
                None => applied
                    .described
                    .sections
                    .iter()
                    .any(|section| section.ice_ufrag == *ufrag),
            };
            if !self
                .jsep
                .pending_remote
                .iter()
                .chain(&self.jsep.current_remote)
                .any(known)
            {
                return Err(Error::Operation(format!(
                    "the remote description has no user fragment {ufrag:?}"
                )));
            }
        }
        if !init.candidate.is_empty() {
            init.candidate.parse::<ice::Candidate>().map_err(|error| {
                Error::Operation(format!("the candidate cannot be read: {error}"))
            })?;
        }
        let targets = match index {
            Some(index) => index..index + 1,
            None => 0..sections.len(),
        };
        let text = init.candidate.trim_start_matches("candidate:");
        // Without a fragment it belongs to the most recent generation.
        let generations: Vec<String> = sections
            .iter()
            .map(|section| {
                let ufrag = init.username_fragment.as_ref();
                ufrag.unwrap_or(&section.ice_ufrag).clone()
            })
            .collect();
        for applied in [&mut self.jsep.pending_remote, &mut self.jsep.current_remote]
            .into_iter()
            .flatten()
        {
            for (section, generation) in applied
                .described
                .sections
                .iter_mut()
                .zip(&generations)
                .skip(targets.start)
                .take(targets.len())
            {
                if section.rejected || section.ice_ufrag != *generation {
                    continue;
                }
                if text.is_empty() {
                    section.end_of_candidates = true;
                } else if !section.candidates.iter().any(|known| known == text) {
                    section.candidates.push(text.to_owned());
                }
            }
        }
        self.add_described_candidates(now);
        Ok(())
    }

    /// The address behind the name of an [`Event::Resolve`]; `None` when it could not be found.
    pub fn resolved(&mut self, now: Instant, name: &str, address: Option<IpAddr>) {
        for transport in &mut self.transports {
            transport.agent.handle_resolved(now, name, address);
        }
        self.drain_agents(now);
    }

    /// A TCP or TLS connection is open: one that [`Event::Connect`] asked for, or an incoming one (`transport` is `None`).
    pub fn connected(&mut self, now: Instant, transport: Option<usize>, path: ice::Path) {
        for one in self.transports_for(transport) {
            one.agent.handle_connected(now, path);
        }
        self.drain_agents(now);
    }

    /// A TCP or TLS connection could not be made, or is gone.
    pub fn disconnected(&mut self, now: Instant, transport: Option<usize>, path: ice::Path) {
        for one in self.transports_for(transport) {
            one.agent.handle_disconnected(now, path);
        }
        self.drain_agents(now);
    }

    /// The socket that [`Event::OpenPort`] asked for is open; `None` when there can be none. It serves the relay of that transport
    /// alone and is no [local socket](Self::add_local_socket). `false` when nobody waits for it any more: close it then.
    pub fn port_opened(
        &mut self,
        now: Instant,
        transport: usize,
        beside: SocketAddr,
        local: Option<SocketAddr>,
    ) -> bool {
        let mut taken = false;
        for one in self.transports_for(Some(transport)) {
            taken |= one.agent.handle_port(now, beside, local);
        }
        self.drain_agents(now);
        taken
    }

    fn transports_for(&mut self, number: Option<usize>) -> impl Iterator<Item = &mut Transport> {
        (self.transports.iter_mut())
            .filter(move |transport| number.is_none_or(|number| transport.number == number))
    }

    /// Every candidate and pair of every transport, and what became of it: the first thing to read when a connection does
    /// not come up. One report for each transport, with its number.
    pub fn ice_reports(&self) -> Vec<(usize, ice::Report)> {
        (self.transports.iter())
            .map(|transport| (transport.number, transport.agent.report()))
            .collect()
    }

    // From descriptions to transports.

    /// Creates, updates and removes transports as the descriptions in force say.
    pub(super) fn match_transports(&mut self, now: Instant) {
        let mut wanted: Vec<usize> = Vec::new();
        // What an offer gives up is kept until the answer; what was only offered goes with a rollback (RFC 9429 §5.7).
        let sections = [&self.jsep.pending_local, &self.jsep.current_local]
            .into_iter()
            .flatten()
            .flat_map(|applied| &applied.described.sections);
        for section in sections.filter(|section| !section.rejected) {
            if !wanted.contains(&section.transport) {
                wanted.push(section.transport);
            }
        }
        // A section that is not in the local description yet keeps its transport.
        for index in (0..self.transports.len()).rev() {
            let transport = &self.transports[index];
            if transport.pooled.is_none() && !wanted.contains(&transport.number) {
                self.retire_transport(now, index);
            }
        }
        for number in wanted {
            let mut known = self.transports.iter();
            match known.position(|transport| transport.number == number) {
                Some(index) => self.take_from_pool(now, index),
                None => {
                    let transport = self.new_transport(now, number);
                    // Bundled, there is one: room for four would be kilobytes in every connection.
                    self.transports.reserve_exact(1);
                    self.transports.push(transport);
                    self.begin_gathering(self.transports.len() - 1);
                }
            }
            self.match_transport(now, number);
        }
        // The pool is for the first exchange (RFC 9429 §5.11).
        if self.jsep.current_local.is_some() {
            self.empty_pool(now);
        }
        let data = self
            .jsep
            .slots
            .iter()
            .find(|slot| slot.kind == jsep::SectionKind::Application && !slot.rejected);
        self.data.set_transport(data.map(|slot| slot.transport));
        // Without a section there is no association (RFC 8841 §10.4, W3C WebRTC §4.4.1.5, step 8).
        if self.data.transport().is_none() {
            let rng = StdRng::from_rng(&mut self.rng);
            self.data.restart(now, rng);
            self.after_data();
        }
        let most = self
            .transports
            .iter()
            .map(|transport| transport.number + 1)
            .max()
            .unwrap_or(0);
        self.jsep.facts.dtls_client = (0..most)
            .map(|number| {
                self.transports
                    .iter()
                    .find(|transport| transport.number == number)?
                    .is_client()
            })
            .collect();
        self.drain_agents(now);
    }

    /// RFC 8445 §6.1.1: the offerer controls, unless the peer is lite.
    pub(super) fn first_role(&self) -> ice::Role {
        let offers = self
            .jsep
            .local()
            .is_some_and(|local| local.sdp_type == SdpType::Offer);
        let peer_lite = self
            .jsep
            .remote()
            .is_some_and(|remote| remote.described.ice_lite);
        if offers || peer_lite && !self.ice_config.lite {
            ice::Role::Controlling
        } else {
            ice::Role::Controlled
        }
    }

    pub(super) fn new_transport(&mut self, now: Instant, number: usize) -> Transport {
        let mut config = self.ice_config.clone();
        config.role = self.first_role();
        config.transport_policy = policy(self.configuration.ice_transport_policy);
        let mut agent = ice::Agent::new(config, StdRng::from_rng(&mut self.rng));
        if let Some(credentials) = self.jsep.local_credentials(number) {
            set_local(&mut agent, now, &credentials);
        }
        for socket in &self.sockets.open {
            agent.add_local_socket(now, socket.clone());
        }
        for server in &self.sockets.servers {
            agent.add_server(now, server.clone());
        }
        if self.sockets.complete {
            agent.local_sockets_complete(now);
        }
        Transport::new(number, agent)
    }

    /// Tells one transport what the descriptions in force say about it.
    fn match_transport(&mut self, now: Instant, number: usize) {
        let credentials = self.jsep.local_credentials(number);
        let mut known = self.transports.iter();
        let Some(index) = known.position(|transport| transport.number == number) else {
            return;
        };
        let transport = &mut self.transports[index];
        if let Some(credentials) = credentials
            && transport.agent.local_parameters().ufrag != credentials.ufrag
        {
            set_local(&mut transport.agent, now, &credentials);
            transport.remote_ufrag.clear();
            transport.told_candidates.clear();
            transport.told_end = false;
            self.begin_gathering(index);
        }
        let Some((local, remote)) = self.jsep.agreed() else {
            return;
        };
        let transport = &mut self.transports[index];
        let pairs = || {
            local
                .described
                .sections
                .iter()
                .zip(&remote.described.sections)
        };
        // While a restart is on offer, the peer's part of it is not known.
        let own = &transport.agent.local_parameters().ufrag;
        let answer = match local.sdp_type {
            SdpType::Offer => &remote.described,
            _ => &local.described,
        };
        let mut speaking = pairs().filter(|(ours, theirs)| {
            ours.transport == number
                && ours.ice_ufrag == *own
                && answer.speaks_for_itself(&ours.mid)
                && !theirs.rejected
                && !theirs.ice_ufrag.is_empty()
        });
        let Some((ours, theirs)) = speaking.next() else {
            return;
        };
        // RFC 9335 §4: it is in all RTP sections of a group, or it is not.
        let mut described = pairs()
            .filter(|(ours, theirs)| ours.transport == number && !theirs.rejected)
            .filter(|(_, theirs)| theirs.media().is_some())
            .peekable();
        let encrypts = described.peek().is_some() && described.all(|(_, theirs)| theirs.cryptex);
        transport.set_cryptex(encrypts, self.jsep.requires_cryptex);
        let lite = remote.described.ice_lite;
        let mut parameters =
            ice::Parameters::new(theirs.ice_ufrag.as_str(), theirs.ice_pwd.as_str());
        parameters.lite = lite;
        parameters.trickle = remote.described.trickle;
        parameters.renomination = remote.described.renomination;
        let restarted = transport.remote_ufrag != parameters.ufrag;
        if restarted {
            transport.remote_ufrag.clone_from(&parameters.ufrag);
            transport.told_candidates.clear();
            transport.told_end = false;
            if lite && !self.ice_config.lite {
                transport.agent.set_role(ice::Role::Controlling);
            }
            if let Err(error) = transport.agent.set_remote_parameters(now, parameters) {
                tracing::warn!(%error, "the peer's ICE credentials are of no use");
            }
        }
        // RFC 8842 §5: the answerer's side decides.
        let client = match (local.sdp_type, ours.setup, theirs.setup) {
            (SdpType::Offer, _, Some(Setup::Active)) => false,
            (SdpType::Offer, _, _) => true,
            (_, Some(Setup::Passive), _) => false,
            _ => true,
        };
        let (fingerprints, tls_id) = (&theirs.fingerprints, theirs.tls_id.as_deref());
        let replaced = transport.set_dtls(client, fingerprints, tls_id, restarted);
        transport.start_dtls(now, &self.dtls_config, &self.certificate, &mut self.rng);
        if replaced {
            self.events.push_back(Event::DtlsStateChange {
                transport: number,
                state: DtlsTransportState::New,
            });
            // The association was one over that of DTLS (RFC 8261 §3).
            if self.data.transport() == Some(number) {
                let rng = StdRng::from_rng(&mut self.rng);
                self.data.restart(now, rng);
            }
        }
    }

    /// Gives the transports those candidates of the remote description that they do not have yet.
    pub(super) fn add_described_candidates(&mut self, now: Instant) {
        let (Some(local), Some(remote)) = (self.jsep.local(), self.jsep.remote()) else {
            return;
        };
        let answer = match local.sdp_type {
            SdpType::Offer => &remote.described,
            _ => &local.described,
        };
        let relays_only = self.configuration.ice_transport_policy == IceTransportPolicy::Relay;
        for transport in &mut self.transports {
            let answered = !transport.remote_ufrag.is_empty();
            let number = transport.number;
            let slots = self.jsep.slots.iter().zip(&remote.described.sections);
            // Firefox gathers for each section of an offer, all with the same credentials, and gives up what it has gathered
            // for the others when they are bundled: only the section that speaks for the group counts (RFC 9143 §7.1.3).
            let sections: Vec<&Section> = slots
                .filter(|(slot, section)| slot.transport == number && !section.rejected && answered)
                .map(|(_, section)| section)
                .filter(|section| {
                    // One that is new in an offer is not in the last answer yet.
                    let known = answer.sections.iter().any(|it| it.mid == section.mid);
                    let decided = if known { answer } else { &remote.described };
                    decided.speaks_for_itself(&section.mid)
                })
                .filter(|section| {
                    section.ice_ufrag.is_empty() || section.ice_ufrag == transport.remote_ufrag
                })
                .collect();
            for text in sections.iter().flat_map(|section| &section.candidates) {
                if transport.told_candidates.contains(text) {
                    continue;
                }
                transport.told_candidates.push(text.clone());
                let Ok(candidate) = text.parse::<ice::Candidate>() else {
                    continue;
                };
                // "Administratively prohibited" (W3C WebRTC §4.4.2): to look a name up would show this side's address.
                if relays_only && candidate.address.ip().is_none() {
                    continue;
                }
                if let Err(error) = transport.agent.add_remote_candidate(now, candidate) {
                    tracing::debug!(%error, "a candidate is of no use");
                }
            }
            let ended =
                !sections.is_empty() && sections.iter().any(|section| section.end_of_candidates);
            if ended && !std::mem::replace(&mut transport.told_end, true) {
                transport.agent.end_of_remote_candidates(now);
            }
        }
        self.drain_agents(now);
    }

    // From agents to events.

    pub(super) fn drain_agents(&mut self, now: Instant) {
        for index in 0..self.transports.len() {
            self.drain_agent(now, index);
        }
        self.update_states();
    }

    pub(super) fn drain_agent(&mut self, _now: Instant, index: usize) {
        while let Some(event) = self.transports[index].agent.poll_event() {
            let for_driver = matches!(
                event,
                ice::Event::Connect { .. }
                    | ice::Event::Disconnect(_)
                    | ice::Event::OpenPort { .. }
                    | ice::Event::ClosePort { .. }
            );
            match &mut self.transports[index].pooled {
                Some(held) if !for_driver => pool::hold(held, event),
                _ => self.agent_event(index, event),
            }
        }
    }

    pub(super) fn agent_event(&mut self, index: usize, event: ice::Event) {
        let transport = &mut self.transports[index];
        let number = transport.number;
        match event {
            ice::Event::LocalCandidate(candidate) => {
                transport.remember_candidate(&candidate);
                let ufrag = &transport.agent.local_parameters().ufrag;
                let candidate = IceCandidate::of(Some(candidate), self.jsep.tag_of(number), ufrag);
                self.events.push_back(Event::IceCandidate(Some(candidate)));
            }
            ice::Event::CandidateError {
                address,
                port,
                url,
                code,
                text,
            } => {
                // Told once for each server while candidates are gathered (W3C WebRTC §4.8.3).
                if code == UNREACHABLE {
                    if self.unreachable.contains(&url) {
                        return;
                    }
                    self.unreachable.push(url.clone());
                }
                let shown = transport.has_shown(address);
                self.events
                    .push_back(Event::IceCandidateError(IceCandidateError {
                        address: shown.then(|| address.to_string()),
                        port: shown.then_some(port),
                        url,
                        error_code: code,
                        error_text: text,
                    }));
            }
            ice::Event::SelectedPairChange(pair) => {
                transport.pair_changes += 1;
                transport.traffic.select(&transport.agent);
                self.events
                    .push_back(Event::SelectedCandidatePairChange { transport: number });
                tracing::info!(transport = number, local = %pair.local, remote = %pair.remote, "path selected");
            }
            ice::Event::ResolveName(name) => self.events.push_back(Event::Resolve { name }),
            ice::Event::PublishName { name, address } => {
                self.events.push_back(Event::PublishName { name, address });
            }
            ice::Event::Connect { path, framing, url } => {
                self.events.push_back(Event::Connect {
                    transport: number,
                    path,
                    framing,
                    url,
                });
            }
            ice::Event::Disconnect(path) => self.events.push_back(Event::Disconnect {
                transport: number,
                path,
            }),
            ice::Event::ClosePort { local } => self.events.push_back(Event::ClosePort { local }),
            ice::Event::OpenPort { beside } => self.events.push_back(Event::OpenPort {
                transport: number,
                beside,
            }),
            ice::Event::LocalCandidateRemoved(candidate) => {
                transport.forget_candidate(&candidate);
            }
            _ => {}
        }
    }

    /// A transport "began gathering a generation of candidates" (W3C WebRTC §5.6), which may be over when the agent is asked.
    pub(super) fn begin_gathering(&mut self, index: usize) {
        let transport = &mut self.transports[index];
        if transport.agent.gathering_state() == ice::GatheringState::New {
            return;
        }
        let state = IceGatheringState::Gathering;
        if std::mem::replace(&mut transport.told_states.1, state) != state {
            self.events
                .push_back(Event::IceTransportGatheringStateChange {
                    transport: transport.number,
                    state,
                });
        }
        self.tell_gathering(state);
    }

    /// `iceGatheringState`.
    pub fn ice_gathering_state(&self) -> IceGatheringState {
        self.states.gathering
    }

    /// `iceConnectionState`.
    pub fn ice_connection_state(&self) -> IceConnectionState {
        self.states.ice
    }

    /// `connectionState`.
    pub fn connection_state(&self) -> PeerConnectionState {
        self.states.connection
    }

    /// Gives a datagram to the transport it is for; which one, and where in it application data is.
    pub(super) fn receive(
        &mut self,
        now: Instant,
        number: Option<usize>,
        path: ice::Path,
        datagram: &[u8],
    ) -> Option<(usize, Option<Range<usize>>)> {
        // Several transports share the sockets; a binding request names the agent it is for (RFC 8445 §7.2.2).
        let named = match (number, self.transports.as_slice()) {
            (Some(number), transports) => Some(
                transports
                    .iter()
                    .position(|transport| transport.number == number)?,
            ),
            (None, [_]) => Some(0),
            (None, _) => stun::Message::parse(datagram).ok().and_then(|message| {
                let ufrag = message.username()?.split(':').next()?;
                self.transports
                    .iter()
                    .position(|transport| transport.agent.local_parameters().ufrag == ufrag)
            }),
        };
        let candidates = named.map_or(0..self.transports.len(), |index| index..index + 1);
        for index in candidates {
            match self.transports[index]
                .agent
                .handle_datagram(now, path, datagram)
            {
                ice::Input::Consumed => return Some((index, None)),
                ice::Input::Data(range) => return Some((index, Some(range))),
                ice::Input::Dropped(reason) => {
                    tracing::trace!(?reason, remote = %path.remote, "dropped")
                }
            }
        }
        None
    }

    /// A local description with the candidates found so far (RFC 9429 §5.2.1).
    pub(super) fn with_local_candidates(&self, applied: &Applied) -> SessionDescription {
        let mut applied = applied.clone();
        let speaking: Vec<bool> = applied
            .described
            .sections
            .iter()
            .map(|section| {
                let spokesman = applied.described.spokesman(section.transport);
                spokesman.is_some_and(|spokesman| spokesman.mid == section.mid)
            })
            .collect();
        for (section, speaks) in applied.described.sections.iter_mut().zip(speaking) {
            if section.rejected || !speaks {
                continue;
            }
            let Some(transport) = self
                .transports
                .iter()
                .find(|transport| transport.number == section.transport)
            else {
                continue;
            };
            section.candidates = transport
                .local_candidates
                .iter()
                .filter(|candidate| candidate.ufrag.as_deref() == Some(&*section.ice_ufrag))
                .map(|candidate| {
                    candidate
                        .to_string()
                        .trim_start_matches("candidate:")
                        .to_owned()
                })
                .collect();
            section.end_of_candidates = transport.agent.local_parameters().ufrag
                == section.ice_ufrag
                && transport.agent.gathering_state() == ice::GatheringState::Complete;
        }
        jsep::to_description(&applied)
    }
}

pub(super) fn policy(policy: IceTransportPolicy) -> ice::TransportPolicy {
    match policy {
        IceTransportPolicy::All => ice::TransportPolicy::All,
        IceTransportPolicy::Relay => ice::TransportPolicy::Relay,
    }
}

fn set_local(agent: &mut ice::Agent, now: Instant, credentials: &jsep::Credentials) {
    let parameters = ice::Parameters::new(credentials.ufrag.as_str(), credentials.pwd.as_str());
    if let Err(error) = agent.set_local_parameters(now, parameters) {
        tracing::error!(%error, "this side's ICE credentials are of no use");
    }
}
