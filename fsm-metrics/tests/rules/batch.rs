//! What the engine gathers in a tick reaches the series once, whole.

use fsm_core::Phase;
use fsm_metrics::{Circuit, Moved, ReconcileResult, TemplateErrorType, TickBatch};
use proptest::prelude::*;

use crate::world::{STATES, STOPPED, TRYING, at, kind, metrics, ms, parse, value};

fn of_bridge(name: &str, labels: &str) -> String {
    format!("fsm_{name}{{{labels}supervisor_id=\"bridge\"}}")
}

#[test]
fn nothing_shows_before_the_flush_and_everything_once_after_it() {
    let metrics = metrics();
    let mut batch = TickBatch::new(&metrics);
    let scope = batch.enter(&kind(&metrics, "bridge"), "/a");
    batch.reconciled(scope, ReconcileResult::Applied, ms(3));
    let applied = of_bridge("reconciliation_total", "path=\"\",result=\"applied\",");
    assert_eq!(value(&metrics, &applied), Some(0.0));
    for second in 0..3 {
        batch.flush(at(second));
        assert_eq!(value(&metrics, &applied), Some(1.0));
    }
    let sum = of_bridge("reconciliation_duration_seconds_sum", "path=\"\",");
    assert_eq!(value(&metrics, &sum), Some(0.003));
}

// spec: M-2
#[test]
fn what_was_flushed_is_not_flushed_again_with_what_comes_later() {
    let metrics = metrics();
    let mut batch = TickBatch::new(&metrics);
    let scope = batch.enter(&kind(&metrics, "bridge"), "/a");
    for second in 0..3 {
        batch.reconciled(scope, ReconcileResult::Applied, ms(250));
        batch.children(scope, 2);
        batch.flush(at(second));
    }
    let duration = |part: &str| {
        value(&metrics, &of_bridge(&format!("reconciliation_duration_seconds_{part}"), "path=\"\","))
    };
    assert_eq!((duration("count"), duration("sum")), (Some(3.0), Some(0.75)));
    assert_eq!(
        value(&metrics, &of_bridge("reconciliation_total", "path=\"\",result=\"applied\",")),
        Some(3.0)
    );
    assert_eq!(value(&metrics, &of_bridge("child_count", "path=\"\",")), Some(6.0));
}

#[test]
fn a_move_counts_the_transition_the_time_and_both_states() {
    let metrics = metrics();
    let mut batch = TickBatch::new(&metrics);
    let scope = batch.enter(&kind(&metrics, "bridge"), "/a");
    batch.entered(scope, Some(STOPPED), Phase::Stopped);
    let (from, to) = ((STOPPED, Phase::Stopped), (TRYING, Phase::Degraded));
    batch.moved(scope, Moved { from, to, after: ms(45_000) });
    batch.flush(at(0));
    let workers = |state: &str, phase: &str| {
        let labels = format!("path=\"\",phase=\"{phase}\",state=\"{state}\",");
        value(&metrics, &of_bridge("workers", &labels))
    };
    assert_eq!(workers("Stopped", "stopped"), Some(0.0));
    assert_eq!(workers("TryingToStart", "degraded"), Some(1.0));
    assert_eq!(workers("TryingToStart", "starting"), Some(0.0));
    let labels = "from_state=\"Stopped\",path=\"\",";
    let transition =
        format!("fsm_state_transitions_total{{{labels}supervisor_id=\"bridge\",to_state=\"TryingToStart\"}}");
    assert_eq!(value(&metrics, &transition), Some(1.0));
    let bucket = |le: &str| {
        format!(
            "fsm_state_duration_seconds_bucket{{le=\"{le}\",path=\"\",state=\"Stopped\",supervisor_id=\"bridge\"}}"
        )
    };
    assert_eq!(value(&metrics, &bucket("30")), Some(0.0));
    assert_eq!(value(&metrics, &bucket("60")), Some(1.0));
}

// spec: M-1, S-3
#[test]
fn the_depth_of_a_kind_is_that_of_its_deepest_node_in_the_last_tick_that_visited_one() {
    let metrics = metrics();
    let mut batch = TickBatch::new(&metrics);
    let bridge = kind(&metrics, "bridge");
    let (a, b) = (batch.enter(&bridge, "/a"), batch.enter(&bridge, "/b"));
    let depth = of_bridge("tick_propagation_depth", "path=\"\",");
    batch.propagated(a, 2, ms(1));
    batch.propagated(b, 5, ms(1));
    batch.flush(at(0));
    assert_eq!(value(&metrics, &depth), Some(5.0));
    batch.flush(at(1));
    assert_eq!(value(&metrics, &depth), Some(5.0), "a tick that visits nobody says nothing");
    batch.propagated(a, 1, ms(1));
    batch.flush(at(2));
    assert_eq!(value(&metrics, &depth), Some(1.0));
}

#[test]
fn open_circuits_of_a_kind_are_counted() {
    let metrics = metrics();
    let mut batch = TickBatch::new(&metrics);
    let bridge = kind(&metrics, "bridge");
    let (a, b) = (batch.enter(&bridge, "/a"), batch.enter(&bridge, "/b"));
    batch.circuit(a, Circuit::Panic, true);
    batch.circuit(b, Circuit::Panic, true);
    batch.flush(at(0));
    let open = "fsm_circuit_open{circuit=\"panic\",path=\"\",supervisor_id=\"bridge\"}";
    assert_eq!(value(&metrics, open), Some(2.0));
    batch.circuit(a, Circuit::Panic, false);
    batch.flush(at(1));
    assert_eq!(value(&metrics, open), Some(1.0));
}

#[test]
fn a_failed_render_is_a_duration_and_an_error() {
    let metrics = metrics();
    let mut batch = TickBatch::new(&metrics);
    let scope = batch.enter(&kind(&metrics, "bridge"), "/a");
    batch.rendered(scope, Err(TemplateErrorType::Undefined), ms(1));
    batch.flush(at(0));
    let errors =
        "fsm_template_rendering_errors_total{error_type=\"undefined\",path=\"\",supervisor_id=\"bridge\"}";
    assert_eq!(value(&metrics, errors), Some(1.0));
    let count =
        "fsm_template_rendering_duration_seconds_count{path=\"\",status=\"error\",supervisor_id=\"bridge\"}";
    assert_eq!(value(&metrics, count), Some(1.0));
}

#[test]
fn two_engines_count_into_the_same_series() {
    let metrics = metrics();
    let bridge = kind(&metrics, "bridge");
    let mut shards = [TickBatch::new(&metrics), TickBatch::new(&metrics)];
    for shard in &mut shards {
        let scope = shard.enter(&bridge, "/a");
        shard.children(scope, 5);
        shard.evaluated(1, 1);
        shard.hierarchy(1, 6);
        shard.flush(at(0));
    }
    assert_eq!(value(&metrics, &of_bridge("child_count", "path=\"\",")), Some(10.0));
    assert_eq!(value(&metrics, "fsm_hierarchy_size"), Some(12.0));
}

#[derive(Debug, Clone)]
enum Do {
    Enter(usize),
    Move(usize, usize),
    Gate(usize, usize),
    Leave(usize),
    Flush,
}

fn steps() -> impl Strategy<Value = Vec<Do>> {
    let step = prop_oneof![
        (0..STATES.len()).prop_map(Do::Enter),
        (0..20_usize, 0..STATES.len()).prop_map(|(node, to)| Do::Move(node, to)),
        (0..20_usize, 0..Phase::ALL.len()).prop_map(|(node, phase)| Do::Gate(node, phase)),
        (0..20_usize).prop_map(Do::Leave),
        Just(Do::Flush),
    ];
    prop::collection::vec(step, 0..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    // spec: M-2
    #[test]
    fn workers_are_counted_in_their_state_and_phase_whatever_happened(steps in steps()) {
        let metrics = metrics();
        let mut batch = TickBatch::new(&metrics);
        let bridge = kind(&metrics, "bridge");
        let mut nodes = Vec::new();
        for step in steps {
            match step {
                Do::Enter(state) => {
                    let scope = batch.enter(&bridge, "/a");
                    batch.entered(scope, Some(state), STATES[state].1);
                    nodes.push((scope, state, STATES[state].1));
                }
                Do::Move(node, to) => if let Some((scope, state, phase)) = nodes.get_mut(node) {
                    let (from, to) = ((*state, *phase), (to, STATES[to].1));
                    batch.moved(*scope, Moved { from, to, after: ms(1) });
                    (*state, *phase) = to;
                },
                Do::Gate(node, to) => if let Some((scope, state, phase)) = nodes.get_mut(node) {
                    batch.phase_changed(*scope, Some(*state), *phase, Phase::ALL[to]);
                    *phase = Phase::ALL[to];
                },
                Do::Leave(node) => if node < nodes.len() {
                    let (scope, state, phase) = nodes.remove(node);
                    batch.left(scope, Some(state), phase);
                    batch.leave(scope);
                },
                Do::Flush => batch.flush(at(0)),
            }
        }
        batch.flush(at(0));
        let scrape = parse(&metrics.encode());
        for (state, phase) in (0..STATES.len()).flat_map(|s| Phase::ALL.iter().map(move |p| (s, *p))) {
            let there = nodes.iter().filter(|(_, s, p)| (*s, *p) == (state, phase)).count();
            let labels = format!("path=\"\",phase=\"{phase}\",state=\"{}\",", STATES[state].0);
            let shown = scrape.get(&of_bridge("workers", &labels)).copied().unwrap_or_default();
            prop_assert_eq!(shown, there as f64, "{} {}", STATES[state].0, phase);
        }
        prop_assert!(nodes.is_empty() || scrape.keys().any(|s| s.contains("bridge")));
    }
}
