//! What a simulation promises.

use fsm_testkit::simulate::{Faults, Report};

use crate::plant::plant;

// spec: K-1, K-2, K-3, J1, J2, J3, J4, J5, J7
#[test]
fn the_rules_hold_whatever_goes_wrong() {
    let mut total = Report::default();
    let plant = plant();
    for seed in 0..40 {
        match plant.run_seed(seed) {
            Ok(report) => total = total.and(report),
            Err(failure) => panic!("{failure}"),
        }
    }
    println!("{total:?}");
    assert!(total.faults > 300 && total.checks > 500_000, "{total:?}");
}

// spec: K-4, J6
#[test]
fn the_same_seed_gives_the_same_trace() {
    for seed in 0..10 {
        let (first, trace) = plant().seed(seed).trace().unwrap();
        let (second, again) = plant().seed(seed).trace().unwrap();
        assert_eq!(first, second, "seed {seed}");
        assert_eq!(trace, again, "seed {seed}");
    }
}

// spec: K-1
#[test]
fn without_faults_a_tree_comes_up_and_ends() {
    let (report, trace) = plant().faults(Faults::none()).trace().unwrap();
    assert_eq!(report.faults, 0);
    assert!(trace.contains("/plant/front/saw"), "{trace}");
    assert!(trace.ends_with("-- shutdown\n") || trace.contains("-- shutdown"), "{trace}");
}

// spec: K-3
#[test]
fn what_is_no_script_is_refused_with_its_line() {
    let failure = plant().replay("1s kill\n2s sing").unwrap_err();
    assert!(failure.to_string().contains("line 2 of the script, `2s sing`"), "{failure}");
}

// spec: K-3 (each of these was found by a seed, shrunk, and mended)
#[test]
fn what_was_found_once_stays_mended() {
    let scripts = [
        // A collector that gave a foreign value first counted as observed.
        (3, "0s fault /plant/boiler collect-garbage 10s"),
        // A spent restart budget kept a stopped node from counting as stopped.
        (624, "11s615ms disturb 5 769\n1m19s956ms command /plant stop\n2m50s479ms suspend 10m24s423ms"),
        // The back-off shrank when restarts came slowly.
        (
            1521,
            "2s638ms disturb 5 825\n16s909ms fault /plant/front/saw collect-hangs 31s776ms\n2m7s300ms late",
        ),
        // A healthy run gave the budget back twice: the second time together with the restart that had ended it.
        (6430, "24s639ms fault /plant/back/belt collect-hangs 58s327ms\n2m31s840ms disturb 5 70"),
    ];
    for (seed, script) in scripts {
        if let Err(failure) = plant().seed(seed).replay(script) {
            panic!("{failure}");
        }
    }
}

// spec: S-41, K-2
#[test]
fn incidents_open_and_close_in_simulations_too() {
    let mut missing = vec!["IncidentOpened", "IncidentEscalated", "IncidentClosed"];
    for seed in 0..40 {
        let (_, trace) = plant().seed(seed).trace().unwrap_or_else(|failure| panic!("{failure}"));
        missing.retain(|event| !trace.contains(event));
        if missing.is_empty() {
            return;
        }
    }
    panic!("no {missing:?} in forty seeds");
}
