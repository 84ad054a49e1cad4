//! What we write other crates read, and what they write we read: ten thousand random messages each way.

use std::net::SocketAddr;

use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};
use stun::{AttributeType, Class, IntegrityKey, Message, Method, TransactionId, Writer};
use stun_rs::attributes::{discovery, ice, mobility, stun as base, turn};
use stun017::message::Getter as _;

const MESSAGES: u64 = 10_000;
const PASSWORD: &str = "VOkJxbRl1RmTxUk/WvJxBt";

fn text(rng: &mut StdRng, max: usize) -> String {
    let len = rng.random_range(1..=max);
    (0..len)
        .map(|_| char::from(b'a' + rng.random_range(0..26u8)))
        .collect()
}

fn addr(rng: &mut StdRng) -> SocketAddr {
    let port = rng.random();
    if rng.random() {
        let ip: [u8; 4] = rng.random();
        SocketAddr::from((ip, port))
    } else {
        let ip: [u8; 16] = rng.random();
        SocketAddr::from((ip, port))
    }
}

/// A value for every attribute that both sides know; each message carries a random choice of them.
struct Values {
    present: u32,
    addr: SocketAddr,
    text: String,
    number: u64,
    bytes: Vec<u8>,
    code: u16,
}

impl Values {
    fn new(rng: &mut StdRng) -> Self {
        let mut bytes = vec![0; rng.random_range(0..300)];
        rng.fill_bytes(&mut bytes);
        Self {
            present: rng.random(),
            addr: addr(rng),
            text: text(rng, 100),
            number: rng.random(),
            bytes,
            code: rng.random_range(300..700),
        }
    }

    fn has(&self, bit: u32) -> bool {
        self.present & (1 << bit) != 0
    }

    fn write(&self, w: &mut Writer<'_>) {
        let n = self.number;
        let write: [&dyn Fn(&mut Writer<'_>); 23] = [
            &|w| drop_ref(w.username(&self.text)),
            &|w| drop_ref(w.software(&self.text)),
            &|w| drop_ref(w.realm(&self.text)),
            &|w| drop_ref(w.nonce(self.text.as_bytes())),
            &|w| drop_ref(w.mapped_address(self.addr)),
            &|w| drop_ref(w.xor_mapped_address(self.addr)),
            &|w| drop_ref(w.alternate_server(self.addr)),
            &|w| drop_ref(w.xor_peer_address(self.addr)),
            &|w| drop_ref(w.xor_relayed_address(self.addr)),
            &|w| drop_ref(w.response_origin(self.addr)),
            &|w| drop_ref(w.other_address(self.addr)),
            &|w| drop_ref(w.error_code_with(self.code, &self.text)),
            &|w| drop_ref(w.priority(n as u32)),
            &|w| drop_ref(w.use_candidate()),
            &|w| drop_ref(w.ice_controlled(n)),
            &|w| drop_ref(w.ice_controlling(n)),
            &|w| drop_ref(w.channel_number(n as u16)),
            &|w| drop_ref(w.lifetime(std::time::Duration::from_secs(n & 0xffff_ffff))),
            &|w| drop_ref(w.data(&self.bytes)),
            &|w| drop_ref(w.dont_fragment()),
            &|w| drop_ref(w.even_port(n & 1 == 1)),
            &|w| drop_ref(w.mobility_ticket(&self.bytes)),
            &|w| drop_ref(w.response_port(n as u16)),
        ];
        for (bit, write) in write.iter().enumerate() {
            if self.has(bit as u32) {
                write(w);
            }
        }
    }

    /// Asserts that our reader sees exactly these values.
    fn check(&self, m: &Message<'_>) {
        let n = self.number;
        let text = |bit| self.has(bit).then_some(self.text.as_str());
        let addr = |bit| self.has(bit).then_some(self.addr);
        assert_eq!(m.username(), text(0));
        assert_eq!(m.software(), text(1));
        assert_eq!(m.realm(), text(2));
        assert_eq!(m.nonce(), text(3).map(str::as_bytes));
        assert_eq!(m.mapped_address(), addr(4));
        assert_eq!(m.xor_mapped_address(), addr(5));
        assert_eq!(m.alternate_servers().next(), addr(6));
        assert_eq!(m.xor_peer_address(), addr(7));
        assert_eq!(m.xor_relayed_address(), addr(8));
        assert_eq!(m.response_origin(), addr(9));
        assert_eq!(m.other_address(), addr(10));
        let error = m.error_code();
        assert_eq!(error.map(|e| e.code), self.has(11).then_some(self.code));
        assert_eq!(error.map(|e| e.reason), text(11));
        assert_eq!(m.priority(), self.has(12).then_some(n as u32));
        assert_eq!(m.use_candidate(), self.has(13));
        assert_eq!(m.ice_controlled(), self.has(14).then_some(n));
        assert_eq!(m.ice_controlling(), self.has(15).then_some(n));
        assert_eq!(m.channel_number(), self.has(16).then_some(n as u16));
        assert_eq!(
            m.lifetime().map(|l| l.as_secs()),
            self.has(17).then_some(n & 0xffff_ffff)
        );
        assert_eq!(m.data(), self.has(18).then_some(&self.bytes[..]));
        assert_eq!(m.dont_fragment(), self.has(19));
        assert_eq!(m.even_port(), self.has(20).then_some(n & 1 == 1));
        assert_eq!(m.mobility_ticket(), self.has(21).then_some(&self.bytes[..]));
        assert_eq!(m.response_port(), self.has(22).then_some(n as u16));
    }

    /// The same attributes in the terms of stun-rs.
    fn theirs(&self) -> Vec<stun_rs::StunAttribute> {
        let n = self.number;
        let (ip, port) = (self.addr.ip(), self.addr.port());
        let error = stun_rs::ErrorCode::new(self.code, &self.text).unwrap();
        let all: [stun_rs::StunAttribute; 23] = [
            base::UserName::new(&self.text).unwrap().into(),
            base::Software::new(&self.text).unwrap().into(),
            base::Realm::new(&self.text).unwrap().into(),
            base::Nonce::new(&self.text).unwrap().into(),
            base::MappedAddress::new(ip, port).into(),
            base::XorMappedAddress::from(self.addr).into(),
            base::AlternateServer::new(ip, port).into(),
            turn::XorPeerAddress::from(self.addr).into(),
            turn::XorRelayedAddress::from(self.addr).into(),
            discovery::ResponseOrigin::new(ip, port).into(),
            discovery::OtherAddress::new(ip, port).into(),
            base::ErrorCode::new(error).into(),
            ice::Priority::from(n as u32).into(),
            ice::UseCandidate::default().into(),
            ice::IceControlled::from(n).into(),
            ice::IceControlling::from(n).into(),
            turn::ChannelNumber::new(n as u16).into(),
            turn::LifeTime::from(n as u32).into(),
            turn::Data::new(&self.bytes).into(),
            turn::DontFragment::default().into(),
            turn::EvenPort::new(n & 1 == 1).into(),
            mobility::MobilityTicket::new(&self.bytes).into(),
            discovery::ResponsePort::from(n as u16).into(),
        ];
        let chosen = all
            .into_iter()
            .enumerate()
            .filter(|(bit, _)| self.has(*bit as u32));
        chosen.map(|(_, attribute)| attribute).collect()
    }
}

fn drop_ref<T>(_: &mut T) {}

fn ours(values: &Values, id: [u8; 12], key: &IntegrityKey) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = Writer::new(
        &mut bytes,
        Class::Request,
        Method::BINDING,
        TransactionId(id),
    );
    values.write(&mut writer);
    writer.finish_with(key, true);
    bytes
}

#[test]
fn stun_rs_and_we_write_and_read_the_same_bytes() {
    let mut rng = StdRng::seed_from_u64(5769);
    let key = IntegrityKey::short_term(PASSWORD);
    let their_key = stun_rs::HMACKey::new_short_term(PASSWORD).unwrap();
    let context = stun_rs::DecoderContextBuilder::default()
        .with_key(their_key.clone())
        .with_validation()
        .build();
    let decoder = stun_rs::MessageDecoderBuilder::default()
        .with_context(context)
        .build();
    let encoder = stun_rs::MessageEncoderBuilder::default().build();
    let mut buf = vec![0; 8192];
    for _ in 0..MESSAGES {
        let values = Values::new(&mut rng);
        let id: [u8; 12] = rng.random();
        let bytes = ours(&values, id, &key);

        // They verify ours, and see each attribute that we wrote.
        let (decoded, len) = decoder.decode(&bytes).unwrap();
        assert_eq!(len, bytes.len());
        assert_eq!(decoded.attributes().len(), values.theirs().len() + 2);

        // They write the same, so that we read theirs.
        let mut builder = stun_rs::StunMessageBuilder::new(
            stun_rs::methods::BINDING,
            stun_rs::MessageClass::Request,
        )
        .with_transaction_id(id.into());
        for attribute in values.theirs() {
            builder = builder.with_attribute(attribute);
        }
        let message = builder
            .with_attribute(base::MessageIntegrity::new(their_key.clone()))
            .with_attribute(base::Fingerprint::default())
            .build();
        let len = encoder.encode(&mut buf, &message).unwrap();
        assert_eq!(buf[..len], bytes[..], "{:?}", Message::parse(&bytes));
        let message = Message::parse(&buf[..len]).unwrap();
        values.check(&message);
        assert_eq!(
            (message.check_integrity(&key), message.check_fingerprint()),
            (Ok(()), Ok(()))
        );
    }
}

#[test]
fn stun_017_and_we_read_each_other() {
    use stun017::message::Setter as _;
    let mut rng = StdRng::seed_from_u64(17);
    let key = IntegrityKey::short_term(PASSWORD);
    let integrity =
        stun017::integrity::MessageIntegrity::new_short_term_integrity(PASSWORD.to_owned());
    for _ in 0..MESSAGES {
        let values = Values::new(&mut rng);
        let bytes = ours(&values, rng.random(), &key);
        let mut theirs = stun017::message::Message::new();
        theirs.unmarshal_binary(&bytes).unwrap();
        integrity.check(&mut theirs).unwrap();
        stun017::fingerprint::FINGERPRINT.check(&theirs).unwrap();
        if values.has(5) {
            let mut mapped = stun017::xoraddr::XorMappedAddress::default();
            mapped.get_from(&theirs).unwrap();
            assert_eq!(
                (mapped.ip, mapped.port),
                (values.addr.ip(), values.addr.port())
            );
        }

        // The same attributes through their writer.
        let message = Message::parse(&bytes).unwrap();
        let mut again = stun017::message::Message::new();
        again.set_type(stun017::message::BINDING_REQUEST);
        again.transaction_id = stun017::agent::TransactionId(message.transaction_id().0);
        again.write_header();
        for attribute in message.attributes() {
            if !matches!(
                attribute.kind,
                AttributeType::MESSAGE_INTEGRITY | AttributeType::FINGERPRINT
            ) {
                again.add(
                    stun017::attributes::AttrType(attribute.kind.0),
                    attribute.value,
                );
            }
        }
        integrity.add_to(&mut again).unwrap();
        stun017::fingerprint::FINGERPRINT
            .add_to(&mut again)
            .unwrap();
        assert_eq!(again.raw, bytes);
        values.check(&Message::parse(&again.raw).unwrap());
    }
}
