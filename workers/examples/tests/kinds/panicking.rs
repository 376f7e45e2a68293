//! The table of `panicking`, and where it panics.

use std::panic::{AssertUnwindSafe, catch_unwind};

use fsm_core::Outcome;
use fsm_core::table::Case;
use fsm_testkit::Workbench;
use fsm_worker_examples::panicking::*;

const PLACES: [Place; 5] = [Place::Derive, Place::Collect, Place::Next, Place::Action, Place::Stop];

fn case(place: Place, observed: PanickingObserved) -> Case<Panicking> {
    Case::new(PanickingConfig::new(place)).observed(observed)
}

fn panics<T>(call: impl FnOnce() -> T) -> bool {
    catch_unwind(AssertUnwindSafe(|| drop(call()))).is_err()
}

// spec: S-25
#[test]
fn each_state_answers_each_situation() {
    use PanickingState::*;
    for place in PLACES {
        let case = |up| case(place, PanickingObserved::new(up));
        for up in [false, true] {
            case(up).next(Stopped).moves_to(TryingToStart);
            case(up).next(TryingToStop).moves_to(TryingToStart);
            case(up).stop(Stopped).stays();
            case(up).stop(TryingToStart).moves_to(TryingToStop);
            case(up).stop(Running).moves_to(TryingToStop);
        }
        case(false).next(TryingToStart).acts("start");
        case(false).after("start", Outcome::Panic).next(TryingToStart).acts("start").because("panic");
        case(true).next(TryingToStart).moves_to(Running);
        case(true).next(Running).stays();
        case(false).next(Running).moves_to(TryingToStart);
        case(true).stop(TryingToStop).acts("stop");
        case(false).stop(TryingToStop).moves_to(Stopped);
    }
    let blind = Case::<Panicking>::new(PanickingConfig::new(Place::Stop));
    blind.after("stop", Outcome::Success).stop(TryingToStop).moves_to(Stopped);
}

// spec: S-42
#[test]
fn each_place_panics_alone() {
    let told = PanickingObserved::new(true).with_panic();
    for place in PLACES {
        assert_eq!(panics(|| case(place, told).next(PanickingState::Running)), place == Place::Next);
        assert_eq!(panics(|| case(place, told).stop(PanickingState::Running)), place == Place::Stop);
        assert_eq!(panics(|| case(place, told).derive()), place == Place::Derive);
    }
}

#[test]
fn a_derive_cannot_count() {
    let config = PanickingConfig::new(Place::Derive).with_times(2);
    let error = Case::<Panicking>::new(config).derive().unwrap_err();
    assert_eq!(error.field(), Some("times"));
}

#[tokio::test]
async fn looks_tell_next_so_often_to_panic() {
    let bench = Workbench::new(Panicking, PanickingConfig::new(Place::Next).with_times(2));
    let mut told = Vec::new();
    for _ in 0..4 {
        told.push(bench.collect().await.unwrap().panic);
    }
    assert_eq!(told, [true, true, false, false]);
}

#[tokio::test]
async fn looks_tell_stop_to_panic_once_it_was_stopped() {
    let bench = Workbench::new(Panicking, PanickingConfig::new(Place::Stop).with_times(1));
    bench.execute(PanickingAction::Start).await.unwrap();
    assert!(!bench.collect().await.unwrap().panic);
    bench.execute(PanickingAction::Stop).await.unwrap();
    assert!(bench.collect().await.unwrap().panic);
    assert!(!bench.collect().await.unwrap().panic);
}

/// Whether the future panics.
async fn unwinds(future: impl Future) -> bool {
    let mut future = std::pin::pin!(future);
    let poll = std::future::poll_fn(|cx| {
        let poll = catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx).map(drop)));
        poll.map_or(std::task::Poll::Ready(true), |poll| poll.map(|()| false))
    });
    poll.await
}

#[tokio::test]
async fn looks_and_starts_panic_so_often() {
    let bench = Workbench::new(Panicking, PanickingConfig::new(Place::Collect).with_times(2));
    for panics in [true, true, false] {
        assert_eq!(unwinds(bench.collect()).await, panics);
    }
    let bench = Workbench::new(Panicking, PanickingConfig::new(Place::Action).with_times(2));
    for panics in [true, true, false] {
        assert_eq!(unwinds(bench.execute(PanickingAction::Start)).await, panics);
        assert_eq!(bench.collect().await.unwrap().up, !panics);
    }
}
