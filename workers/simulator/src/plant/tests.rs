//! The model: the same at any pace, and plausible for a week.

use proptest::prelude::*;

use super::*;

fn machines() -> Vec<Machine> {
    MachineType::ALL
        .iter()
        .map(|kind| Machine::new(format!("{}-1", kind.name()).parse().expect("a good name"), *kind))
        .collect()
}

fn number(signals: &[Signal], machine: usize, name: &str) -> f64 {
    signals
        .iter()
        .find(|signal| signal.machine == machine && signal.name == name)
        .and_then(|signal| match signal.value {
            Value::Number(number) => Some(number),
            Value::Count(count) => Some(count as f64),
            Value::Word(_) => None,
        })
        .unwrap_or_else(|| panic!("machine {machine} has no {name}"))
}

fn word(signals: &[Signal], machine: usize) -> &'static str {
    match signals.iter().find(|signal| signal.machine == machine).map(|signal| signal.value) {
        Some(Value::Word(word)) => word,
        other => panic!("the first signal is the state, not {other:?}"),
    }
}

proptest! {
    #[test]
    fn the_pace_of_questions_changes_no_answer(seed in any::<u64>(), mut steps in proptest::collection::vec(0..20_000_000_u64, 1..30)) {
        steps.sort_unstable();
        let last = Duration::from_millis(steps[steps.len() - 1]);
        let mut often = Plant::new(seed, &machines());
        for step in &steps {
            often.step(Duration::from_millis(*step));
        }
        let mut once = Plant::new(seed, &machines());
        prop_assert_eq!(once.step(last), often.step(last));
    }

    #[test]
    fn every_signal_stays_plausible(seed in any::<u64>(), at in 0..200_000_000_u64) {
        let mut plant = Plant::new(seed, &machines());
        let expected = plant.signals();
        let signals = plant.step(Duration::from_millis(at));
        prop_assert_eq!(signals.len(), expected);
        for signal in signals {
            if let Value::Number(number) = signal.value {
                let max = match signal.name {
                    "temperature" => 900.0,
                    "speed" => 9_000.0,
                    "force" => 720.0,
                    "vibration" => 9.0,
                    "power" => 100.0,
                    "flow" => 45.0,
                    "pressure" => 8.0,
                    other => panic!("{other} has no bound here"),
                };
                prop_assert!((0.0..=max).contains(&number) && number.is_sign_positive(), "{signal:?}");
            }
        }
    }
}

#[test]
fn a_machines_story_is_its_own() {
    let all = machines();
    let mut alone = Plant::new(1, &all[1..2]);
    let mut together = Plant::new(1, &all);
    let at = Duration::from_secs(5_000);
    let of_mill: Vec<_> =
        together.step(at).iter().filter(|signal| signal.machine == 1).map(|signal| signal.value).collect();
    let own: Vec<_> = alone.step(at).iter().map(|signal| signal.value).collect();
    assert_eq!(own, of_mill);
    assert_ne!(Plant::new(2, &all).step(at), together.step(at), "another seed, another story");
}

#[test]
fn time_does_not_run_backwards() {
    let mut plant = Plant::new(1, &machines());
    let late = plant.step(Duration::from_secs(900)).to_vec();
    assert_eq!(plant.step(Duration::from_secs(10)), late);
}

/// A week of each machine, looked at each second.
#[test]
fn over_a_week_every_mode_is_seen_and_signals_follow_it() {
    for (index, machine) in machines().into_iter().enumerate() {
        let kind = machine.kind;
        let mut plant = Plant::new(42 + index as u64, &[machine]);
        let (mut modes, mut parts, mut faults) = (std::collections::BTreeMap::new(), 0.0, Vec::new());
        let mut before = ("running", 0.0);
        for second in 0..7 * 86_400_u64 {
            let signals = plant.step(Duration::from_secs(second));
            let mode = word(signals, 0);
            *modes.entry(mode).or_insert(0_u64) += 1;
            if signals.iter().any(|signal| signal.name == "parts") {
                let now = number(signals, 0, "parts");
                assert!(now >= parts, "{kind:?} took a part back");
                assert!(
                    mode == "running" || before.0 == "running" || now == parts,
                    "{kind:?} made a part in {mode}"
                );
                parts = now;
            }
            if mode == "fault" && before.0 == "running" {
                faults.push(before.1);
            }
            let shown = if signals.iter().any(|signal| signal.name == "vibration") {
                number(signals, 0, "vibration")
            } else {
                0.0
            };
            before = (mode, shown);
        }
        assert!(
            modes["running"] > modes["idle"] && modes["idle"] > 0 && modes["fault"] > 0,
            "{kind:?}: {modes:?}"
        );
        assert!(faults.len() > 5, "{kind:?}: {} faults in a week", faults.len());
        if kind != MachineType::Furnace && kind != MachineType::Conveyor {
            assert!(faults.iter().all(|vibration| *vibration > 3.9), "{kind:?}: {faults:?} before a fault");
        }
        assert!(kind == MachineType::Pump || parts > 1_000.0, "{kind:?} made {parts} parts");
    }
}

#[test]
fn a_signal_moves_at_the_smallest_interval_and_never_jumps() {
    let mut plant = Plant::new(3, &machines()[..1]);
    let mut values = Vec::new();
    for step in 0..1_000 {
        values.push(number(plant.step(Duration::from_millis(10 * step)), 0, "temperature"));
    }
    assert!(values.windows(2).any(|pair| pair[0] != pair[1]), "frozen");
    assert!(values.windows(2).all(|pair| (pair[0] - pair[1]).abs() < 1.5), "a jump");
}
