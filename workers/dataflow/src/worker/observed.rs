//! What is seen of a flow, and what it amounts to (D-6).

use std::sync::Arc;
use std::time::Duration;

use fsm_core::{HumanDuration, Observed, Reason};
use serde::{Deserialize, Serialize};

use super::End;
use crate::config::FlowConfig;
use crate::stats::{DropReason, ERROR_LIMIT, ERROR_WINDOW, ErrorKind, FlowSnapshot, Stage};

/// What is seen of a flow.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct FlowObserved {
    /// Whether its task is there.
    pub running: bool,
    /// What the figures amount to.
    pub health: Health,
    /// Figures.
    pub counters: Counters,
    /// The config it runs, or ran, with.
    pub deployed: Option<Arc<FlowConfig>>,
}

/// What the figures amount to (D-6).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// There is no flow.
    Absent,
    /// It was ended from outside, or it failed; with the reason.
    Failed(Arc<str>),
    /// The input has no more.
    Finished,
    /// A message passed end to end lately.
    Active,
    /// The source has been silent for a while.
    Idle,
    /// It runs, and is not well.
    Degraded(Trouble),
}

/// Why a flow is not well.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trouble {
    /// A message was refused and `on_error` is `stop`.
    Refused(Arc<str>),
    /// The source can't be reached.
    NoSource(Arc<str>),
    /// The target can't be reached.
    NoTarget(Arc<str>),
    /// Messages are unacknowledged for longer than `ack_timeout`: so many, for so long.
    Stalled(u64, HumanDuration),
    /// The source is silent beyond its `expect_every`: for so long.
    Silent(HumanDuration),
    /// Three errors fell in a minute; the last one.
    Errors(Arc<str>),
}

/// Figures of a flow since it was started.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Counters {
    /// Messages from the source.
    pub messages_in: u64,
    /// Messages that the output took.
    pub messages_out: u64,
    /// Bytes of payload that the output took.
    pub bytes_out: u64,
    /// Messages left out by a filter.
    pub filtered: u64,
    /// Messages that were refused.
    pub refused: u64,
    /// Messages that the source sent again.
    pub duplicates: u64,
    /// Messages that were written again.
    pub retries: u64,
    /// Connections made again.
    pub reconnects: u64,
    /// Errors of the connections.
    pub connection_errors: u64,
    /// Messages received and not yet acknowledged.
    pub in_flight: u64,
    /// Messages received that wait for the pipeline.
    pub lag: u64,
    /// How long ago the last message passed end to end.
    pub since_out: Option<HumanDuration>,
    /// The mean time from end to end.
    pub mean_latency: Option<HumanDuration>,
}

impl Counters {
    fn new(s: &FlowSnapshot) -> Self {
        let connection_errors = Stage::ALL.iter().map(|stage| s.errors(*stage, ErrorKind::Connection)).sum();
        let delivered: u64 = s.latency.iter().sum();
        let mean = u32::try_from(delivered).ok().and_then(|n| s.latency_sum.checked_div(n));
        Self {
            messages_in: s.messages_in,
            messages_out: s.messages_out,
            bytes_out: s.bytes_out,
            filtered: s.dropped(DropReason::Filtered),
            refused: s.dropped(DropReason::Error) + s.dropped(DropReason::DeadLetter),
            duplicates: s.duplicates,
            retries: s.retries,
            reconnects: s.reconnects,
            connection_errors,
            in_flight: s.in_flight,
            lag: s.lag,
            since_out: s.since_out.map(Into::into),
            mean_latency: mean.map(Into::into),
        }
    }
}

impl Observed<FlowConfig> for FlowObserved {
    fn same_for_decisions(&self, old: &Self) -> bool {
        self.running == old.running && self.health.is_like(&old.health) && self.deployed == old.deployed
    }
    fn deployed(&self) -> Option<&FlowConfig> {
        self.deployed.as_deref()
    }
}

impl Health {
    /// Whether both say the same, figures and texts apart.
    fn is_like(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Degraded(a), Self::Degraded(b)) => std::mem::discriminant(a) == std::mem::discriminant(b),
            (a, b) => std::mem::discriminant(a) == std::mem::discriminant(b),
        }
    }
}

impl Trouble {
    /// As a reason.
    #[must_use]
    pub fn reason(&self) -> Reason {
        match self {
            Self::Refused(text) => Reason::from(("{}", text)),
            Self::NoSource(text) => Reason::from(("no connection to the source: {}", text)),
            Self::NoTarget(text) => Reason::from(("no connection to the target: {}", text)),
            Self::Stalled(count, time) => {
                Reason::from(("{} messages are on their way and none arrived for {}", *count, time.get()))
            }
            Self::Silent(time) => {
                Reason::from(("the source is silent for {}, longer than expected", time.get()))
            }
            Self::Errors(text) => Reason::from(("3 errors within a minute, the last one: {}", text)),
        }
    }
}

impl FlowObserved {
    /// Nothing is there.
    #[must_use]
    pub fn absent() -> Self {
        Self { running: false, health: Health::Absent, counters: Counters::default(), deployed: None }
    }

    pub(super) fn judge(
        config: &Arc<FlowConfig>,
        counters: FlowSnapshot,
        end: Option<End>,
        running: bool,
    ) -> Self {
        let health = match end {
            Some(End::Finished) => Health::Finished,
            Some(End::Refused(text)) => Health::Degraded(Trouble::Refused(text)),
            Some(End::Failed(text)) => Health::Failed(text),
            None if !running => Health::Failed("its task was ended".into()),
            None => health(config, &counters),
        };
        let deployed = Some(Arc::clone(config));
        Self { running, health, counters: Counters::new(&counters), deployed }
    }
}

/// The judgement of D-6. What keeps messages from passing comes first.
fn health(config: &FlowConfig, s: &FlowSnapshot) -> Health {
    let last = |stage| match &s.last_error {
        Some((at, text)) if *at == stage => Arc::clone(text),
        Some(_) | None => Arc::from("it is being made"),
    };
    let silent = s.since_in.unwrap_or(s.running);
    if !s.output_up {
        Health::Degraded(Trouble::NoTarget(last(Stage::Output)))
    } else if !s.input_up {
        Health::Degraded(Trouble::NoSource(last(Stage::Input)))
    } else if s.stalled > config.ack_timeout.get() {
        Health::Degraded(Trouble::Stalled(s.in_flight, round(s.stalled)))
    } else if config.expect_every.is_some_and(|expected| silent > expected.get()) {
        Health::Degraded(Trouble::Silent(round(silent)))
    } else if s.recent_errors >= ERROR_LIMIT {
        let text = s.last_error.as_ref().map_or_else(|| Arc::from("unknown"), |(_, text)| Arc::clone(text));
        debug_assert!(ERROR_WINDOW == Duration::from_secs(60) && ERROR_LIMIT == 3, "the reason says so");
        Health::Degraded(Trouble::Errors(text))
    } else if s.since_out.is_some_and(|since| since <= config.fresh_within.get()) {
        Health::Active
    } else {
        Health::Idle
    }
}

/// Whole seconds: figures that change all the time tell a reader nothing more.
fn round(time: Duration) -> HumanDuration {
    Duration::from_secs(time.as_secs()).into()
}

#[cfg(test)]
mod tests;
