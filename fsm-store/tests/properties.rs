//! Whatever is written in whatever order: readers miss nothing, stale writers lose, the past can be reached.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use fsm_core::{Generation, Incarnation, NodePath};
use fsm_store::{
    Batch, Changes, Conflict, Effect, Expected, Filter, MemoryStore, Retention, Role, Store, Subject, SyncId,
    Timestamp, WriteError, diff, replay, revert,
};
use proptest::prelude::*;
use serde_json::{Value, json};

const ONE: Incarnation = Incarnation::new(1);

fn path(node: usize) -> NodePath {
    NodePath::try_new(format!("/n{node}")).expect("a good path")
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-3..3_i64).prop_map(Value::from),
        "[a-z/~é]{0,3}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-c/~]{0,2}", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

#[derive(Debug, Clone)]
enum Do {
    Identify(usize, u32),
    Desire(usize, u32, Option<u64>, i64),
    Observe(usize, u32, i64),
    Remove(usize, u32),
    Compact(u64),
}

fn steps() -> impl Strategy<Value = Vec<Do>> {
    let (node, life) = (0..3_usize, 1..4_u32);
    let expected = prop::option::of(1..5_u64);
    let step = prop_oneof![
        3 => (node.clone(), life.clone()).prop_map(|(n, i)| Do::Identify(n, i)),
        4 => (node.clone(), life.clone(), expected, 0..4_i64).prop_map(|(n, i, e, v)| Do::Desire(n, i, e, v)),
        4 => (node.clone(), life.clone(), 0..4_i64).prop_map(|(n, i, v)| Do::Observe(n, i, v)),
        1 => (node, life).prop_map(|(n, i)| Do::Remove(n, i)),
        1 => (0..60_u64).prop_map(Do::Compact),
    ];
    prop::collection::vec(step, 1..80)
}

/// What a node should be like, worked out by hand.
#[derive(Debug, Clone, Default, PartialEq)]
struct Model {
    life: u32,
    removed: bool,
    desired: Option<(u64, i64)>,
    observed: Option<i64>,
}

/// Whether the store may take the step, and what the node is like then.
fn expected_of(model: &Model, step: &Do) -> Option<Model> {
    let mut next = model.clone();
    let alive = |life: u32| life == model.life && model.life > 0 && !model.removed;
    match *step {
        Do::Identify(_, life) => {
            if life < model.life || (life == model.life && model.removed) {
                return None;
            }
            if model.removed {
                next.observed = None;
            }
            (next.life, next.removed) = (life, false);
        }
        Do::Desire(_, life, expected, value) => {
            if !alive(life) || expected != model.desired.map(|(generation, _)| generation) {
                return None;
            }
            if model.desired.map(|(_, old)| old) != Some(value) {
                next.desired = Some((expected.unwrap_or_default() + 1, value));
            }
        }
        Do::Observe(_, life, value) => {
            if !alive(life) {
                return None;
            }
            next.observed = Some(value);
        }
        Do::Remove(_, life) => {
            if life != model.life || life == 0 {
                return None;
            }
            next.removed = true;
        }
        Do::Compact(_) => {}
    }
    Some(next)
}

fn batch_of(step: &Do, when: u64) -> Batch {
    let mut batch = Batch::new(Timestamp::new(when), "test");
    match *step {
        Do::Identify(node, life) => batch.identify(&path(node), Incarnation::new(life), "k", Value::Null),
        Do::Desire(node, life, expected, value) => {
            let expected = expected.map_or(Expected::Nothing, |g| Expected::Generation(Generation::new(g)));
            batch.desire(&path(node), Incarnation::new(life), expected, json!(value))
        }
        Do::Observe(node, life, value) => batch.observe(&path(node), Incarnation::new(life), json!(value)),
        Do::Remove(node, life) => batch.remove(&path(node), Incarnation::new(life)),
        Do::Compact(_) => &mut batch,
    };
    batch
}

/// A reader's picture of the tree, made of nothing but change records.
#[derive(Default)]
struct Follower {
    cursor: SyncId,
    observed: BTreeMap<NodePath, Option<Value>>,
}

impl Follower {
    fn follow(&mut self, store: &MemoryStore, limit: usize) -> Result<(), TestCaseError> {
        let mut began_anew = false;
        loop {
            match store.changes_since(self.cursor, &Filter::default(), limit).expect("no damage") {
                Changes::Bootstrap { newest, .. } => {
                    prop_assert!(!began_anew, "nobody writes: beginning anew once is enough");
                    began_anew = true;
                    let page = store.nodes(None, 100).expect("it can be read");
                    prop_assert_eq!(page.as_of, newest);
                    let seen = page.items.into_iter();
                    self.observed =
                        seen.map(|n| (n.path, n.observed.map(|part| Value::clone(&part.value)))).collect();
                    self.cursor = page.as_of;
                }
                Changes::Page { records, next, lag } => {
                    for record in records {
                        prop_assert_eq!(record.sync_id, self.cursor.next(), "a gap");
                        self.cursor = record.sync_id;
                        let Subject::Node(path) = record.subject else { continue };
                        let value = self.observed.entry(path).or_default();
                        if let (Role::Observed, fsm_store::Delta::Edits(edits)) = (record.role, &record.delta)
                        {
                            // After a removal the first observation begins from nothing.
                            let from =
                                if record.generation == Generation::new(1) { None } else { value.take() };
                            *value = replay(from, edits);
                        }
                    }
                    prop_assert_eq!(next, self.cursor);
                    if lag == 0 {
                        return Ok(());
                    }
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    // spec: H-1, H-2, J7
    #[test]
    fn the_store_is_what_its_rules_say(steps in steps(), max_records in 1..30_usize, limit in 1..5_usize) {
        let limits = Retention::default().with_max_records(max_records);
        let store = MemoryStore::new(limits);
        let mut models: BTreeMap<usize, Model> = BTreeMap::new();
        let mut follower = Follower::default();
        for (when, step) in (0_u64..).zip(&steps) {
            let node = match *step {
                Do::Identify(node, _) | Do::Desire(node, ..) | Do::Observe(node, ..) | Do::Remove(node, _) => node,
                Do::Compact(age) => {
                    let keep = Retention::default().with_max_age(Duration::from_millis(age));
                    let _compacted = store.compact(Timestamp::new(when), &keep).expect("it can be compacted");
                    // A node that is forgotten is as one that never was.
                    models.retain(|node, _| store.node(&path(*node)).expect("it can be read").is_some());
                    continue;
                }
            };
            let model = models.get(&node).cloned().unwrap_or_default();
            let before = store.newest();
            match (store.write(&batch_of(step, when)), expected_of(&model, step)) {
                (Ok(written), Some(next)) => {
                    let changed = matches!(written.effects[0], Effect::Changed { .. });
                    prop_assert_eq!(changed, next != model, "{:?}", step);
                    prop_assert_eq!(written.last.get(), before.get() + u64::from(changed));
                    models.insert(node, next);
                }
                (Err(WriteError::Conflicts(_)), None) => prop_assert_eq!(store.newest(), before),
                (result, expected) => prop_assert!(false, "{:?}: {:?}, expected {:?}", step, result, expected),
            }
            if when % 7 == 0 {
                follower.follow(&store, limit)?;
            }
            let stats = store.stats().expect("it can be read");
            prop_assert!(stats.records <= max_records);
        }
        for (node, model) in &models {
            let stored = store.node(&path(*node)).expect("it can be read").expect("it is known");
            prop_assert_eq!(stored.incarnation, Incarnation::new(model.life));
            prop_assert_eq!(stored.removed.is_some(), model.removed);
            let desired = stored.desired.map(|part| (part.generation.get(), Value::clone(&part.value)));
            prop_assert_eq!(desired, model.desired.map(|(generation, value)| (generation, json!(value))));
            prop_assert_eq!(stored.observed.map(|part| Value::clone(&part.value)), model.observed.map(|v| json!(v)));
        }
        follower.follow(&store, limit)?;
        for node in store.nodes(None, 100).expect("it can be read").items {
            // A path that came back and was not seen yet still shows a follower its last life's value.
            if let Some(part) = node.observed {
                prop_assert_eq!(follower.observed.get(&node.path), Some(&Some(Value::clone(&part.value))));
            }
        }
        prop_assert_eq!(store.check().expect("it can be read"), []);
    }

    // spec: H-10
    #[test]
    fn edits_lead_forwards_and_backwards(old in prop::option::of(values()), new in prop::option::of(values())) {
        let edits = diff(old.as_ref(), new.as_ref());
        prop_assert_eq!(edits.is_empty(), old == new);
        prop_assert_eq!(&replay(old.clone(), &edits), &new);
        prop_assert_eq!(&revert(new, &edits), &old);
        let json = serde_json::to_string(&edits).expect("edits are JSON");
        prop_assert_eq!(serde_json::from_str::<Vec<fsm_store::Edit>>(&json).expect("as written"), edits);
    }
}

// spec: H-1
#[test]
fn of_writers_that_race_for_a_generation_one_wins() {
    const ROUNDS: u64 = 200;
    let store = Arc::new(MemoryStore::default());
    let mut batch = Batch::new(Timestamp::new(0), "test");
    store.write(batch.identify(&path(0), ONE, "k", Value::Null)).expect("a new node");
    let writers: Vec<_> = (0..4)
        .map(|writer| {
            let store = Arc::clone(&store);
            thread::spawn(move || {
                let mut won = 0;
                for round in 0..ROUNDS {
                    let expected = match round {
                        0 => Expected::Nothing,
                        round => Expected::Generation(Generation::new(round)),
                    };
                    let mut batch = Batch::new(Timestamp::new(round), format!("writer {writer}"));
                    batch.desire(&path(0), ONE, expected, json!([writer, round]));
                    match store.write(&batch) {
                        Ok(_) => won += 1,
                        Err(WriteError::Conflicts(conflicts)) => {
                            assert!(matches!(conflicts[0].conflict, Conflict::Desired { .. }));
                            // A loser is behind, never ahead: the generation it wanted to make is there.
                            let there = |round: u64| {
                                let node =
                                    store.node(&path(0)).expect("it can be read").expect("it is known");
                                node.desired.is_some_and(|part| part.generation.get() > round)
                            };
                            assert!(there(round), "a loser finds a newer generation");
                        }
                        Err(other) => panic!("{other}"),
                    }
                }
                won
            })
        })
        .collect();
    let won: u64 = writers.into_iter().map(|writer| writer.join().expect("no writer panics")).sum();
    assert_eq!(won, ROUNDS, "each generation is given once");
    let node = store.node(&path(0)).expect("it can be read").expect("it is known");
    assert_eq!(node.desired.expect("it was written").generation, Generation::new(ROUNDS));
}
