//! What a model check looked at, in numbers, and the picture that came out of it.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use fsm_core::{State, Worker};

use super::Check;
use super::explore::Explored;
use super::space::Space;
use crate::graph::Graph;

/// A model check that found nothing.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Report {
    /// The kind.
    pub kind: &'static str,
    /// States that were reached: all of them, unless [`Check::Reached`] was left out.
    pub states: usize,
    /// Situations that were reached.
    pub situations: usize,
    /// Ways between them.
    pub transitions: u64,
    /// Situations in which `next` or `stop` was asked.
    pub asked: usize,
    /// Checks that were left out, each with its reason.
    pub exceptions: Vec<(Check, &'static str)>,
    /// How long it took.
    pub took: Duration,
    graph: Graph,
}

impl Report {
    pub(super) fn new<W: Worker>(space: &Space<'_, W>, explored: &Explored, took: Duration) -> Self {
        debug_assert!(!W::State::ALL.is_empty());
        Self {
            kind: W::KIND,
            states: explored.nodes.keys().map(|at| at.state).collect::<BTreeSet<_>>().len(),
            situations: explored.nodes.len(),
            transitions: explored.transitions,
            asked: explored.answers().count(),
            exceptions: space.model.exceptions.clone(),
            took,
            graph: explored.graph(space),
        }
    }

    /// What the states do, as a picture.
    #[must_use]
    pub const fn graph(&self) -> &Graph {
        &self.graph
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, states, situations, transitions, asked, .. } = self;
        write!(
            f,
            "model check of `{kind}`: {states} states, {situations} situations, {transitions} transitions, {asked} asked, \
             {} checks hold, {:.3} s",
            Check::ALL.len() - self.exceptions.len(),
            self.took.as_secs_f64()
        )?;
        for (check, reason) in &self.exceptions {
            write!(f, "\n  without {check}: {reason}")?;
        }
        Ok(())
    }
}
