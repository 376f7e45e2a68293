//! Packets are read as they were written, and nothing makes the reader panic.

use proptest::prelude::*;

use super::*;
use crate::message::Message;

fn decode_all(bytes: &[u8], protocol: Protocol) -> Vec<Packet> {
    let mut buffer = BytesMut::from(bytes);
    let mut packets = Vec::new();
    while let Some(packet) = decode(&mut buffer, protocol).unwrap() {
        packets.push(packet);
    }
    assert!(buffer.is_empty());
    packets
}

fn message(topic: &str, payload: &[u8], metadata: &[(&str, &str)]) -> Message {
    let mut message = Message::new(topic.to_owned(), payload.to_vec());
    message.metadata = metadata.iter().map(|(n, v)| ((*n).into(), (*v).into())).collect();
    message
}

proptest! {
    #[test]
    fn a_publish_is_read_as_it_was_written(
        topic in "[a-z/ä]{1,40}", payload in prop::collection::vec(any::<u8>(), 0..400),
        metadata in prop::collection::vec(("[a-z]{0,9}", "[a-zü]{0,90}"), 0..4),
        qos in 0u8..3, flags in any::<(bool, bool)>(), id in 1u16.., v5 in any::<bool>(),
    ) {
        let protocol = if v5 { Protocol::V5 } else { Protocol::V311 };
        let qos = Qos::from_level(qos).unwrap();
        let metadata: Vec<_> = metadata.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        let sent = message(&topic, &payload, &metadata);
        let mut out = BytesMut::new();
        let length = publish_into(&mut out, protocol, &sent, (qos, flags.0, flags.1, id));
        prop_assert_eq!(length, out.len());
        let packets = decode_all(&out, protocol);
        let [Packet::Publish(got)] = &packets[..] else { panic!("{packets:?}") };
        prop_assert_eq!((&*got.topic, &got.payload[..], got.qos), (&*topic, &payload[..], qos));
        prop_assert_eq!(got.duplicate, flags.1);
        prop_assert_eq!(got.id, if qos == Qos::AtMostOnce { 0 } else { id });
        let expected = if v5 { sent.metadata } else { Vec::new() };
        prop_assert_eq!(&got.properties, &expected);
    }

    #[test]
    fn no_bytes_make_the_reader_panic_or_wait_for_more_than_it_takes(
        bytes in prop::collection::vec(any::<u8>(), 0..64), v5 in any::<bool>(),
    ) {
        let protocol = if v5 { Protocol::V5 } else { Protocol::V311 };
        let mut buffer = BytesMut::from(&bytes[..]);
        for _ in 0..64 {
            match decode(&mut buffer, protocol) {
                Ok(Some(_)) => {}
                Ok(None) | Err(_) => break,
            }
        }
    }
}

#[test]
fn a_packet_in_pieces_is_waited_for() {
    let mut whole = BytesMut::new();
    publish_into(
        &mut whole,
        Protocol::V5,
        &message("a", &[7; 300], &[]),
        (Qos::AtLeastOnce, false, false, 9),
    );
    for cut in 0..whole.len() {
        let mut part = BytesMut::from(&whole[..cut]);
        assert_eq!(decode(&mut part, Protocol::V5), Ok(None), "{cut}");
        assert_eq!(part.len(), cut);
    }
}

#[test]
fn a_length_beyond_reason_is_refused_before_it_is_waited_for() {
    let mut buffer = BytesMut::from(&[0x30, 0xff, 0xff, 0xff, 0x7f][..]);
    assert!(decode(&mut buffer, Protocol::V5).is_err());
    let mut buffer = BytesMut::from(&[0x30, 0xff, 0xff, 0xff, 0xff][..]);
    assert!(decode(&mut buffer, Protocol::V5).is_err());
}

// Bytes by hand from the standard, so that writer and reader can't be wrong together.
#[test]
fn packets_have_the_bytes_of_the_standard() {
    let mut out = BytesMut::new();
    let hello = Connect {
        protocol: Protocol::V5,
        client_id: "ab",
        username: Some("u"),
        password: Some("p"),
        clean: false,
        keep_alive: 30,
        session_expiry: 10,
        receive_maximum: 5,
    };
    connect(&mut out, hello);
    let expected = b"\x10\x1d\0\x04MQTT\x05\xc0\0\x1e\x08\x11\0\0\0\x0a\x21\0\x05\0\x02ab\0\x01u\0\x01p";
    assert_eq!(&out[..], expected);
    out.clear();
    connect(
        &mut out,
        Connect { protocol: Protocol::V311, username: None, password: None, clean: true, ..hello },
    );
    assert_eq!(&out[..], b"\x10\x0e\0\x04MQTT\x04\x02\0\x1e\0\x02ab");
    out.clear();
    subscribe(&mut out, Protocol::V5, 7, ("a/#", Qos::AtLeastOnce, Some(200)));
    assert_eq!(&out[..], b"\x82\x0c\0\x07\x03\x0b\xc8\x01\0\x03a/#\x01");
    out.clear();
    subscribe(&mut out, Protocol::V311, 7, ("a", Qos::ExactlyOnce, None));
    assert_eq!(&out[..], b"\x82\x06\0\x07\0\x01a\x02");
    out.clear();
    unsubscribe(&mut out, Protocol::V5, 7, "a");
    assert_eq!(&out[..], b"\xa2\x06\0\x07\0\0\x01a");
    out.clear();
    for kind in 4..=7 {
        acknowledge(&mut out, kind, 0x102);
    }
    assert_eq!(&out[..], b"\x40\x02\x01\x02\x50\x02\x01\x02\x62\x02\x01\x02\x70\x02\x01\x02");
    assert_eq!(
        decode_all(b"\x40\x03\0\x01\x87\xb0\x02\0\x01\xd0\0\xe0\x01\x8e", Protocol::V5),
        [
            Packet::PubAck { id: 1, code: 0x87 },
            Packet::UnsubAck { id: 1 },
            Packet::PingResp,
            Packet::Disconnect { code: 0x8e }
        ]
    );
    let connack = decode_all(b"\x20\x0b\x01\0\x08\x21\0\x14\x27\0\0\x10\0", Protocol::V5);
    let [Packet::ConnAck(ack)] = &connack[..] else { panic!("{connack:?}") };
    assert!(ack.session_present && ack.code == 0);
    assert_eq!((ack.receive_maximum, ack.maximum_packet), (20, 4096));
}
