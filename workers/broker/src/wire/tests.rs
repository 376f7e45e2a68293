//! The codec against the codecs of a client library, damage and noise.

use bytes::BytesMut;
use proptest::prelude::*;
use rumqttc::mqttbytes::v4;
use rumqttc::v5::mqttbytes::v5;

use super::primitive::{put_varint, varint, varint_len};
use super::*;

/// Reads the one packet that `bytes` hold.
fn read(version: Option<Version>, bytes: &[u8]) -> Result<Incoming, WireError> {
    match frame(bytes, 1 << 20)? {
        Frame::Whole { first, start, end } => {
            assert_eq!(end, bytes.len(), "the frame is not the whole");
            decode(version, first, &bytes[start..end])
        }
        Frame::Missing(bytes) => panic!("{bytes} bytes are missing"),
    }
}

fn message(topic: &str, payload: &[u8], qos: Qos) -> Message {
    Message::new(topic.as_bytes(), &[], payload, qos, false, None)
}

#[test]
fn a_connect_with_everything_is_read_as_another_codec_wrote_it() {
    let mut connect = v4::Connect::new("client");
    connect.keep_alive = 30;
    connect.clean_session = false;
    connect.last_will = Some(v4::LastWill::new("will", "gone", rumqttc::QoS::AtLeastOnce, true));
    connect.login = Some(v4::Login::new("user", "password"));
    let mut bytes = BytesMut::new();
    connect.write(&mut bytes).expect("room");
    let Ok(Incoming::Connect(read)) = read(None, &bytes) else { panic!("not a CONNECT") };
    assert_eq!((read.version, &*read.client_id, read.clean_start), (Version::V311, "client", false));
    assert_eq!((read.keep_alive.as_secs(), read.session_expiry), (30, u32::MAX));
    assert_eq!((read.user_name.as_deref(), read.password.as_deref()), (Some("user"), Some(&b"password"[..])));
    let will = Message::new(b"will", &[], b"gone", Qos::AtLeastOnce, true, None);
    assert_eq!(read.will.expect("sent").message, will);
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(version in 0..3_usize, first in any::<u8>(), body in proptest::collection::vec(any::<u8>(), 0..80)) {
        let version = [None, Some(Version::V311), Some(Version::V5)][version];
        let _ = decode(version, first, &body);
        let _ = frame(&body, 50);
    }

    /// Damaged packets reach deeper into the reader than noise.
    #[test]
    fn no_damage_makes_it_panic(at in any::<prop::sample::Index>(), with in any::<u8>(), cut in any::<prop::sample::Index>()) {
        let good = b"\x00\x04MQTT\x05\xc6\x00\x0a\x05\x11\x00\x00\x00\x3c\x00\x04twin\x05\x18\x00\x00\x00\x01\x00\x01w\x00\x01p\x00\x01u\x00\x01p";
        prop_assert!(decode(None, 0x10, good).is_ok());
        let mut bad = good.to_vec();
        *at.get_mut(&mut bad) = with;
        bad.truncate(cut.index(bad.len() + 1));
        let _ = decode(None, 0x10, &bad);
    }

    #[test]
    fn lengths_are_read_as_they_were_written(value in 0..=268_435_455_usize) {
        let mut bytes = BytesMut::new();
        put_varint(&mut bytes, value);
        prop_assert_eq!(bytes.len(), varint_len(value));
        prop_assert_eq!(varint(&bytes), Ok(Some((value, bytes.len()))));
        prop_assert_eq!(varint(&bytes[..bytes.len() - 1]), Ok(None), "a part of a length is not one");
    }

    #[test]
    fn a_publish_is_read_by_other_codecs_as_it_was_written(
        topic in "[a-z/]{1,30}",
        payload in proptest::collection::vec(any::<u8>(), 0..300),
        qos in 0..3_u8,
        flags in any::<(bool, bool)>(),
        expiry in proptest::option::of(1..u32::MAX),
        id in 0..200_u32,
    ) {
        let qos = Qos::from_bits(qos).expect("0 to 2");
        let (retain, duplicate) = (flags.0, flags.1 && qos != Qos::AtMostOnce);
        let packet_id = if qos == Qos::AtMostOnce { 0 } else { 77 };
        let head = PublishHead { qos, retain, duplicate, packet_id, expiry, subscription_id: id };
        let message = message(&topic, &payload, qos);

        let mut bytes = BytesMut::new();
        prop_assert!(publish(&mut bytes, Version::V311, usize::MAX, &head, &message));
        prop_assert!(!publish(&mut BytesMut::new(), Version::V311, bytes.len() - 1, &head, &message));
        let Ok(v4::Packet::Publish(read)) = v4::Packet::read(&mut bytes, usize::MAX) else { panic!("unreadable") };
        prop_assert_eq!((read.topic.as_str(), &read.payload[..]), (topic.as_str(), &payload[..]));
        prop_assert_eq!((read.qos as u8, read.retain, read.dup, read.pkid), (qos.bits(), retain, duplicate, packet_id));
        prop_assert!(bytes.is_empty());

        prop_assert!(publish(&mut bytes, Version::V5, usize::MAX, &head, &message));
        let Ok(v5::Packet::Publish(read)) = v5::Packet::read(&mut bytes, None) else { panic!("unreadable") };
        prop_assert_eq!((&read.topic[..], &read.payload[..]), (topic.as_bytes(), &payload[..]));
        let properties = read.properties.unwrap_or_default();
        prop_assert_eq!(properties.message_expiry_interval, expiry);
        prop_assert_eq!(properties.subscription_identifiers, if id == 0 { vec![] } else { vec![id as usize] });
        prop_assert!(bytes.is_empty());
    }
}

#[test]
fn properties_that_are_only_forwarded_stay_as_they_are() {
    let kept = b"\x01\x01\x26\x00\x01k\x00\x01v\x26\x00\x01k\x00\x02v2";
    let mut bytes = vec![0, 1, b'a', kept.len() as u8 + 5, 0x02, 0, 0, 0, 9];
    bytes.extend_from_slice(kept);
    bytes.extend_from_slice(b"payload");
    let Ok(Incoming::Publish { message, .. }) = decode(Some(Version::V5), 0x30, &bytes) else {
        panic!("refused")
    };
    assert_eq!(message.properties(), kept);
    assert_eq!(message.payload(), b"payload");
    assert_eq!(message.expiry.map(|time| time.as_secs()), Some(9));
}

#[track_caller]
fn check_refused(version: Version, first: u8, body: &[u8], expected: &str) {
    let error = decode(Some(version), first, body).expect_err("a bad packet was read");
    assert!(error.to_string().contains(expected), "{error}");
}

#[test]
fn what_the_standard_forbids_is_refused_by_name() {
    check_refused(Version::V311, 0x82, b"\0\0\0\x01a\0", "packet identifier 0");
    check_refused(Version::V311, 0x80, b"\0\x01\0\x01a\0", "reserved flags");
    check_refused(Version::V311, 0x82, b"\0\x01\0\x01a\x04", "reserved bits");
    check_refused(Version::V5, 0x82, b"\0\x01\0\0\x01a\x30", "retain handling 3");
    check_refused(Version::V311, 0x30, b"\0\x01\0", "U+0000");
    check_refused(Version::V311, 0x30, b"\0\x01\xff", "not UTF-8");
    check_refused(Version::V311, 0x38, b"\0\x01a", "a duplicate at QoS 0");
    check_refused(Version::V5, 0x30, b"\0\x01a\x02\x7f\0", "an unknown property");
    check_refused(Version::V5, 0x30, b"\0\x01a\x04\x01\0\x01\0", "stands twice");
    check_refused(Version::V5, 0x30, b"\0\x01a\x09\x01", "ends beyond the packet");
    check_refused(Version::V311, 0xc0, b"\0", "bytes after the end");
}
