//! The table of `slow`, and that each of its ways to spend time ends when it is cancelled.

use std::task::{Context, Waker};
use std::time::Duration;

use fsm_core::table::Case;
use fsm_core::{Outcome, Worker};
use fsm_testkit::{Cut, Workbench};
use fsm_worker_examples::slow::*;

fn taking(how: Spending, time: Duration) -> SlowConfig {
    SlowConfig::default().with_start_by(how).with_start_takes(time)
}

const HOUR: Duration = Duration::from_secs(3_600);

// spec: S-25
#[test]
fn each_state_answers_each_situation() {
    use SlowState::*;
    for how in [Spending::Waiting, Spending::Spawning, Spending::Blocking] {
        let case = |up| Case::<Slow>::new(taking(how, HOUR)).observed(SlowObserved::new(up));
        for up in [false, true] {
            case(up).next(Stopped).moves_to(TryingToStart);
            case(up).next(TryingToStop).moves_to(TryingToStart);
            case(up).stop(Stopped).stays();
            case(up).stop(TryingToStart).moves_to(TryingToStop);
            case(up).stop(Running).moves_to(TryingToStop);
        }
        let start = if how == Spending::Blocking { "start_blocking" } else { "start" };
        case(false).next(TryingToStart).acts(start);
        case(false).after(start, Outcome::Timeout).next(TryingToStart).acts(start).because("timeout");
        case(true).next(TryingToStart).moves_to(Running);
        case(true).next(Running).stays();
        case(false).next(Running).moves_to(TryingToStart);
        case(true).stop(TryingToStop).acts("stop");
        case(false).stop(TryingToStop).moves_to(Stopped);
    }
}

// spec: S-24
#[test]
fn it_stops_though_it_cannot_be_observed() {
    let blind = || Case::<Slow>::new(SlowConfig::default());
    blind().stop(SlowState::TryingToStop).acts("stop");
    let stopped = blind().after("stop", Outcome::Success).stop(SlowState::TryingToStop);
    stopped.moves_to(SlowState::Stopped);
}

// spec: A-3 — only the one that blocks needs a thread, and a node's `action_timeout` holds for the other.
#[test]
fn only_a_start_that_blocks_gets_a_thread() {
    assert!(Slow::POLICY.action("start_blocking").blocking);
    assert!(!Slow::POLICY.action("start").blocking);
    assert!(Slow::POLICY.actions.iter().all(|action| action.name != "start"));
}

#[tokio::test(start_paused = true)]
async fn a_start_takes_its_time() {
    for how in [Spending::Waiting, Spending::Spawning] {
        let bench = Workbench::new(Slow, taking(how, HOUR));
        let begun = tokio::time::Instant::now();
        bench.execute(SlowAction::Start).await.unwrap();
        assert!(begun.elapsed() >= HOUR, "{how:?}");
        assert!(bench.collect().await.unwrap().up);
    }
}

// spec: A-5 — capability 12.
#[tokio::test(start_paused = true)]
async fn a_cancelled_start_ends_at_once_and_leaves_nothing_behind() {
    for how in [Spending::Waiting, Spending::Spawning] {
        let bench = Workbench::new(Slow, taking(how, HOUR));
        let begun = tokio::time::Instant::now();
        let cut = bench.execute_until(SlowAction::Start, 1).await;
        assert!(matches!(cut, Cut::Dropped), "{how:?}: {cut:?}");
        assert_eq!(begun.elapsed(), Duration::ZERO, "{how:?}");
        assert_eq!(bench.tasks(), 0, "{how:?}: its clean-up waits for the task's end");
        assert!(!bench.collect().await.unwrap().up);
    }
}

// A timed-out action is dropped without its clean-up.
#[tokio::test(start_paused = true)]
async fn a_start_that_is_dropped_ends_its_task() {
    let bench = Workbench::new(Slow, taking(Spending::Spawning, HOUR));
    {
        let start = std::pin::pin!(bench.execute(SlowAction::Start));
        assert!(start.poll(&mut Context::from_waker(Waker::noop())).is_pending());
        assert_eq!(bench.tasks(), 1);
    }
    bench.execute_until(SlowAction::Stop, 1).await;
    for _ in 0..1_000 {
        if bench.tasks() == 0 {
            break;
        }
        tokio::task::yield_now().await;
    }
    assert_eq!(bench.tasks(), 0);
    assert!(!bench.collect().await.unwrap().up);
}

#[tokio::test]
async fn a_start_that_blocks_comes_up_too() {
    let bench = Workbench::new(Slow, taking(Spending::Blocking, Duration::from_millis(45)));
    bench.execute(SlowAction::StartBlocking).await.unwrap();
    assert!(bench.collect().await.unwrap().up);
}

// spec: S-31 — capability 1.
#[tokio::test(start_paused = true)]
async fn a_slow_look_is_dropped_where_it_waits() {
    let bench = Workbench::new(Slow, SlowConfig::default().with_look_takes(HOUR, Some(1)));
    let look = tokio::time::timeout(Duration::from_secs(2), bench.collect()).await;
    assert!(look.is_err(), "the first look is slow");
    let look = tokio::time::timeout(Duration::from_secs(2), bench.collect()).await;
    assert!(!look.unwrap().unwrap().up, "and only the first");
}
