//! What happens to a tree in a simulation, step by step: made from a seed, shrunk when it finds something, replayed as text.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use fsm_core::{HumanDuration, NodePath};

/// Steps in the order of their time.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Script {
    /// The steps.
    pub steps: Vec<Step>,
}

/// One thing that happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// When, from the start.
    pub at: Duration,
    /// What.
    pub what: Happening,
}

/// What can happen to a tree (K-2).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Happening {
    /// For a time, jobs of this node go wrong.
    Fault {
        /// Which node.
        path: NodePath,
        /// How.
        fault: Fault,
        /// For how long.
        lasts: Duration,
    },
    /// An operator's command.
    Command {
        /// About which node.
        path: NodePath,
        /// What.
        order: Order,
    },
    /// The config becomes this variant; 0 is the tree that the simulation began with.
    Config(usize),
    /// A child is added to a node at run time, or removed again: one of those given to the simulation.
    Extra {
        /// Which one.
        number: usize,
        /// Added or changed; otherwise removed.
        present: bool,
    },
    /// The machine was suspended: so much time is gone at once.
    Suspend(Duration),
    /// The wall clock was set, by so many milliseconds.
    WallClock(i64),
    /// The store takes nothing for a time.
    StoreStalls(Duration),
    /// The process is killed, and started again from what the store has.
    Kill,
    /// Inputs that came before come again, too late.
    Late,
    /// A disturbance of the user's world.
    Disturb {
        /// Which one.
        number: usize,
        /// Chosen by the seed.
        value: u64,
    },
}

/// How a job goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// Actions return an error.
    ActionFails,
    /// Actions never end.
    ActionHangs,
    /// Actions panic.
    ActionPanics,
    /// Actions take effect, and are told only long after their timeout.
    ActionLate,
    /// Actions are dropped at their first wait.
    ActionTorn,
    /// Collections return an error.
    CollectFails,
    /// Collections never end.
    CollectHangs,
    /// Collections panic.
    CollectPanics,
    /// Collections give what belongs to another worker.
    CollectGarbage,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::ActionFails,
        Self::ActionHangs,
        Self::ActionPanics,
        Self::ActionLate,
        Self::ActionTorn,
        Self::CollectFails,
        Self::CollectHangs,
        Self::CollectPanics,
        Self::CollectGarbage,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::ActionFails => "action-fails",
            Self::ActionHangs => "action-hangs",
            Self::ActionPanics => "action-panics",
            Self::ActionLate => "action-late",
            Self::ActionTorn => "action-torn",
            Self::CollectFails => "collect-fails",
            Self::CollectHangs => "collect-hangs",
            Self::CollectPanics => "collect-panics",
            Self::CollectGarbage => "collect-garbage",
        }
    }

    /// Whether it is about actions; otherwise it is about collections.
    pub(crate) const fn is_of_actions(self) -> bool {
        matches!(
            self,
            Self::ActionFails | Self::ActionHangs | Self::ActionPanics | Self::ActionLate | Self::ActionTorn
        )
    }
}

/// What an operator asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Stop and stay.
    Stop,
    /// End a stop.
    Start,
    /// A new incarnation.
    Restart,
    /// Try again now.
    Retry,
    /// Look now.
    Collect,
}

impl Order {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Stop, Self::Start, Self::Restart, Self::Retry, Self::Collect];

    const fn name(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Start => "start",
            Self::Restart => "restart",
            Self::Retry => "retry",
            Self::Collect => "collect",
        }
    }
}

impl Script {
    /// Whether nothing happens.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }
}

/// One step per line.
impl fmt::Display for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.steps.iter().try_for_each(|step| writeln!(f, "{step}"))
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", HumanDuration::new(self.at))?;
        match &self.what {
            Happening::Fault { path, fault, lasts } => {
                write!(f, "fault {path} {} {}", fault.name(), HumanDuration::new(*lasts))
            }
            Happening::Command { path, order } => write!(f, "command {path} {}", order.name()),
            Happening::Config(variant) => write!(f, "config {variant}"),
            Happening::Extra { number, present: true } => write!(f, "add {number}"),
            Happening::Extra { number, present: false } => write!(f, "remove {number}"),
            Happening::Suspend(time) => write!(f, "suspend {}", HumanDuration::new(*time)),
            Happening::WallClock(by) => write!(f, "wall-clock {by}"),
            Happening::StoreStalls(time) => write!(f, "store-stalls {}", HumanDuration::new(*time)),
            Happening::Kill => write!(f, "kill"),
            Happening::Late => write!(f, "late"),
            Happening::Disturb { number, value } => write!(f, "disturb {number} {value}"),
        }
    }
}

/// A line is no step.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line} of the script, `{text}`: {why}")]
#[non_exhaustive]
pub struct ScriptError {
    /// Counted from 1.
    pub line: usize,
    /// What stands there.
    pub text: String,
    /// What is wrong.
    pub why: String,
}

impl FromStr for Script {
    type Err = ScriptError;

    fn from_str(text: &str) -> Result<Self, ScriptError> {
        let mut steps = Vec::new();
        for (index, line) in text.lines().enumerate() {
            if line.trim().is_empty() {
                continue;
            }
            let step = read(line).map_err(|why| ScriptError { line: index + 1, text: line.into(), why })?;
            steps.push(step);
        }
        steps.sort_by_key(|step: &Step| step.at);
        Ok(Self { steps })
    }
}

fn read(line: &str) -> Result<Step, String> {
    let mut words = line.split_whitespace();
    let mut word = |what: &str| words.next().ok_or_else(|| format!("{what} is missing"));
    let at = time(word("the time")?)?;
    let what = match word("what happens")? {
        "fault" => Happening::Fault {
            path: path(word("a path")?)?,
            fault: named(word("a fault")?, Fault::ALL, Fault::name)?,
            lasts: time(word("how long it lasts")?)?,
        },
        "command" => Happening::Command {
            path: path(word("a path")?)?,
            order: named(word("a command")?, Order::ALL, Order::name)?,
        },
        "config" => Happening::Config(number(word("a variant")?)?),
        "add" => Happening::Extra { number: number(word("which child")?)?, present: true },
        "remove" => Happening::Extra { number: number(word("which child")?)?, present: false },
        "suspend" => Happening::Suspend(time(word("how long")?)?),
        "wall-clock" => Happening::WallClock(number(word("by how much")?)?),
        "store-stalls" => Happening::StoreStalls(time(word("how long")?)?),
        "kill" => Happening::Kill,
        "late" => Happening::Late,
        "disturb" => Happening::Disturb {
            number: number(word("which disturbance")?)?,
            value: number(word("a value")?)?,
        },
        other => return Err(format!("`{other}` is nothing that can happen")),
    };
    match words.next() {
        Some(more) => Err(format!("`{more}` is one word too many")),
        None => Ok(Step { at, what }),
    }
}

fn time(word: &str) -> Result<Duration, String> {
    word.parse::<HumanDuration>().map(HumanDuration::get).map_err(|error| error.to_string())
}

fn path(word: &str) -> Result<NodePath, String> {
    NodePath::try_new(word).map_err(|error| error.to_string())
}

fn number<T: FromStr<Err: fmt::Display>>(word: &str) -> Result<T, String> {
    word.parse().map_err(|error| format!("`{word}` is no number: {error}"))
}

fn named<T: Copy, const N: usize>(word: &str, all: [T; N], name: fn(T) -> &'static str) -> Result<T, String> {
    all.into_iter().find(|one| name(*one) == word).ok_or_else(|| {
        let known: Vec<_> = all.into_iter().map(name).collect();
        format!("`{word}` is none of {}", known.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    // spec: K-3
    #[test]
    fn a_script_is_read_as_it_was_written() {
        let text = "0s config 1\n12.345s fault /r/a action-hangs 30s\n13s command /r/a restart\n14s add 0\n15s remove 0\n\
                    16s suspend 10m\n17s wall-clock -3600000\n18s store-stalls 5s\n19s kill\n20s late\n21s disturb 0 42\n";
        let script: Script = text.parse().expect("it is a script");
        assert_eq!(script.steps.len(), 11);
        assert_eq!(script.to_string().parse::<Script>().expect("as written"), script);
    }

    #[test]
    fn what_is_no_step_is_told_with_its_line() {
        for (text, wanted) in [
            ("1s kill\n2s jump", "line 2 of the script, `2s jump`: `jump` is nothing that can happen"),
            ("1s fault /r/a sings 3s", "`sings` is none of action-fails"),
            ("1s fault /r/a", "a fault is missing"),
            ("1s kill now", "`now` is one word too many"),
            ("soon kill", "soon"),
        ] {
            let error = text.parse::<Script>().expect_err("it is none").to_string();
            assert!(error.contains(wanted), "{error}");
        }
    }
}
