//! Anything in any order: specs, commands, faults and time at random, and the invariants hold after every step; then the
//! faults end and the tree reaches what is declared.

use std::time::Duration;

use fsm_core::{ChildName, Condition, Dependency, NodePath, Phase, StartWhen};
use fsm_supervisor::Command;
use proptest::prelude::*;
use serde_json::json;

use crate::group::{Decl, group, unit};
use crate::rig::{Rig, secs};
use crate::world::{self, Act, Collect, Tell};

/// Units that a root may have, and groups with units of their own.
const UNITS: [&str; 4] = ["a", "b", "c", "d"];

#[derive(Debug, Clone)]
struct UnitShape {
    kind: u8,
    value: u32,
    socket: u32,
    enabled: bool,
    bad: bool,
    depends: Option<(u8, bool)>,
    start_when: bool,
}

#[derive(Debug, Clone)]
enum Step {
    Declare { top: Vec<Option<UnitShape>>, group: Option<Vec<Option<UnitShape>>>, turned: bool },
    Behave { at: u8, how: u8 },
    Ask { at: u8, what: u8 },
    Wait { ms: u64 },
}

fn shape() -> impl Strategy<Value = UnitShape> {
    (
        (0..8_u8, 0..3_u32, prop::bool::weighted(0.1)),
        (prop::bool::weighted(0.85), prop::bool::weighted(0.1)),
        (prop::option::weighted(0.3, (0..4_u8, any::<bool>())), prop::bool::weighted(0.1)),
    )
        .prop_map(|((kind, value, socket), (enabled, bad), (depends, start_when))| UnitShape {
            kind,
            value,
            socket: u32::from(socket),
            enabled,
            bad,
            depends,
            start_when,
        })
}

fn shapes() -> impl Strategy<Value = Vec<Option<UnitShape>>> {
    prop::collection::vec(prop::option::weighted(0.7, shape()), 4)
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => (shapes(), prop::option::weighted(0.8, shapes()), any::<bool>())
            .prop_map(|(top, group, turned)| Step::Declare { top, group, turned }),
        4 => (0..8_u8, 0..20_u8).prop_map(|(at, how)| Step::Behave { at, how }),
        2 => (0..10_u8, 0..9_u8).prop_map(|(at, what)| Step::Ask { at, what }),
        6 => prop_oneof![Just(1), 1..2_000_u64, 1_000..40_000_u64].prop_map(|ms| Step::Wait { ms }),
    ]
}

fn declare(top: &[Option<UnitShape>], inner: Option<&[Option<UnitShape>]>, turned: bool) -> Decl {
    let mut children = units(top);
    if let Some(inner) = inner {
        children.push(group("g", units(inner)));
    }
    if turned {
        children.reverse();
    }
    group("r", children)
}

fn units(shapes: &[Option<UnitShape>]) -> Vec<Decl> {
    let named =
        UNITS.iter().zip(shapes).filter_map(|(name, shape)| shape.as_ref().map(|shape| (name, shape)));
    named
        .map(|(name, shape)| {
            let kind = match shape.kind {
                0 => "other",
                1 => "fast",
                2 => "pushed",
                _ => "unit",
            };
            let value = if shape.bad { json!("bad") } else { json!(shape.value) };
            let mut decl = Decl::new(name, kind).config(json!({"value": value, "socket": shape.socket}));
            decl.enabled = shape.enabled;
            if shape.start_when {
                decl = decl.start_when(StartWhen::Phases(vec![
                    Phase::Starting,
                    Phase::Running,
                    Phase::Degraded,
                ]));
            }
            if let Some((on, stop_when_unmet)) = shape.depends {
                let child = ChildName::try_new(UNITS[usize::from(on)]).unwrap();
                decl = decl.depends(Dependency { child, condition: Condition::Healthy, stop_when_unmet });
            }
            decl
        })
        .collect()
}

fn unit_path(at: u8) -> String {
    let name = UNITS[usize::from(at % 4)];
    if at < 4 { format!("/r/{name}") } else { format!("/r/g/{name}") }
}

fn behave(at: u8, how: u8) {
    world::thing(&unit_path(at), |thing| match how {
        0 => thing.collect = Collect::Fails,
        1 => thing.collect = Collect::Hangs,
        2 => thing.collect = Collect::Lost,
        3 => thing.collect = Collect::Panics,
        4 => thing.act = Act::Fails,
        5 => thing.act = Act::Hangs,
        6 => thing.act = Act::Panics,
        7 => thing.act = Act::Pretends,
        8 => thing.act = Act::Refused,
        9 => thing.panics_in = Some("next"),
        10 => thing.panics_in = Some("stop"),
        11 => thing.panics_in = Some("derive"),
        12 => thing.tell = Tell::Restart,
        13 => thing.tell = Tell::Flip,
        14 => thing.healthy = !thing.healthy,
        15 => thing.running = false,
        16 => thing.unstoppable = true,
        17 => thing.act_takes = Duration::from_millis(2_500),
        18 => thing.collect_takes = Duration::from_millis(700),
        _ => thing.cancel_takes = Duration::from_secs(9),
    });
}

fn recover() {
    for at in 0..8 {
        world::thing(&unit_path(at), |thing| {
            *thing = world::Thing { running: thing.running, ..Default::default() }
        });
    }
    world::thing("/r/g/x", |thing| *thing = world::Thing::default());
}

fn ask(rig: &mut Rig, at: u8, what: u8) {
    let path: NodePath = match at {
        8 => "/r".into(),
        9 => "/r/g".into(),
        _ => unit_path(at),
    }
    .parse()
    .unwrap();
    let who = || "op".into();
    let command = match what {
        0 => Command::Stop { path, who: who() },
        1 | 2 => Command::Start { path, who: who() },
        3 => Command::Restart { path, who: who() },
        4 => Command::Retry { path, who: who() },
        5 => Command::Collect { path },
        6 => Command::Upsert { parent: "/r/g".parse().unwrap(), spec: unit("x").spec().into(), who: who() },
        7 => Command::Delete {
            parent: "/r/g".parse().unwrap(),
            name: ChildName::try_new("x").unwrap(),
            who: who(),
        },
        _ => match rig.engine.request_action(&path, "start", json!(null)) {
            Ok(action) => Command::Act { path, action, who: who() },
            Err(_) => return,
        },
    };
    // Refused commands are part of the game.
    let _refused = rig.command(command);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    // spec: J1, J2, J3, J4, J5, I8, S-35
    #[test]
    fn invariants_hold_and_the_tree_comes_back_after_the_last_fault(steps in prop::collection::vec(step(), 1..40)) {
        let all = |kind| vec![Some(UnitShape { kind, value: 1, socket: 0, enabled: true, bad: false, depends: None, start_when: false }); 4];
        let mut rig = Rig::new(&declare(&all(3), Some(&all(3)), false));
        for step in steps {
            match step {
                Step::Declare { top, group, turned } => rig.declare(&declare(&top, group.as_deref(), turned)),
                Step::Behave { at, how } => behave(at, how),
                Step::Ask { at, what } => ask(&mut rig, at, what),
                Step::Wait { ms } => rig.run(Duration::from_millis(ms)),
            }
        }
        recover();
        rig.declare(&declare(&all(3), Some(&all(3)), true));
        // So that every path is there when the operator's stops end.
        rig.run(secs(60));
        for at in 0..10 {
            ask(&mut rig, at, 1);
        }
        // One simulated hour is what J5 gives; a panic circuit takes five minutes of it.
        rig.run(secs(400));
        for at in 0..8 {
            prop_assert_eq!(rig.state(&unit_path(at)), "Running", "{}: {}", unit_path(at), rig.show());
        }
        prop_assert_eq!(rig.state("/r"), "Running", "{}", rig.show());
        prop_assert_eq!(rig.state("/r/g"), "Running", "{}", rig.show());
        rig.command(Command::Shutdown { within: secs(30) }).unwrap();
        rig.run(secs(31));
        let report = rig.engine.shutdown_report();
        prop_assert!(report.as_ref().is_some_and(|report| report.forced.is_empty()), "{:?}\n{}", report, rig.show());
        prop_assert!(rig.jobs.is_empty(), "nothing goes on");
    }
}
