//! One client, seen from the server: what it emits becomes a [`Request`], and what comes of it is emitted.

use std::fmt;
use std::future::ready;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::de::{Deserialize, Deserializer, SeqAccess, Visitor};
use serde_json::Value;
use socketioxide::extract::{Event, SocketRef, TryData};
use socketioxide::socket::DisconnectReason;
use tracing::{debug, info, warn};

use crate::rooms::{Admission, MAX_NAME, Rooms};

/// Most events of one client that wait while its connection is being set up.
const MAX_EARLY: usize = 16;

/// What all connections share.
pub(crate) type SharedRooms = Arc<Mutex<Rooms<SocketRef>>>;

/// All arguments of an event, as many as there are. (A `Vec` would stand for the first argument alone:
/// socketioxide tells the two apart by whether the type asks for a tuple.)
struct Arguments(Vec<Value>);

impl<'de> Deserialize<'de> for Arguments {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Arguments;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("arguments")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Arguments, A::Error> {
                let mut arguments = Vec::new();
                while let Some(argument) = seq.next_element()? {
                    arguments.push(argument);
                }
                Ok(Arguments(arguments))
            }
        }
        deserializer.deserialize_tuple(0, Collect)
    }
}

/// What a client asks for.
#[derive(Debug, PartialEq)]
enum Request {
    Join(String),
    Leave(String),
    Message(String, Value),
}

/// Events of a client that was told it is connected an instant before the server finished setting it up.
enum Gate {
    Shut(Vec<(String, Result<Vec<Value>, String>)>),
    Open,
}

type SharedGate = Arc<Mutex<Gate>>;

/// Prepares a connecting client. It runs before the client hears that it is connected, so no event is missed.
pub(crate) fn prepare(rooms: &SharedRooms, socket: &SocketRef) {
    let gate: SharedGate = Arc::new(Mutex::new(Gate::Shut(Vec::new())));
    socket.extensions.insert(Arc::clone(&gate));

    // One handler for every event, whose work is done before it returns: a client's events keep their order.
    let shared = Arc::clone(rooms);
    socket.on_fallback(
        move |socket: SocketRef, Event(name): Event, TryData(arguments): TryData<Arguments>| {
            let arguments = match arguments {
                Ok(Arguments(arguments)) => Ok(arguments),
                Err(error) => Err(error.to_string()),
            };
            match &mut *lock(&gate) {
                Gate::Open => handle(&shared, &socket, &name, arguments),
                Gate::Shut(early) if early.len() < MAX_EARLY => early.push((name, arguments)),
                Gate::Shut(_) => debug!(id = %socket.id, "an event too many before the connection"),
            }
            ready(())
        },
    );

    let shared = Arc::clone(rooms);
    socket.on_disconnect(move |socket: SocketRef, reason: DisconnectReason| {
        info!(id = %socket.id, %reason, "disconnected");
        leave_all(&shared, &socket);
        ready(())
    });
}

/// The client knows that it is connected and can be answered.
pub(crate) fn connected(rooms: &SharedRooms, socket: &SocketRef) {
    info!(id = %socket.id, "connected");
    let Some(gate) = socket.extensions.get::<SharedGate>() else {
        return;
    };
    let mut gate = lock(&gate);
    if let Gate::Shut(early) = std::mem::replace(&mut *gate, Gate::Open) {
        for (name, arguments) in early {
            handle(rooms, socket, &name, arguments);
        }
    }
}

fn handle(
    rooms: &SharedRooms,
    socket: &SocketRef,
    name: &str,
    arguments: Result<Vec<Value>, String>,
) {
    // What is emitted under the lock reaches every client in the order in which the rooms changed.
    let mut rooms = lock(rooms);
    match parse(name, arguments) {
        Ok(Request::Join(room)) => join(&mut rooms, socket, &room),
        Ok(Request::Leave(room)) => leave(&mut rooms, socket, &room),
        Ok(Request::Message(room, data)) => relay(&rooms, socket, &room, &data),
        Err(text) => refuse(socket, &text),
    }
}

/// Makes sense of an event, or says in words why it makes none.
fn parse(name: &str, arguments: Result<Vec<Value>, String>) -> Result<Request, String> {
    let usage = match name {
        "join" => "join(room)",
        "leave" => "leave(room)",
        "message" => "message(room, data)",
        _ => {
            let name: String = name.chars().take(64).collect();
            return Err(format!(
                "unknown event \"{name}\": join, leave and message are known"
            ));
        }
    };
    let arguments = arguments.map_err(|error| format!("{usage} is malformed: {error}"))?;
    let expected = usage.split(',').count();
    if arguments.len() != expected {
        let found = arguments.len();
        return Err(format!("{usage} takes {expected} argument(s), not {found}"));
    }
    let mut arguments = arguments.into_iter();
    let room = match arguments.next() {
        Some(Value::String(room)) => room,
        _ => return Err(format!("{usage}: the room is not a string")),
    };
    if room.is_empty() || room.len() > MAX_NAME {
        return Err(format!(
            "{usage}: a room's name has 1 to {MAX_NAME} bytes, not {}",
            room.len()
        ));
    }
    match (name, arguments.next()) {
        ("join", _) => Ok(Request::Join(room)),
        ("leave", _) => Ok(Request::Leave(room)),
        (_, data) => Ok(Request::Message(room, data.unwrap_or(Value::Null))),
    }
}

fn join(rooms: &mut Rooms<SocketRef>, socket: &SocketRef, room: &str) {
    let id = socket.id.to_string();
    match rooms.join(room, socket) {
        Admission::Joined { others } => {
            info!(%id, room, others = others.len(), "joined");
            emit(socket, "joined", &(room, &id));
            for other in &others {
                emit(other, "otherJoin", &(room, &id));
            }
        }
        Admission::AlreadyIn => {
            emit(socket, "joined", &(room, &id));
        }
        Admission::Full => {
            info!(%id, room, "full");
            emit(socket, "full", &(room, &id));
        }
        Admission::TooManyRooms => refuse(socket, "join(room): you are in too many rooms"),
    }
}

fn leave(rooms: &mut Rooms<SocketRef>, socket: &SocketRef, room: &str) {
    let Some(others) = rooms.leave(room, socket) else {
        return refuse(socket, "leave(room): you are not in this room");
    };
    tell_exit(socket, room, &others);
    emit(socket, "leaved", &(room, socket.id.to_string()));
}

fn leave_all(rooms: &SharedRooms, socket: &SocketRef) {
    let mut rooms = lock(rooms);
    for (room, others) in rooms.leave_all(socket) {
        tell_exit(socket, &room, &others);
    }
}

fn tell_exit(socket: &SocketRef, room: &str, others: &[SocketRef]) {
    let id = socket.id.to_string();
    info!(%id, room, others = others.len(), "left");
    for other in others {
        emit(other, "exit", &(room, &id));
    }
}

fn relay(rooms: &Rooms<SocketRef>, socket: &SocketRef, room: &str, data: &Value) {
    let Some(others) = rooms.others(room, socket) else {
        return refuse(socket, "message(room, data): you are not in this room");
    };
    debug!(id = %socket.id, room, others = others.len(), "message");
    for other in &others {
        if !emit(other, "message", &(room, data)) {
            let text = format!(
                "message(room, data): {} does not keep up and missed it",
                other.id
            );
            refuse(socket, &text);
        }
    }
}

fn refuse(socket: &SocketRef, text: &str) {
    warn!(id = %socket.id, text, "refused");
    emit(socket, "error", &text);
}

/// Queues an event; `false` when the client's queue is full. One that is gone needs no event.
fn emit(socket: &SocketRef, event: &str, arguments: &impl serde::Serialize) -> bool {
    use socketioxide::{SendError, SocketError};
    match socket.emit(event, arguments) {
        Ok(()) | Err(SendError::Socket(SocketError::Closed)) => true,
        Err(error) => {
            warn!(id = %socket.id, event, %error, "not sent");
            false
        }
    }
}

/// Nothing panics while it holds these locks; if it ever did, the rooms would still be whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parsed(name: &str, arguments: Value) -> Result<Request, String> {
        let Value::Array(arguments) = arguments else {
            panic!("the arguments are not an array")
        };
        parse(name, Ok(arguments))
    }

    #[test]
    fn well_formed_events_become_requests() {
        assert_eq!(parsed("join", json!(["a"])), Ok(Request::Join("a".into())));
        let request = Request::Leave("a".into());
        assert_eq!(parsed("leave", json!(["a"])), Ok(request));
        let request = Request::Message("a".into(), json!({"type": "bye"}));
        assert_eq!(
            parsed("message", json!(["a", {"type": "bye"}])),
            Ok(request)
        );
    }

    #[test]
    fn a_refusal_names_what_is_wrong() {
        let cases = [
            ("shout", json!(["a"]), "unknown event \"shout\""),
            ("join", json!([]), "takes 1 argument(s), not 0"),
            ("join", json!([7]), "the room is not a string"),
            ("join", json!([""]), "1 to 128 bytes, not 0"),
            ("join", json!(["x".repeat(129)]), "1 to 128 bytes, not 129"),
            ("leave", json!(["a", "b"]), "takes 1 argument(s), not 2"),
            ("message", json!(["a"]), "takes 2 argument(s), not 1"),
            ("message", json!([null, 1]), "the room is not a string"),
        ];
        for (name, arguments, expected) in cases {
            let text = parsed(name, arguments).expect_err("a malformed event");
            assert!(text.contains(expected), "{text}");
        }
        let text = parse("join", Err("EOF".into())).expect_err("not JSON");
        assert_eq!(text, "join(room) is malformed: EOF");
    }
}
