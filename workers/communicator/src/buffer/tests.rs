//! The rules of the buffers, over all sizes that matter.

use serde_json::Value;

use super::*;

const CAPACITY: usize = 1_000;

fn message(n: usize) -> Message {
    Message::new(format!("m-{n}"), "event", "", Value::Null)
}

fn outbox(count: usize) -> Outbox {
    let mut outbox = Outbox::new(CAPACITY, Vec::new());
    for n in 0..count {
        outbox.insist(message(n)).expect("room");
    }
    outbox
}

fn ids(messages: &[Message]) -> HashSet<&str> {
    messages.iter().map(|message| message.id.as_str()).collect()
}

// spec: W-4
#[test]
fn backpressure_begins_under_fifty_free_places_and_ends_at_a_hundred() {
    let mut pressure = Pressure::default();
    let mut seen = Vec::new();
    for free in [1_000, 51, 50, 49, 50, 99, 100, 99, 50, 49] {
        pressure.update(free);
        seen.push((free, pressure.is_on()));
    }
    let on: Vec<_> = seen.iter().map(|(_, on)| *on).collect();
    assert_eq!(on, [false, false, false, true, true, true, false, false, false, true], "{seen:?}");
}

// spec: W-4
#[test]
fn events_wait_under_pressure_and_receipts_have_the_last_places() {
    let mut outbox = outbox(950);
    assert!(!outbox.is_pressed());
    assert!(outbox.offer(message(950)).is_ok());
    assert!(outbox.is_pressed(), "49 are free");
    assert_eq!(outbox.offer(message(951)).map(|_| ()), Err(Full));
    for n in 951..CAPACITY {
        assert!(outbox.insist(message(n)).is_ok());
    }
    assert_eq!(outbox.insist(message(CAPACITY)).map(|_| ()), Err(Full));
    let first = outbox.batch(50);
    outbox.sent(&ids(&first));
    assert!(outbox.is_pressed(), "50 are free");
    let next = outbox.batch(50);
    outbox.sent(&ids(&next));
    assert!(!outbox.is_pressed(), "100 are free");
}

// spec: W-4
#[test]
fn a_poison_message_is_found_by_halving_and_the_others_arrive_in_order() {
    for poison in [0, 1, 24, 25, 48, 49] {
        let mut outbox = outbox(50);
        let bad = format!("m-{poison}");
        let (mut arrived, mut aside, mut requests) = (Vec::new(), Vec::new(), 0);
        while outbox.len() > 0 {
            requests += 1;
            let batch = outbox.batch(50);
            if batch.iter().any(|message| message.id == bad) {
                match outbox.refused(batch.len()) {
                    Some(Refused::SetAside(unsent)) => aside.push(unsent.message.id),
                    Some(Refused::Smaller) => {}
                    None => panic!("there was something to refuse"),
                }
            } else {
                arrived.extend(batch.iter().map(|message| message.id.clone()));
                outbox.sent(&ids(&batch));
            }
        }
        assert_eq!(aside, [bad.as_str()]);
        let expected: Vec<_> = (0..50).map(|n| format!("m-{n}")).filter(|id| *id != bad).collect();
        assert_eq!(arrived, expected);
        assert!(requests <= 16, "{requests} requests for poison at {poison}");
    }
}

// spec: W-4
#[test]
fn a_relay_that_refuses_everything_is_not_asked_for_ever() {
    let mut outbox = outbox(50);
    let mut requests = 0;
    while outbox.len() > 0 {
        requests += 1;
        outbox.refused(outbox.batch(50).len());
    }
    assert!(requests < 60, "{requests}");
    assert_eq!(outbox.free.len(), CAPACITY);
}

// spec: W-4
#[test]
fn what_was_kept_goes_on_in_its_order_and_its_places_are_taken() {
    let mut before = outbox(5);
    before.sent(&HashSet::from(["m-0", "m-2"]));
    before.insist(message(5)).expect("room");
    let kept: Vec<Unsent> = before.queue.iter().rev().cloned().collect();
    let mut after = Outbox::new(CAPACITY, kept);
    let order: Vec<_> = after.batch(50).into_iter().map(|message| message.id).collect();
    assert_eq!(order, ["m-1", "m-3", "m-4", "m-5"]);
    let slots: BTreeSet<_> = (0..3).map(|n| after.insist(message(6 + n)).expect("room").slot).collect();
    assert!(after.queue.iter().map(|unsent| unsent.slot).collect::<HashSet<_>>().len() == 7, "{slots:?}");
    assert_eq!(after.next_number(), before.next_number() + 3);
}

// spec: W-4
#[test]
fn a_smaller_buffer_keeps_what_was_there() {
    let kept: Vec<Unsent> = outbox(300).queue.into();
    let mut smaller = Outbox::new(200, kept);
    assert!(smaller.is_pressed() && smaller.len() == 300);
    assert!(smaller.insist(message(300)).is_err());
}

// spec: W-4
#[test]
fn one_that_the_relay_names_is_set_aside_wherever_it_is() {
    let mut outbox = outbox(3);
    assert_eq!(outbox.set_aside("m-1").map(|unsent| unsent.message.id), Some("m-1".into()));
    assert_eq!(outbox.set_aside("m-1"), None);
    assert_eq!(outbox.len(), 2);
}

// spec: W-4
#[test]
fn duplicates_are_told_apart_by_their_id() {
    let mut inbox = Inbox::new(200);
    assert_eq!(inbox.take(message(1)), Taken::New);
    assert_eq!(inbox.take(message(1)), Taken::Known);
    let next = inbox.next().expect("one waits");
    assert_eq!(inbox.take(next.clone()), Taken::Known, "it is being carried out");
    inbox.done(&next.id);
    assert_eq!(inbox.take(next), Taken::New);
}

// spec: W-4
#[test]
fn a_full_inbox_takes_nothing_and_asks_to_wait_before() {
    let mut inbox = Inbox::new(200);
    for n in 0..150 {
        inbox.take(message(n));
    }
    assert!(!inbox.is_pressed(), "50 are free");
    for n in 150..200 {
        assert_eq!(inbox.take(message(n)), Taken::New);
        assert!(inbox.is_pressed());
    }
    assert_eq!(inbox.take(message(200)), Taken::Full);
    for _ in 0..100 {
        assert!(inbox.is_pressed());
        inbox.next();
    }
    assert!(!inbox.is_pressed(), "100 are free");
    assert_eq!(inbox.len(), 100);
}
