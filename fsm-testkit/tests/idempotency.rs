//! An action that increments is found, in a row and after a cut; one that checks first passes.

#![expect(clippy::unwrap_used, reason = "a helper of a test that fails should fail where it is")]

use std::path::PathBuf;

use fsm_core::*;
use fsm_testkit::{Cut, IdempotencyError, Round, Workbench, verify_action_idempotency};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Writes numbers into a file, in a good way and in two bad ones.
struct Counter;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
struct CounterConfig {
    file: PathBuf,
}

impl Config for CounterConfig {}

#[derive(Debug, Clone, Copy)]
enum CounterAction {
    /// Writes 7 unless it stands there.
    Put,
    /// Adds one each time.
    Increment,
    /// Adds one to the log, then marks the file as done; asks for the mark only at the beginning.
    LogThenMark,
    /// Leaves a lock behind when it is cut off, unless its clean-up is run.
    Locked,
    Fail,
}

impl Action for CounterAction {
    const NAMES: &'static [&'static str] = &["put", "increment", "log_then_mark", "locked", "fail"];
    fn name(&self) -> &'static str {
        match self {
            Self::Put => "put",
            Self::Increment => "increment",
            Self::LogThenMark => "log_then_mark",
            Self::Locked => "locked",
            Self::Fail => "fail",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
struct Idle;

impl State<Counter> for Idle {
    const ALL: &'static [Self] = &[Self];
    fn name(self) -> &'static str {
        "Idle"
    }
    fn phase(self) -> Phase {
        Phase::Stopped
    }
    fn sort(self) -> Sort {
        Sort::Passive
    }
    fn next(self, _s: &Snapshot<'_, Counter>) -> Decision<Counter> {
        stay("idle")
    }
    fn stop(self, _s: &StopSnapshot<'_, Counter>) -> Decision<Counter> {
        stay("idle")
    }
}

impl Worker for Counter {
    const KIND: &'static str = "counter";
    const POLICY: Policy = Policy::DEFAULT.without_observation();
    type Config = CounterConfig;
    type Observed = ();
    type State = Idle;
    type Action = CounterAction;
    type Handle = ();

    fn derive_desired_state(
        spec: &UserSpec<CounterConfig>,
        _cx: &DeriveContext<'_>,
    ) -> Result<DesiredState<CounterConfig>, DeriveError> {
        Ok(DesiredState::running(spec))
    }
    async fn collect_observed_state(&self, _cx: CollectContext<'_, Self>) -> Result<(), CollectError> {
        Ok(())
    }
    async fn execute(&self, action: CounterAction, cx: ActionContext<'_, Self>) -> Result<(), ActionError> {
        let file = cx.config().file.clone();
        let read = || std::fs::read_to_string(&file).unwrap_or_default();
        let write = |text: String| {
            std::fs::write(&file, text).map_err(|error| ActionError::transient(error.to_string()))
        };
        match action {
            CounterAction::Put => {
                tokio::task::yield_now().await;
                if read() != "7" { write("7".into()) } else { Ok(()) }
            }
            CounterAction::Increment => write(read() + "1"),
            CounterAction::LogThenMark => {
                if read().ends_with("done") {
                    return Ok(());
                }
                write(read() + "1")?;
                tokio::task::yield_now().await;
                write(read() + "done")
            }
            CounterAction::Locked => {
                let lock = file.with_extension("lock");
                if lock.exists() {
                    return Err(ActionError::permanent("locked"));
                }
                std::fs::write(&lock, "").map_err(|error| ActionError::transient(error.to_string()))?;
                let cleanup = lock.clone();
                cx.on_cancel(async move {
                    tokio::task::yield_now().await;
                    let _ = std::fs::remove_file(cleanup);
                });
                tokio::task::yield_now().await;
                std::fs::remove_file(lock).map_err(|error| ActionError::transient(error.to_string()))
            }
            CounterAction::Fail => Err(ActionError::permanent("as always")),
        }
    }
}

async fn verify(action: CounterAction) -> Result<fsm_testkit::Idempotency, IdempotencyError> {
    let fresh = async || {
        let folder = tempfile::tempdir().unwrap();
        Workbench::new(Counter, CounterConfig { file: folder.path().join("file") }).keeping(folder)
    };
    let check =
        async |bench: &Workbench<Counter>| std::fs::read_to_string(&bench.config().file).unwrap_or_default();
    verify_action_idempotency(fresh, action, 3, check).await
}

// spec: K-7, A-11
#[tokio::test]
async fn an_action_that_checks_first_passes() {
    let passed = verify(CounterAction::Put).await.unwrap();
    assert_eq!((passed.times, passed.cuts), (3, 1));
}

// spec: K-7, A-11
#[tokio::test]
async fn an_action_that_increments_is_found_in_its_second_round() {
    let error = verify(CounterAction::Increment).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "`increment` is not idempotent: run 2 in a row left \"11\", the first run \"1\""
    );
}

// spec: K-7, A-11 — midway cancel.
#[tokio::test]
async fn an_action_that_is_not_whole_is_found_after_a_cut() {
    let error = verify(CounterAction::LogThenMark).await.unwrap_err();
    assert!(matches!(error, IdempotencyError::Differs { round: Round::AfterCut(1), .. }), "{error}");
    assert!(
        error
            .to_string()
            .contains("after one that was cut off at wait 1 left \"11done\", the first run \"1done\"")
    );
}

// spec: A-5
#[tokio::test]
async fn the_clean_up_of_a_cut_off_action_is_run() {
    let passed = verify(CounterAction::Locked).await.unwrap();
    assert_eq!(passed.cuts, 1);
}

#[tokio::test]
async fn an_action_that_fails_is_told_with_its_reason() {
    let error = verify(CounterAction::Fail).await.unwrap_err();
    assert_eq!(&*fsm_core::chain(&error), "`fail` failed in the first run: as always");
}

#[tokio::test]
async fn a_cut_says_how_far_it_came() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Workbench::new(Counter, CounterConfig { file: folder.path().join("file") });
    assert!(matches!(bench.execute_until(CounterAction::Put, 1).await, Cut::Dropped));
    assert!(!bench.config().file.exists());
    assert!(matches!(bench.execute_until(CounterAction::Put, 2).await, Cut::Ended(Ok(()))));
    assert_eq!(std::fs::read_to_string(&bench.config().file).unwrap(), "7");
}
