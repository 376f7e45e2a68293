//! Golden transcripts (K-8): the life of a tree as text, to compare with what it should be.

use std::fmt::Write as _;
use std::time::Duration;

use fsm_core::{HumanDuration, Moment};
use fsm_supervisor::{Event, EventKind, EventReader};
use futures::FutureExt;

/// Writes down what happens in a tree, one line per event, with virtual time from its beginning.
///
/// ```text
/// +0s    /root  Stopped -> TryingToStart: told to run
/// +1s    /root  TryingToStart -> Running: it is well
/// ```
#[derive(Debug)]
pub struct Transcript {
    events: EventReader,
    under: String,
    actions: bool,
    since: Option<Moment>,
    text: String,
}

impl Transcript {
    /// Of everything that these events tell. Take them before the tree gets its root, and pause tokio's time if the text is
    /// to be the same each time.
    #[must_use]
    pub const fn new(events: EventReader) -> Self {
        Self { events, under: String::new(), actions: false, since: None, text: String::new() }
    }

    /// Only of this node and those below it.
    #[must_use]
    pub fn under(mut self, path: &str) -> Self {
        path.clone_into(&mut self.under);
        self
    }

    /// With the ends of actions, not only with transitions.
    #[must_use]
    pub const fn with_actions(mut self) -> Self {
        self.actions = true;
        self
    }

    /// Reads until an event for which this is true, or to the end of the tree; gives back the text so far.
    ///
    /// # Cancel safety
    /// No event is lost when the future is dropped.
    pub async fn until(&mut self, mut last: impl FnMut(&Event) -> bool) -> &str {
        while let Some(event) = self.events.next().await {
            self.add(&event);
            if last(&event) {
                break;
            }
        }
        if self.events.lost() > 0 {
            // Writing to a string can't fail.
            let _ = writeln!(self.text, "({} events were lost)", self.events.lost());
        }
        &self.text
    }

    /// What happened since the last time, without waiting for more.
    #[must_use]
    pub fn take(&mut self) -> String {
        while let Some(Some(event)) = self.events.next().now_or_never() {
            self.add(&event);
        }
        std::mem::take(&mut self.text)
    }

    /// Reads to the end of the tree, which must have been told to stop.
    pub async fn to_end(mut self) -> String {
        self.until(|_| false).await;
        self.text
    }

    fn add(&mut self, event: &Event) {
        let path = event.path.to_string();
        let is_under = path
            .strip_prefix(self.under.trim_end_matches('/'))
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        let since = *self.since.get_or_insert(event.at);
        let Some(what) = self.what(&event.kind).filter(|_| is_under) else { return };
        let at = event.at.since(since);
        let _ = writeln!(self.text, "+{:<6} {path}  {what}", rounded(at).to_string());
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "events grow, and a transcript tells the life of nodes only"
    )]
    fn what(&self, kind: &EventKind) -> Option<String> {
        Some(match kind {
            EventKind::NodeCreated { kind } => format!("created ({kind})"),
            EventKind::NodeRemoved => "removed".into(),
            EventKind::StateTransition { from, to, reason, .. } => format!("{from} -> {to}: {reason}"),
            EventKind::ActionEnded { action, outcome, error, .. } if self.actions => match error {
                Some(error) => format!("{action}: {outcome}: {error}"),
                None => format!("{action}: {outcome}"),
            },
            EventKind::Restart { cause, back_off } => {
                format!("restart: {cause}, held back for {}", rounded(*back_off))
            }
            EventKind::BudgetSpent { restarts } => format!("restart budget spent after {restarts}"),
            EventKind::TemplateError { error } => format!("can't be used: {error}"),
            EventKind::Panic { r#where, text } => format!("panic in {where}: {text}"),
            EventKind::CircuitOpened { panics } => format!("circuit open after {panics} panics"),
            EventKind::CircuitClosed => "circuit closed".into(),
            EventKind::ObservationStale { .. } => "observation stale".into(),
            EventKind::ObservationFresh => "observation fresh".into(),
            EventKind::CollectorRestarted { restart } => format!("collector restarted ({restart})"),
            EventKind::StopTimedOut { .. } => "stop timed out".into(),
            EventKind::OverrideSet { who } => format!("stopped by {who}"),
            EventKind::OverrideCleared { who } => format!("started by {who}"),
            EventKind::StoreDegraded { error } => format!("store degraded: {error}"),
            EventKind::StoreRecovered => "store recovered".into(),
            _ => return None,
        })
    }
}

/// Below a millisecond is noise, even under virtual time.
fn rounded(time: Duration) -> HumanDuration {
    HumanDuration::new(Duration::from_millis(u64::try_from(time.as_millis()).unwrap_or(u64::MAX)))
}
