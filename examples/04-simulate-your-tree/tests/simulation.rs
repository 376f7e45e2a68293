//! Thirty seeds: actions fail, hang and are torn, nobody answers, operators meddle, the process is killed, the pump trips.

use example_simulate_your_tree::{Hall, Pump};
use fsm_core::{ChildSpec, Registry};
use fsm_testkit::simulate::{Simulation, Stage, simulate};

fn simulation() -> Simulation {
    simulate(|| {
        let hall = Hall::default();
        let kinds = hall.clone();
        let registry = move || {
            let mut registry = Registry::new();
            registry.register(Pump(kinds.clone())).expect("one kind");
            registry
        };
        let root = ChildSpec::try_new("pump", "pump").expect("a good name");
        Stage::new(registry, root).disturb("the pump trips", move |_| hall.trip())
    })
}

#[test]
fn the_pump_turns_again_whatever_goes_wrong() {
    let simulation = simulation();
    for seed in 0..30 {
        simulation.run_seed(seed).unwrap_or_else(|failure| panic!("{failure}"));
    }
}

#[test]
fn a_failure_is_repeated_by_its_script() {
    let script = "2s fault /pump action-hangs 30s\n3s disturb 0 0\n10s kill\n";
    let report = simulation().seed(1).replay(script).expect("it holds");
    assert_eq!(report.faults, 3);
}
