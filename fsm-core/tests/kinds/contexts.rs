//! What the methods of a worker are given, and what reaches the driver through it.

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::time::Duration;

use fsm_core::*;
use serde_json::json;

use crate::door::{Door, DoorConfig, DoorSeen, QuietHost, ready};
use crate::{id, job};

/// Both contexts offer the same; so they are checked by the same words.
macro_rules! check_shared {
    ($cx:ident, $host:ident) => {
        assert_eq!(($cx.identity().path.as_str(), $cx.generation().get()), ("/door", 3));
        assert_eq!(($cx.config().as_ref(), **$cx.handle()), (&DoorConfig::default(), ()));
        assert!($cx.last().is_some_and(|last| last.open));
        assert_eq!(($cx.now(), $cx.wall_ms()), (Moment::from_nanos(7), 1_700_000_000_000));
        assert!(!$cx.is_cancelled());
        ready($cx.sleep(Duration::from_secs(1)));
        drop($cx.cancelled());
        $cx.spawn("hinge", async {});
        assert_eq!($cx.task_panics(), [("hinge", Arc::from("broke"))]);
        $cx.pusher().clone().push(DoorSeen { open: false, draught: 0.1 });
        assert_eq!(format!("{:?}", $cx.pusher()), "Pusher");
        $cx.metrics().add(0, &["left"], 1.0);
        assert_eq!($cx.host().wall_ms(), $cx.wall_ms());
        assert!(format!("{:?}", $cx).contains("/door"), "{:?}", $cx);
        let pushed = $host.pushed.lock().unwrap().pop().unwrap();
        assert!(!pushed.downcast::<DoorSeen>().unwrap().open, "a typed value reaches the driver");
    };
}

#[test]
fn a_job_reaches_its_node_and_its_driver_through_the_context() {
    let quiet = Arc::new(QuietHost::default());
    let host: Arc<dyn Host> = Arc::<QuietHost>::clone(&quiet);
    let identity = job().identity;
    let (config, handle) = (Arc::new(DoorConfig::default()), Arc::new(()));
    let last = Arc::new(DoorSeen { open: true, draught: 0.0 });
    let job = || Job::<Door> {
        identity: &identity,
        config: &config,
        handle: &handle,
        last: Some(&last),
        generation: Generation::new(3),
        host: &host,
    };
    let cx = CollectContext::new(job());
    check_shared!(cx, quiet);
    let gate = ready(cx.observed::<Door>(&NodePath::try_new("/gate").unwrap())).unwrap();
    assert_eq!((gate.value.open, gate.taken, gate.age), (true, Moment::ZERO, Duration::from_nanos(7)));
    assert!(ready(cx.observed::<Door>(&NodePath::try_new("/nobody").unwrap())).is_none());

    let cx = ActionContext::new(job(), 2);
    check_shared!(cx, quiet);
    cx.on_cancel(async {});
    assert_eq!((cx.attempt(), &*quiet.started.lock().unwrap()), (2, &vec!["hinge", "hinge", "clean-up"]));
}

/// Counts what it is told.
#[derive(Default)]
struct Renders {
    starts: Cell<u64>,
    ended: RefCell<Vec<(Duration, Option<DeriveErrorKind>)>>,
}

impl RenderObserver for Renders {
    fn start(&self) -> Duration {
        self.starts.set(self.starts.get() + 1);
        Duration::from_secs(self.starts.get())
    }
    fn rendered(&self, took: Duration, error: Option<DeriveErrorKind>) {
        self.ended.borrow_mut().push((took, error));
    }
}

#[test]
fn each_render_is_measured_whether_it_succeeds_or_not() {
    let (variables, renders) = (VariableBundle::default(), Renders::default());
    let previous = ChildrenSpecs::try_from_iter([ChildSpec::try_new("a", "door").unwrap()]).unwrap();
    let cx = DeriveContext::new(&variables, Some(&previous), &renders);
    assert_eq!(cx.previous().map(ChildrenSpecs::len), Some(1));
    assert_eq!(cx.render(|| Ok::<_, DeriveError>(5), DeriveError::kind), Ok(5));
    let error = cx.render(|| Err::<(), _>(DeriveError::config("no")), DeriveError::kind);
    assert!(error.is_err());
    let second = Duration::from_secs(1);
    assert_eq!(*renders.ended.borrow(), [(second, None), (second, Some(DeriveErrorKind::Config))]);
    let unmeasured = DeriveContext::new(&variables, None, &());
    assert_eq!(unmeasured.render(|| Ok::<_, DeriveError>(5), DeriveError::kind), Ok(5));
}

#[test]
fn declarations_are_plain_data() {
    const BUCKETS: &[f64] = &[0.1, 1.0];
    let spec = MetricSpec::histogram("swing_seconds", "seconds", "A swing.", BUCKETS);
    assert_eq!((spec.metric_type, spec.buckets), (MetricType::Histogram, BUCKETS));
    assert_eq!(MetricSpec::gauge("angle", "degrees", "Now.").metric_type, MetricType::Gauge);
    NoMetrics.set(0, &[], 1.0);
    NoMetrics.observe(0, &[], 1.0);

    let broker = Infrastructure::tcp("mqtt://b:1883", "b:1883");
    assert_eq!(broker, Infrastructure::tcp("mqtt://b:1883", "b:1883"), "equal keys are one incident");
    assert_eq!(broker.probe, Probe::Tcp { address: "b:1883".into() });
    let report =
        ActionReport::new(ActionId::new(1), "push", Outcome::Success, Moment::ZERO, Duration::from_secs(2));
    assert_eq!(report.ended(), Moment::after_start(Duration::from_secs(2)));
    let seen = Observation::new(Moment::from_nanos(3), Moment::from_nanos(8), Generation::new(1));
    assert_eq!(seen.duration(), Duration::from_nanos(5));
    assert_eq!(Door::infrastructure(&DoorConfig::default()), None);
    assert_eq!(NodeId::new(0, Incarnation::new(1)), id());
    let request = NoAction::from_request("push", json!(null)).unwrap_err();
    assert_eq!(request.to_string(), "no action `push` can be asked for here; known: []");
}
