//! The world of a simulated config: what was started where, and what is wrong with it.

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fsm_core::{Identity, Moment, NodeId, NodePath};

/// Shared by the stand-ins of one run; a clone is the same world.
#[derive(Debug, Clone, Default)]
pub struct World(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    places: BTreeMap<NodePath, Place>,
    /// Whom anybody talked to, by address.
    peers: BTreeSet<String>,
    /// Those of them that do not answer.
    away: BTreeSet<String>,
    /// Addresses that nodes of this tree serve, and which.
    served: BTreeMap<String, NodePath>,
}

/// What is wrong at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    /// Whom it talks to does not answer.
    Away,
    /// Nothing comes from whom it talks to.
    Silent,
    /// It works, and not well.
    Ill,
    /// Everything takes long.
    Slow,
}

/// What lives where a node looks and acts.
#[derive(Debug, Default)]
struct Place {
    started: Option<Started>,
    trouble: Option<Trouble>,
    /// Whether its peer answered when it was looked for last, and when that changed.
    answered: Option<bool>,
    changes: Vec<Moment>,
}

#[derive(Debug, Clone)]
struct Started {
    /// By which incarnation: what it holds ends with it.
    by: NodeId,
    config: Arc<dyn Any + Send + Sync>,
    /// It ended by itself.
    ended: bool,
    /// It outlives whoever started it, as a file does.
    stays: bool,
}

/// What a node sees of its place.
#[derive(Debug)]
pub(super) struct Sight<C> {
    /// The config that it was started with; none when nothing was, or it was stopped.
    pub(super) started: Option<Arc<C>>,
    /// What was started ended by itself.
    pub(super) ended: bool,
    /// What is wrong.
    pub(super) trouble: Option<Trouble>,
    /// How often its peer came and went of late.
    pub(super) changes: u32,
}

/// The peer's changes that are looked back at: the default of a connection's flapping.
const LATELY: Duration = Duration::from_secs(60);

impl Inner {
    /// Whether somebody is there: nobody says that it is away, and if a node of this tree serves it, that one does.
    fn answers(&self, address: &str) -> bool {
        let serves = |path: &NodePath| {
            let started = self.places.get(path).and_then(|place| place.started.as_ref());
            started.is_some_and(|started| !started.ended)
        };
        !self.away.contains(address) && self.served.get(address).is_none_or(serves)
    }
}

/// The part of a URL that says where; two ways to one place are one peer.
fn address_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split('/').next().unwrap_or(rest)
}

impl World {
    /// What this incarnation sees that talks to this peer, if to any, and serves this address, if one.
    pub(super) fn sight<C: Send + Sync + 'static>(
        &self,
        who: &Identity,
        now: Moment,
        peer: Option<&str>,
        serves: Option<String>,
    ) -> Sight<C> {
        let mut inner = self.lock();
        if let Some(address) = serves {
            inner.served.insert(address, who.path.clone());
        }
        let reached = peer.map(address_of).is_none_or(|address| {
            if !inner.peers.contains(address) {
                inner.peers.insert(address.to_owned());
            }
            inner.answers(address)
        });
        let place = inner.places.entry(who.path.clone()).or_default();
        let trouble = place.trouble.or((!reached).then_some(Trouble::Away));
        let own = place.started.clone().filter(|started| started.stays || started.by == who.node);
        let answers = trouble != Some(Trouble::Away);
        if place.answered.replace(answers).is_some_and(|before| before != answers) {
            place.changes.push(now);
        }
        place.changes.retain(|at| now.since(*at) <= LATELY);
        Sight {
            ended: own.as_ref().is_some_and(|started| started.ended),
            started: own.and_then(|started| started.config.downcast().ok()),
            trouble,
            changes: u32::try_from(place.changes.len()).unwrap_or(u32::MAX),
        }
    }

    /// Whether what is known by this key can be reached now.
    pub(super) fn reaches(&self, key: &str) -> bool {
        self.lock().answers(address_of(key))
    }

    /// The peer that the number chooses does not answer anybody.
    pub(super) fn leaves(&self, number: u64) {
        let mut inner = self.lock();
        let count = inner.peers.len().max(1) as u64;
        if let Some(peer) = inner.peers.iter().nth((number % count) as usize).cloned() {
            inner.away.insert(peer);
        }
    }

    /// What is wrong at this place.
    pub(super) fn trouble(&self, path: &NodePath) -> Option<Trouble> {
        self.with(path, |place| place.trouble)
    }

    /// Something is started, in place of what was there.
    pub(super) fn start(&self, who: &Identity, config: Arc<dyn Any + Send + Sync>, stays: bool) {
        let started = Started { by: who.node, config, ended: false, stays };
        self.with(&who.path, |place| place.started = Some(started));
    }

    /// What was started is ended.
    pub(super) fn stop(&self, who: &Identity) {
        self.with(&who.path, |place| place.started = None);
    }

    /// The process is gone, and what lived in it.
    pub(super) fn process_ends(&self) {
        for place in self.lock().places.values_mut() {
            place.started = place.started.take().filter(|started| started.stays);
            (place.answered, place.changes) = (None, Vec::new());
        }
    }

    /// This is wrong from now on, at the place that the number chooses.
    pub(super) fn any(&self, number: u64, trouble: Option<Trouble>) {
        self.chosen(number, |place| place.trouble = trouble);
    }

    /// What was started at the place that the number chooses ends by itself.
    pub(super) fn end_any(&self, number: u64) {
        self.chosen(number, |place| {
            if let Some(started) = &mut place.started {
                started.ended = true;
            }
        });
    }

    /// Nothing is wrong any more. What ended stays so: it is its worker's business.
    pub(super) fn heal(&self) {
        let mut inner = self.lock();
        inner.away.clear();
        for place in inner.places.values_mut() {
            place.trouble = None;
        }
    }

    fn chosen(&self, number: u64, change: impl FnOnce(&mut Place)) {
        let mut inner = self.lock();
        let count = inner.places.len().max(1) as u64;
        if let Some(place) = inner.places.values_mut().nth((number % count) as usize) {
            change(place);
        }
    }

    fn with<T>(&self, path: &NodePath, work: impl FnOnce(&mut Place) -> T) -> T {
        work(self.lock().places.entry(path.clone()).or_default())
    }

    /// A panic under this lock leaves plain data, which is good as it is.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use fsm_core::Incarnation;

    use super::*;

    fn node(path: &str, life: u64) -> Identity {
        let path = NodePath::try_new(path).expect("a good path");
        Identity::new(path, "any", NodeId::new(1, Incarnation::new(life.try_into().unwrap())), 0, 1)
    }

    // spec: K-10
    #[test]
    fn a_server_of_the_tree_is_reached_while_it_runs() {
        let (world, broker, client) = (World::default(), node("/e/broker", 1), node("/e/flow", 1));
        let now = Moment::ZERO;
        let client_sees = || world.sight::<u8>(&client, now, Some("mqtt://h:1883"), None).trouble;
        assert_eq!(client_sees(), None, "nobody of the tree serves it: it is somebody else");
        let _ = world.sight::<u8>(&broker, now, None, Some("h:1883".into()));
        assert_eq!(client_sees(), Some(Trouble::Away));
        world.start(&broker, Arc::new(7_u8), false);
        assert!(world.reaches("mqtt://h:1883") && client_sees().is_none());
        world.leaves(0);
        assert!(!world.reaches("mqtt://h:1883") && client_sees() == Some(Trouble::Away));
        world.heal();
        assert_eq!(client_sees(), None);
        world.process_ends();
        assert_eq!(client_sees(), Some(Trouble::Away));
    }

    // spec: K-10
    #[test]
    fn what_a_node_started_ends_with_its_incarnation_unless_it_stays() {
        let world = World::default();
        let (old, new) = (node("/e/flow", 1), node("/e/flow", 2));
        let started = |who: &Identity| world.sight::<u8>(who, Moment::ZERO, None, None).started;
        world.start(&old, Arc::new(7_u8), false);
        assert_eq!((started(&old), started(&new)), (Some(Arc::new(7)), None));
        world.start(&old, Arc::new(8_u8), true);
        assert_eq!(started(&new), Some(Arc::new(8)));
        world.process_ends();
        assert_eq!(started(&new), Some(Arc::new(8)));
    }
}
