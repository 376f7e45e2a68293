//! What is written when, over answers and reconnects.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::*;
use crate::config::FlowConfig;
use crate::flow::{Reject, Shared};
use crate::message::Ack;
use crate::mqtt::codec::{Packet, decode};

struct Desk {
    outbound: Outbound,
    flow: Arc<Shared>,
    rejects: mpsc::UnboundedReceiver<Reject>,
}

fn ack(present: bool, window: u16) -> ConnAck {
    ConnAck {
        session_present: present,
        code: 0,
        receive_maximum: window,
        maximum_packet: 1000,
        maximum_qos: 2,
        retain: true,
        subscription_ids: true,
        keep_alive: None,
        reason: None,
    }
}

impl Desk {
    fn new(window: u16) -> Self {
        let config: FlowConfig =
            serde_json::from_value(serde_json::json!({"input": {"generate": {}}, "output": {"drop": {}}}))
                .unwrap();
        let (flow, rejects) = Shared::new("/test", &config);
        let mut outbound = Outbound::new();
        outbound.connected(&ack(false, window), Protocol::V5);
        Self { outbound, flow, rejects }
    }

    fn push(&mut self, texts: impl IntoIterator<Item = usize>, qos: Qos) {
        let mut publications: VecDeque<_> = texts
            .into_iter()
            .map(|n| {
                let message = Message::new("t", n.to_string());
                let delivery = Delivery::new(Ack::None, &self.flow, Instant::now(), message.size());
                Publication { message, qos, retain: false, delivery }
            })
            .collect();
        self.outbound.push(&mut publications);
    }

    /// What is written now: identifier, payload, duplicate.
    fn write(&mut self) -> Vec<(u16, usize, bool)> {
        let mut out = BytesMut::new();
        self.outbound.write(&mut out, Protocol::V5, usize::MAX);
        let mut written = Vec::new();
        while let Some(packet) = decode(&mut out, Protocol::V5).unwrap() {
            if let Packet::PubRel { id } = packet {
                written.push((id, usize::MAX, false));
                continue;
            }
            let Packet::Publish(p) = packet else { panic!("{packet:?}") };
            written.push((p.id, std::str::from_utf8(&p.payload).unwrap().parse().unwrap(), p.duplicate));
        }
        written
    }

    fn taken(&self) -> u64 {
        self.flow.snapshot().messages_out
    }
}

const ONCE: Qos = Qos::AtLeastOnce;

#[test]
fn the_brokers_window_is_kept() {
    let mut desk = Desk::new(2);
    desk.push(0..5, ONCE);
    assert_eq!(desk.write(), [(1, 0, false), (2, 1, false)]);
    assert_eq!(desk.write(), []);
    desk.outbound.answered(2, 0);
    assert_eq!(desk.write(), [(3, 2, false)]);
    desk.outbound.answered(1, 0);
    desk.outbound.answered(1, 0);
    assert_eq!(desk.write(), [(4, 3, false)]);
    assert_eq!(desk.taken(), 2);
}

// spec: D-1: order and nothing lost over a reconnect
#[test]
fn after_a_reconnect_the_unanswered_ones_come_first_and_in_order() {
    for present in [true, false] {
        let mut desk = Desk::new(10);
        desk.push(0..4, ONCE);
        desk.write();
        desk.outbound.answered(2, 0);
        desk.push(4..6, ONCE);
        desk.outbound.connected(&ack(present, 10), Protocol::V5);
        let written = desk.write();
        assert_eq!(written, [(1, 0, true), (3, 2, true), (4, 3, true), (5, 4, false), (6, 5, false)]);
        assert_eq!(desk.flow.snapshot().retries, 3);
        for (id, ..) in written {
            desk.outbound.answered(id, 0);
        }
        assert!(desk.outbound.is_empty());
        assert_eq!((desk.taken(), desk.flow.in_flight()), (6, 0));
    }
}

#[test]
fn exactly_once_goes_on_where_it_was() {
    let mut desk = Desk::new(10);
    desk.push(0..2, Qos::ExactlyOnce);
    desk.write();
    assert!(desk.outbound.received(1, 0));
    desk.outbound.connected(&ack(true, 10), Protocol::V5);
    assert_eq!(desk.write(), [(1, usize::MAX, false), (2, 1, true)]);
    desk.outbound.answered(1, 0);
    assert_eq!(desk.taken(), 1);
    // A broker that forgot is told the message again.
    assert!(desk.outbound.received(2, 0));
    desk.outbound.connected(&ack(false, 10), Protocol::V5);
    assert_eq!(desk.write(), [(2, 1, true)]);
}

// spec: D-7
#[test]
fn refused_and_too_large_messages_go_back_to_the_flow() {
    let mut desk = Desk::new(10);
    desk.push(0..1, ONCE);
    desk.write();
    desk.outbound.answered(1, 0x87);
    let reject = desk.rejects.try_recv().unwrap();
    assert_eq!(
        (reject.kind, &*reject.text),
        (ErrorKind::Rejected, "the broker refused a message: not authorized")
    );
    drop(reject);

    let message = Message::new("t", vec![0; 2000]);
    let delivery = Delivery::new(Ack::None, &desk.flow, Instant::now(), 2000);
    let publication = Publication { message, qos: ONCE, retain: false, delivery };
    desk.outbound.push(&mut VecDeque::from([publication]));
    assert_eq!(desk.write(), []);
    assert_eq!(desk.rejects.try_recv().unwrap().kind, ErrorKind::TooLarge);
    assert_eq!(desk.taken(), 0);
}

#[test]
fn at_most_once_needs_no_answer() {
    let mut desk = Desk::new(1);
    desk.push(0..3, Qos::AtMostOnce);
    assert_eq!(desk.write().len(), 3);
    assert!(desk.outbound.is_empty());
    assert_eq!(desk.taken(), 3);
}

#[test]
fn identifiers_wrap_around_and_answers_find_their_message() {
    let mut desk = Desk::new(10);
    for round in 0..13_000 {
        desk.push(round * 10..round * 10 + 10, ONCE);
        let written = desk.write();
        assert_eq!(written.len(), 10);
        for (id, ..) in written.iter().rev() {
            assert!(*id >= 1 && *id <= LAST_ID);
            desk.outbound.answered(*id, 0);
        }
        assert!(desk.outbound.is_empty(), "round {round}");
    }
    assert_eq!(desk.taken(), 130_000);
}
