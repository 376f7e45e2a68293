//! The wait for a workflow under paused time.

use std::cell::RefCell;

use fsm_metrics::{Metrics, MetricsConfig};
use serde_json::Value;

use super::super::id::Ids;
use super::super::record::{End, Fault, Target};
use super::*;

fn record() -> Record {
    let target = Target::Workflow { workflow: "changeover".into() };
    Record::new(Ids::default().next(0, 0), target, Value::Null, None, 0).begun(0)
}

fn ended(status: Status) -> Arc<Record> {
    let fault = Fault::new("x", "y");
    let end = if status == Status::Success { End::success(Value::Null) } else { End::failure(status, fault) };
    Arc::new(record().ended(end, 1))
}

struct Rig {
    metrics: Metrics,
    counted: ExecMetrics,
    tell: watch::Sender<Arc<Record>>,
    looks: RefCell<Vec<Duration>>,
    began: Instant,
}

impl Rig {
    fn new() -> Self {
        let metrics = Metrics::try_new(MetricsConfig::default(), &prometheus::Registry::new()).unwrap();
        Self {
            counted: ExecMetrics::new(metrics.executions()),
            metrics,
            tell: watch::Sender::new(Arc::new(record())),
            looks: RefCell::default(),
            began: Instant::now(),
        }
    }

    /// Waits; each look sees what `seen` says.
    async fn wait(
        &self,
        within: u64,
        seen: impl Fn() -> Result<Option<Arc<Record>>, ArchiveError>,
    ) -> Waited {
        let look = || {
            self.looks.borrow_mut().push(self.began.elapsed());
            std::future::ready(seen())
        };
        wait_for_workflow(self.tell.subscribe(), look, Duration::from_secs(within), 7, &self.counted).await
    }

    #[track_caller]
    fn counted(&self, outcome: &str, polls: usize) {
        let text = self.metrics.encode();
        let sum: usize = text
            .lines()
            .filter(|line| line.starts_with("workflow_sync_polls_total{"))
            .map(|line| line.rsplit(' ').next().unwrap().parse::<usize>().unwrap())
            .sum();
        assert!(
            text.contains(&format!("workflow_sync_polls_total{{outcome=\"{outcome}\"}} {polls}\n")),
            "{text}"
        );
        assert_eq!(sum, polls, "under one outcome only");
        assert!(text.contains("workflow_sync_poll_duration_seconds_count 1\n"), "{text}");
        assert_eq!(self.looks.borrow().len(), polls);
    }
}

// spec: X-25
#[test]
fn looks_double_from_200_ms_to_5_s_with_a_tenth_of_jitter() {
    let whole = [200, 400, 800, 1_600, 3_200, 5_000, 5_000, 5_000].map(Duration::from_millis);
    let mut apart = 0;
    for seed in 0..100 {
        for (at, (wait, whole)) in Looks::new(seed).zip(whole).enumerate() {
            assert!(
                wait >= whole.mul_f64(0.9) && wait <= whole.mul_f64(1.1),
                "look {at} of {seed}: {wait:?}"
            );
            apart += usize::from(wait.abs_diff(whole) > whole.mul_f64(0.05));
        }
        assert!(Looks::new(seed).zip(Looks::new(seed)).take(100).all(|(a, b)| a == b));
    }
    assert!((200..600).contains(&apart), "about half of them differ by more than half of that: {apart}");
}

// spec: X-25
#[tokio::test(start_paused = true)]
async fn the_end_wakes_the_waiter_at_once() {
    let rig = Rig::new();
    let running = rig.tell.borrow().clone();
    let waiting = rig.wait(60, || Ok(Some(Arc::clone(&running))));
    let ending = async {
        tokio::time::sleep(Duration::from_millis(150)).await;
        rig.tell.send_replace(ended(Status::Success));
    };
    let (waited, ()) = tokio::join!(waiting, ending);
    assert!(matches!(waited, Waited::Ended(record) if record.status == Status::Success));
    assert_eq!(rig.began.elapsed(), Duration::from_millis(150));
    rig.counted("completed", 1);
}

// spec: X-25
#[tokio::test(start_paused = true)]
async fn a_waiter_that_nobody_wakes_sees_the_end_by_looking() {
    let rig = Rig::new();
    let waited = rig
        .wait(60, || {
            let done = rig.looks.borrow().len() == 4;
            Ok(Some(if done { ended(Status::Failure) } else { Arc::new(record()) }))
        })
        .await;
    assert!(matches!(waited, Waited::Ended(record) if record.status == Status::Failure));
    let looks = rig.looks.borrow().clone();
    assert_eq!(looks[0], Duration::ZERO, "the first look is at once");
    let between: Vec<u128> = looks.windows(2).map(|pair| (pair[1] - pair[0]).as_millis()).collect();
    assert!(matches!(between[..], [180..=221, 360..=441, 720..=881]), "{between:?}");
    rig.counted("failed", 4);
}

// spec: X-25
#[tokio::test(start_paused = true)]
async fn every_way_out_is_counted_by_its_own_name() {
    let rig = Rig::new();
    let running = Arc::new(record());
    assert!(matches!(rig.wait(1, || Ok(Some(Arc::clone(&running)))).await, Waited::RanOut(_)));
    assert_eq!(rig.began.elapsed(), Duration::from_secs(1));
    rig.counted("timeout", 3);

    let rig = Rig::new();
    {
        let gone = rig.wait(60, || Ok(Some(Arc::clone(&running))));
        assert!(timeout(Duration::from_millis(500), gone).await.is_err());
    }
    rig.counted("cancelled", 2);

    let rig = Rig::new();
    rig.tell.send_replace(ended(Status::Cancelled));
    assert!(matches!(rig.wait(60, || Ok(None)).await, Waited::Ended(_)));
    let polls = rig.looks.borrow().len();
    rig.counted("cancelled", polls);

    let rig = Rig::new();
    let (lost, closed) = watch::channel(Arc::new(record()));
    drop(lost);
    let look = || {
        rig.looks.borrow_mut().push(Duration::ZERO);
        std::future::ready(Err(ArchiveError::Panicked))
    };
    let waited = wait_for_workflow(closed, look, Duration::from_secs(9), 7, &rig.counted).await;
    assert!(matches!(waited, Waited::Lost));
    let polls = rig.looks.borrow().len();
    rig.counted("error", polls);
}

// spec
#[tokio::test(start_paused = true)]
async fn a_look_that_fails_or_hangs_is_no_end_while_the_end_is_told() {
    let rig = Rig::new();
    let ending = async {
        tokio::time::sleep(Duration::from_secs(2)).await;
        rig.tell.send_replace(ended(Status::Success));
    };
    let (waited, ()) = tokio::join!(rig.wait(60, || Err(ArchiveError::Panicked)), ending);
    assert!(matches!(waited, Waited::Ended(_)));
    let rig = Rig::new();
    let look = std::future::pending::<Looked>;
    let within = Duration::from_secs(3);
    let waited = wait_for_workflow(rig.tell.subscribe(), look, within, 7, &rig.counted).await;
    assert!(matches!(waited, Waited::RanOut(_)));
    assert_eq!(rig.began.elapsed(), within);
}
