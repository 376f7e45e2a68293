//! An honest catalogue: every metric in it is moved by production code, in the scenarios or in a real run.

mod daemon;
mod stubborn;
mod tree;

use std::collections::BTreeSet;

use fsmd::scenario::{ALL, play};

/// Metrics that no run here moves yet, and why. One that moves may not stand here.
const NOT_YET: &[&str] = &[];

/// Scenarios about size move nothing that a small one doesn't.
const LARGE: [&str; 2] = ["five-hundred", "ten-thousand"];

fn runtime(paused: bool) -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().start_paused(paused).build().unwrap()
}

#[test]
fn every_metric_of_the_catalogue_is_moved_by_production_code() {
    let mut still: BTreeSet<&str> = fsm_metrics::catalogue().map(|metric| metric.name()).collect();
    let all = still.len();
    let mut stays = |never_moved: Vec<&'static str>| still.retain(|name| never_moved.contains(name));
    for scenario in ALL.iter().filter(|scenario| !LARGE.contains(&scenario.name)) {
        stays(play(scenario).never_moved.into_iter().collect());
    }
    stays(runtime(true).block_on(tree::cut_off()));
    stays(runtime(false).block_on(tree::held()));
    stays(runtime(false).block_on(daemon::works()));
    assert!(all > 60, "{all} metrics");
    assert_eq!(still, NOT_YET.iter().copied().collect(), "what never moved, against what is known not to");
}
