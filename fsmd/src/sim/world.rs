//! The world of a simulated config: what was started where, and what is wrong with it.

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fsm_core::{Identity, Moment, NodeId, NodePath};

/// Shared by the stand-ins of one run; a clone is the same world.
#[derive(Debug, Clone, Default)]
pub struct World(Arc<Mutex<BTreeMap<NodePath, Place>>>);

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

impl World {
    /// What this incarnation sees.
    pub(super) fn sight<C: Send + Sync + 'static>(&self, who: &Identity, now: Moment) -> Sight<C> {
        self.with(&who.path, |place| {
            let own = place.started.clone().filter(|started| started.stays || started.by == who.node);
            let answers = place.trouble != Some(Trouble::Away);
            if place.answered.replace(answers).is_some_and(|before| before != answers) {
                place.changes.push(now);
            }
            place.changes.retain(|at| now.since(*at) <= LATELY);
            Sight {
                ended: own.as_ref().is_some_and(|started| started.ended),
                started: own.and_then(|started| started.config.downcast().ok()),
                trouble: place.trouble,
                changes: u32::try_from(place.changes.len()).unwrap_or(u32::MAX),
            }
        })
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
        for place in self.lock().values_mut() {
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
        for place in self.lock().values_mut() {
            place.trouble = None;
        }
    }

    fn chosen(&self, number: u64, change: impl FnOnce(&mut Place)) {
        let mut places = self.lock();
        let count = places.len().max(1) as u64;
        if let Some(place) = places.values_mut().nth((number % count) as usize) {
            change(place);
        }
    }

    fn with<T>(&self, path: &NodePath, work: impl FnOnce(&mut Place) -> T) -> T {
        work(self.lock().entry(path.clone()).or_default())
    }

    /// A panic under this lock leaves plain data, which is good as it is.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<NodePath, Place>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
