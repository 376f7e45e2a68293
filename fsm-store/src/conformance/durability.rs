//! What is kept is what was written, or the damage is reported (H-2, H-8).

use serde_json::json;

use super::Harness;
use super::world::{FIRST, after, at, create, identify, node, observe, path, read, write};
use crate::{Blow, DocumentId, Expected, Filter, ReadError, Store, SyncId};

/// An orderly end loses nothing, and ids and generations go on.
pub fn what_was_written_is_there_after_opening_again<H: Harness>(harness: &H) {
    let store = create(harness);
    let press = path("/press");
    identify(&store, "/press", FIRST, 0);
    write(&store, at(1).desire(&press, FIRST, Expected::Nothing, json!({"port": 502})));
    observe(&store, "/press", json!("seen"), 2);
    write(&store, at(3).put(DocumentId::new("override", "/press"), b"stopped".as_slice()));
    let (before, history) = (node(&store, "/press"), read(&store, SyncId::ZERO, &Filter::default(), 10));
    let store = harness.reopen(store);
    assert_eq!(node(&store, "/press"), before);
    assert_eq!(read(&store, SyncId::ZERO, &Filter::default(), 10), history);
    let document = store.document(&DocumentId::new("override", "/press")).expect("it can be read");
    assert_eq!(document.expect("it is there").bytes.as_deref(), Some(&b"stopped"[..]));
    let written = write(&store, at(4).desire(&press, FIRST, after(1), json!({"port": 503})));
    assert_eq!(written.last, SyncId::new(5));
    assert_eq!(store.check().expect("it can be read"), []);
}

/// A store of seven changes, five of one node.
fn store<H: Harness>(harness: &H) -> H::Store {
    let store = create(harness);
    identify(&store, "/a", FIRST, 0);
    identify(&store, "/b", FIRST, 0);
    for n in 0..5 {
        observe(&store, "/a", json!({ "n": n }), n);
    }
    store
}

/// Damage is found by a check, and a reader that comes to it is told.
fn notices<H: Harness>(harness: &H, at: SyncId, blow: Blow) {
    let Some(store) = harness.hurt(store(harness), at, blow) else { return };
    let found = store.check().expect("damage is an answer, not an error");
    assert!(!found.is_empty(), "{blow:?} at {at} is not found by a check");
    let mut since = SyncId::ZERO;
    loop {
        match store.changes_since(since, &Filter::default(), 2) {
            Err(ReadError::Damaged(_)) => return,
            Err(other) => panic!("{other}"),
            Ok(crate::Changes::Page { records, next, lag }) => {
                let given = records.iter().map(|record| record.sync_id.get());
                assert!(given.eq(since.get() + 1..=next.get()), "{blow:?} at {at} gives others: {records:?}");
                assert!(lag > 0 && next > since, "{blow:?} at {at} is read over");
                since = next;
            }
            Ok(bootstrap) => panic!("nothing was forgotten: {bootstrap:?}"),
        }
    }
}

/// H-2: whichever bit of a record turns over, it is noticed.
pub fn a_flipped_bit_is_noticed<H: Harness>(harness: &H) {
    for bit in (0..2_400).step_by(37) {
        notices(harness, SyncId::new(4), Blow::FlipBit { bit });
    }
}

/// H-2: a record that is missing is noticed, wherever it stood.
pub fn a_lost_record_is_noticed<H: Harness>(harness: &H) {
    for at in 1..=7 {
        notices(harness, SyncId::new(at), Blow::Lose);
    }
}
