//! What a simulation promises.

use fsm_testkit::simulate::{Faults, Report};

use crate::plant::plant;

// spec: K-1, K-2, K-3, J1, J2, J3, J4, J5, J7
#[test]
fn the_rules_hold_whatever_goes_wrong() {
    let mut total = Report::default();
    for seed in 0..200 {
        match plant().seed(seed).run() {
            Ok(report) => total = total.and(report),
            Err(failure) => panic!("{failure}"),
        }
    }
    println!("{total:?}");
    assert!(total.faults > 1_000 && total.checks > 1_000_000, "{total:?}");
}

// spec: K-4, J6
#[test]
fn the_same_seed_gives_the_same_trace() {
    for seed in 0..20 {
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
