//! The world that scripted workers act on: who is up, what was called how often, what goes wrong next.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Script, Trick, Where};

/// Shared by a test and its scripted workers; cheap to clone. Nodes are known by their paths.
#[derive(Debug, Clone, Default)]
pub struct World {
    nodes: Arc<Mutex<BTreeMap<String, Node>>>,
}

#[derive(Debug, Clone, Default)]
struct Node {
    script: Script,
    up: bool,
    /// The health of a flapping node.
    ill: bool,
    calls: Calls,
}

/// How often a node was called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Calls {
    /// Looks at the world.
    pub collects: u32,
    /// Starts, those that failed included.
    pub starts: u32,
    /// Stops.
    pub stops: u32,
    /// Starts of these that changed the world, since it was not up before.
    pub went_up: u32,
    /// Runs that were dropped before their end.
    pub dropped: u32,
}

impl World {
    /// An empty world: every node is well and down.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// From now on the node at this path plays this script; what it did is not forgotten.
    pub fn set(&self, path: &str, script: Script) {
        self.with(path, |node| node.script = script);
    }

    /// Turns a node off behind its worker's back.
    pub fn knock_over(&self, path: &str) {
        self.with(path, |node| node.up = false);
    }

    /// Whether the node is up.
    #[must_use]
    pub fn is_up(&self, path: &str) -> bool {
        self.with(path, |node| node.up)
    }

    /// Every node that is up, by path.
    #[must_use]
    pub fn up(&self) -> Vec<String> {
        let nodes = self.lock();
        nodes.iter().filter(|(_, node)| node.up).map(|(path, _)| path.clone()).collect()
    }

    /// How often the node was called.
    #[must_use]
    pub fn calls(&self, path: &str) -> Calls {
        self.with(path, |node| node.calls)
    }

    pub(super) fn called(&self, path: &str, place: Where) -> Option<Trick> {
        self.with(path, |node| {
            match place {
                Where::Collect => node.calls.collects += 1,
                Where::Start => node.calls.starts += 1,
                Where::Stop => node.calls.stops += 1,
                Where::Next => {}
            }
            node.script.take(place)
        })
    }

    pub(super) fn turn(&self, path: &str, up: bool) {
        self.with(path, |node| {
            node.calls.went_up += u32::from(up && !node.up);
            node.up = up;
        });
    }

    /// Up, and ill.
    pub(super) fn look(&self, path: &str) -> (bool, bool) {
        self.with(path, |node| {
            node.ill = node.script.flaps && node.up && !node.ill;
            (node.up, node.ill)
        })
    }

    pub(super) fn dropped(&self, path: &str) {
        self.with(path, |node| node.calls.dropped += 1);
    }

    fn with<T>(&self, path: &str, change: impl FnOnce(&mut Node) -> T) -> T {
        change(self.lock().entry(path.to_owned()).or_default())
    }

    /// A panic under this lock leaves plain data, which is good as it is.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Node>> {
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
