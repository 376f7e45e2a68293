//! The model check of `persistence`, and its diagram in docs/workers.

use fsm_core::Outcome;
use fsm_testkit::{listed, model_check};
use fsm_worker_persistence::{Due, Persistence, PersistenceConfig, PersistenceObserved};

fn due(compact: bool, maintain: Due) -> PersistenceObserved {
    PersistenceObserved::due(compact, maintain)
}

fn full(compact: bool) -> PersistenceObserved {
    due(compact, Due::NotYet).with_trouble("the disk is full")
}

// spec: K-6, K-9
#[test]
fn persistence_passes_the_model_check() {
    let report = model_check::<Persistence>()
        .configs(listed![PersistenceConfig::default()])
        .observations(listed![
            due(true, Due::Now),
            due(true, Due::NotYet),
            due(false, Due::Now),
            due(false, Due::Overdue),
            due(false, Due::NotYet),
            full(true),
            full(false),
            full(false).at_work()
        ])
        .outcomes([Outcome::Success, Outcome::Failure, Outcome::Timeout])
        .after("compact", |_, seen| !seen.compact && seen.trouble.is_none())
        .after("maintain", |_, seen| seen.maintain == Due::NotYet && seen.trouble.is_none())
        // Disks are emptied, and threads come back, without this worker's doing.
        .by_itself(|_, _| true)
        .assert();
    let file = format!("{}/../../docs/workers/{}.md", env!("CARGO_MANIFEST_DIR"), report.kind);
    report.graph().check_file(file).unwrap_or_else(|error| panic!("{error}"));
}
