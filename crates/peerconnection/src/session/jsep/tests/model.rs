//! What the W3C text says of one side, written down once more: signaling states, transceivers and what descriptions
//! hold, and nothing of how the session does it. The exploration compares the two after every step.

use super::super::Jsep;
use crate::description::{SdpType, SessionDescription};
use crate::session::jsep::Notice;
use crate::states::{SignalingState as S, TransceiverDirection as D};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    Audio,
    Video,
    Data,
}

/// One media description, as far as the rules look into it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Line {
    pub(super) kind: Kind,
    pub(super) direction: D,
    pub(super) rejected: bool,
    pub(super) has_msid: bool,
    /// Which transceiver a local line stands for.
    owner: Option<u32>,
}

type Lines = Vec<Line>;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Description {
    sdp_type: SdpType,
    lines: Lines,
}

/// `RTCRtpTransceiver`, its slots as §5.4 names them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Transceiver {
    number: u32,
    kind: Kind,
    /// The index of the media description it is associated with.
    line: Option<usize>,
    direction: D,
    current: Option<D>,
    fired: Option<D>,
    stopping: bool,
    stopped: bool,
    has_track: bool,
    ever_sent: bool,
    by_add_track: bool,
    by_remote_offer: bool,
}

impl Transceiver {
    fn stop(&mut self) {
        self.direction = D::Inactive;
        self.stopping = true;
        self.stopped = true;
        self.current = None;
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
struct LastStable {
    /// Which transceivers there were, with their associations.
    associations: Vec<(u32, Option<usize>)>,
    owners: Vec<Owner>,
}

/// Who a media description belongs to between exchanges.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Owner {
    kind: Kind,
    transceiver: Option<u32>,
    free: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Model {
    pub(super) state: S,
    transceivers: Vec<Transceiver>,
    owners: Vec<Owner>,
    next: u32,
    has_channel: bool,
    needs_negotiation: bool,
    current_local: Option<Description>,
    pending_local: Option<Description>,
    current_remote: Option<Description>,
    pending_remote: Option<Description>,
    last_offer: Option<Lines>,
    last_answer: Option<Lines>,
    last_stable: LastStable,
}

/// The error, by its name, or the events that follow.
pub(super) type Verdict = Result<Vec<Heard>, &'static str>;

/// An event that a step lets the application hear.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Heard {
    Ended(u32),
    State(&'static str),
    Mute(u32),
    Track(u32),
}

const INVALID_STATE: Verdict = Err("InvalidStateError");

impl Model {
    pub(super) fn new() -> Self {
        Model {
            state: S::Stable,
            transceivers: Vec::new(),
            owners: Vec::new(),
            next: 0,
            has_channel: false,
            needs_negotiation: false,
            current_local: None,
            pending_local: None,
            current_remote: None,
            pending_remote: None,
            last_offer: None,
            last_answer: None,
            last_stable: LastStable::default(),
        }
    }

    fn closed(&self) -> bool {
        self.state == S::Closed
    }

    // §5.1, §5.4: transceivers.

    pub(super) fn add_track(&mut self, kind: Kind) -> Verdict {
        if self.closed() {
            return INVALID_STATE;
        }
        let unused = self.transceivers.iter_mut().find(|it| {
            it.kind == kind && !it.has_track && !it.stopping && !it.stopped && !it.ever_sent
        });
        match unused {
            Some(it) => {
                it.has_track = true;
                it.by_add_track = true;
                it.direction = with_sending(it.direction, true);
            }
            None => self.create(kind, D::SendRecv, true),
        }
        Ok(Vec::new())
    }

    pub(super) fn add_transceiver(&mut self, kind: Kind) -> Verdict {
        if self.closed() {
            return INVALID_STATE;
        }
        self.create(kind, D::SendRecv, false);
        Ok(Vec::new())
    }

    fn create(&mut self, kind: Kind, direction: D, tracked: bool) {
        self.transceivers.push(Transceiver {
            number: self.next,
            kind,
            line: None,
            direction,
            current: None,
            fired: None,
            stopping: false,
            stopped: false,
            has_track: tracked,
            ever_sent: false,
            by_add_track: tracked,
            by_remote_offer: false,
        });
        self.next += 1;
    }

    /// Of the first sender that has a track.
    pub(super) fn remove_track(&mut self) -> Verdict {
        if self.closed() {
            return INVALID_STATE;
        }
        let found = self.transceivers.iter_mut().find(|it| it.has_track);
        if let Some(it) = found.filter(|it| !it.stopping) {
            it.has_track = false;
            it.direction = with_sending(it.direction, false);
        }
        Ok(Vec::new())
    }

    /// The first transceiver that is not stopping.
    pub(super) fn stop(&mut self) -> Verdict {
        if self.closed() {
            return INVALID_STATE;
        }
        if let Some(it) = self.transceivers.iter_mut().find(|it| !it.stopping) {
            it.stopping = true;
            it.direction = D::Inactive;
        }
        Ok(Vec::new())
    }

    pub(super) fn create_data_channel(&mut self) -> Verdict {
        if self.closed() {
            return INVALID_STATE;
        }
        self.has_channel = true;
        Ok(Vec::new())
    }

    pub(super) fn close(&mut self) -> Verdict {
        self.state = S::Closed;
        for it in &mut self.transceivers {
            it.stop();
        }
        Ok(Vec::new())
    }

    // RFC 9429 §5.2, §5.3: what descriptions hold.

    pub(super) fn create_offer(&mut self) -> Verdict {
        if !matches!(self.state, S::Stable | S::HaveLocalOffer) {
            return INVALID_STATE;
        }
        self.last_offer = Some(self.offer());
        Ok(Vec::new())
    }

    pub(super) fn create_answer(&mut self) -> Verdict {
        if !matches!(self.state, S::HaveRemoteOffer | S::HaveLocalPranswer) {
            return INVALID_STATE;
        }
        self.last_answer = Some(self.answer());
        Ok(Vec::new())
    }

    fn offer(&self) -> Lines {
        let mut waiting: Vec<&Transceiver> = self
            .transceivers
            .iter()
            .filter(|it| it.line.is_none() && !it.stopping)
            .collect();
        let mut data_waits = self.has_channel
            && !self
                .owners
                .iter()
                .any(|owner| owner.kind == Kind::Data && !owner.free);
        let mut lines = Vec::new();
        for owner in &self.owners {
            lines.push(if owner.free && !waiting.is_empty() {
                self.sent_line(waiting.remove(0))
            } else if owner.free && std::mem::take(&mut data_waits) {
                data_line()
            } else if owner.free {
                rejected_line(owner)
            } else if owner.kind == Kind::Data {
                data_line()
            } else {
                let it = owner.transceiver.and_then(|number| self.find(number));
                match it.filter(|it| !it.stopping) {
                    Some(it) => self.sent_line(it),
                    None => rejected_line(owner),
                }
            });
        }
        lines.extend(waiting.into_iter().map(|it| self.sent_line(it)));
        lines.extend(data_waits.then(data_line));
        lines
    }

    fn answer(&self) -> Lines {
        let offered = self
            .pending_remote
            .as_ref()
            .map(|offer| offer.lines.as_slice())
            .unwrap_or_default();
        let mut data_taken = false;
        let line = |(offered, owner): (&Line, &Owner)| {
            if offered.rejected {
                return rejected_line(owner);
            }
            if offered.kind == Kind::Data {
                return match std::mem::replace(&mut data_taken, true) {
                    true => rejected_line(owner),
                    false => data_line(),
                };
            }
            let it = owner.transceiver.and_then(|number| self.find(number));
            match it.filter(|it| !it.stopped) {
                None => rejected_line(owner),
                Some(it) => {
                    let direction = intersect(it.direction, reversed(offered.direction));
                    Line {
                        direction,
                        ..self.sent_line(it)
                    }
                }
            }
        };
        offered.iter().zip(&self.owners).map(line).collect()
    }

    fn sent_line(&self, it: &Transceiver) -> Line {
        let before = it
            .line
            .and_then(|index| self.current_local.as_ref()?.lines.get(index));
        Line {
            kind: it.kind,
            direction: it.direction,
            rejected: false,
            has_msid: sends(it.direction) || before.is_some_and(|line| line.has_msid),
            owner: Some(it.number),
        }
    }

    fn find(&self, number: u32) -> Option<&Transceiver> {
        self.transceivers.iter().find(|it| it.number == number)
    }

    // §4.4.1.5: set a session description.

    pub(super) fn rollback(&mut self) -> Verdict {
        if !matches!(self.state, S::HaveLocalOffer | S::HaveRemoteOffer) {
            return INVALID_STATE;
        }
        let remote = self.state == S::HaveRemoteOffer;
        let mut heard = vec![Heard::State("stable")];
        let stable = std::mem::take(&mut self.last_stable);
        self.owners = stable.owners;
        self.transceivers.retain_mut(|it| {
            let before = stable
                .associations
                .iter()
                .find(|(number, _)| *number == it.number);
            it.line = before.and_then(|(_, line)| *line);
            if remote {
                let direction = it.current.unwrap_or(D::Inactive);
                heard.extend(process_track(it, direction));
                it.fired = it.current;
            }
            // Created by the offer, and no track was ever given to it.
            let created = remote && before.is_none() && it.by_remote_offer && !it.by_add_track;
            if created {
                heard.push(Heard::Ended(it.number));
            }
            !created
        });
        self.pending_local = None;
        self.pending_remote = None;
        self.needs_negotiation = false;
        self.state = S::Stable;
        heard.sort();
        Ok(heard)
    }

    pub(super) fn set_local(&mut self, sdp_type: SdpType) -> Verdict {
        let offer = sdp_type == SdpType::Offer;
        let allowed = match sdp_type {
            SdpType::Rollback => return self.rollback(),
            SdpType::Offer => matches!(self.state, S::Stable | S::HaveLocalOffer),
            _ => matches!(self.state, S::HaveRemoteOffer | S::HaveLocalPranswer),
        };
        if !allowed {
            return INVALID_STATE;
        }
        let last = if offer {
            &self.last_offer
        } else {
            &self.last_answer
        };
        let lines = match last {
            Some(last) => last.clone(),
            None if offer => self.offer(),
            None => self.answer(),
        };
        if offer {
            self.last_offer.get_or_insert_with(|| lines.clone());
        } else {
            self.last_answer.get_or_insert_with(|| lines.clone());
        }
        let before = self.state;
        let mut heard = Vec::new();
        if offer {
            self.remember_stable();
            self.owners = lines
                .iter()
                .enumerate()
                .map(|(index, line)| Owner {
                    kind: line.kind,
                    transceiver: line.owner,
                    free: line.rejected && self.owners.get(index).is_none_or(|owner| owner.free),
                })
                .collect();
        }
        for (index, line) in lines.iter().enumerate() {
            let owner = self.owners[index].transceiver;
            let Some(it) = self
                .transceivers
                .iter_mut()
                .find(|it| Some(it.number) == owner)
            else {
                continue;
            };
            it.line = Some(index);
            if it.stopped || offer {
                continue;
            }
            if it.fired.is_some_and(receives) && !receives(line.direction) {
                heard.push(Heard::Mute(it.number));
            }
            it.current = Some(line.direction);
            it.fired = Some(line.direction);
            it.ever_sent |= sends(line.direction);
        }
        let description = Description { sdp_type, lines };
        match sdp_type {
            SdpType::Answer => {
                self.current_local = Some(description);
                self.current_remote = self.pending_remote.take();
                self.finish(&mut heard);
            }
            _ => {
                self.pending_local = Some(description);
                self.state = if offer {
                    S::HaveLocalOffer
                } else {
                    S::HaveLocalPranswer
                };
            }
        }
        self.hear_state(before, &mut heard);
        Ok(heard)
    }

    pub(super) fn set_remote(&mut self, description: &SessionDescription) -> Verdict {
        let sdp_type = description.sdp_type;
        let offer = sdp_type == SdpType::Offer;
        let allowed = match sdp_type {
            SdpType::Rollback => return self.rollback(),
            SdpType::Offer => {
                matches!(
                    self.state,
                    S::Stable | S::HaveRemoteOffer | S::HaveLocalOffer
                )
            }
            _ => matches!(self.state, S::HaveLocalOffer | S::HaveRemotePranswer),
        };
        if !allowed {
            return INVALID_STATE;
        }
        let mut heard = Vec::new();
        if offer && self.state == S::HaveLocalOffer {
            heard = self.rollback()?;
        }
        let rolled_back = heard.len();
        let before = self.state;
        let lines = lines_of(&description.sdp);
        if offer {
            self.remember_stable();
        }
        for (index, line) in lines.iter().enumerate() {
            self.set_remote_line(offer, index, line, &mut heard);
        }
        let description = Description { sdp_type, lines };
        match sdp_type {
            SdpType::Answer => {
                self.current_remote = Some(description);
                self.current_local = self.pending_local.take();
                self.finish(&mut heard);
            }
            _ => {
                self.pending_remote = Some(description);
                self.state = if offer {
                    S::HaveRemoteOffer
                } else {
                    S::HaveRemotePranswer
                };
            }
        }
        if self.state != before {
            heard.push(Heard::State(self.state.as_str()));
        }
        heard[rolled_back..].sort();
        Ok(heard)
    }

    fn set_remote_line(&mut self, offer: bool, index: usize, line: &Line, heard: &mut Vec<Heard>) {
        let fresh = Owner {
            kind: line.kind,
            transceiver: None,
            free: line.rejected,
        };
        match self.owners.get_mut(index) {
            None => self.owners.push(fresh),
            Some(owner) if offer && owner.free => *owner = fresh,
            Some(_) => {}
        }
        if line.kind == Kind::Data {
            return;
        }
        let number = match self.owners[index].transceiver {
            Some(number) => number,
            None if line.rejected => return,
            None => self.transceiver_for(line),
        };
        self.owners[index].transceiver = Some(number);
        let offered = self
            .pending_local
            .as_ref()
            .map(|local| local.lines[index].direction);
        let Some(it) = self.transceivers.iter_mut().find(|it| it.number == number) else {
            return;
        };
        it.line = Some(index);
        if it.stopped {
            return;
        }
        let mut direction = match line.rejected {
            true => D::Inactive,
            false => reversed(line.direction),
        };
        if let Some(offered) = offered.filter(|_| !offer) {
            direction = intersect(direction, offered);
        }
        heard.extend(process_track(it, direction));
        if !offer {
            it.current = Some(direction);
            it.ever_sent |= sends(direction);
        }
        if line.rejected {
            it.stop();
            heard.push(Heard::Ended(it.number));
        }
    }

    /// RFC 9429 §5.10.
    fn transceiver_for(&mut self, line: &Line) -> u32 {
        let waiting = self.transceivers.iter().find(|it| {
            it.kind == line.kind
                && it.by_add_track
                && it.line.is_none()
                && !it.stopping
                && receives(line.direction)
        });
        match waiting {
            Some(it) => it.number,
            None => {
                self.create(line.kind, D::RecvOnly, false);
                if let Some(made) = self.transceivers.last_mut() {
                    made.by_remote_offer = true;
                }
                self.next - 1
            }
        }
    }

    fn remember_stable(&mut self) {
        if self.state == S::Stable {
            self.last_stable = LastStable {
                associations: self
                    .transceivers
                    .iter()
                    .map(|it| (it.number, it.line))
                    .collect(),
                owners: self.owners.clone(),
            };
        }
    }

    fn finish(&mut self, heard: &mut Vec<Heard>) {
        self.pending_local = None;
        self.pending_remote = None;
        self.last_offer = None;
        self.last_answer = None;
        self.last_stable = LastStable::default();
        self.needs_negotiation = false;
        self.state = S::Stable;
        let (local, remote) = (&self.current_local, &self.current_remote);
        let rejected = |index: usize| {
            [local, remote]
                .into_iter()
                .flatten()
                .any(|it| it.lines[index].rejected)
        };
        for (index, owner) in self.owners.iter_mut().enumerate() {
            owner.free = rejected(index);
        }
        let owners = &mut self.owners;
        self.transceivers.retain_mut(|it| {
            it.by_remote_offer = false;
            let Some(line) = it.line else {
                // Never described, and never will be.
                if it.stopping {
                    heard.push(Heard::Ended(it.number));
                }
                return !it.stopping;
            };
            if it.stopped && owners[line].free {
                owners[line].transceiver = None;
                return false;
            }
            true
        });
    }

    fn hear_state(&self, before: S, heard: &mut Vec<Heard>) {
        if self.state != before {
            heard.push(Heard::State(self.state.as_str()));
        }
        heard.sort();
    }

    /// §4.7.3: "check if negotiation is needed".
    fn is_negotiation_needed(&self) -> bool {
        let local = self.current_local.as_ref();
        let has_data = local.is_some_and(|local| {
            local
                .lines
                .iter()
                .any(|line| line.kind == Kind::Data && !line.rejected)
        });
        if self.has_channel && !has_data {
            return true;
        }
        self.transceivers.iter().any(|it| {
            if it.stopping && !it.stopped {
                return true;
            }
            let described = it.line.and_then(|index| local?.lines.get(index));
            let theirs = it
                .line
                .and_then(|index| self.current_remote.as_ref()?.lines.get(index));
            let (Some(line), Some(local)) = (described, local) else {
                return !it.stopped;
            };
            if it.stopped {
                return !line.rejected && !theirs.is_some_and(|theirs| theirs.rejected);
            }
            if sends(it.direction) && !line.has_msid {
                return true;
            }
            let theirs = theirs.map_or(D::Inactive, |theirs| reversed(theirs.direction));
            match local.sdp_type {
                SdpType::Offer => line.direction != it.direction && theirs != it.direction,
                _ => line.direction != intersect(it.direction, theirs),
            }
        })
    }

    /// §4.7.3: "update the negotiation-needed flag"; whether the event fires.
    pub(super) fn update_negotiation_needed(&mut self) -> bool {
        if self.state != S::Stable {
            return false;
        }
        let needed = self.is_negotiation_needed();
        let before = std::mem::replace(&mut self.needs_negotiation, needed);
        needed && !before
    }

    /// Compares everything that can be seen.
    pub(super) fn agrees_with(&self, jsep: &Jsep, context: &dyn std::fmt::Debug) {
        assert_eq!(self.state, jsep.state, "{context:?}");
        if self.closed() {
            return;
        }
        let descriptions = [
            ("current local", &self.current_local, &jsep.current_local),
            ("pending local", &self.pending_local, &jsep.pending_local),
            ("current remote", &self.current_remote, &jsep.current_remote),
            ("pending remote", &self.pending_remote, &jsep.pending_remote),
        ];
        for (name, model, real) in descriptions {
            let model = model.as_ref().map(|it| {
                let lines: Vec<Line> = it.lines.iter().map(Line::anonymous).collect();
                (it.sdp_type, lines)
            });
            let real = real.as_ref().map(|it| {
                let sdp = super::super::to_description(it).sdp;
                (it.sdp_type, lines_of(&sdp))
            });
            assert_eq!(model, real, "{name} after {context:?}");
        }
        let model: Vec<_> = self
            .transceivers
            .iter()
            .map(|it| {
                (
                    it.number,
                    it.line.is_some(),
                    it.direction,
                    it.current,
                    it.stopping,
                    it.stopped,
                    it.has_track,
                )
            })
            .collect();
        let real: Vec<_> = jsep
            .transceivers
            .iter()
            .map(|it| {
                (
                    it.id.0,
                    it.mid.is_some(),
                    it.direction,
                    it.current_direction,
                    it.stopping,
                    it.stopped,
                    it.sender.track.is_some(),
                )
            })
            .collect();
        assert_eq!(model, real, "transceivers after {context:?}");
        if self.state == S::Stable {
            assert_eq!(
                self.is_negotiation_needed(),
                jsep.is_negotiation_needed(),
                "negotiation needed after {context:?}"
            );
        }
    }
}

impl Line {
    fn anonymous(&self) -> Line {
        Line {
            owner: None,
            ..self.clone()
        }
    }
}

/// "Process remote tracks", with streams left out.
fn process_track(it: &mut Transceiver, direction: D) -> Option<Heard> {
    let fired = it.fired.replace(direction).is_some_and(receives);
    match (fired, receives(direction)) {
        (false, true) => Some(Heard::Track(it.number)),
        (true, false) => Some(Heard::Mute(it.number)),
        _ => None,
    }
}

/// The events behind notices.
pub(super) fn heard(notices: &[Notice]) -> Vec<Heard> {
    let mut heard: Vec<Heard> = notices
        .iter()
        .filter_map(|notice| match notice {
            Notice::Signaling(state) => Some(Heard::State(state.as_str())),
            Notice::Track(id) => Some(Heard::Track(id.0)),
            Notice::Mute(id) => Some(Heard::Mute(id.0)),
            Notice::Stopped(id) => Some(Heard::Ended(id.0)),
            // Of streams, nothing is written down.
            Notice::Leave(..) | Notice::Join(..) => None,
        })
        .collect();
    // Among events of one kind the order of the lines is that of the transceivers, but not after recycling.
    let alike = |one: &Heard, two: &Heard| {
        !matches!(one, Heard::State(_))
            && std::mem::discriminant(one) == std::mem::discriminant(two)
    };
    heard.chunk_by_mut(alike).for_each(<[Heard]>::sort);
    heard
}

/// Reads the lines of a description with nothing but the SDP crate.
fn lines_of(sdp: &str) -> Lines {
    let session = ::sdp::SessionDescription::parse(sdp).expect("SDP");
    session
        .media
        .iter()
        .map(|media| {
            let kind = match media.kind() {
                ::sdp::MediaKind::Audio => Kind::Audio,
                ::sdp::MediaKind::Video => Kind::Video,
                _ => Kind::Data,
            };
            let direction = match session.direction(media) {
                ::sdp::attributes::Direction::SendRecv => D::SendRecv,
                ::sdp::attributes::Direction::SendOnly => D::SendOnly,
                ::sdp::attributes::Direction::RecvOnly => D::RecvOnly,
                ::sdp::attributes::Direction::Inactive => D::Inactive,
            };
            let rejected = media.is_rejected();
            Line {
                kind,
                direction: match kind {
                    Kind::Data if !rejected => D::SendRecv,
                    _ => direction,
                },
                rejected,
                has_msid: media.msids().next().is_some(),
                owner: None,
            }
        })
        .collect()
}

fn data_line() -> Line {
    Line {
        kind: Kind::Data,
        direction: D::SendRecv,
        rejected: false,
        has_msid: false,
        owner: None,
    }
}

fn rejected_line(owner: &Owner) -> Line {
    Line {
        kind: owner.kind,
        direction: D::Inactive,
        rejected: true,
        has_msid: false,
        owner: owner.transceiver,
    }
}

fn sends(direction: D) -> bool {
    matches!(direction, D::SendRecv | D::SendOnly)
}

fn receives(direction: D) -> bool {
    matches!(direction, D::SendRecv | D::RecvOnly)
}

fn of(sends: bool, receives: bool) -> D {
    match (sends, receives) {
        (true, true) => D::SendRecv,
        (true, false) => D::SendOnly,
        (false, true) => D::RecvOnly,
        (false, false) => D::Inactive,
    }
}

fn with_sending(direction: D, sending: bool) -> D {
    of(sending, receives(direction))
}

fn reversed(direction: D) -> D {
    of(receives(direction), sends(direction))
}

fn intersect(one: D, two: D) -> D {
    of(sends(one) && sends(two), receives(one) && receives(two))
}
