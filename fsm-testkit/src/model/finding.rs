//! What was found, how it comes about, and a test that shows it again.

use std::any::type_name;
use std::fmt;
use std::time::Duration;

use fsm_core::{Outcome, State, Worker};

use super::explore::{Explored, Stepped, Via};
use super::situation::{Situation, UNSEEN};
use super::space::Space;

/// What is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Check {
    /// No situation makes `next` or `stop` panic.
    Panic,
    /// Asked twice, the same answer.
    Purity,
    /// Each decision has a reason, and each place in its text a value.
    Reason,
    /// A passive state never acts; a trying one acts, moves on, or waits with a deadline; a working one acts sometimes.
    Sort,
    /// No states move round in a circle while nothing else changes.
    Flapping,
    /// `stop` never starts work.
    StopStartsNothing,
    /// Each state is reached.
    Reached,
    /// Told to stop, a cooperative world brings every situation to rest.
    Removal,
    /// Told to stop, actions that succeed bring it to rest, too, when nothing can be observed.
    BlindRemoval,
    /// Told to run, a cooperative world brings every situation to a state that is well.
    Trap,
}

impl Check {
    /// All of them, in the order in which they are made.
    pub const ALL: &'static [Self] = &[
        Self::Panic,
        Self::Purity,
        Self::Reason,
        Self::Sort,
        Self::Flapping,
        Self::StopStartsNothing,
        Self::Reached,
        Self::Removal,
        Self::BlindRemoval,
        Self::Trap,
    ];

    /// The check's name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Panic => "panic",
            Self::Purity => "purity",
            Self::Reason => "reason",
            Self::Sort => "sort",
            Self::Flapping => "flapping",
            Self::StopStartsNothing => "stop-starts-nothing",
            Self::Reached => "reached",
            Self::Removal => "removal",
            Self::BlindRemoval => "blind-removal",
            Self::Trap => "trap",
        }
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Something that breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// Which rule.
    pub check: Check,
    /// What is wrong, in a sentence.
    pub what: String,
    /// How it comes about, step by step.
    pub path: Vec<String>,
    /// A test that fails as long as it is wrong; none where only the whole model shows it.
    pub test: Option<String>,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "[{}] {}", self.check, self.what)?;
        if !self.path.is_empty() {
            writeln!(f, "  how it comes about:")?;
            for (number, step) in (1..).zip(&self.path) {
                writeln!(f, "    {number}. {step}")?;
            }
        }
        if let Some(test) = &self.test {
            writeln!(f, "  as a test:\n")?;
            for line in test.lines() {
                writeln!(f, "{}{line}", if line.is_empty() { "" } else { "    " })?;
            }
        }
        Ok(())
    }
}

/// A type's name without the modules it is in.
fn short<T>() -> String {
    let name = type_name::<T>();
    let plain = name.split('<').next().unwrap_or(name);
    plain.rsplit("::").next().unwrap_or(plain).to_owned()
}

/// The state as an expression.
pub(super) fn state_code<W: Worker>(space: &Space<'_, W>, state: u8) -> String {
    format!("{}::{:?}", short::<W::State>(), space.state(state))
}

/// The situation as an expression that is a `Case`, without the question.
pub(super) fn case_code<W: Worker>(space: &Space<'_, W>, at: Situation) -> String {
    let mut code = format!("Case::<{}>::new({})", short::<W>(), space.configs[usize::from(at.config)].label);
    let mut call = |text: String| {
        code.push_str("\n    ");
        code.push_str(&text);
    };
    if let Some((label, _)) = space.model.observations.get(usize::from(at.seen)).filter(|_| at.seen != UNSEEN)
    {
        call(format!(".observed({label})"));
        if !at.current {
            call(".outdated()".into());
        }
    }
    for (name, child) in space.family(at) {
        call(if child.invalid {
            format!(".invalid_child({name:?})")
        } else if child.stale {
            format!(".stale_child({name:?}, {:?})", child.state)
        } else {
            format!(".child({name:?}, Phase::{:?}, {:?})", child.phase, child.state)
        });
    }
    if let Some(last) = at.last {
        call(format!(".after({:?}, Outcome::{:?})", space.action_name(last.action), last.outcome));
        call(format!(".attempts({}, {})", at.attempts, at.failures));
        if at.acted > 0 {
            call(format!(".acted_ago({})", duration_code(at.acted)));
        }
    }
    if at.entered > 0 {
        call(format!(".in_state_for({})", duration_code(at.entered)));
    }
    code
}

fn duration_code(nanos: u64) -> String {
    let time = Duration::from_nanos(nanos);
    if time.subsec_nanos() == 0 {
        format!("Duration::from_secs({})", time.as_secs())
    } else {
        format!("Duration::from_nanos({nanos})")
    }
}

/// The question that the situation asks, as a call.
pub(super) fn question_code<W: Worker>(space: &Space<'_, W>, at: Situation) -> String {
    let method = if at.stop { "stop" } else { "next" };
    format!(".{method}({})", state_code(space, at.state))
}

/// A whole test of one question, with what must hold of its answer.
pub(super) fn test_code<W: Worker>(
    space: &Space<'_, W>,
    at: Situation,
    rule: &str,
    must_hold: &str,
) -> String {
    let case = case_code(space, at).replace('\n', "\n    ");
    let question = question_code(space, at);
    format!("#[test]\nfn {rule}() {{\n    let answer = {case}\n        {question};\n    {must_hold}\n}}\n")
}

/// How a situation comes about, from the start.
pub(super) fn path_to<W: Worker>(space: &Space<'_, W>, explored: &Explored, place: u32) -> Vec<String> {
    let mut steps = Vec::new();
    let mut place = place;
    while let Some((at, node)) = explored.nodes.get_index(place as usize) {
        let before = explored.nodes.get_index(node.from as usize);
        steps.push(step(space, *at, &node.via, before.map(|(at, node)| (*at, node))));
        place = node.from;
    }
    steps.reverse();
    steps
}

fn label<W: Worker>(space: &Space<'_, W>, seen: u8) -> &'static str {
    match space.model.observations.get(usize::from(seen)) {
        Some((label, _)) if seen != UNSEEN => label,
        Some(_) | None => "nothing",
    }
}

fn step<W: Worker>(
    space: &Space<'_, W>,
    at: Situation,
    via: &Via,
    before: Option<(Situation, &super::explore::Node)>,
) -> String {
    let name = |state: u8| space.state(state).name();
    let config = space.configs[usize::from(at.config)].label;
    let answer = before.and_then(|(_, node)| node.answer.as_ref()?.as_ref().ok());
    match via {
        Via::Start => format!("{} with {config}", name(at.state)),
        Via::Answer => {
            let from = before.map_or("", |(before, _)| name(before.state));
            let why = answer.map(|answer| answer.reason.to_string()).unwrap_or_default();
            match answer.map(|answer| &answer.step) {
                Some(Stepped::Remove) => format!("{from} asks to be removed: {why}"),
                Some(Stepped::Restart) => format!("{from} asks to be restarted: {why}"),
                _ => format!("{from} -> {}: {why}", name(at.state)),
            }
        }
        Via::Ended(outcome, seen) => {
            let action = at.last.map_or("", |last| space.action_name(last.action));
            let how = match outcome {
                Outcome::Success => "succeeds",
                Outcome::Failure => "fails",
                Outcome::Timeout => "times out",
                Outcome::Panic => "panics",
                Outcome::Cancelled => "is cancelled",
            };
            format!("{action} {how}, and {} is observed", label(space, *seen))
        }
        Via::Sees(seen) => format!("{} is observed", label(space, *seen)),
        Via::Config => format!("the config changes to {config}"),
        Via::ToldToStop => "it is told to stop".into(),
        Via::ToldToRun => "it is told to run".into(),
        Via::Waited => match Duration::from_nanos(at.entered) {
            time if at.entered < super::situation::LONG => format!("{time:?} in {} pass", name(at.state)),
            _ => format!("a long time in {} passes", name(at.state)),
        },
        Via::Child(child, case) if case.invalid => format!("child {child} can't be made"),
        Via::Child(child, case) if case.stale => format!("child {child} is in {}, but stale", case.state),
        Via::Child(child, case) => format!("child {child} is in {}", case.state),
    }
}
