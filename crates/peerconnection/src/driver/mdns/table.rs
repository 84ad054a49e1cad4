//! Which names are published and which are wanted; when something is to be sent. No sockets, no clock.

use super::messages::{self, Message, TTL};
use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// RFC 6762 §8.3: a second announcement, one second after the first.
const ANNOUNCE_AGAIN: Duration = Duration::from_secs(1);
/// RFC 6762 §6: an answer is not sent again within a second.
const ANSWER_INTERVAL: Duration = Duration::from_secs(1);
/// RFC 6762 §5.2: between the first two questions; then it doubles.
const ASK_AGAIN: Duration = Duration::from_secs(1);
/// How long a name is asked for.
const ASK_LIMIT: Duration = Duration::from_secs(5);
/// Names asked for at a time; further ones are not found.
const MOST_WANTED: usize = 256;

#[derive(Debug, Default)]
pub(super) struct Table {
    published: HashMap<String, Published>,
    wanted: HashMap<String, Wanted>,
    farewells: Vec<(String, IpAddr)>,
    pub(super) closed: bool,
}

#[derive(Debug)]
struct Published {
    address: IpAddr,
    announce_at: Option<Instant>,
    announced: bool,
    asked: bool,
    answered_at: Option<Instant>,
}

#[derive(Debug)]
struct Wanted {
    waiters: Vec<oneshot::Sender<Option<IpAddr>>>,
    ask_at: Instant,
    interval: Duration,
    until: Instant,
}

impl Table {
    pub(super) fn publish(&mut self, now: Instant, name: &str, address: IpAddr) {
        // No probing (RFC 6762 §8.1): 122 random bits are unique.
        let published = Published {
            address,
            announce_at: Some(now),
            announced: false,
            asked: false,
            answered_at: None,
        };
        self.published.insert(name.to_owned(), published);
    }

    pub(super) fn withdraw(&mut self, name: &str) {
        if let Some(published) = self.published.remove(name) {
            self.farewells.push((name.to_owned(), published.address));
        }
    }

    pub(super) fn want(
        &mut self,
        now: Instant,
        name: String,
        waiter: oneshot::Sender<Option<IpAddr>>,
    ) {
        if let Some(published) = self.published.get(&name) {
            let _ = waiter.send(Some(published.address));
        } else if let Some(wanted) = self.wanted.get_mut(&name) {
            wanted.waiters.push(waiter);
        } else if self.wanted.len() < MOST_WANTED {
            let wanted = Wanted {
                waiters: vec![waiter],
                ask_at: now,
                interval: ASK_AGAIN,
                until: now + ASK_LIMIT,
            };
            self.wanted.insert(name, wanted);
        }
    }

    /// Takes what the network says.
    pub(super) fn take(&mut self, now: Instant, message: &Message) {
        match message {
            Message::Query(names) => {
                for name in names {
                    if let Some(published) = self.published.get_mut(name) {
                        let early = (published.answered_at)
                            .is_some_and(|at| now.duration_since(at) < ANSWER_INTERVAL);
                        published.asked |= !early;
                    }
                }
            }
            Message::Response(addresses) => {
                for (name, address) in addresses {
                    for waiter in (self.wanted.remove(name).into_iter()).flat_map(|one| one.waiters)
                    {
                        let _ = waiter.send(Some(*address));
                    }
                }
            }
        }
    }

    /// The messages that are due.
    pub(super) fn poll_transmit(&mut self, now: Instant) -> Vec<Vec<u8>> {
        if self.closed {
            let all = self.published.drain();
            self.farewells
                .extend(all.map(|(name, published)| (name, published.address)));
        }
        let mut messages = Vec::new();
        // A few names a message, so that each fits one Ethernet frame.
        for names in self.farewells.chunks(8) {
            messages.extend(messages::response(names, 0));
        }
        self.farewells.clear();
        let mut answers = Vec::new();
        for (name, published) in &mut self.published {
            let announces = published.announce_at.is_some_and(|at| at <= now);
            if announces {
                let first = !std::mem::replace(&mut published.announced, true);
                published.announce_at = first.then(|| now + ANNOUNCE_AGAIN);
            }
            // Announcements do not count against answers: nobody knew the name yet.
            let answers_now = std::mem::take(&mut published.asked);
            if answers_now {
                published.answered_at = Some(now);
            }
            if announces || answers_now {
                answers.push((name.clone(), published.address));
            }
        }
        for names in answers.chunks(8) {
            messages.extend(messages::response(names, TTL));
        }
        // Dropping the waiters tells them.
        self.wanted.retain(|_, wanted| wanted.until > now);
        for (name, wanted) in &mut self.wanted {
            if wanted.ask_at <= now {
                wanted.ask_at = now + wanted.interval;
                wanted.interval *= 2;
                messages.extend(messages::query(name));
            }
        }
        messages
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let announce = (self.published.values()).filter_map(|published| published.announce_at);
        let ask = (self.wanted.values()).map(|wanted| wanted.ask_at.min(wanted.until));
        announce.chain(ask).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: &str = "a.local";

    #[expect(clippy::disallowed_methods, reason = "any point in time will do")]
    fn start() -> Instant {
        Instant::now()
    }

    #[test]
    fn a_name_is_announced_twice_answered_once_a_second_and_bid_farewell() {
        let (mut table, now) = (Table::default(), start());
        let at = |milliseconds| now + Duration::from_millis(milliseconds);
        let address = IpAddr::from([192, 0, 2, 1]);
        let said = |messages: &[Vec<u8>]| messages.iter().filter_map(|m| messages::read(m)).count();
        table.publish(now, NAME, address);
        assert_eq!(said(&table.poll_transmit(now)), 1);
        let asks = Message::Query(vec![NAME.into()]);
        table.take(at(100), &asks);
        assert_eq!(said(&table.poll_transmit(at(100))), 1, "at once");
        table.take(at(200), &asks);
        assert_eq!(said(&table.poll_transmit(at(200))), 0, "too soon");
        assert_eq!(table.poll_timeout(), Some(at(1000)));
        assert_eq!(said(&table.poll_transmit(at(1000))), 1, "announced again");
        assert_eq!(table.poll_timeout(), None);
        table.take(at(1200), &asks);
        assert_eq!(said(&table.poll_transmit(at(1200))), 1);
        table.withdraw(NAME);
        let farewell = table.poll_transmit(at(1300));
        assert_eq!(
            messages::read(&farewell[0]),
            Some(Message::Response(Vec::new()))
        );
    }

    #[test]
    fn a_name_is_asked_for_with_growing_patience_until_it_is_given_up() {
        let (mut table, now) = (Table::default(), start());
        let (waiter, mut answer) = oneshot::channel();
        table.want(now, NAME.into(), waiter);
        let mut asked = Vec::new();
        let mut at = now;
        while let Some(due) = table.poll_timeout() {
            at = due.max(at);
            if !table.poll_transmit(at).is_empty() {
                asked.push(at.duration_since(now).as_secs());
            }
        }
        assert_eq!(asked, [0, 1, 3]);
        assert_eq!(at, now + ASK_LIMIT);
        assert!(answer.try_recv().is_err());
    }

    #[test]
    fn answers_nobody_asked_for_leave_nothing_behind() {
        let (mut table, now) = (Table::default(), start());
        let unasked = Message::Response(vec![(NAME.into(), IpAddr::from([192, 0, 2, 1]))]);
        table.take(now, &unasked);
        let (waiter, mut answer) = oneshot::channel();
        table.want(now, NAME.into(), waiter);
        assert!(answer.try_recv().is_err());
        table.take(now, &unasked);
        assert_eq!(answer.try_recv(), Ok(Some(IpAddr::from([192, 0, 2, 1]))));
    }
}
