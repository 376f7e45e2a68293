//! Why a model check gives no report: the worker is wrong, or the model is.

use fsm_core::DeriveError;

use super::Finding;

/// A model check gives no report.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// The worker breaks rules.
    #[error("the model check of `{kind}` found {}:\n{}", count(findings), list(findings))]
    Found {
        /// The kind.
        kind: &'static str,
        /// What was found, at most a few for each check.
        findings: Vec<Finding>,
    },
    /// There is no config.
    #[error("the model of `{kind}` has no config: add `.configs(listed![…])`")]
    NoConfig {
        /// The kind.
        kind: &'static str,
    },
    /// The kind observes, and no observation is listed.
    #[error(
        "the model of `{kind}` has no observation, so `next` is never asked: add `.observations(listed![…])`"
    )]
    NoObservation {
        /// The kind.
        kind: &'static str,
    },
    /// More values are listed than a situation can number.
    #[error("the model of `{kind}` lists {count} {what}, and 200 are the most: list one of each sort")]
    TooMany {
        /// The kind.
        kind: &'static str,
        /// Of what.
        what: &'static str,
        /// How many.
        count: usize,
    },
    /// A config can't be derived.
    #[error("the config `{config}` of `{kind}` can't be derived")]
    Derive {
        /// The kind.
        kind: &'static str,
        /// Its label.
        config: &'static str,
        /// Why not.
        source: DeriveError,
    },
    /// The model says nothing of what an action brings about.
    #[error(
        "the worker asks for `{action}` with `{config}`, and no listed observation follows it: say what it shows with \
         `.after(\"{action}\", |config, seen| …)`, and list an observation for which that is true"
    )]
    NothingAfter {
        /// The action.
        action: &'static str,
        /// The config's label.
        config: &'static str,
    },
    /// The model speaks of an action that the kind doesn't have.
    #[error("`{kind}` has no action `{action}`; it has {known:?}")]
    NoSuchAction {
        /// The kind.
        kind: &'static str,
        /// The action's name.
        action: &'static str,
        /// The names that it has.
        known: &'static [&'static str],
    },
    /// The model speaks of a child that no config has.
    #[error("no config of `{kind}` has a child `{child}`; there are {known:?}")]
    NoSuchChild {
        /// The kind.
        kind: &'static str,
        /// The child's name.
        child: String,
        /// The children that there are.
        known: Vec<String>,
    },
    /// The model doesn't end.
    #[error(
        "the model of `{kind}` has more than {limit} situations: list fewer observations, configs or children, or raise \
         `.limit(…)`"
    )]
    TooLarge {
        /// The kind.
        kind: &'static str,
        /// The limit.
        limit: usize,
    },
}

fn count(findings: &[Finding]) -> String {
    match findings.len() {
        1 => "one thing".into(),
        n => format!("{n} things"),
    }
}

fn list(findings: &[Finding]) -> String {
    findings.iter().map(|finding| format!("\n{finding}")).collect()
}
