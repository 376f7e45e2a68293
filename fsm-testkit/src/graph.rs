//! Diagrams of state machines (K-9): as Mermaid, DOT and SVG, drawn from what the states answered, and kept from drifting.

mod dot;
mod file;
mod mermaid;
mod svg;

use std::collections::BTreeSet;

use fsm_core::{Arg, Phase, Reason, Sort, State, Worker};

pub use file::DiagramError;

/// Labels on one edge; more make a picture nobody reads.
const MOST_LABELS: usize = 3;

/// What the states of a kind do, as a picture. Always the same for the same worker and model.
///
/// Edges are the moves that a [`Model`](crate::Model) found, with their reasons; what `stop` does is drawn apart.
#[derive(Debug, Clone)]
pub struct Graph {
    kind: &'static str,
    states: Vec<Node>,
    /// Places of the initial states.
    initial: Vec<usize>,
    edges: Vec<Edge>,
}

#[derive(Debug, Clone)]
struct Node {
    name: &'static str,
    phase: Phase,
    sort: Sort,
    actions: BTreeSet<&'static str>,
}

#[derive(Debug, Clone)]
struct Edge {
    from: usize,
    to: Target,
    /// Told to stop.
    stop: bool,
    labels: Vec<String>,
}

/// Where an edge leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Target {
    State(u8),
    /// It asks to be removed.
    Removed,
    /// It asks for a new incarnation.
    Restarted,
}

impl Graph {
    pub(crate) fn new<W: Worker>() -> Self {
        let node = |state: &W::State| Node {
            name: state.name(),
            phase: state.phase(),
            sort: state.sort(),
            actions: BTreeSet::new(),
        };
        let states = W::State::ALL.iter().map(node).collect();
        Self { kind: W::KIND, states, initial: Vec::new(), edges: Vec::new() }
    }

    pub(crate) fn begin(&mut self, initial: impl IntoIterator<Item = u8>) {
        self.initial = initial.into_iter().map(usize::from).collect();
    }

    pub(crate) fn acts(&mut self, state: u8, action: &'static str) {
        self.states[usize::from(state)].actions.insert(action);
    }

    pub(crate) fn edge(&mut self, from: u8, to: Target, stop: bool, reason: &Reason) {
        let from = usize::from(from);
        let known = self.edges.iter().position(|e| e.from == from && e.to == to && e.stop == stop);
        let at = known.unwrap_or_else(|| {
            self.edges.push(Edge { from, to, stop, labels: Vec::new() });
            self.edges.len() - 1
        });
        let (labels, label) = (&mut self.edges[at].labels, label(reason));
        if !labels.contains(&label) {
            labels.push(label);
        }
    }

    /// In the order of the states, whatever was explored first.
    pub(crate) fn sort(&mut self) {
        self.edges.sort_by_key(|edge| (edge.stop, edge.from, edge.to));
        for edge in &mut self.edges {
            edge.labels.sort();
            if edge.labels.len() > MOST_LABELS {
                edge.labels.truncate(MOST_LABELS);
                edge.labels.push("…".into());
            }
        }
    }

    /// The kind.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        self.kind
    }

    fn target_name(&self, to: Target) -> &'static str {
        match to {
            Target::State(state) => self.states[usize::from(state)].name,
            Target::Removed => "(removed)",
            Target::Restarted => "(restarted)",
        }
    }
}

/// The reason's text; what is measured or told is left open.
fn label(reason: &Reason) -> String {
    let mut label = String::new();
    let mut args = reason.args().iter();
    let mut rest = reason.text();
    while let Some((before, after)) = rest.split_once("{}") {
        label.push_str(before);
        match args.next() {
            Some(Arg::Word(word)) => label.push_str(word),
            Some(_) | None => label.push('…'),
        }
        rest = after;
    }
    label + rest
}

/// Colours by phase: the fill and the line.
const fn colours(phase: Phase) -> (&'static str, &'static str) {
    match phase {
        Phase::Stopped => ("#eceff1", "#78909c"),
        Phase::Starting => ("#e3f2fd", "#1e88e5"),
        Phase::Running => ("#e8f5e9", "#43a047"),
        Phase::Degraded => ("#fff3e0", "#fb8c00"),
        Phase::Stopping => ("#f3e5f5", "#8e24aa"),
        Phase::Completed => ("#e0f2f1", "#00897b"),
    }
}
