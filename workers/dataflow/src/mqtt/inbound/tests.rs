//! What is acknowledged when, over stalls and reconnects.

use super::*;

const NONE: [u16; 0] = [];

struct Desk {
    inbound: Inbound,
    now: Instant,
}

impl Desk {
    fn new() -> Self {
        Self { inbound: Inbound::default(), now: Instant::now() }
    }

    fn receive(&mut self, id: u16, text: &str) -> Received {
        self.inbound.receive((id, false), content("t", text.as_bytes()), (1, 1), self.now)
    }

    #[track_caller]
    fn new_message(&mut self, id: u16, text: &str) -> u64 {
        match self.receive(id, text) {
            Received::New(number) => number,
            Received::Known => panic!("{id} is taken for known"),
        }
    }

    fn flush(&mut self) -> Vec<u16> {
        let mut answers = Vec::new();
        self.inbound.flush(self.now, |id, _| answers.push(id));
        answers
    }

    fn later(&mut self) {
        self.now += PATIENCE;
    }
}

#[test]
fn answers_are_given_in_order_of_arrival() {
    let mut desk = Desk::new();
    let numbers: Vec<u64> = (1..=3).map(|id| desk.new_message(id, "x")).collect();
    desk.inbound.settle(numbers[2], true);
    desk.inbound.settle(numbers[1], true);
    assert_eq!(desk.flush(), NONE);
    desk.inbound.settle(numbers[0], true);
    assert_eq!(desk.flush(), [1, 2, 3]);
    assert_eq!(desk.inbound.len(), 0);
}

// spec: D-10
#[test]
fn a_stalled_message_holds_back_later_ones_for_a_moment_only() {
    let mut desk = Desk::new();
    let stalled = desk.new_message(1, "x");
    let lively: Vec<u64> = (2..=4).map(|id| desk.new_message(id, "x")).collect();
    desk.inbound.settle(lively[0], true);
    desk.inbound.settle(lively[1], true);
    assert_eq!(desk.flush(), NONE);
    desk.later();
    assert_eq!(desk.flush(), [2, 3]);
    assert_eq!(desk.flush(), NONE, "answered twice");
    desk.inbound.settle(lively[2], true);
    assert_eq!(desk.flush(), [4]);
    desk.inbound.settle(stalled, true);
    assert_eq!(desk.flush(), [1]);
    assert_eq!(desk.inbound.len(), 0);
}

#[test]
fn a_strict_broker_gets_answers_in_order_only() {
    let mut desk = Desk::new();
    let stalled = desk.new_message(1, "x");
    let lively = desk.new_message(2, "x");
    desk.inbound.be_strict();
    desk.inbound.settle(lively, true);
    desk.later();
    assert_eq!(desk.flush(), NONE);
    desk.inbound.settle(stalled, true);
    assert_eq!(desk.flush(), [1, 2]);
}

// spec: D-1: no needless duplicates
#[test]
fn what_is_still_under_way_is_not_taken_twice_after_a_reconnect() {
    let mut desk = Desk::new();
    let one = desk.new_message(1, "a");
    let two = desk.new_message(2, "b");
    desk.inbound.disconnected();
    desk.inbound.settle(two, true);
    desk.inbound.connected(true);
    assert_eq!(desk.receive(1, "a"), Received::Known);
    assert_eq!(desk.receive(2, "b"), Received::Known);
    let three = desk.new_message(3, "c");
    desk.inbound.settle(three, true);
    assert_eq!(desk.flush(), NONE);
    desk.inbound.settle(one, true);
    assert_eq!(desk.flush(), [1, 2, 3]);
    assert_eq!(desk.inbound.len(), 0);
}

#[test]
fn a_message_is_found_over_two_reconnects() {
    let mut desk = Desk::new();
    let one = desk.new_message(1, "a");
    for _ in 0..2 {
        desk.inbound.disconnected();
        desk.inbound.connected(true);
        assert_eq!(desk.receive(1, "a"), Received::Known);
    }
    assert_eq!(desk.flush(), NONE);
    desk.inbound.settle(one, true);
    assert_eq!(desk.flush(), [1]);
}

#[test]
fn another_message_under_an_old_identifier_is_new() {
    let mut desk = Desk::new();
    let old = desk.new_message(1, "a");
    desk.inbound.disconnected();
    desk.inbound.connected(true);
    let new = desk.new_message(1, "other");
    desk.inbound.settle(old, true);
    assert_eq!(desk.flush(), NONE, "the old one's end was taken for the new one's");
    desk.inbound.settle(new, true);
    assert_eq!(desk.flush(), [1]);
}

#[test]
fn a_broker_that_forgot_the_session_is_owed_nothing() {
    let mut desk = Desk::new();
    let old = desk.new_message(1, "a");
    desk.inbound.disconnected();
    desk.inbound.connected(false);
    let new = desk.new_message(1, "a");
    desk.inbound.settle(old, true);
    assert_eq!(desk.flush(), NONE);
    desk.inbound.settle(new, true);
    assert_eq!(desk.flush(), [1]);
}

// spec: D-1
#[test]
fn a_returned_message_is_not_acknowledged_and_taken_again() {
    let mut desk = Desk::new();
    let one = desk.new_message(1, "a");
    desk.inbound.settle(one, false);
    assert!(desk.inbound.has_returned(|_| true));
    assert_eq!(desk.flush(), NONE);
    desk.inbound.disconnected();
    desk.inbound.connected(true);
    let again = desk.new_message(1, "a");
    assert!(!desk.inbound.has_returned(|_| true));
    desk.inbound.settle(again, true);
    assert_eq!(desk.flush(), [1]);
}

#[test]
fn a_message_for_two_flows_is_acknowledged_after_both() {
    let mut desk = Desk::new();
    let Received::New(number) = desk.inbound.receive((1, false), 0, (2, 1), desk.now) else { panic!() };
    desk.inbound.settle(number, true);
    assert_eq!(desk.flush(), NONE);
    desk.inbound.settle(number, true);
    assert_eq!(desk.flush(), [1]);
}

#[test]
fn abandoned_messages_free_the_window() {
    let mut desk = Desk::new();
    let kept = desk.inbound.receive((1, false), 0, (1, 7), desk.now);
    let Received::New(gone) = desk.inbound.receive((2, false), 0, (1, 9), desk.now) else { panic!() };
    desk.inbound.settle(gone, false);
    assert_eq!(desk.inbound.returned(9), 1);
    assert_eq!(desk.inbound.abandon(9), 1);
    desk.later();
    assert_eq!(desk.flush(), [2]);
    let Received::New(kept) = kept else { panic!() };
    desk.inbound.settle(kept, true);
    assert_eq!(desk.flush(), [1]);
}
