//! Socket calls of a script, on an association.

use std::time::Duration;

use bytes::Bytes;
use sctp::association::SendOptions;
use sctp::{CloseReason, Config, Reliability};

use super::run::{Runner, Stop};
use super::script::{Call, Event, Value, What, lookup};

fn not_applicable<T>(what: impl Into<String>) -> Result<T, Stop> {
    Err(Stop::NotApplicable(what.into()))
}

fn millis(number: i64) -> Duration {
    Duration::from_millis(number.max(0) as u64)
}

/// Options that change nothing here: notifications are events, and there is one path.
const HARMLESS: [&str; 12] = [
    "SCTP_NODELAY",
    "SCTP_EVENT",
    "SCTP_EVENTS",
    "SCTP_RECVRCVINFO",
    "SCTP_RECVNXTINFO",
    "SCTP_FRAGMENT_INTERLEAVE",
    "SCTP_ENABLE_STREAM_RESET",
    "SCTP_DISABLE_FRAGMENTS",
    "SO_REUSEADDR",
    "SO_SNDBUF",
    "SCTP_PR_SUPPORTED",
    "SCTP_I_WANT_MAPPED_V4_ADDR",
];

/// What the script sets before its first data is how the association is made: options of a socket can change at any
/// time, an association's cannot.
pub fn configure(config: &mut Config, events: &[Event]) -> Result<(), Stop> {
    let handshake = ["INIT", "INIT_ACK", "COOKIE_ECHO", "COOKIE_ACK"];
    for event in events {
        match &event.what {
            What::Call(call) if is_send(&call.name) => break,
            What::Inbound(packet) | What::Outbound(packet)
                if !packet
                    .chunks
                    .iter()
                    .any(|chunk| handshake.contains(&chunk.name.as_str())) =>
            {
                break;
            }
            What::Call(call) if call.name == "setsockopt" => {
                set(config, call);
            }
            What::Command(command) => {
                if let Some((name, value)) = command.rsplit_once('=')
                    && let Some(name) = name.split_whitespace().last()
                    && let Ok(value) = value.trim().parse()
                {
                    sysctl(config, name, value);
                }
            }
            _ => {}
        }
    }
    Ok(())
}

fn is_send(name: &str) -> bool {
    matches!(name, "write" | "send" | "sendto" | "sendmsg") || name.starts_with("sctp_send")
}

fn sysctl(config: &mut Config, name: &str, value: i64) {
    match name.rsplit('.').next().unwrap_or(name) {
        "rto_min" => config.rto.min = millis(value),
        "rto_initial" => config.rto.initial = millis(value),
        "rto_max" => config.rto.max = millis(value),
        "assoc_rtx_max" => config.max_retransmits = Some(value as u32),
        "init_rtx_max" => config.max_init_retransmits = value as u32,
        "init_rto_max" => config.max_init_interval = millis(value),
        "delayed_sack_time" => config.delayed_ack = millis(value),
        _ => {}
    }
}

/// Sets an option; `false` where there is none like it.
fn set(config: &mut Config, call: &Call) -> bool {
    let fields = call.arguments.get(3).map_or(&[][..], Value::braces);
    let number = |name| lookup(fields, name).and_then(Value::number);
    let positive = |name| number(name).filter(|n| *n > 0);
    match call.word(2) {
        "SCTP_RTOINFO" => {
            if let Some(n) = positive("srto_initial") {
                config.rto.initial = millis(n);
            }
            if let Some(n) = positive("srto_min") {
                config.rto.min = millis(n);
            }
            if let Some(n) = positive("srto_max") {
                config.rto.max = millis(n);
                config.max_init_interval = millis(n);
            }
        }
        "SCTP_INITMSG" => {
            if let Some(n) = positive("sinit_num_ostreams") {
                config.outbound_streams = n as u16;
            }
            if let Some(n) = positive("sinit_max_instreams") {
                config.inbound_streams = n as u16;
            }
            if let Some(n) = positive("sinit_max_attempts") {
                config.max_init_retransmits = n as u32;
            }
            if let Some(n) = positive("sinit_max_init_timeo") {
                config.max_init_interval = millis(n);
            }
        }
        "SCTP_ASSOCINFO" => {
            if let Some(n) = positive("sasoc_asocmaxrxt") {
                config.max_retransmits = Some(n as u32);
            }
            if let Some(n) = positive("sasoc_cookie_life") {
                config.cookie_lifetime = millis(n);
            }
        }
        "SCTP_DELAYED_SACK" => {
            if let Some(n) = positive("sack_delay") {
                config.delayed_ack = millis(n);
            }
        }
        "SCTP_PEER_ADDR_PARAMS" => {
            let flags = lookup(fields, "spp_flags").map_or("", Value::word);
            if flags.contains("SPP_HB_ENABLE") {
                config.heartbeat_interval =
                    Some(millis(number("spp_hbinterval").unwrap_or(30_000)));
            } else if flags.contains("SPP_HB_DISABLE") {
                config.heartbeat_interval = None;
            }
            if let Some(n) = positive("spp_pathmtu") {
                // IPv4's header is not counted here.
                config.packet_size = n as usize - 20;
            }
        }
        "SCTP_INTERLEAVING_SUPPORTED" => config.interleaving = number("assoc_value") == Some(1),
        "SCTP_ACCEPT_ZERO_CHECKSUM" => config.zero_checksum = true,
        _ => return HARMLESS.contains(&call.word(2)),
    }
    true
}

impl Runner {
    pub fn call(&mut self, call: &Call) -> Result<(), Stop> {
        match call.name.as_str() {
            "socket" => self.socket = call.result,
            "listen" => {
                self.listening = call.number(0);
                self.socket = None;
            }
            "bind" | "fcntl" | "ioctl" => {}
            "accept" => return self.accept(call),
            "connect" => self.association.connect(self.instant()),
            "setsockopt" => return self.set_option(call),
            "getsockopt" => return self.get_option(call),
            "shutdown" => {
                if call.word(1) != "SHUT_RD" {
                    self.association.shutdown(self.instant());
                }
            }
            "close" => self.close(call),
            "read" | "recv" | "sctp_recvmsg" => return self.read(call),
            name if is_send(name) => return self.send(call),
            other => return not_applicable(format!("call {other}")),
        }
        Ok(())
    }

    fn accept(&mut self, call: &Call) -> Result<(), Stop> {
        let ready = self.was_connected && self.socket.is_none();
        match call.result {
            Some(descriptor) if descriptor >= 0 => {
                if !ready {
                    return Err(Stop::Failed("no association to accept".into()));
                }
                self.socket = Some(descriptor);
            }
            _ if ready => return Err(Stop::Failed("an association to accept".into())),
            _ => {}
        }
        Ok(())
    }

    fn close(&mut self, call: &Call) {
        let descriptor = call.number(0);
        if descriptor == self.listening {
            self.listening = None;
            // Without an accept, the association in the queue goes on here: nobody else ends it.
            self.socket = self.socket.or(descriptor);
            return;
        }
        if self.abort_on_close {
            self.association.abort(self.instant(), "");
        } else {
            self.association.shutdown(self.instant());
        }
    }

    fn set_option(&mut self, call: &Call) -> Result<(), Stop> {
        let value = call.arguments.get(3);
        let fields = value.map_or(&[][..], Value::braces);
        if call.result.is_some_and(|result| result < 0) {
            return not_applicable(format!("a refusal of socket option {}", call.word(2)));
        }
        match call.word(2) {
            "SO_LINGER" => {
                let number = |name| lookup(fields, name).and_then(Value::number);
                self.abort_on_close = number("onoff") == Some(1) && number("linger") == Some(0);
            }
            "SCTP_RESET_STREAMS" => {
                let flags = lookup(fields, "srs_flags").map_or("", Value::word);
                if flags != "SCTP_STREAM_RESET_OUTGOING" {
                    return not_applicable(format!("a reset of kind {flags}"));
                }
                let streams: Vec<u16> = match lookup(fields, "srs_stream_list") {
                    Some(Value::List(list)) => list
                        .iter()
                        .filter_map(Value::number)
                        .map(|n| n as u16)
                        .collect(),
                    _ => Vec::new(),
                };
                self.association.reset_streams(self.instant(), &streams);
            }
            "SCTP_DEFAULT_PRINFO" => self.reliability = reliability(fields)?,
            option => {
                let mut config = self.config.clone();
                if !set(&mut config, call) {
                    return not_applicable(format!("socket option {option}"));
                }
                if format!("{config:?}") != format!("{:?}", self.config) {
                    return not_applicable(format!("socket option {option} after the first data"));
                }
            }
        }
        Ok(())
    }

    fn get_option(&mut self, call: &Call) -> Result<(), Stop> {
        if call.word(2) != "SO_ERROR" {
            return not_applicable(format!("socket option {}", call.word(2)));
        }
        let failed = !matches!(self.closed, None | Some(CloseReason::Shutdown));
        match call.arguments.get(3) {
            Some(Value::List(list)) if list.first() == Some(&Value::Number(0)) && failed => {
                Err(Stop::Failed(format!("ended: {:?}", self.closed)))
            }
            Some(Value::List(list)) if matches!(list.first(), Some(Value::Word(_))) && !failed => {
                Err(Stop::Failed("not ended".into()))
            }
            _ => Ok(()),
        }
    }

    fn read(&mut self, call: &Call) -> Result<(), Stop> {
        let room = call.number(2).unwrap_or(i64::MAX) as usize;
        let next = self.rest.take();
        let next = next.or_else(|| self.association.read(self.instant()).map(|m| (m, 0)));
        let found = match next {
            Some((message, from)) => {
                self.check_info(call, &message)?;
                let length = (message.payload.len() - from).min(room);
                if from + length < message.payload.len() {
                    self.rest = Some((message, from + length));
                }
                length as i64
            }
            // The end of the stream, or nothing yet.
            None if self.association.is_closed() || self.closed.is_some() => 0,
            None => -1,
        };
        // Both say that the peer's messages are over.
        let over = found == 0 && call.result == Some(-1) && call.error.as_deref() != Some("EAGAIN");
        if call.result.is_some_and(|wanted| wanted != found) && !over {
            let wanted = call.result;
            return Err(Stop::Failed(format!("read {found}, expected {wanted:?}")));
        }
        Ok(())
    }

    /// What `sctp_recvmsg` tells about a message.
    fn check_info(&self, call: &Call, message: &sctp::association::Received) -> Result<(), Stop> {
        let fields = call.arguments.get(5).map_or(&[][..], Value::braces);
        for (name, found) in [
            ("sinfo_stream", i64::from(message.stream)),
            ("sinfo_ppid", i64::from(message.ppid)),
        ] {
            let wanted = lookup(fields, name).and_then(Value::number);
            if wanted.is_some_and(|wanted| wanted != found) {
                return Err(Stop::Failed(format!("{name}={found}, expected {wanted:?}")));
            }
        }
        Ok(())
    }

    fn send(&mut self, call: &Call) -> Result<(), Stop> {
        let mut options = SendOptions {
            reliability: self.reliability,
            ..SendOptions::default()
        };
        let mut size = call.number(2).unwrap_or(0);
        match call.name.as_str() {
            "write" | "send" | "sendto" => {}
            "sctp_sendmsg" => {
                options.ppid = call.number(5).unwrap_or(0) as u32;
                options.unordered = call.word(6).contains("SCTP_UNORDERED");
                options.stream = call.number(7).unwrap_or(0) as u16;
                if call.word(6).contains("SCTP_ABORT") {
                    self.association.abort(self.instant(), "");
                    return Ok(());
                }
                let lifetime = call.number(8).unwrap_or(0);
                if call.word(6).contains("SCTP_PR_SCTP_RTX") {
                    options.reliability = Reliability::MaxRetransmits(lifetime as u16);
                } else if lifetime > 0 {
                    options.reliability = Reliability::MaxPacketLifeTime(millis(lifetime));
                }
            }
            "sctp_send" | "sctp_sendv" => {
                let fields = call.arguments.iter().find_map(|v| match v {
                    Value::Braces(fields) => Some(fields.as_slice()),
                    _ => None,
                });
                let fields = fields.unwrap_or(&[]);
                if call.name == "sctp_sendv" {
                    size = vectors(call.arguments.get(1));
                }
                sender_info(&mut options, fields)?;
            }
            other => return not_applicable(format!("call {other}")),
        }
        let payload = Bytes::from(vec![0x42; size.max(0) as usize]);
        let sent = self.association.send(self.instant(), options, payload);
        if sent.is_ok() != call.result.is_none_or(|result| result >= 0) {
            return Err(Stop::Failed(format!("sending gave {sent:?}")));
        }
        Ok(())
    }
}

/// The bytes of `[{..., 1000}, …]`.
fn vectors(value: Option<&Value>) -> i64 {
    let Some(Value::List(list)) = value else {
        return 0;
    };
    let length = |vector: &Value| vector.braces().last().and_then(|(_, v)| v.number());
    list.iter().filter_map(length).sum()
}

/// `snd_…` and `pr_…`, at the top or inside `sendv_sndinfo` and `sendv_prinfo`.
fn sender_info(options: &mut SendOptions, fields: &[(String, Value)]) -> Result<(), Stop> {
    for (name, value) in fields {
        match name.as_str() {
            "snd_sid" => options.stream = value.number().unwrap_or(0) as u16,
            "snd_ppid" => options.ppid = value.number().unwrap_or(0) as u32,
            "snd_flags" => options.unordered = value.word().contains("SCTP_UNORDERED"),
            "sendv_sndinfo" => sender_info(options, value.braces())?,
            "sendv_prinfo" => options.reliability = reliability(value.braces())?,
            "pr_policy" => options.reliability = reliability(fields)?,
            _ => {}
        }
    }
    Ok(())
}

fn reliability(fields: &[(String, Value)]) -> Result<Reliability, Stop> {
    let value = lookup(fields, "pr_value").and_then(Value::number);
    let value = value.unwrap_or(0);
    match lookup(fields, "pr_policy").map_or("", Value::word) {
        "SCTP_PR_SCTP_NONE" | "" => Ok(Reliability::Reliable),
        "SCTP_PR_SCTP_TTL" => Ok(Reliability::MaxPacketLifeTime(millis(value))),
        "SCTP_PR_SCTP_RTX" => Ok(Reliability::MaxRetransmits(value as u16)),
        other => not_applicable(format!("policy {other}")),
    }
}
