//! Many agents behind one port: to which does a datagram belong?

/// The receiver's username fragment in a Binding request: the first half of its USERNAME (RFC 8445 §7.2.2).
///
/// One socket serves many agents when its owner sends each Binding request to the agent with this fragment, and everything else from
/// an address to the agent that a request from there has authenticated at. Nothing is verified here: the agent does that.
///
/// ```
/// use stun::{Class, Method, TransactionId, Writer};
///
/// let mut buf = Vec::new();
/// Writer::new(&mut buf, Class::Request, Method::BINDING, TransactionId([0; 12]))
///     .ice_username("ours", "theirs")
///     .finish(true);
/// assert_eq!(ice::receiver_ufrag(&buf), Some("ours"));
/// ```
pub fn receiver_ufrag(datagram: &[u8]) -> Option<&str> {
    if !stun::is_message(datagram) {
        return None;
    }
    let message = stun::Message::parse(datagram).ok()?;
    if message.class() != stun::Class::Request {
        return None;
    }
    let (receiver, _) = message.username()?.split_once(':')?;
    Some(receiver)
}
