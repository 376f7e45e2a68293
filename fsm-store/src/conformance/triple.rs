//! The triple of a node: identity, desired, observed (H-1).

use std::sync::Arc;

use serde_json::{Value, json};

use super::Harness;
use super::world::{
    FIRST, SECOND, after, at, conflict, create, generation, identify, node, observe, path, write,
};
use crate::{Conflict, Effect, Expected, Store, SyncId, Timestamp, WriteError};

/// H-1: each part has its own generation, times and sync id.
pub fn the_triple_is_kept_with_its_times_and_generations<H: Harness>(harness: &H) {
    let store = create(harness);
    let press = path("/edge/press");
    write(&store, at(10).identify(&press, FIRST, "bridge", json!({"dynamic": true})));
    write(&store, at(20).desire(&press, FIRST, Expected::Nothing, json!({"port": 1})));
    write(&store, at(30).observe(&press, FIRST, json!({"up": false})));
    write(&store, at(40).observe(&press, FIRST, json!({"up": true})));
    let node = node(&store, "/edge/press");
    assert_eq!((&*node.kind, node.incarnation), ("bridge", FIRST));
    assert_eq!((node.known_since, node.removed), (Timestamp::new(10), None));
    assert_eq!(*node.identity.value, json!({"kind": "bridge", "facts": {"dynamic": true}}));
    let desired = node.desired.expect("it was written");
    assert_eq!((desired.generation, desired.sync_id), (generation(1), SyncId::new(2)));
    assert_eq!((desired.created_at, desired.updated_at), (Timestamp::new(20), Timestamp::new(20)));
    let observed = node.observed.expect("it was written");
    assert_eq!((observed.generation, observed.sync_id), (generation(2), SyncId::new(4)));
    assert_eq!((observed.created_at, observed.updated_at), (Timestamp::new(30), Timestamp::new(40)));
    assert_eq!(*observed.value, json!({"up": true}));
    assert!(store.node(&path("/edge")).expect("it can be read").is_none());
}

/// H-1: writes of desired state are compare-and-swap on the generation.
pub fn a_stale_writer_gets_a_conflict<H: Harness>(harness: &H) {
    let store = create(harness);
    let press = path("/press");
    identify(&store, "/press", FIRST, 0);
    let unborn = conflict(&store, at(1).desire(&press, FIRST, after(1), json!(1)));
    assert_eq!(unborn, Conflict::Desired { path: press.clone(), expected: after(1), stored: None });
    write(&store, at(1).desire(&press, FIRST, Expected::Nothing, json!(1)));
    write(&store, at(2).desire(&press, FIRST, after(1), json!(2)));
    for expected in [Expected::Nothing, after(1), after(3)] {
        let stale = conflict(&store, at(3).desire(&press, FIRST, expected, json!(3)));
        let stored = Some(generation(2));
        assert_eq!(stale, Conflict::Desired { path: press.clone(), expected, stored });
    }
    assert_eq!(*node(&store, "/press").desired.expect("it was written").value, json!(2));
}

/// H-1: identity is written once per incarnation; the same again is no change.
pub fn an_identity_is_written_once_per_incarnation<H: Harness>(harness: &H) {
    let store = create(harness);
    let press = path("/press");
    identify(&store, "/press", FIRST, 0);
    let again = write(&store, at(1).identify(&press, FIRST, "bridge", Value::Null));
    assert_eq!(again.effects, [Effect::Unchanged]);
    for (kind, facts) in [("dataflow", Value::Null), ("bridge", json!(1))] {
        let other = conflict(&store, at(2).identify(&press, FIRST, kind, facts));
        assert_eq!(other, Conflict::Identity { path: press.clone(), incarnation: FIRST });
    }
    write(&store, at(3).identify(&press, SECOND, "dataflow", Value::Null));
    let node = node(&store, "/press");
    assert_eq!((&*node.kind, node.incarnation), ("dataflow", SECOND));
    assert_eq!(node.known_since, Timestamp::new(0), "a path is known since its first life");
}

/// H-2: an observation that equals the last is no change, however late it comes and whichever incarnation made it.
pub fn an_observation_that_says_the_same_is_no_change<H: Harness>(harness: &H) {
    let store = create(harness);
    identify(&store, "/press", FIRST, 0);
    let first = observe(&store, "/press", json!({"a": 1, "b": 2}), 1);
    assert!(matches!(first, Effect::Changed { .. }));
    let before = store.newest();
    assert_eq!(observe(&store, "/press", json!({"b": 2, "a": 1}), 1_000), Effect::Unchanged);
    assert_eq!(store.newest(), before);
    assert_eq!(node(&store, "/press").observed.expect("it was written").updated_at, Timestamp::new(1));
    let changed = Effect::Changed { sync_id: before.next(), generation: generation(2) };
    assert_eq!(observe(&store, "/press", json!({"a": 1, "b": 3}), 2_000), changed);
    identify(&store, "/press", SECOND, 3_000);
    let restarted = write(&store, at(3_001).observe(&path("/press"), SECOND, json!({"a": 1, "b": 3})));
    assert_eq!(restarted.effects, [Effect::Unchanged]);
}

/// J3: what a former life writes comes too late.
pub fn changes_of_a_former_incarnation_come_too_late<H: Harness>(harness: &H) {
    let store = create(harness);
    let press = path("/press");
    let unknown = conflict(&store, at(0).observe(&press, FIRST, json!(1)));
    assert_eq!(unknown, Conflict::Unknown { path: press.clone() });
    identify(&store, "/press", SECOND, 0);
    let late = Conflict::Incarnation { path: press.clone(), written: FIRST, stored: SECOND };
    assert_eq!(conflict(&store, at(1).observe(&press, FIRST, json!(1))), late);
    assert_eq!(conflict(&store, at(1).desire(&press, FIRST, Expected::Nothing, json!(1))), late);
    assert_eq!(conflict(&store, at(1).remove(&press, FIRST)), late);
    assert_eq!(conflict(&store, at(1).identify(&press, FIRST, "bridge", Value::Null)), late);
}

/// W-11: a removed node is marked, and what is known of it stays.
pub fn a_removed_node_stays_readable_and_marked<H: Harness>(harness: &H) {
    let store = create(harness);
    let press = path("/press");
    identify(&store, "/press", FIRST, 0);
    observe(&store, "/press", json!("last words"), 1);
    let removed = write(&store, at(2).remove(&press, FIRST));
    let node = node(&store, "/press");
    let marker = node.removed.expect("it was removed");
    assert_eq!((marker.at, marker.sync_id), (Timestamp::new(2), removed.last));
    assert_eq!(*node.observed.expect("it was written").value, json!("last words"));
    assert_eq!(write(&store, at(3).remove(&press, FIRST)).effects, [Effect::Unchanged]);
    let stats = store.stats().expect("it can be read");
    assert_eq!((stats.nodes, stats.removed), (0, 1));
}

/// S-12: a removed path comes back in a new incarnation only, as a fresh node.
pub fn a_node_comes_back_only_in_a_new_incarnation<H: Harness>(harness: &H) {
    let store = create(harness);
    let press = path("/press");
    identify(&store, "/press", FIRST, 0);
    write(&store, at(0).desire(&press, FIRST, Expected::Nothing, json!(1)));
    observe(&store, "/press", json!(1), 1);
    write(&store, at(2).remove(&press, FIRST));
    let gone = Conflict::Removed { path: press.clone() };
    assert_eq!(conflict(&store, at(3).observe(&press, FIRST, json!(2))), gone);
    assert_eq!(conflict(&store, at(3).desire(&press, FIRST, after(1), json!(2))), gone);
    assert_eq!(conflict(&store, at(3).identify(&press, FIRST, "bridge", Value::Null)), gone);
    identify(&store, "/press", SECOND, 4);
    let node = node(&store, "/press");
    assert_eq!((node.removed, node.known_since), (None, Timestamp::new(4)));
    assert_eq!(node.observed, None, "nothing was seen of it yet");
    let stale = conflict(&store, at(5).desire(&press, SECOND, Expected::Nothing, json!(3)));
    assert!(matches!(stale, Conflict::Desired { .. }), "a generation is never given twice: {stale}");
    write(&store, at(5).desire(&press, SECOND, after(1), json!(3)));
}

/// A batch with a conflict writes nothing, and names every change that conflicts.
pub fn a_batch_is_written_whole_or_not_at_all<H: Harness>(harness: &H) {
    let store = create(harness);
    let mut batch = at(0);
    batch.identify(&path("/a"), FIRST, "bridge", Value::Null);
    batch.observe(&path("/unknown"), FIRST, json!(1));
    batch.observe(&path("/a"), FIRST, json!(1));
    batch.observe(&path("/unheard-of"), FIRST, json!(1));
    let Err(WriteError::Conflicts(conflicts)) = store.write(&batch) else { panic!("two changes conflict") };
    assert_eq!(conflicts.iter().map(|c| c.change).collect::<Vec<_>>(), [1, 3]);
    assert!(store.node(&path("/a")).expect("it can be read").is_none());
    assert_eq!(store.newest(), SyncId::ZERO);
    batch
        .changes
        .retain(|change| !matches!(&change.op, crate::Op::Observe { path, .. } if path.as_str() != "/a"));
    assert_eq!(write(&store, &batch).last, SyncId::new(2));
}

/// Changes of one batch build on each other and get consecutive ids; one that says what is there gets none.
pub fn changes_of_one_batch_see_each_other<H: Harness>(harness: &H) {
    let store = create(harness);
    let press = path("/press");
    let mut batch = at(0);
    batch.identify(&press, FIRST, "bridge", Value::Null);
    batch.desire(&press, FIRST, Expected::Nothing, json!(1));
    batch.desire(&press, FIRST, after(1), json!(1));
    batch.desire(&press, FIRST, after(1), json!(2));
    let written = write(&store, &batch);
    let changed = |id, number| Effect::Changed { sync_id: SyncId::new(id), generation: generation(number) };
    assert_eq!(written.effects, [changed(1, 1), changed(2, 1), Effect::Unchanged, changed(3, 2)]);
    assert_eq!((written.last, store.newest()), (SyncId::new(3), SyncId::new(3)));
}

/// H-1: the key is the path, never the bare name.
pub fn the_same_name_under_two_parents_are_two_nodes<H: Harness>(harness: &H) {
    let store = create(harness);
    for (node, value) in [("/a/read", 1), ("/b/read", 2)] {
        identify(&store, node, FIRST, 0);
        observe(&store, node, Arc::new(json!(value)), 0);
    }
    for (at, value) in [("/a/read", 1), ("/b/read", 2)] {
        assert_eq!(*node(&store, at).observed.expect("it was written").value, json!(value));
    }
}

/// A listing in pages gives every node once, in the order of paths.
pub fn nodes_are_listed_in_the_order_of_paths<H: Harness>(harness: &H) {
    let store = create(harness);
    let mut names: Vec<String> = (0..25).map(|n| format!("/n{n}")).collect();
    names.iter().for_each(|name| identify(&store, name, FIRST, 0));
    write(&store, at(1).remove(&path("/n7"), FIRST));
    names.sort();
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = store.nodes(after.as_ref(), 10).expect("it can be read");
        assert_eq!(page.as_of, store.newest());
        seen.extend(page.items.iter().map(|node| node.path.to_string()));
        after = page.items.last().map(|node| node.path.clone());
        if !page.more {
            break;
        }
    }
    assert_eq!(seen, names);
}
