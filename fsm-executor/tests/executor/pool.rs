//! Slots, places and lines.

use std::sync::{Arc, Mutex};

use fsm_core::{ActionError, RetryPolicy};
use fsm_executor::{
    EnqueueError, Executor, ExecutorConfig, ExecutorEvent, NoObserver, Priority, Request, SlotStage,
    StartError, tokio_clock,
};

use crate::support::{Gauge, Rig, hangs, id, ms, noop, policy, sleeps};

// spec
#[tokio::test(start_paused = true)]
async fn second_action_of_a_key_is_busy_until_the_first_ended() {
    let mut rig = Rig::with_places(10);
    rig.enqueue(1, sleeps(ms(100)));
    rig.refused(1, noop(), EnqueueError::Busy);
    rig.started(1).await;
    rig.refused(1, noop(), EnqueueError::Busy);
    rig.ended(1).await;
    rig.enqueue(1, noop());
    rig.ended(1).await;
}

// spec: A-1
#[tokio::test(start_paused = true)]
async fn slow_action_of_one_key_delays_no_other_key() {
    let mut rig = Rig::with_places(2);
    rig.enqueue(1, hangs());
    for key in 2..50 {
        rig.enqueue(key, sleeps(ms(10)));
    }
    assert_eq!(rig.ends(48).await, (2..50).collect::<Vec<_>>());
    assert_eq!(rig.executor.blocking_action(1), Some("probe"));
}

// spec: A-2
#[tokio::test(start_paused = true)]
async fn never_more_than_concurrency_run_at_a_time() {
    let mut rig = Rig::with_places(10);
    let gauge = Gauge::default();
    for key in 0..500 {
        let gauge = gauge.clone();
        rig.enqueue(
            key,
            Request::new(id(1), policy(), move |_| {
                let gauge = gauge.clone();
                async move {
                    gauge.enter();
                    tokio::time::sleep(ms(u64::from(key % 7))).await;
                    gauge.leave();
                    Ok(())
                }
            }),
        );
    }
    rig.ends(500).await;
    assert_eq!((gauge.most(), gauge.now()), (10, 0));
    assert_eq!((rig.executor.stats().running, rig.executor.stats().waiting), (0, 0));
}

// spec: A-2
#[tokio::test(start_paused = true)]
async fn actions_start_in_the_order_of_their_arrival() {
    let mut rig = Rig::with_places(1);
    for key in (0..100).rev() {
        rig.enqueue(key, sleeps(ms(1)));
    }
    assert_eq!(rig.ends(100).await, (0..100).rev().collect::<Vec<_>>());
}

// spec: A-2
#[tokio::test(start_paused = true)]
async fn full_queue_refuses_and_takes_again_when_there_is_room() {
    let mut rig = Rig::new(ExecutorConfig::default().with_concurrency(1).with_max_waiting(2));
    rig.enqueue(1, sleeps(ms(10)));
    rig.started(1).await;
    rig.enqueue(2, sleeps(ms(10)));
    rig.enqueue(3, noop());
    rig.refused(4, noop(), EnqueueError::QueueFull);
    rig.refused(2, noop(), EnqueueError::Busy);
    rig.started(2).await;
    rig.enqueue(4, noop());
    rig.ended(4).await;
}

// spec: A-2
#[tokio::test(start_paused = true)]
async fn cancelled_waiter_makes_room_in_the_queue() {
    let rig = Rig::new(ExecutorConfig::default().with_concurrency(1).with_max_waiting(1));
    rig.enqueue(1, noop());
    rig.refused(2, noop(), EnqueueError::QueueFull);
    rig.executor.cancel(1, ms(0));
    rig.enqueue(2, noop());
}

// spec: A-2
#[tokio::test(start_paused = true)]
async fn waiting_for_a_retry_takes_no_place_but_keeps_the_slot() {
    let mut rig = Rig::with_places(1);
    let retry = RetryPolicy { retries: 1, ..RetryPolicy::DEFAULT };
    rig.enqueue(
        1,
        Request::new(id(1), policy().with_retry(retry), |attempt| async move {
            match attempt.number {
                1 => Err(ActionError::transient("not yet").with_retry_after(ms(60_000))),
                _ => Ok(()),
            }
        }),
    );
    rig.started(1).await;
    rig.enqueue(2, sleeps(ms(5_000)));
    rig.ended(2).await;
    let stats = rig.executor.stats();
    assert_eq!((stats.backing_off, stats.running, stats.waiting), (1, 0, 0));
    rig.refused(1, noop(), EnqueueError::Busy);
    assert_eq!(rig.executor.in_flight(1).map(|slot| slot.stage), Some(SlotStage::BackOff));
    assert_eq!(rig.ended(1).await.report.attempts, 2);
}

// spec: A-2
#[tokio::test(start_paused = true)]
async fn stopping_finds_a_place_while_the_pool_hangs() {
    let mut rig = Rig::new(ExecutorConfig::default().with_concurrency(3).with_reserved_for_stop(2));
    for key in 0..3 {
        rig.enqueue(key, hangs());
    }
    for key in 0..3 {
        rig.started(key).await;
    }
    rig.enqueue(10, noop());
    for key in 20..40 {
        rig.enqueue(key, sleeps(ms(1)).with_priority(Priority::Stop));
    }
    assert_eq!(rig.ends(20).await, (20..40).collect::<Vec<_>>());
    // The normal action never got a reserved place, although both were free.
    assert_eq!(rig.executor.in_flight(10).map(|slot| slot.stage), Some(SlotStage::Waiting));
}

// spec: A-2
#[tokio::test(start_paused = true)]
async fn no_more_than_the_reserved_places_are_added_for_stopping() {
    let mut rig = Rig::new(ExecutorConfig::default().with_concurrency(3).with_reserved_for_stop(2));
    for key in 0..10 {
        rig.enqueue(key, hangs().with_priority(Priority::Stop));
    }
    rig.so_far().await;
    let stats = rig.executor.stats();
    assert_eq!((stats.running, stats.running_reserved, stats.waiting), (3, 2, 5));
}

// spec: A-2
#[tokio::test(start_paused = true)]
async fn stopping_many_does_not_starve_the_others() {
    let mut rig = Rig::new(ExecutorConfig::default().with_concurrency(1).with_reserved_for_stop(0));
    rig.enqueue(0, sleeps(ms(1)));
    rig.started(0).await;
    for key in 1..4 {
        rig.enqueue(key, noop().with_priority(Priority::Stop));
    }
    rig.enqueue(4, noop());
    rig.enqueue(5, noop().with_priority(Priority::Stop));
    assert_eq!(rig.ends(6).await, vec![0, 1, 2, 3, 4, 5]);
}

// spec: A-2
#[tokio::test(start_paused = true)]
async fn action_back_from_its_back_off_is_never_refused() {
    let mut rig = Rig::new(ExecutorConfig::default().with_concurrency(1).with_max_waiting(1));
    let retry = RetryPolicy { retries: 1, ..RetryPolicy::DEFAULT };
    rig.enqueue(
        1,
        Request::new(id(1), policy().with_retry(retry), |attempt| async move {
            match attempt.number {
                1 => Err(ActionError::transient("not yet").with_retry_after(ms(10))),
                _ => Ok(()),
            }
        }),
    );
    rig.started(1).await;
    rig.enqueue(2, sleeps(ms(100)));
    rig.started(2).await;
    rig.enqueue(3, noop());
    assert_eq!(rig.ends(3).await, vec![2, 3, 1]);
}

// spec: A-8
#[tokio::test(start_paused = true)]
async fn what_holds_a_slot_can_be_asked_at_any_time() {
    let mut rig = Rig::with_places(1);
    assert_eq!(rig.executor.in_flight(1), None);
    rig.enqueue(1, sleeps(ms(50)).with_tag(7));
    rig.started(1).await;
    tokio::time::advance(ms(20)).await;
    rig.enqueue(2, sleeps(ms(50)));
    let first = rig.executor.in_flight(1).expect("running");
    assert_eq!((first.stage, first.attempts, first.action.tag), (SlotStage::Running, 1, 7));
    let second = rig.executor.in_flight(2).expect("waiting");
    assert_eq!((second.stage, second.attempts), (SlotStage::Waiting, 0));
    assert_eq!(second.since.since(first.since), ms(20));
    assert_eq!(rig.executor.blocking_action(2), Some("probe"));
    rig.ends(2).await;
    assert_eq!((rig.executor.in_flight(1), rig.executor.blocking_action(2)), (None, None));
}

// spec: A-9
#[tokio::test(start_paused = true)]
async fn start_tells_how_long_the_action_waited() {
    let mut rig = Rig::with_places(1);
    rig.enqueue(1, sleeps(ms(40)));
    rig.enqueue(2, noop());
    rig.ended(1).await;
    let ExecutorEvent::Started { action, waited, .. } = rig.next().await else { unreachable!("a start") };
    assert_eq!((action.key, waited), (2, ms(40)));
}

#[tokio::test(start_paused = true)]
async fn events_may_call_the_executor_back() {
    let executor: Arc<Mutex<Option<Arc<Executor<u32>>>>> = Arc::default();
    let (sender, mut ends) = tokio::sync::mpsc::channel(8);
    let back = Arc::clone(&executor);
    let sink = Arc::new(move |event| {
        if let ExecutorEvent::Ended(ended) = event {
            let again = back.lock().expect("not poisoned").clone().expect("set before the first action");
            // The slot is free by the time its end is told.
            let _ = sender.try_send((ended.action.key, again.enqueue(ended.action.key, noop())));
        }
    });
    let made = Executor::try_new(ExecutorConfig::default(), tokio_clock(), sink, Arc::new(NoObserver));
    let made = Arc::new(made.expect("a valid config"));
    *executor.lock().expect("not poisoned") = Some(Arc::clone(&made));
    made.enqueue(1, noop()).expect("accepted");
    for _ in 0..5 {
        assert_eq!(ends.recv().await, Some((1, Ok(()))));
    }
    *executor.lock().expect("not poisoned") = None;
}

#[tokio::test]
async fn impossible_configs_are_refused_with_what_to_do() {
    let try_new = |config| {
        let sink = Arc::new(|_: ExecutorEvent<u32>| {});
        Executor::try_new(config, tokio_clock(), sink, Arc::new(NoObserver)).map(drop)
    };
    let config = ExecutorConfig::default();
    assert_eq!(try_new(config.with_concurrency(0)), Err(StartError::NoPlaces));
    assert_eq!(try_new(config.with_max_waiting(0)), Err(StartError::NoQueue));
    let many = config.with_concurrency(65_535).with_reserved_for_stop(2);
    assert_eq!(try_new(many), Err(StartError::TooManyPlaces { places: 65_537 }));
    assert_eq!(
        try_new(config.with_reserved_for_stop(usize::MAX)),
        Err(StartError::TooManyPlaces { places: usize::MAX })
    );
    assert!(StartError::NoPlaces.to_string().contains("use at least 1"));
}

#[test]
fn without_a_runtime_it_says_so() {
    let sink = Arc::new(|_: ExecutorEvent<u32>| {});
    let clock = Arc::new(|| fsm_core::Moment::ZERO);
    let refused = Executor::try_new(ExecutorConfig::default(), clock, sink, Arc::new(NoObserver)).map(drop);
    assert_eq!(refused, Err(StartError::NoRuntime));
}
