//! What the association has for the channels: messages, DCEP, resets, its end.

use std::time::Instant;

use bytes::Bytes;

use super::channel::{Channel, Incoming};
use super::dcep::{Dcep, ppid};
use super::{
    ChannelError, ChannelId, ChannelState, DataChannels, Event, MAX_STREAM_ID, MAX_UNSEEN, Message,
    MessageKind,
};
use crate::CloseReason;
use crate::association::{self, Received};

impl DataChannels {
    /// Takes what the association has for the channels.
    pub(super) fn drain(&mut self, now: Instant) {
        while let Some(received) = self.association.take_message() {
            self.on_message(now, received);
        }
        self.drain_events(now);
    }

    pub(super) fn drain_events(&mut self, now: Instant) {
        while let Some(event) = self.association.poll_event() {
            self.on_event(now, event);
        }
    }

    fn on_event(&mut self, now: Instant, event: association::Event) {
        match event {
            association::Event::Connected => self.on_connected(),
            association::Event::BufferedAmountLow(stream) => {
                if let Some(&id) = self.by_stream.get(&stream) {
                    self.events
                        .push_back(Event::BufferedAmountLow(ChannelId(id)));
                }
            }
            association::Event::IncomingReset(streams) => self.on_incoming_reset(now, &streams),
            association::Event::OutgoingReset(streams)
            | association::Event::ResetRefused(streams) => {
                for stream in streams {
                    self.on_half_closed(stream, |channel| channel.outgoing_reset = true);
                }
            }
            association::Event::Closed(reason) => self.on_closed(reason),
            _ => {}
        }
    }

    fn on_connected(&mut self) {
        let max_channels = self.stream_limit();
        self.events.push_back(Event::Connected { max_channels });
        let mut bound: Vec<(u16, u32)> = self.by_stream.iter().map(|(s, id)| (*s, *id)).collect();
        bound.sort_unstable();
        for (stream, id) in bound {
            if stream >= max_channels {
                self.finish(id, Some(ChannelError::NoStream));
            } else {
                self.open_bound(id);
            }
        }
    }

    pub(super) fn on_closed(&mut self, reason: CloseReason) {
        if self.closed.is_some() {
            return;
        }
        self.closed = Some(reason.clone());
        let mut ids: Vec<u32> = self.channels.keys().copied().collect();
        ids.sort_unstable();
        let error = match &reason {
            CloseReason::Shutdown | CloseReason::AbortedHere => None,
            other => Some(ChannelError::Association(other.clone())),
        };
        for id in ids {
            self.finish(id, error.clone());
        }
        self.events.push_back(Event::Closed(reason));
    }

    /// The peer will send nothing more on these streams: it closes the channels, and so do we (RFC 8831 §6.7).
    fn on_incoming_reset(&mut self, now: Instant, streams: &[u16]) {
        for &stream in streams {
            let Some(&id) = self.by_stream.get(&stream) else {
                continue;
            };
            if let Some(channel) = self.channels.get_mut(&id)
                && channel.state != ChannelState::Closing
            {
                channel.state = ChannelState::Closing;
                self.events.push_back(Event::ChannelClosing(ChannelId(id)));
                self.close_stream(now, stream);
            }
            self.on_half_closed(stream, |channel| channel.incoming_reset = true);
        }
    }

    /// One direction is reset; with both, the channel is closed and its id free.
    fn on_half_closed(&mut self, stream: u16, note: impl Fn(&mut Channel)) {
        let Some(&id) = self.by_stream.get(&stream) else {
            return;
        };
        let Some(channel) = self.channels.get_mut(&id) else {
            return;
        };
        note(channel);
        if channel.incoming_reset && channel.outgoing_reset {
            self.finish(id, None);
        }
    }

    /// A channel is over. What was received stays readable.
    pub(super) fn finish(&mut self, id: u32, error: Option<ChannelError>) {
        let Some(channel) = self.channels.get_mut(&id) else {
            return;
        };
        if channel.state == ChannelState::Closed {
            return;
        }
        channel.state = ChannelState::Closed;
        let unsent = channel
            .stream
            .map_or(0, |stream| self.association.buffered_amount(stream));
        if unsent > 0 {
            self.unsent.insert(id, unsent);
        }
        if let Some(stream) = channel.stream
            && self.by_stream.get(&stream) == Some(&id)
        {
            self.by_stream.remove(&stream);
        }
        if channel.incoming.is_empty() {
            self.channels.remove(&id);
        }
        self.events
            .push_back(Event::ChannelClosed(ChannelId(id), error));
    }

    fn on_message(&mut self, now: Instant, received: Received) {
        if received.ppid == ppid::DCEP {
            self.association.consume(received.cost());
            self.on_dcep(now, received.stream, &received.payload);
            return;
        }
        let cost = received.cost();
        let Some(message) = message_of(received.ppid, received.payload) else {
            // Not a PPID of data channels: RFC 8831 has no use for it.
            self.association.consume(cost);
            return;
        };
        let channel = self
            .by_stream
            .get(&received.stream)
            .and_then(|id| Some((*id, self.channels.get_mut(id)?)));
        let Some((id, channel)) = channel else {
            // Data before OPEN on a stream nobody negotiated (RFC 8832 §6 has none).
            self.association.consume(cost);
            return;
        };
        // Whoever has closed a channel hears nothing more of it (W3C WebRTC §6.2, "receiving messages").
        if channel.state == ChannelState::Closing {
            self.association.consume(cost);
            return;
        }
        channel.stats.messages_received += 1;
        channel.stats.bytes_received += message.payload.len() as u64;
        channel.incoming.push_back(Incoming { message, cost });
        if !channel.readable_told {
            channel.readable_told = true;
            self.events.push_back(Event::Readable(ChannelId(id)));
        }
    }

    fn on_dcep(&mut self, now: Instant, stream: u16, bytes: &[u8]) {
        let known = self.by_stream.get(&stream).copied();
        match (Dcep::parse(bytes), known) {
            (Ok(Dcep::Ack), Some(id)) => {
                if let Some(channel) = self.channels.get_mut(&id) {
                    channel.awaits_ack = false;
                }
            }
            (Ok(Dcep::Open(config)), None)
                if stream <= MAX_STREAM_ID && self.unseen < MAX_UNSEEN =>
            {
                let mut channel = Channel::new(config);
                channel.state = ChannelState::Open;
                let id = self.insert(channel);
                self.bind(id, stream);
                self.association
                    .send_control(stream, ppid::DCEP, Dcep::Ack.write().into());
                self.unseen += 1;
                self.events.push_back(Event::ChannelIncoming(ChannelId(id)));
            }
            (error, _) => {
                // §6: an OPEN that cannot be served, or nonsense, closes the stream.
                tracing::debug!(?error, stream, "DCEP message refused");
                self.dcep_errors += 1;
                if known.is_none() {
                    self.association.reset_streams(now, &[stream]);
                }
            }
        }
    }
}

/// Text or bytes by PPID; `None` for one that is no data channel's.
fn message_of(ppid: u32, payload: Bytes) -> Option<Message> {
    let (kind, payload) = match ppid {
        ppid::STRING | ppid::STRING_PARTIAL => (MessageKind::String, payload),
        ppid::BINARY | ppid::BINARY_PARTIAL => (MessageKind::Binary, payload),
        ppid::STRING_EMPTY => (MessageKind::String, Bytes::new()),
        ppid::BINARY_EMPTY => (MessageKind::Binary, Bytes::new()),
        _ => return None,
    };
    Some(Message { kind, payload })
}
