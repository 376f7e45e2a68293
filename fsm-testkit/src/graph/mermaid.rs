//! Mermaid: what GitHub and most documentation tools draw by themselves.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use fsm_core::Phase;

use super::{Graph, Target, colours};

impl Graph {
    /// A Mermaid `stateDiagram-v2`.
    #[must_use]
    pub fn mermaid(&self) -> String {
        let mut out = "stateDiagram-v2\n".to_owned();
        let mut line = |text: String| {
            out.push_str("    ");
            out.push_str(&text);
            out.push('\n');
        };
        for state in &self.states {
            if !state.actions.is_empty() {
                let actions: Vec<&str> = state.actions.iter().copied().collect();
                line(format!("{0}: {0}<br/>acts - {1}", state.name, actions.join(", ")));
            }
        }
        for initial in &self.initial {
            line(format!("[*] --> {}", self.states[*initial].name));
        }
        for edge in &self.edges {
            let from = self.states[edge.from].name;
            let mut label = escape(&edge.labels.join("<br/>"));
            if edge.stop {
                label = format!("(stop) {label}");
            }
            line(match edge.to {
                Target::State(_) => format!("{from} --> {}: {label}", self.target_name(edge.to)),
                Target::Removed => format!("{from} --> [*]: (removed) {label}"),
                Target::Restarted => {
                    let initial = self.initial.first().map_or("[*]", |at| self.states[*at].name);
                    format!("{from} --> {initial}: (restarted) {label}")
                }
            });
        }
        let phases: BTreeSet<Phase> = self.states.iter().map(|state| state.phase).collect();
        for phase in phases {
            let (fill, stroke) = colours(phase);
            line(format!("classDef {phase} fill:{fill},stroke:{stroke},color:#000"));
            let names: Vec<&str> =
                self.states.iter().filter(|state| state.phase == phase).map(|state| state.name).collect();
            line(format!("class {} {phase}", names.join(", ")));
        }
        out
    }

    /// A page: the diagram, and a table of the states.
    #[must_use]
    pub fn markdown(&self) -> String {
        let mut out = format!("# `{}`\n\n```mermaid\n{}```\n\n", self.kind, self.mermaid());
        out.push_str("| state | phase | sort | acts |\n|---|---|---|---|\n");
        for state in &self.states {
            let actions: Vec<String> = state.actions.iter().map(|action| format!("`{action}`")).collect();
            let actions = if actions.is_empty() { "–".to_owned() } else { actions.join(", ") };
            // Writing to a string can't fail.
            let _ = writeln!(out, "| {} | {} | {} | {actions} |", state.name, state.phase, state.sort);
        }
        out
    }
}

/// Signs that mean something to Mermaid inside a label.
fn escape(label: &str) -> String {
    label
        .replace('#', "#35;")
        .replace(':', "#58;")
        .replace(';', ",")
        .replace("#35,", "#35;")
        .replace("#58,", "#58;")
}
