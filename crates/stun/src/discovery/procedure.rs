//! The tests of RFC 5780 §4.3 and §4.4, and those of RFC 3489 §10.1.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;

use super::probe::Probe;
use super::{Filtering, Kind, Mapping, Report, Transmit};
use crate::message::{ChangeRequest, Message};
use crate::transaction::Retransmission;
use crate::types::Class;

/// Which tests are run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Procedure {
    /// Mapping and filtering, each for itself.
    #[default]
    Rfc5780,
    /// Tests I, II and III: one of seven names.
    Rfc3489,
}

/// What to ask.
#[derive(Clone, Copy, Debug)]
pub struct DiscoveryConfig {
    /// The socket's own address, with its IP: a mapped address that equals it tells that there is no NAT.
    pub local: SocketAddr,
    /// The server's primary address.
    pub server: SocketAddr,
    /// Which tests.
    pub procedure: Procedure,
    /// When to repeat a probe and when silence counts as an answer.
    pub retransmission: Retransmission,
}

impl DiscoveryConfig {
    /// Silence counts after 9.5 s, as in RFC 3489 §9.3.
    pub fn new(local: SocketAddr, server: SocketAddr, procedure: Procedure) -> Self {
        let retransmission = Retransmission {
            rto: Duration::from_millis(500),
            requests: 5,
            last_wait: 4,
        };
        Self {
            local,
            server,
            procedure,
            retransmission,
        }
    }
}

/// Filtering comes before mapping: a probe to the other address would open the filter that is to be tested (RFC 5780 §4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Test {
    /// Test I of every section.
    Connectivity,
    /// Test II: answered from the other address and port.
    OtherAddress,
    /// Test III: answered from the other port.
    OtherPort,
    /// Mapping test II of RFC 5780: to the other address, primary port.
    MappingAddress,
    /// Mapping test III of RFC 5780 and the second test I of RFC 3489: to the other address and port.
    MappingPort,
    /// To the own outside address.
    Hairpin,
}

/// Runs one procedure, test by test.
///
/// Send what [`poll_transmit`](Self::poll_transmit) gives from one socket that nothing else uses and that was not used before
/// (RFC 5780 §4.1); feed what comes; when [`report`](Self::report) is there, it is over.
#[derive(Debug)]
pub struct Discovery {
    config: DiscoveryConfig,
    rng: StdRng,
    probe: Option<(Test, Probe)>,
    other: Option<SocketAddr>,
    /// The outside address seen from the other address and primary port.
    mapped_by_address: Option<SocketAddr>,
    report: Report,
}

impl Discovery {
    /// The first probe is due at once.
    pub fn new(now: Instant, config: DiscoveryConfig, rng: StdRng) -> Self {
        let report = Report {
            local: config.local,
            mapped: None,
            mapping: None,
            filtering: None,
            hairpinning: None,
            kind: None,
        };
        let mut this = Self {
            config,
            rng,
            probe: None,
            other: None,
            mapped_by_address: None,
            report,
        };
        this.start(now, Test::Connectivity);
        this
    }

    /// What was found, once all tests are done.
    pub fn report(&self) -> Option<&Report> {
        self.probe.is_none().then_some(&self.report)
    }

    /// A packet that came to the socket; `false` when it is none of ours.
    pub fn handle_datagram(&mut self, now: Instant, from: SocketAddr, data: &[u8]) -> bool {
        let Some((test, probe)) = &self.probe else {
            return false;
        };
        let test = *test;
        if test == Test::Hairpin {
            if probe.is_own(data) {
                self.handle_result(now, test, Some(None));
                return true;
            }
            return false;
        }
        let Some(message) = probe.answer(data) else {
            return false;
        };
        // RFC 5780 §4.4: the answer counts only from where it was asked to come from.
        let expected = match test {
            Test::Connectivity => Some(self.config.server),
            Test::OtherAddress | Test::MappingPort => self.other,
            Test::OtherPort => self
                .other
                .map(|other| SocketAddr::new(self.config.server.ip(), other.port())),
            Test::MappingAddress => self
                .other
                .map(|other| SocketAddr::new(other.ip(), self.config.server.port())),
            Test::Hairpin => None,
        };
        if expected != Some(from) {
            return false;
        }
        if test == Test::Connectivity {
            self.other = other_address(&message).filter(|other| {
                other.ip() != self.config.server.ip() && other.port() != self.config.server.port()
            });
        }
        let mapped = (message.class() == Class::Success)
            .then(|| message.any_mapped_address())
            .flatten();
        self.handle_result(now, test, Some(mapped));
        true
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        if let Some((test, probe)) = &mut self.probe
            && probe.handle_timeout(now)
        {
            let test = *test;
            self.handle_result(now, test, None);
        }
    }

    /// When `handle_timeout` is due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.probe
            .as_ref()
            .and_then(|(_, probe)| probe.poll_timeout())
    }

    /// Appends one probe.
    pub fn poll_transmit(&mut self, _now: Instant, buf: &mut Vec<u8>) -> Option<Transmit> {
        self.probe
            .as_mut()
            .and_then(|(_, probe)| probe.poll_transmit(buf))
    }

    fn start(&mut self, now: Instant, test: Test) {
        let server = self.config.server;
        let other = self.other.unwrap_or(server);
        let none = ChangeRequest::default();
        let (to, change) = match test {
            Test::Connectivity => (server, none),
            Test::OtherAddress => (
                server,
                ChangeRequest {
                    address: true,
                    port: true,
                },
            ),
            Test::OtherPort => (
                server,
                ChangeRequest {
                    address: false,
                    port: true,
                },
            ),
            Test::MappingAddress => (SocketAddr::new(other.ip(), server.port()), none),
            Test::MappingPort => (other, none),
            Test::Hairpin => (self.report.mapped.unwrap_or(server), none),
        };
        let mut schedule = self.config.retransmission;
        if test == Test::Hairpin {
            schedule.requests = schedule.requests.min(3);
        }
        self.probe = Some((
            test,
            Probe::new(now, to, change, None, schedule, &mut self.rng),
        ));
    }

    /// `outcome` is `None` when nobody answered, else the outside address in the answer.
    fn handle_result(&mut self, now: Instant, test: Test, outcome: Option<Option<SocketAddr>>) {
        self.probe = None;
        let next = match self.config.procedure {
            Procedure::Rfc5780 => self.next_of_5780(test, outcome),
            Procedure::Rfc3489 => self.next_of_3489(test, outcome),
        };
        match next {
            Some(test) => self.start(now, test),
            None if self.config.procedure == Procedure::Rfc5780 => {
                self.report.kind = self.classify()
            }
            None => {}
        }
    }

    fn next_of_5780(&mut self, test: Test, outcome: Option<Option<SocketAddr>>) -> Option<Test> {
        match (test, outcome) {
            (Test::Connectivity, None | Some(None)) => None,
            (Test::Connectivity, Some(mapped)) => {
                self.report.mapped = mapped;
                // Without OTHER-ADDRESS the rest can't be run.
                Some(if self.other.is_some() {
                    Test::OtherAddress
                } else {
                    Test::Hairpin
                })
            }
            (Test::OtherAddress, Some(_)) => {
                self.report.filtering = Some(Filtering::EndpointIndependent);
                self.mapping_test()
            }
            (Test::OtherAddress, None) => Some(Test::OtherPort),
            (Test::OtherPort, outcome) => {
                self.report.filtering = Some(match outcome {
                    Some(_) => Filtering::AddressDependent,
                    None => Filtering::AddressAndPortDependent,
                });
                self.mapping_test()
            }
            (Test::MappingAddress, Some(Some(mapped))) if Some(mapped) == self.report.mapped => {
                self.report.mapping = Some(Mapping::EndpointIndependent);
                Some(Test::Hairpin)
            }
            (Test::MappingAddress, outcome) => {
                self.mapped_by_address = outcome.flatten();
                Some(if self.mapped_by_address.is_some() {
                    Test::MappingPort
                } else {
                    Test::Hairpin
                })
            }
            (Test::MappingPort, outcome) => {
                self.report.mapping = outcome.flatten().map(|mapped| {
                    if Some(mapped) == self.mapped_by_address {
                        Mapping::AddressDependent
                    } else {
                        Mapping::AddressAndPortDependent
                    }
                });
                Some(Test::Hairpin)
            }
            (Test::Hairpin, outcome) => {
                self.report.hairpinning = Some(outcome.is_some());
                None
            }
        }
    }

    /// "If this address and port are the same as the local IP address and port … it is not NATed and the effective mapping
    /// will be Endpoint-Independent" (RFC 5780 §4.3); nor is there anything to hairpin.
    fn mapping_test(&mut self) -> Option<Test> {
        if self.report.is_translated() == Some(false) {
            self.report.mapping = Some(Mapping::EndpointIndependent);
            return None;
        }
        Some(Test::MappingAddress)
    }

    /// The chart of RFC 3489 §10.1, figure 2.
    fn next_of_3489(&mut self, test: Test, outcome: Option<Option<SocketAddr>>) -> Option<Test> {
        match (test, outcome) {
            (Test::Connectivity, None | Some(None)) => {
                self.report.kind = Some(Kind::UdpBlocked);
                None
            }
            (Test::Connectivity, Some(mapped)) => {
                self.report.mapped = mapped;
                self.other.map(|_| Test::OtherAddress)
            }
            (Test::OtherAddress, outcome) => {
                let translated = self.report.is_translated() == Some(true);
                self.report.kind = match (translated, outcome) {
                    (false, Some(_)) => Some(Kind::OpenInternet),
                    (false, None) => Some(Kind::SymmetricFirewall),
                    (true, Some(_)) => Some(Kind::FullCone),
                    (true, None) => return Some(Test::MappingPort),
                };
                None
            }
            (Test::MappingPort, Some(Some(mapped))) if Some(mapped) == self.report.mapped => {
                Some(Test::OtherPort)
            }
            (Test::MappingPort, Some(Some(_))) => {
                self.report.kind = Some(Kind::Symmetric);
                None
            }
            // The other address does not answer: nothing can be said.
            (Test::MappingPort, _) => None,
            (_, outcome) => {
                self.report.kind = Some(if outcome.is_some() {
                    Kind::AddressRestricted
                } else {
                    Kind::PortRestricted
                });
                None
            }
        }
    }

    /// The old name for what RFC 5780's tests found.
    fn classify(&self) -> Option<Kind> {
        let Some(translated) = self.report.is_translated() else {
            return Some(Kind::UdpBlocked);
        };
        let (mapping, filtering) = (self.report.mapping?, self.report.filtering?);
        Some(match (translated, mapping, filtering) {
            (false, _, Filtering::EndpointIndependent) => Kind::OpenInternet,
            (false, _, _) => Kind::SymmetricFirewall,
            (true, Mapping::EndpointIndependent, Filtering::EndpointIndependent) => Kind::FullCone,
            (true, Mapping::EndpointIndependent, Filtering::AddressDependent) => {
                Kind::AddressRestricted
            }
            (true, Mapping::EndpointIndependent, Filtering::AddressAndPortDependent) => {
                Kind::PortRestricted
            }
            (true, _, _) => Kind::Symmetric,
        })
    }
}

fn other_address(message: &Message<'_>) -> Option<SocketAddr> {
    message
        .other_address()
        .or_else(|| message.changed_address())
}
