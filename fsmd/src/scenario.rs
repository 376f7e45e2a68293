//! Scenarios: small stories about a real tree in the production driver, that show what can be relied on. Time is virtual, but
//! where a real peer is talked to.
//!
//! Each is a function that steers a [`Stage`] and fails with [`Broken`] as soon as something is not as it should be. `fsmd
//! scenario` runs them for people, `tests/scenarios` runs the same functions. To add one: write the function in the file of
//! its topic and name it in [`ALL`].

// What a scenario is told with, and where it is played.
mod cast;
mod play;
mod stage;
mod story;
pub(crate) mod switch;

// The scenarios, by topic.
mod actions;
mod changes;
mod clock;
mod communicator;
mod configs;
mod ending;
mod failing;
mod first;
mod observing;
mod panics;
mod persistence;
mod scale;
mod storing;

pub use play::{Played, play};
pub use stage::Stage;
pub use story::{Broken, Outcome, Story};

use futures::future::LocalBoxFuture;

/// One scenario.
#[derive(Debug, Clone, Copy)]
pub struct Scenario {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it shows, in one line.
    pub about: &'static str,
    script: Script,
}

impl Scenario {
    /// Whether the times of its story are those of a clock on the wall, since it talks to a real peer.
    #[must_use]
    pub const fn is_in_real_time(&self) -> bool {
        matches!(self.script, Script::Real(_))
    }
}

/// A script that steers a tree.
type OnTree = for<'a> fn(&'a mut Stage) -> LocalBoxFuture<'a, Outcome>;

/// How a scenario is played.
#[derive(Debug, Clone, Copy)]
enum Script {
    /// On a tree of the real driver, under virtual time.
    Tree(OnTree),
    /// The same in real time: its peer is on the other side of a socket.
    Real(OnTree),
    /// In the simulation, which is a driver of its own.
    Simulated(fn(&mut Story) -> Outcome),
}

/// Names a scenario that runs on a tree.
macro_rules! tree {
    ($name:literal, $about:literal, $run:path) => {
        Scenario { name: $name, about: $about, script: Script::Tree(|stage| Box::pin($run(stage))) }
    };
}

/// All scenarios, simple ones first.
pub const ALL: &[Scenario] = &[
    tree!("hello", "a file says sad: its worker is degraded until it says something else", first::hello),
    tree!("parent", "a parent and two children start in order, and stop in reverse order", first::parent),
    tree!("variables", "variables flow down three levels, and the nearest wins", first::variables),
    tree!("configs", "three bad configs are refused by name, beside a good one", configs::bad_beside_good),
    tree!("failing-recovers", "an action fails three times and succeeds", failing::recovers),
    tree!(
        "failing-for-ever",
        "an action always fails: tried ever more slowly, never given up",
        failing::never
    ),
    tree!("failing-restarts", "a worker that failed five times asks to start over", failing::restarts),
    tree!("restart-budget", "a restart budget is spent, probed slowly, and given back", failing::budget),
    tree!("panic-in-action", "an action panics: an outcome like another", panics::in_action),
    tree!("panic-in-next", "a decision panics: its circuit opens, its sibling runs on", panics::in_next),
    tree!("slow-action", "a slow action delays nobody else", actions::slow),
    tree!("action-timeout", "an action that hangs is dropped at its timeout", actions::timeout),
    tree!("cascade", "two children fail twice, and their parent with them", panics::cascade),
    tree!(
        "collector",
        "a collector hangs and dies: its node is not believed until it is well",
        observing::hangs
    ),
    Scenario {
        name: "clock",
        about: "the clock jumps and the machine is suspended, in the simulation",
        script: Script::Simulated(clock::jumps),
    },
    tree!("dynamic", "a child is added, changed and removed at run time", changes::dynamic),
    tree!("disabled", "a disabled child stays, in Stopped; an absent one does not", changes::disabled),
    tree!("declared-again", "a child declared again before it is gone is drained, then new", changes::again),
    tree!("same-name", "one name under two parents is two nodes", changes::same_name),
    tree!("other-kind", "another kind under one name is another node", changes::other_kind),
    tree!("store", "the store is slow, full, and fails: the tree does not care", storing::troubles),
    tree!("second-signal", "a second signal forces what does not stop", ending::forced),
    tree!("shutdown", "three levels stop inside their deadline, children first", ending::in_time),
    tree!("shutdown-hangs", "one that can't stop is forced in its share of the deadline", ending::too_late),
    tree!("five", "five workers start side by side", scale::five),
    tree!("five-hundred", "five hundred workers share ten places for their actions", scale::five_hundred),
    tree!("ten-thousand", "ten thousand children are added and removed", scale::ten_thousand),
    tree!(
        "persistence",
        "the store is kept small and looked at, and holds up nothing when it is not well",
        persistence::looks_after
    ),
    Scenario {
        name: "communicator",
        about: "a relay is away, tells to log in again, slows down, fails: all arrives, once",
        script: Script::Real(|stage| Box::pin(communicator::gets_through(stage))),
    },
];

/// The scenario of this name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Scenario> {
    ALL.iter().find(|scenario| scenario.name == name)
}
