//! A config under simulation: its real tree, with the real pure half of every kind, on a world in memory (K-10).
//!
//! What is real: loading and checking, derive and rendering, states and decisions, reconciling, dependencies, retries,
//! restarts, shutdown. What is simulated: each look at the outside, and each action on it. A leaf is told by its kind's
//! stand-in what it would see if its peer were away, silent, slow or not well; an action does to the world in memory
//! what the real one would do to the outside.

mod answer;
mod kinds;
mod stand_in;
mod world;

use std::time::Duration;

use clap::ValueEnum;
use fsm_core::{ChildName, ChildSpec, NodePath, Worker};
use fsm_testkit::simulate::{Faults, Simulation, Stage, simulate};
use fsm_worker_examples::hello::{Hello, HelloConfig};

use crate::config::Loaded;
use crate::run::settings;
pub use answer::{broken, held, total};
pub use kinds::registry;
use world::Trouble;
pub use world::World;

/// How much goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Mix {
    /// Nothing: it starts, runs and stops.
    None,
    /// The world changes, operators meddle, clocks jump.
    Calm,
    /// Also actions and observations go wrong, and the process is killed.
    Quick,
    /// The same, four times as much of it.
    Storm,
}

/// At most so many more steps in a storm.
const STORM: usize = 4;

impl Mix {
    /// Its word on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Calm => "calm",
            Self::Quick => "quick",
            Self::Storm => "storm",
        }
    }

    /// What may happen, spread over so many virtual hours: as many steps in each as there are in the few minutes without.
    #[must_use]
    pub fn faults(self, hours: Option<u64>) -> Faults {
        let mut faults = match self {
            Self::None => Faults::none(),
            Self::Calm | Self::Quick | Self::Storm => Faults::mix(),
        };
        if self == Self::Calm {
            faults.jobs.clear();
            faults.kills = false;
        }
        if self == Self::Storm {
            faults.most *= STORM;
        }
        if let Some(hours) = hours {
            faults.within = Duration::from_secs(hours.saturating_mul(3_600));
            faults.most = faults.most.saturating_mul(usize::try_from(hours).unwrap_or(usize::MAX));
        }
        faults
    }
}

/// The simulation of a config, not run yet.
#[must_use]
pub fn simulation(loaded: &Loaded) -> Simulation {
    let (root, global) = (loaded.root.clone(), loaded.global.clone());
    let executor = settings::executor(&loaded.supervision);
    simulate(move || {
        let world = World::default();
        let kinds = world.clone();
        let stage = Stage::new(move || registry_of_a_new_process(&kinds), root.clone());
        let stage = stage.global(global.clone()).executor(executor);
        let stage = match extra(&root.name) {
            Some((parent, child)) => stage.extra(parent, child),
            None => stage,
        };
        disturbed(stage, &world)
    })
}

/// What lived in the process is gone with it.
fn registry_of_a_new_process(world: &World) -> fsm_core::Registry {
    world.process_ends();
    kinds::registry(world)
        .expect("the names are those of the real kinds, which were registered when the config was read")
}

/// A child that operators add and remove.
fn extra(root: &ChildName) -> Option<(NodePath, ChildSpec)> {
    let child = ChildSpec::try_new("added-at-run-time", Hello::KIND).ok()?;
    let config = HelloConfig::new("/simulated/mood", "/simulated/greeting");
    Some((NodePath::root(root), child.with_typed_config(config)))
}

fn disturbed(stage: Stage, world: &World) -> Stage {
    let set = |trouble: Option<Trouble>| {
        let world = world.clone();
        move |value| world.any(value, trouble)
    };
    let (ends, leaves, reaches, calm) = (world.clone(), world.clone(), world.clone(), world.clone());
    stage
        .reachable(move |key| reaches.reaches(key))
        .disturb("a peer of all goes away", move |value| leaves.leaves(value))
        .disturb("its peer goes away", set(Some(Trouble::Away)))
        .disturb("a source falls silent", set(Some(Trouble::Silent)))
        .disturb("something is not well", set(Some(Trouble::Ill)))
        .disturb("something gets slow", set(Some(Trouble::Slow)))
        .disturb("something ends by itself", move |value| ends.end_any(value))
        .disturb("something is well again", set(None))
        .calm(move || calm.heal())
}
