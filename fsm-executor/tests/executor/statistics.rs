//! Statistics per node: one record per action, whatever happened in it.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use fsm_core::{ActionError, NodePath, Outcome, RetryPolicy};
use fsm_executor::{Attempt, Request};
use fsm_metrics::{NodeMetrics, NodeMetricsCollector};

use crate::support::{Rig, hangs, id, ms, noop, policy, sleeps};

fn node(name: &str) -> NodePath {
    NodePath::try_new(name).expect("a good path")
}

fn collector() -> Arc<NodeMetricsCollector> {
    Arc::new(NodeMetricsCollector::try_new(Default::default()).expect("a good config"))
}

/// Takes 20 ms, then succeeds from this attempt on.
fn good_from(good: u32, error: fn() -> ActionError) -> Request {
    let run = move |attempt: Attempt| async move {
        // tidy: allow(sleep-in-test): the action sleeps, its callers pause the time
        tokio::time::sleep(ms(20)).await;
        if attempt.number < good { Err(error()) } else { Ok(()) }
    };
    Request::new(id(1), policy().with_retry(RetryPolicy::DEFAULT), run)
}

fn counts(of: &NodeMetrics) -> (u64, u64, u64, u64) {
    (of.total_executions, of.success_count, of.failure_count, of.retry_count)
}

// spec: N-19, N-2, N-15
#[tokio::test(start_paused = true)]
async fn an_action_is_one_execution_and_each_further_attempt_a_retry() {
    let collector = collector();
    let mut rig = Rig::collecting(&collector);
    let refused = || {
        ActionError::transient("can't connect").with_source(io::Error::from(io::ErrorKind::ConnectionRefused))
    };
    rig.enqueue(1, good_from(1, refused).with_node(node("/plant/good")));
    rig.enqueue(2, good_from(u32::MAX, refused).with_node(node("/plant/bad")));
    rig.enqueue(3, good_from(3, refused).with_node(node("/plant/again")));
    let mut ends = Vec::new();
    while ends.len() < 3 {
        if let fsm_executor::ExecutorEvent::Ended(ended) = rig.next().await {
            ends.push((ended.action.key, ended.report));
        }
    }
    ends.sort_unstable_by_key(|(key, _)| *key);

    let (good, bad, again) =
        (collector.get("/plant/good"), collector.get("/plant/bad"), collector.get("/plant/again"));
    assert_eq!((counts(&good), good.last_execution_ms), ((1, 1, 0, 0), Some(20.0)));
    assert_eq!((counts(&bad), bad.network_errors, bad.sample_count), ((1, 0, 1, 3), 1, 1));
    assert_eq!((counts(&again), again.network_errors), ((1, 1, 0, 2), 0));
    for (of, (_, report)) in [&good, &bad, &again].into_iter().zip(&ends) {
        let whole = report.duration.as_secs_f64() * 1e3;
        assert_eq!(of.last_execution_ms, Some(whole), "over all attempts and the waits between them");
    }
    assert!(again.last_execution_ms > Some(60.0) && bad.last_execution_ms > again.last_execution_ms);
    assert_eq!(collector.get_all().len(), 3);
}

// spec: N-15
#[tokio::test(start_paused = true)]
async fn each_outcome_has_its_category() {
    let collector = collector();
    let mut rig = Rig::collecting(&collector);
    let path = || node("/plant/press");
    rig.enqueue(1, hangs().with_node(path()));
    assert_eq!(rig.outcome(1).await, Outcome::Timeout);
    assert_eq!(collector.get("/plant/press").timeout_errors, 1);
    rig.enqueue(1, Request::new(id(1), policy(), |_| async { panic!("bug") }).with_node(path()));
    assert_eq!(rig.outcome(1).await, Outcome::Panic);
    assert_eq!(collector.get("/plant/press").other_errors, 1);
    rig.enqueue(1, sleeps(Duration::from_secs(5)).with_node(path()));
    rig.started(1).await;
    rig.executor.cancel(1, ms(0));
    assert_eq!(rig.outcome(1).await, Outcome::Cancelled);
    assert_eq!(collector.get("/plant/press").other_errors, 2);
    let invalid = || Err(ActionError::permanent("invalid topic"));
    rig.enqueue(1, Request::new(id(1), policy(), move |_| async move { invalid() }).with_node(path()));
    assert_eq!(rig.outcome(1).await, Outcome::Failure);
    let all = collector.get("/plant/press");
    assert_eq!((counts(&all), all.validation_errors), ((4, 0, 4, 0), 1));
}

// spec: N-2
#[tokio::test(start_paused = true)]
async fn a_cancel_counts_once_in_a_back_off_and_never_before_the_first_attempt() {
    let collector = collector();
    let mut rig = Rig::collecting(&collector);
    let later = || ActionError::transient("busy").with_retry_after(Duration::from_secs(3_600));
    rig.enqueue(1, good_from(2, later).with_node(node("/plant/waits")));
    rig.started(1).await;
    tokio::time::advance(ms(50)).await;
    rig.so_far().await;
    rig.executor.cancel(1, ms(0));
    assert_eq!(rig.outcome(1).await, Outcome::Cancelled);
    assert_eq!(counts(&collector.get("/plant/waits")), (1, 0, 1, 0), "its second attempt never began");

    rig.enqueue(2, noop().with_node(node("/plant/never")));
    rig.executor.cancel(2, ms(0));
    assert_eq!(rig.outcome(2).await, Outcome::Cancelled);
    assert_eq!(collector.get("/plant/never"), NodeMetrics::default());
}

// spec: N-19
#[tokio::test(start_paused = true)]
async fn everything_works_without_a_collector_or_a_node() {
    let mut rig = Rig::with_places(1);
    rig.enqueue(1, noop().with_node(node("/plant/press")));
    assert_eq!(rig.outcome(1).await, Outcome::Success);
    let collector = collector();
    let mut rig = Rig::collecting(&collector);
    rig.enqueue(1, noop());
    assert_eq!(rig.outcome(1).await, Outcome::Success);
    assert!(collector.get_all().is_empty());
}
