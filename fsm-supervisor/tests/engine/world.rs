//! The outside world of a test: one thing per path, what happens to it, and who was asked what.
//!
//! It is per thread, as a test is, so that the pure methods of a kind can be scripted too.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Once};
use std::time::Duration;

use fsm_core::{Moment, VariableBundle};
use serde::{Deserialize, Serialize};

/// What an observation tells the worker to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) enum Tell {
    #[default]
    Nothing,
    Remove,
    Restart,
    /// Move between two states for ever.
    Flip,
}

/// How collections of a path end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Collect {
    #[default]
    Works,
    Fails,
    /// No answer: the driver drops it at its timeout.
    Hangs,
    /// No answer, and the driver can't drop it either.
    Lost,
    Panics,
}

/// How actions of a path end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Act {
    #[default]
    Works,
    /// Says success and changes nothing.
    Pretends,
    Fails,
    FailsWithRetryAfter(Duration),
    /// Runs until it times out or is cancelled.
    Hangs,
    Panics,
    Refused,
}

/// One thing in the outside world, and how it behaves.
#[derive(Debug, Clone)]
pub(crate) struct Thing {
    pub(crate) running: bool,
    pub(crate) healthy: bool,
    pub(crate) done: bool,
    pub(crate) value: u32,
    pub(crate) noise: u64,
    pub(crate) tell: Tell,
    pub(crate) collect: Collect,
    pub(crate) collect_takes: Duration,
    pub(crate) act: Act,
    pub(crate) act_takes: Duration,
    /// How long a cancelled action goes on.
    pub(crate) cancel_takes: Duration,
    /// It goes on running whatever `stop` does.
    pub(crate) unstoppable: bool,
    /// The pure method that panics.
    pub(crate) panics_in: Option<&'static str>,
    pub(crate) derive_fails: Option<&'static str>,
    /// How long each of its pure methods holds up the tick.
    pub(crate) asking_takes: Duration,
    /// Actions that took effect.
    pub(crate) starts: u32,
    pub(crate) stops: u32,
}

impl Default for Thing {
    fn default() -> Self {
        Self {
            running: false,
            healthy: true,
            done: false,
            value: 0,
            noise: 0,
            tell: Tell::Nothing,
            collect: Collect::Works,
            collect_takes: Duration::from_millis(5),
            act: Act::Works,
            act_takes: Duration::from_millis(10),
            cancel_takes: Duration::ZERO,
            unstoppable: false,
            panics_in: None,
            derive_fails: None,
            asking_takes: Duration::ZERO,
            starts: 0,
            stops: 0,
        }
    }
}

#[derive(Debug, Default)]
struct World {
    things: BTreeMap<String, Thing>,
    asked: BTreeMap<(String, &'static str), u32>,
    variables: BTreeMap<String, VariableBundle>,
    /// What was seen of children last, by parent.
    views: BTreeMap<String, String>,
    /// Whether the last `stop` was asked with an observation.
    stop_saw: BTreeMap<String, bool>,
    done: Vec<(String, &'static str)>,
    /// What pure methods took in all.
    worked: Duration,
    liar: Option<String>,
    /// By path, what the last `next` saw of its tries: actions in this state, failures in a row, and until when to wait.
    tries: BTreeMap<String, (u32, u32, Option<Moment>)>,
    /// What can't be reached.
    cut: BTreeSet<String>,
}

thread_local! {
    static WORLD: RefCell<World> = RefCell::default();
}

fn with<T>(work: impl FnOnce(&mut World) -> T) -> T {
    WORLD.with_borrow_mut(work)
}

/// A new, empty world, in which scripted panics make no noise.
pub(crate) fn reset() {
    static QUIET: Once = Once::new();
    QUIET.call_once(|| {
        let loud = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let payload = info.payload();
            let text = payload.downcast_ref::<&str>().copied();
            let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
            if !text.is_some_and(|text| text.starts_with("scripted panic")) {
                loud(info);
            }
        }));
    });
    with(|world| *world = World::default());
}

/// The thing at a path, to look at or to change.
pub(crate) fn thing<T>(path: &str, work: impl FnOnce(&mut Thing) -> T) -> T {
    with(|world| work(world.things.entry(path.into()).or_default()))
}

/// A pure method of a path was called; panics when that is scripted.
pub(crate) fn asked(path: &str, method: &'static str) {
    let panics = with(|world| {
        *world.asked.entry((path.into(), method)).or_default() += 1;
        world.worked += world.things.get(path).map_or(Duration::ZERO, |thing| thing.asking_takes);
        world.things.get(path).is_some_and(|thing| thing.panics_in == Some(method))
    });
    assert!(!panics, "scripted panic in {method} of {path}");
}

/// Shows how long the pure methods of all things took.
pub(crate) struct Worked;

impl fsm_supervisor::Stopwatch for Worked {
    fn nanos(&self) -> u64 {
        with(|world| world.worked.as_nanos() as u64)
    }
}

/// From now on the pure methods of a path answer differently each time.
pub(crate) fn lie(path: &str) {
    with(|world| world.liar = Some(path.into()));
}

/// Whether an answer is to be wrong.
pub(crate) fn lies(path: &str) -> bool {
    with(|world| world.liar.as_deref() == Some(path))
}

/// How often a pure method of a path was called.
pub(crate) fn times(path: &str, method: &'static str) -> u32 {
    with(|world| world.asked.get(&(path.into(), method)).copied().unwrap_or_default())
}

/// Remembers the variables that a derive saw.
pub(crate) fn saw_variables(path: &str, variables: &VariableBundle) {
    with(|world| world.variables.insert(path.into(), variables.clone()));
}

/// The variables that the last derive of a path saw.
pub(crate) fn variables(path: &str) -> VariableBundle {
    with(|world| world.variables.get(path).cloned().expect("it was derived"))
}

/// Remembers what a parent saw of its children.
pub(crate) fn saw_children(path: &str, view: String) {
    with(|world| world.views.insert(path.into(), view));
}

/// What a parent saw of its children last.
pub(crate) fn view(path: &str) -> String {
    with(|world| world.views.get(path).cloned().unwrap_or_default())
}

/// Remembers whether `stop` was shown an observation.
pub(crate) fn stop_saw(path: &str, observation: bool) {
    with(|world| world.stop_saw.insert(path.into(), observation));
}

/// Whether the last `stop` of a path was shown an observation; none when it was never asked.
pub(crate) fn did_stop_see(path: &str) -> Option<bool> {
    with(|world| world.stop_saw.get(path).copied())
}

/// Remembers what `next` saw of its tries.
pub(crate) fn tried(path: &str, attempts: u32, failures: u32, wait: Option<Moment>) {
    with(|world| world.tries.insert(path.into(), (attempts, failures, wait)));
}

/// What the last `next` of a path saw of its tries.
pub(crate) fn tries(path: &str) -> (u32, u32, Option<Moment>) {
    with(|world| world.tries.get(path).copied().unwrap_or_default())
}

/// From now on this can't be reached, or can be again.
pub(crate) fn cut(key: &str, is_cut: bool) {
    with(|world| if is_cut { world.cut.insert(key.into()) } else { world.cut.remove(key) });
}

/// Whether this can be reached.
pub(crate) fn reach(key: &str) -> Result<(), Arc<str>> {
    with(|world| if world.cut.contains(key) { Err("connection refused".into()) } else { Ok(()) })
}

/// Remembers an action that took effect, or a state that was left.
pub(crate) fn did(path: &str, what: &'static str) {
    with(|world| world.done.push((path.into(), what)));
}

/// What took effect, in order; the list is emptied.
pub(crate) fn take_done() -> Vec<(String, &'static str)> {
    with(|world| std::mem::take(&mut world.done))
}
