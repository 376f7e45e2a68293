//! The rules as tables: no socket, and time that the table moves.

use super::*;
use crate::wire::{SubscribeOptions, Will};

const LIMITS: Limits =
    Limits { connections: 3, queue: QueueLimits { messages: 4, bytes: 1 << 20 }, retained_bytes: 1 << 20 };

struct Table {
    hub: Hub,
    now: Instant,
}

impl Table {
    fn new() -> Self {
        Self { hub: Hub::new(LIMITS), now: Instant::now() }
    }

    fn try_connect(
        &mut self,
        id: &str,
        clean_start: bool,
        expiry: u32,
        will: Option<Will>,
    ) -> Result<Admitted, Code> {
        let mut connect = Connect {
            version: Version::V5,
            client_id: id.into(),
            clean_start,
            session_expiry: expiry,
            keep_alive: Duration::ZERO,
            receive_maximum: 2,
            maximum_packet_size: 1 << 20,
            will: will.map(Box::new),
            user_name: None,
            password: None,
            enhanced_authentication: false,
        };
        self.hub.connect(&mut connect, &Arc::new(Notify::new()), self.now)
    }

    fn connect(&mut self, id: &str, expiry: u32) -> Admitted {
        self.try_connect(id, false, expiry, None).expect("there is room")
    }

    fn subscribe(&mut self, claim: Claim, filter: &str) -> u8 {
        let options = SubscribeOptions {
            qos: Qos::ExactlyOnce,
            no_local: false,
            retain_as_published: false,
            retain_handling: RetainHandling::Always,
            id: 0,
        };
        let filters = [Filter { filter: filter.into(), options }];
        self.hub.subscribe(claim, &filters, self.now).expect("a present client")[0]
    }

    fn publish(&mut self, topic: &str, qos: Qos) -> usize {
        self.hub.publish(None, message(topic, qos), self.now, &mut Vec::new())
    }

    /// How many messages the client is sent now.
    fn pull(&mut self, claim: Claim) -> u64 {
        let before = self.hub.stats().sent;
        self.hub.pull(claim, &mut BytesMut::new(), usize::MAX, self.now).expect("a present client");
        self.hub.stats().sent - before
    }

    fn pass(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
        self.hub.fire_due(self.now);
    }

    fn lose(&mut self, admitted: &Admitted) {
        self.hub.disconnect(admitted.claim, End::Lost, self.now);
    }
}

fn message(topic: &str, qos: Qos) -> Message {
    Message::new(topic.as_bytes(), &[], b"x", qos, false, None)
}

fn will(delay: u64) -> Will {
    Will { message: message("will", Qos::AtLeastOnce), delay: Duration::from_secs(delay) }
}

#[test]
fn a_session_ends_when_its_time_is_over_and_leaves_nothing() {
    let mut table = Table::new();
    let client = table.connect("a", 60);
    table.subscribe(client.claim, "t/+");
    table.lose(&client);
    table.pass(59);
    assert_eq!(table.hub.stats().sessions, 1);
    table.pass(1);
    let stats = table.hub.stats();
    assert_eq!((stats.sessions, stats.subscriptions, stats.connections), (0, 0, 0));
    assert_eq!(table.hub.next_due(), None);
    assert!(!table.connect("a", 60).present);
}

#[test]
fn a_client_that_comes_back_in_time_keeps_its_session() {
    let mut table = Table::new();
    let client = table.connect("a", 60);
    table.subscribe(client.claim, "t");
    table.lose(&client);
    table.pass(59);
    let client = table.connect("a", 60);
    assert!(client.present);
    assert_eq!(table.hub.next_due(), None, "a present client's session has no end");
    table.pass(3_600);
    assert_eq!(table.publish("t", Qos::AtLeastOnce), 1);
    assert_eq!(table.pull(client.claim), 1);
}

#[test]
fn a_will_waits_for_its_delay_and_is_cancelled_by_a_return() {
    let mut table = Table::new();
    let watcher = table.connect("watcher", 0);
    table.subscribe(watcher.claim, "will");
    let client = table.try_connect("a", false, 600, Some(will(30))).expect("room");
    table.lose(&client);
    table.pass(29);
    assert_eq!(table.pull(watcher.claim), 0);
    let client = table.try_connect("a", false, 600, Some(will(30))).expect("room");
    table.pass(100);
    assert_eq!(table.pull(watcher.claim), 0, "the will of a client that is back");
    table.lose(&client);
    table.pass(30);
    assert_eq!(table.pull(watcher.claim), 1);
    table.pass(600);
    assert_eq!(table.pull(watcher.claim), 0, "a will is said once");
}

#[test]
fn the_end_of_a_session_is_the_end_of_the_wills_delay() {
    let mut table = Table::new();
    let watcher = table.connect("watcher", 0);
    table.subscribe(watcher.claim, "will");
    let client = table.try_connect("a", false, 10, Some(will(30))).expect("room");
    table.lose(&client);
    table.pass(10);
    assert_eq!(table.pull(watcher.claim), 1);
    let client = table.try_connect("b", false, 600, Some(will(30))).expect("room");
    table.lose(&client);
    table.try_connect("b", true, 0, None).expect("room");
    table.hub.acknowledge(watcher.claim, &mut BytesMut::new(), Ack::PubAck, 1, false).expect("present");
    assert_eq!(table.pull(watcher.claim), 1, "a clean start ends the session, and the will is due");
}

#[test]
fn connections_and_sessions_are_bounded() {
    let mut table = Table::new();
    for n in 0..3 {
        table.connect(&format!("present-{n}"), 0);
    }
    assert_eq!(table.try_connect("one-more", false, 0, None).unwrap_err(), Code::ServerUnavailable);
    assert!(table.try_connect("present-1", false, 0, None).is_ok(), "a takeover needs no room");
    let mut table = Table::new();
    for n in 0..30 {
        let client = table.connect(&format!("absent-{n}"), 600);
        table.lose(&client);
    }
    assert_eq!(table.try_connect("one-more", false, 600, None).unwrap_err(), Code::QuotaExceeded);
    assert!(table.try_connect("absent-7", false, 600, None).is_ok());
}

#[test]
fn a_connection_that_was_taken_over_can_do_nothing() {
    let mut table = Table::new();
    let first = table.connect("a", 60);
    let second = table.connect("a", 60);
    assert_eq!(first.claim.session, second.claim.session);
    let mut out = BytesMut::new();
    assert_eq!(table.hub.pull(first.claim, &mut out, 1, table.now), Err(TakenOver));
    assert_eq!(table.hub.release(first.claim, 1), Err(TakenOver));
    assert_eq!(table.hub.unsubscribe(first.claim, &[]), Err(TakenOver));
    table.lose(&first);
    assert_eq!(table.hub.stats().connections, 1, "the end of the former connection ended the new one");
}

#[test]
fn the_window_of_a_client_is_kept_and_its_queue_is_bounded() {
    let mut table = Table::new();
    let client = table.connect("a", 60);
    table.subscribe(client.claim, "t");
    let mut congested = Vec::new();
    for n in 0..6 {
        table.hub.publish(None, message("t", Qos::AtLeastOnce), table.now, &mut congested);
        assert_eq!(congested.len(), usize::from(n >= 2), "more than half of four");
    }
    assert_eq!(table.hub.stats().dropped, 2);
    assert_eq!(table.pull(client.claim), 2, "the receive maximum is two");
    assert_eq!(table.pull(client.claim), 0);
    let mut out = BytesMut::new();
    table.hub.acknowledge(client.claim, &mut out, Ack::PubAck, 9, false).expect("present");
    assert_eq!(table.pull(client.claim), 0, "an unknown identifier frees nothing");
    table.hub.acknowledge(client.claim, &mut out, Ack::PubAck, 1, false).expect("present");
    assert_eq!(table.pull(client.claim), 1);
}

#[test]
fn a_congested_subscriber_is_waited_for_until_it_drains_or_is_given_up() {
    let mut table = Table::new();
    let client = table.connect("slow", 60);
    table.subscribe(client.claim, "t");
    let publisher = Arc::new(Notify::new());
    let mut congested = Vec::new();
    for _ in 0..3 {
        table.hub.publish(None, message("t", Qos::AtMostOnce), table.now, &mut congested);
    }
    table.hub.still_congested(&mut congested, &publisher);
    assert_eq!(congested, [client.claim.session]);
    assert_eq!(table.pull(client.claim), 3);
    table.hub.still_congested(&mut congested, &publisher);
    assert!(congested.is_empty(), "it has drained");
    for _ in 0..3 {
        table.hub.publish(None, message("t", Qos::AtMostOnce), table.now, &mut congested);
    }
    table.hub.give_up(&mut congested);
    table.hub.publish(None, message("t", Qos::AtMostOnce), table.now, &mut congested);
    assert!(congested.is_empty(), "a given-up subscriber is waited for");
    table.pull(client.claim);
    for _ in 0..3 {
        table.hub.publish(None, message("t", Qos::AtMostOnce), table.now, &mut congested);
    }
    assert_eq!(congested.len(), 1, "once it has caught up it counts again");
}

#[test]
fn a_client_never_waits_for_itself() {
    let mut table = Table::new();
    let client = table.connect("echo", 60);
    table.subscribe(client.claim, "t");
    let mut congested = Vec::new();
    for _ in 0..6 {
        let _ =
            table.hub.publish_from(client.claim, message("t", Qos::AtMostOnce), 0, table.now, &mut congested);
    }
    assert!(congested.is_empty());
}

#[test]
fn a_message_whose_lifetime_ended_in_the_queue_is_not_sent() {
    let mut table = Table::new();
    let client = table.connect("a", 600);
    table.subscribe(client.claim, "t");
    table.lose(&client);
    let short = Message::new(b"t", &[], b"x", Qos::AtLeastOnce, false, Some(Duration::from_secs(5)));
    table.hub.publish(None, short, table.now, &mut Vec::new());
    table.publish("t", Qos::AtLeastOnce);
    table.pass(5);
    let client = table.connect("a", 600);
    assert_eq!(table.pull(client.claim), 1);
    assert_eq!(table.hub.stats().expired, 1);
}

#[test]
fn bad_filters_are_refused_one_by_one() {
    let mut table = Table::new();
    let client = table.connect("a", 0);
    assert_eq!(table.subscribe(client.claim, "a/#/b"), Code::TopicFilterInvalid as u8);
    assert_eq!(table.subscribe(client.claim, "a/#"), 2);
    let filters = ["a/#".into(), "a/#".into(), "a#".into()];
    let codes = table.hub.unsubscribe(client.claim, &filters).expect("present");
    assert_eq!(codes, [0, Code::NoSubscriptionExisted as u8, Code::TopicFilterInvalid as u8]);
}
