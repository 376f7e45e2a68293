//! One session's windows, repetitions and bounds, packet by packet.

use std::time::Duration;

use super::*;
use crate::wire::Message;

const LIMITS: QueueLimits = QueueLimits { messages: 100, bytes: 1 << 20 };

fn session(window: u16) -> Session {
    let mut session = Session::new("a".into());
    attach(&mut session, window);
    session
}

fn attach(session: &mut Session, window: u16) {
    session.attach(Link::new(1, Version::V311, Arc::new(Notify::new()), window, 1 << 20));
}

fn queued(qos: Qos, payload: &str) -> Queued {
    let message = Message::new(b"t", &[], payload.as_bytes(), qos, false, None);
    Queued { kept: Kept { message: Arc::new(message), expires: None }, qos, retain: false, id: 0 }
}

/// First byte and identifier of each packet that is sent now; all packets here are short.
fn pulled(session: &mut Session) -> Vec<(u8, u16)> {
    let mut out = BytesMut::new();
    session.pull(&mut out, usize::MAX, Instant::now(), LIMITS);
    packets(&out)
}

fn packets(mut bytes: &[u8]) -> Vec<(u8, u16)> {
    let mut packets = Vec::new();
    while let [first, len, rest @ ..] = bytes {
        let (body, tail) = rest.split_at(usize::from(*len));
        let at = if first >> 4 == 3 { 3 } else { 0 };
        packets.push((*first, u16::from_be_bytes([body[at], body[at + 1]])));
        bytes = tail;
    }
    packets
}

#[test]
fn unacknowledged_messages_come_again_in_order_and_before_new_ones() {
    let mut session = session(10);
    for n in 0..3 {
        session.offer(queued(Qos::AtLeastOnce, &n.to_string()), LIMITS);
    }
    assert_eq!(pulled(&mut session), [(0x32, 1), (0x32, 2), (0x32, 3)]);
    session.acknowledge(&mut BytesMut::new(), Ack::PubAck, 2, false);
    session.detach();
    session.offer(queued(Qos::AtLeastOnce, "new"), LIMITS);
    attach(&mut session, 10);
    assert_eq!(pulled(&mut session), [(0x3a, 1), (0x3a, 3), (0x32, 4)]);
}

#[test]
fn repetitions_keep_their_order_where_identifiers_wrap_around() {
    let mut session = session(10);
    session.next_id = u16::MAX - 1;
    for _ in 0..3 {
        session.offer(queued(Qos::AtLeastOnce, "x"), LIMITS);
    }
    assert_eq!(pulled(&mut session), [(0x32, u16::MAX), (0x32, 1), (0x32, 2)]);
    session.detach();
    attach(&mut session, 10);
    assert_eq!(pulled(&mut session), [(0x3a, u16::MAX), (0x3a, 1), (0x3a, 2)]);
}

#[test]
fn a_smaller_window_of_the_next_connection_holds_for_repetitions_too() {
    let mut session = session(10);
    for _ in 0..3 {
        session.offer(queued(Qos::AtLeastOnce, "x"), LIMITS);
    }
    pulled(&mut session);
    session.detach();
    attach(&mut session, 1);
    for id in 1..=3 {
        assert_eq!(pulled(&mut session), [(0x3a, id)]);
        session.acknowledge(&mut BytesMut::new(), Ack::PubAck, id, false);
    }
    assert_eq!(pulled(&mut session), []);
}

#[test]
fn exactly_once_takes_four_steps_and_resumes_where_it_was() {
    let mut session = session(1);
    session.offer(queued(Qos::ExactlyOnce, "x"), LIMITS);
    session.offer(queued(Qos::ExactlyOnce, "y"), LIMITS);
    assert_eq!(pulled(&mut session), [(0x34, 1)]);
    let mut out = BytesMut::new();
    session.acknowledge(&mut out, Ack::PubAck, 1, false);
    session.acknowledge(&mut out, Ack::PubComp, 1, false);
    assert!(out.is_empty() && pulled(&mut session).is_empty(), "a step out of turn counts");
    session.acknowledge(&mut out, Ack::PubRec, 1, false);
    assert_eq!(packets(&out), [(0x62, 1)]);
    session.detach();
    attach(&mut session, 1);
    assert_eq!(pulled(&mut session)[0], (0x62, 1), "the message itself is not sent again");
    session.acknowledge(&mut out, Ack::PubComp, 1, false);
    session.acknowledge(&mut out, Ack::PubRec, 2, true);
    assert!(session.flights.len() <= 1, "a refused message is done with");
}

#[test]
fn identifiers_wrap_around_those_in_use() {
    let mut session = session(3);
    session.offer(queued(Qos::AtLeastOnce, "stays"), LIMITS);
    assert_eq!(pulled(&mut session), [(0x32, 1)]);
    for _ in 0..70_000 {
        session.offer(queued(Qos::AtLeastOnce, "x"), LIMITS);
        let sent = pulled(&mut session);
        assert!(sent[0].1 > 1, "an identifier in use or 0 was given away");
        session.acknowledge(&mut BytesMut::new(), Ack::PubAck, sent[0].1, false);
    }
}

#[test]
fn a_message_too_large_for_a_client_does_not_block_the_next() {
    let mut session = Session::new("a".into());
    session.attach(Link::new(1, Version::V311, Arc::new(Notify::new()), 10, 20));
    session.offer(queued(Qos::AtLeastOnce, "far too long for this client"), LIMITS);
    session.offer(queued(Qos::AtLeastOnce, "x"), LIMITS);
    let mut out = BytesMut::new();
    let pulled = session.pull(&mut out, usize::MAX, Instant::now(), LIMITS);
    assert_eq!((pulled.sent, pulled.too_large), (1, 1));
}

#[test]
fn what_is_queued_for_an_absent_client_is_promised_or_not_kept() {
    let mut session = session(1);
    session.detach();
    assert_eq!(session.offer(queued(Qos::AtMostOnce, "x"), LIMITS), Offer::NotKept);
    assert_eq!(session.offer(queued(Qos::AtLeastOnce, "x"), LIMITS), Offer::Queued);
    for _ in 0..200 {
        session.offer(queued(Qos::AtLeastOnce, "x"), LIMITS);
    }
    assert_eq!(session.offer(queued(Qos::AtLeastOnce, "x"), LIMITS), Offer::Dropped);
    assert!(!session.is_congested(LIMITS), "nobody waits for an absent client");
}

#[test]
fn a_pull_stops_at_its_budget_and_says_so() {
    let mut session = session(10);
    for _ in 0..3 {
        session.offer(queued(Qos::AtMostOnce, "x"), LIMITS);
    }
    let mut out = BytesMut::new();
    let now = Instant::now() + Duration::from_secs(1);
    assert_eq!(session.pull(&mut out, 1, now, LIMITS), Pulled { sent: 1, more: true, ..Pulled::default() });
    assert_eq!(session.pull(&mut out, 1_000, now, LIMITS), Pulled { sent: 2, ..Pulled::default() });
}
