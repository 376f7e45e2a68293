//! Collectors that block a thread: they can't be dropped, so nobody may start a second one beside them.

use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use fsm_core::{
    ActionContext, ActionError, ChildSpec, CollectContext, CollectError, Decision, DeriveContext,
    DeriveError, DesiredState, NoAction, NodePath, Phase, Policy, PolicyOverride, Registry, Snapshot, Sort,
    State, StopSnapshot, UserSpec, Vars, Worker, go, stay,
};
use fsm_store::MemoryStore;
use fsm_supervisor::{Command, DriverConfig, Handle, NodeView, start};

/// A door that collectors go through; while it is shut they block their thread.
#[derive(Default)]
struct Door {
    inner: Mutex<Traffic>,
    moved: Condvar,
}

#[derive(Debug, Default, Clone, Copy)]
struct Traffic {
    shut: bool,
    inside: u32,
    most: u32,
    passed: u32,
}

impl Door {
    fn pass(&self) {
        let mut traffic = self.inner.lock().unwrap();
        traffic.inside += 1;
        traffic.most = traffic.most.max(traffic.inside);
        let mut traffic = self.moved.wait_while(traffic, |traffic| traffic.shut).unwrap();
        traffic.inside -= 1;
        traffic.passed += 1;
    }

    fn set(&self, shut: bool) {
        self.inner.lock().unwrap().shut = shut;
        self.moved.notify_all();
    }

    fn traffic(&self) -> Traffic {
        *self.inner.lock().unwrap()
    }
}

/// Runs at once, and looks through the door.
struct Looker(Arc<Door>);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
enum LookerState {
    #[default]
    Stopped,
    Running,
}

impl Worker for Looker {
    const KIND: &'static str = "looker";
    const POLICY: Policy = Policy::DEFAULT.blocking_collect();
    type Config = ();
    type Observed = ();
    type State = LookerState;
    type Action = NoAction;
    type Handle = ();

    fn derive_desired_state(
        spec: &UserSpec<()>,
        _cx: &DeriveContext<'_>,
    ) -> Result<DesiredState<()>, DeriveError> {
        Ok(DesiredState::running(spec))
    }

    async fn collect_observed_state(&self, _cx: CollectContext<'_, Self>) -> Result<(), CollectError> {
        self.0.pass();
        Ok(())
    }

    async fn execute(&self, action: NoAction, _cx: ActionContext<'_, Self>) -> Result<(), ActionError> {
        match action {}
    }
}

impl State<Looker> for LookerState {
    const ALL: &'static [Self] = &[Self::Stopped, Self::Running];

    fn name(self) -> &'static str {
        match self {
            Self::Stopped => "Stopped",
            Self::Running => "Running",
        }
    }
    fn phase(self) -> Phase {
        match self {
            Self::Stopped => Phase::Stopped,
            Self::Running => Phase::Running,
        }
    }
    fn sort(self) -> Sort {
        Sort::Passive
    }
    fn next(self, _s: &Snapshot<'_, Looker>) -> Decision<Looker> {
        match self {
            Self::Stopped => go(Self::Running, "asked to run"),
            Self::Running => stay("running"),
        }
    }
    fn stop(self, _s: &StopSnapshot<'_, Looker>) -> Decision<Looker> {
        match self {
            Self::Stopped => stay("stopped"),
            Self::Running => go(Self::Stopped, "told to stop"),
        }
    }
}

/// The tree of one looker, on the machine's clock: paused time stands still while a thread blocks.
struct Lookout {
    handle: Handle,
    metrics: fsm_metrics::Metrics,
    door: Arc<Door>,
}

impl Lookout {
    async fn new() -> Self {
        let door = Arc::new(Door::default());
        let mut registry = Registry::new();
        registry.register(Looker(Arc::clone(&door))).unwrap();
        let series = prometheus::Registry::new();
        let metrics = fsm_metrics::Metrics::try_new(fsm_metrics::MetricsConfig::default(), &series).unwrap();
        let handle =
            start(registry, DriverConfig::default(), &metrics, Arc::new(MemoryStore::default())).unwrap();
        let mut policy = PolicyOverride::default();
        policy.interval = Some(Duration::from_millis(50).into());
        policy.collect_timeout = Some(Duration::from_millis(100).into());
        let spec = ChildSpec::try_new("edge", "looker").unwrap().with_policy(policy);
        handle.apply(spec, Vars::new()).await.unwrap();
        Self { handle, metrics, door }
    }

    async fn until(&self, what: &str, condition: impl Fn(&NodeView, Traffic) -> bool) -> NodeView {
        let path = NodePath::try_new("/edge").unwrap();
        let found = async {
            loop {
                if let Some(view) = self.handle.node(&path).await.unwrap()
                    && condition(&view, self.door.traffic())
                {
                    return view;
                }
                tokio::task::yield_now().await;
            }
        };
        let limit = Duration::from_secs(60);
        tokio::time::timeout(limit, found).await.unwrap_or_else(|_| panic!("never: {what}"))
    }
}

// spec: I8, S-31, S-32, S-21
#[tokio::test]
async fn a_collector_that_holds_its_thread_has_none_beside_it() {
    let tree = Lookout::new().await;
    let first =
        tree.until("it runs", |view, traffic| view.phase == Phase::Running && traffic.passed > 3).await;
    tree.door.set(true);
    tree.until("its collector ran out of time", |view, traffic| {
        let error = view.collect_error.as_deref();
        traffic.inside == 1 && error.is_some_and(|error| error.contains("no answer within"))
    })
    .await;
    // Not even for a new incarnation of the same path, which has a collector of its own.
    let path = first.path.clone();
    tree.handle.command(Command::Restart { path, who: "test".into() }).await.unwrap();
    tree.until("it came back and looked", |view, _| {
        view.incarnation != first.incarnation && view.collect_error.is_some()
    })
    .await;
    assert_eq!((tree.door.traffic().inside, tree.door.traffic().most), (1, 1));
    let leaked = |n| format!("fsm_collectors_leaked{{supervisor_id=\"looker\",path=\"\"}} {n}\n");
    assert!(tree.metrics.encode().contains(&leaked(1)), "{}", tree.metrics.encode());
    let passed = tree.door.traffic().passed;
    tree.door.set(false);
    tree.until("it looks again", |view, traffic| {
        traffic.passed > passed + 3 && view.phase == Phase::Running && view.collect_error.is_none()
    })
    .await;
    assert_eq!(tree.door.traffic().most, 1);
    assert!(tree.metrics.encode().contains(&leaked(0)), "{}", tree.metrics.encode());
    assert_eq!(tree.handle.shutdown(Duration::from_secs(10)).await.unwrap().forced, []);
}

// spec: I8, S-34
#[tokio::test]
async fn a_collection_that_is_cancelled_at_once_does_not_count_as_held() {
    let tree = Lookout::new().await;
    let view = tree.until("it runs", |view, _| view.phase == Phase::Running).await;
    for _ in 0..100 {
        // Each cancels the one before, most of them before their thread was there.
        tree.handle.command(Command::Collect { path: view.path.clone() }).await.unwrap();
    }
    let passed = tree.door.traffic().passed;
    tree.until("it still looks", |_, traffic| traffic.passed > passed + 3).await;
    assert_eq!(tree.handle.shutdown(Duration::from_secs(10)).await.unwrap().forced, []);
}

// spec: I8, S-34 (restarted while its first look holds the thread)
#[tokio::test]
async fn a_restart_while_a_collector_holds_its_thread_waits_for_it() {
    let tree = Lookout::new().await;
    let first =
        tree.until("it runs", |view, traffic| view.phase == Phase::Running && traffic.passed > 3).await;
    for _ in 0..20 {
        tree.door.set(true);
        let held = tree.until("a look is under way", |_, traffic| traffic.inside == 1).await;
        tree.handle.command(Command::Restart { path: first.path.clone(), who: "test".into() }).await.unwrap();
        tree.until("it started over", |view, _| view.incarnation != held.incarnation).await;
        tree.door.set(false);
        tree.until("it runs again", |view, _| view.phase == Phase::Running && view.collect_error.is_none())
            .await;
    }
    assert_eq!(tree.door.traffic().most, 1);
    assert_eq!(tree.handle.shutdown(Duration::from_secs(10)).await.unwrap().forced, []);
}
