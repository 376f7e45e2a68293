//! Executions over one store in several lives. What they run is scripted; what runs real programs is tested with the daemon.

use fsm_core::BoxFuture;
use fsm_metrics::{Metrics, MetricsConfig};
use fsm_store::MemoryStore;
use serde_json::json;
use tokio::sync::Notify;

use super::super::record::{End, Fault, Status};
use super::super::way::{Job, Prepared, Running};
use super::*;
use crate::scenario::switch::{Mood, Switch};

/// Runs what its input says, and counts how often.
#[derive(Default)]
struct Script {
    /// Ends those that wait.
    go: Notify,
    begun: watch::Sender<Vec<Value>>,
}

impl Way for Arc<Script> {
    fn prepare<'a>(
        &'a self,
        target: &'a Target,
        _input: &'a Value,
    ) -> BoxFuture<'a, Result<Box<dyn Prepared>, Refusal>> {
        let (unknown, script) = (target.name() == "unknown", Arc::clone(self));
        Box::pin(async move {
            // Others come in meanwhile.
            tokio::task::yield_now().await;
            match unknown {
                true => Err(Refusal::Unknown { what: "tool", name: "unknown".into(), help: String::new() }),
                false => Ok(Box::new(Play(script)) as Box<_>),
            }
        })
    }
}

struct Play(Arc<Script>);

impl Prepared for Play {
    fn begin(self: Box<Self>, job: Job) -> BoxFuture<'static, Result<Running, Refusal>> {
        Box::pin(async move {
            let script = self.0;
            if job.input == "busy" {
                return Err(Refusal::Busy("it is busy".into()));
            }
            script.begun.send_modify(|begun| begun.push(job.input.clone()));
            let running: Running = Box::pin(async move {
                assert_ne!(job.input, "panic", "on purpose");
                if job.input.as_str().is_some_and(|input| input.starts_with("wait")) {
                    // Cancel-safe: nothing is done after either.
                    tokio::select! {
                        () = script.go.notified() => {}
                        () = job.cancel.cancelled() => {
                            return End::failure(Status::Cancelled, Fault::new("cancelled", "by the runner"));
                        }
                    }
                }
                End::success(job.input)
            });
            Ok(running)
        })
    }
}

struct Life {
    executions: Executions,
    script: Arc<Script>,
    metrics: Metrics,
}

impl Life {
    fn over(store: &Arc<Switch>) -> Self {
        Self::with(store, (2, 3), Keep::default())
    }

    fn with(store: &Arc<Switch>, (concurrency, queue): (usize, usize), keep: Keep) -> Self {
        let metrics = Metrics::try_new(MetricsConfig::default(), &prometheus::Registry::new()).unwrap();
        let script = Arc::new(Script::default());
        let way: Arc<dyn Way> = Arc::new(Arc::clone(&script));
        let mut exec = Exec::default();
        (exec.concurrency, exec.queue) = (concurrency, queue);
        let counted = ExecMetrics::new(metrics.executions());
        let ways = [Arc::clone(&way), Arc::clone(&way), way];
        let store = Arc::clone(store) as Arc<dyn Store>;
        let executions = Executions::keeping(store, &exec, counted, ways, keep).unwrap();
        Self { executions, script, metrics }
    }

    async fn call(&self, input: &str, key: Option<&str>) -> Result<Accepted, Refusal> {
        let target = Target::Task { tool: "t".into() };
        self.executions
            .submit(Order {
                target,
                input: json!(input),
                key: key.map(Into::into),
                within: None,
                traceparent: None,
            })
            .await
    }

    async fn called(&self, input: &str) -> watch::Receiver<Arc<Record>> {
        self.call(input, None).await.unwrap().record
    }

    /// Waits until so many have begun.
    async fn begun(&self, number: usize) {
        self.script.begun.subscribe().wait_for(|begun| begun.len() == number).await.unwrap();
    }

    async fn get(&self, id: &ExecId) -> Arc<Record> {
        self.executions.get(id).await.unwrap().unwrap()
    }

    #[track_caller]
    fn counted(&self, line: &str) {
        let text = self.metrics.encode();
        assert!(text.lines().any(|found| found == line), "no `{line}` in\n{text}");
    }
}

async fn end(record: &mut watch::Receiver<Arc<Record>>) -> Arc<Record> {
    let ended = record.wait_for(|record| record.status.is_terminal()).await;
    ended.map(|record| Arc::clone(&record)).unwrap()
}

fn id(record: &watch::Receiver<Arc<Record>>) -> ExecId {
    record.borrow().id.clone()
}

fn reason(record: &Record) -> &str {
    record.error.as_ref().map_or("", |error| error.reason.as_str())
}

// spec: X-23, H-7
#[tokio::test(start_paused = true)]
async fn what_an_earlier_life_left_is_a_failure_that_was_interrupted_and_what_had_ended_stays() {
    let store = Arc::new(Switch::default());
    let first = Life::with(&store, (1, 3), Keep::default());
    let mut done = first.called("quick").await;
    end(&mut done).await;
    let (running, pending) = (first.called("wait").await, first.called("wait").await);
    first.begun(2).await;
    let ids = [id(&done), id(&running), id(&pending)];
    // The process is gone: nothing of it can do anything any more.
    drop(first);

    for _ in 0..2 {
        let second = Life::over(&store);
        let [done, running, pending] =
            [second.get(&ids[0]).await, second.get(&ids[1]).await, second.get(&ids[2]).await];
        assert_eq!((done.status, done.output.clone()), (Status::Success, Some(json!("quick"))));
        for (left, attempts) in [(running, 1), (pending, 0)] {
            assert_eq!(
                (left.status, reason(&left), left.attempts),
                (Status::Failure, "interrupted", attempts)
            );
        }
        assert!(second.script.begun.borrow().is_empty(), "nothing is run again by itself");
        second.executions.stop(Duration::from_secs(1)).await;
        let stored = second.executions.stored(&ids[1]).await.unwrap().unwrap();
        assert_eq!(reason(&stored), "interrupted", "the store knows it, too");
    }
}

// spec: X-24
#[tokio::test(start_paused = true)]
async fn a_repeat_with_the_same_key_is_the_first_execution_in_this_life_and_the_next() {
    let store = Arc::new(Switch::default());
    let life = Life::over(&store);
    let calls = (0..50).map(|_| life.call("quick", Some("k")));
    let all: Vec<Accepted> = futures::future::join_all(calls).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(all.iter().filter(|accepted| accepted.is_new).count(), 1);
    let first = id(&all[0].record);
    assert!(all.iter().all(|accepted| id(&accepted.record) == first));
    end(&mut all[0].record.clone()).await;
    assert_eq!(life.script.begun.borrow().len(), 1);
    assert!(matches!(life.call("other", Some("k")).await, Err(Refusal::Key(id)) if id == first));
    assert!(life.call("quick", Some("l")).await.unwrap().is_new);
    drop(life);
    let mut again = Life::over(&store).call("quick", Some("k")).await.unwrap();
    assert!(!again.is_new);
    assert_eq!((end(&mut again.record).await.status, id(&again.record)), (Status::Success, first));
}

// spec
#[tokio::test(start_paused = true)]
async fn runs_wait_their_turn_and_those_that_find_no_place_to_wait_are_refused() {
    let life = Life::over(&Arc::default());
    let mut all = Vec::new();
    for number in 0..5 {
        all.push(life.called(&format!("wait {number}")).await);
    }
    life.begun(2).await;
    let statuses: Vec<Status> = all.iter().map(|record| record.borrow().status).collect();
    assert_eq!(
        statuses,
        [Status::Running, Status::Running, Status::Pending, Status::Pending, Status::Pending]
    );
    assert!(matches!(life.call("wait", None).await, Err(Refusal::Full { waiting: 5 })));
    life.counted("exec_in_flight{kind=\"task\"} 2");
    for number in 0..5 {
        life.begun((number + 2).min(5)).await;
        life.script.go.notify_one();
    }
    for record in &mut all {
        assert_eq!(end(record).await.status, Status::Success);
    }
    let begun = life.script.begun.borrow().clone();
    assert_eq!(begun, (0..5).map(|number| json!(format!("wait {number}"))).collect::<Vec<_>>());
    life.counted("exec_in_flight{kind=\"task\"} 0");
    life.counted("exec_finished_total{kind=\"task\",status=\"success\"} 5");
    life.counted("exec_queue_wait_seconds_count{kind=\"task\"} 5");
}

// spec: X-22
#[tokio::test(start_paused = true)]
async fn what_is_cancelled_while_it_waits_is_never_begun_and_gives_its_turn_away() {
    let life = Life::with(&Arc::default(), (1, 3), Keep::default());
    let mut all = Vec::new();
    for name in ["wait a", "wait b", "wait c"] {
        all.push(life.called(name).await);
    }
    life.begun(1).await;
    let seen = life.executions.cancel(&id(&all[1])).await.unwrap().unwrap();
    assert_eq!(seen.status, Status::Pending);
    let ended = end(&mut all[1]).await;
    assert_eq!((ended.status, reason(&ended), ended.attempts), (Status::Cancelled, "cancelled", 0));
    life.executions.cancel(&id(&all[0])).await.unwrap();
    assert_eq!(end(&mut all[0]).await.status, Status::Cancelled);
    life.begun(2).await;
    life.script.go.notify_one();
    assert_eq!(end(&mut all[2]).await.status, Status::Success);
    // What has ended stays as it is.
    let seen = life.executions.cancel(&id(&all[2])).await.unwrap().unwrap();
    assert_eq!((seen.status, life.get(&id(&all[2])).await.status), (Status::Success, Status::Success));
    assert_eq!(*life.script.begun.borrow(), [json!("wait a"), json!("wait c")]);
    life.counted("exec_finished_total{kind=\"task\",status=\"cancelled\"} 2");
}

// spec: X-20
#[tokio::test(start_paused = true)]
async fn what_is_refused_leaves_no_trace_and_a_panic_is_a_failure() {
    let store = Arc::new(Switch::default());
    let life = Life::over(&store);
    let order = |target, input: &str| Order {
        target,
        input: json!(input),
        key: Some("k".into()),
        within: None,
        traceparent: None,
    };
    let agent = || Target::Agent { path: "/edge/flow".parse().unwrap(), action: "x".into() };
    let unknown = Target::Task { tool: "unknown".into() };
    assert!(matches!(life.executions.submit(order(unknown, "a")).await, Err(Refusal::Unknown { .. })));
    assert!(matches!(life.executions.submit(order(agent(), "busy")).await, Err(Refusal::Busy(_))));
    let all = Filter { limit: 10, ..Filter::default() };
    assert_eq!(life.executions.list(&all), (Vec::new(), false));
    assert!(life.executions.submit(order(agent(), "quick")).await.unwrap().is_new, "its key is free");
    assert_eq!(Life::over(&store).executions.list(&all).0.len(), 1);

    let mut record = life.called("panic").await;
    let ended = end(&mut record).await;
    assert_eq!((ended.status, reason(&ended)), (Status::Failure, "panic"));
    assert_eq!(end(&mut life.called("quick").await).await.status, Status::Success);
}

// spec: X-23, H-5, H-6
#[tokio::test(start_paused = true)]
async fn nothing_is_run_of_which_no_record_is_kept_and_an_end_that_the_store_did_not_take_is_caught_up() {
    let store = Arc::new(Switch::default());
    let life = Life::over(&store);
    store.turn(Mood::Full);
    assert!(matches!(life.call("quick", Some("k")).await, Err(Refusal::Archive(_))));
    assert!(life.script.begun.borrow().is_empty());
    store.turn(Mood::Well);
    let accepted = life.call("wait", Some("k")).await.unwrap();
    assert!(accepted.is_new, "the refused one is forgotten");
    let mut record = accepted.record;
    life.begun(1).await;
    store.turn(Mood::Failing);
    life.script.go.notify_one();
    let ended = end(&mut record).await;
    assert_eq!(life.get(&ended.id).await.status, Status::Success, "it is known");
    let stored = async || life.executions.stored(&ended.id).await.unwrap().unwrap().status;
    assert_eq!(stored().await, Status::Running);
    store.turn(Mood::Well);
    let mut looks = 0;
    while stored().await != Status::Success {
        looks += 1;
        assert!(looks < 10, "it is caught up within a round of housekeeping");
        tokio::time::sleep(HOUSEKEEPING / 4).await;
    }
}

// spec: X-23
#[tokio::test(start_paused = true)]
async fn the_past_is_bounded_in_the_store_as_it_is_at_hand() {
    let (store, keep) = (Arc::new(Switch::default()), Keep { count: 3, ..Keep::default() });
    let life = Life::with(&store, (2, 3), keep);
    let mut ids = Vec::new();
    for _ in 0..10 {
        let mut record = life.called("quick").await;
        ids.push(end(&mut record).await.id.clone());
    }
    let all = Filter { limit: 100, ..Filter::default() };
    let mut kept = 10;
    for _ in 0..100 {
        kept = store.stats().unwrap().documents;
        if kept == 3 {
            break;
        }
        // The clock stands still while the store is at work.
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!((kept, life.executions.list(&all).0.len()), (3, 3));
    assert!(life.executions.get(&ids[0]).await.unwrap().is_none());
    assert_eq!(life.get(&ids[9]).await.status, Status::Success);
}

// spec
#[tokio::test(start_paused = true)]
async fn a_stop_cancels_what_runs_and_what_waits_and_takes_nothing_more() {
    let life = Life::with(&Arc::default(), (1, 3), Keep::default());
    let mut all = [life.called("wait a").await, life.called("wait b").await];
    life.begun(1).await;
    life.executions.stop(Duration::from_secs(10)).await;
    for record in &mut all {
        let ended = end(record).await;
        let why = ended.error.as_ref().map(|error| error.message.as_str());
        assert_eq!((ended.status, why), (Status::Cancelled, Some("the daemon was told to stop")));
    }
    assert!(matches!(life.call("quick", None).await, Err(Refusal::Stopping)));
}

#[test]
fn a_store_that_holds_a_record_of_another_version_is_taken_up_all_the_same() {
    let store = Arc::new(MemoryStore::default());
    let mut batch = fsm_store::Batch::new(fsm_store::Timestamp::new(1), "test");
    batch.put(fsm_store::DocumentId::new("execution", "x"), b"{\"version\": 9}".as_slice());
    store.write(&batch).unwrap();
    assert!(Archive::new(store).load().unwrap().is_empty());
}
