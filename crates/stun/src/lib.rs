//! STUN messages, transactions and NAT behaviour discovery (RFC 8489, RFC 5780)
