//! Events of the tree as messages to the relay.

use std::time::{Duration, UNIX_EPOCH};

use fsm_core::BoxFuture;
use fsm_supervisor::{Event, EventKind, EventReader, Handle};
use fsm_worker_communicator::{Happening, Happenings, Report};
use serde_json::{Value, json};

/// What a push itself makes happen is not told: telling it would be another push.
const OWN: &str = "sync_push";

/// The events of a tree from now on.
pub(super) struct Events {
    tree: Handle,
    reader: EventReader,
}

impl Events {
    pub(super) fn new(tree: Handle) -> Self {
        let reader = tree.events_for("relay");
        Self { tree, reader }
    }
}

impl Happenings for Events {
    fn next(&mut self) -> BoxFuture<'_, Option<Happening>> {
        Box::pin(async {
            loop {
                let event = self.reader.next().await?;
                if is_told(&event.kind) {
                    let at = UNIX_EPOCH + Duration::from_millis(self.tree.wall_ms(event.at));
                    let at = humantime::format_rfc3339_millis(at).to_string();
                    return Some(happening(&event, &at));
                }
            }
        })
    }

    fn lost(&self) -> u64 {
        self.reader.lost()
    }
}

fn is_told(kind: &EventKind) -> bool {
    !matches!(
        kind,
        EventKind::ActionQueued { action: OWN }
            | EventKind::ActionStarted { action: OWN }
            | EventKind::ActionEnded { action: OWN, .. }
    )
}

fn happening(event: &Event, at: &str) -> Happening {
    let is_status = matches!(event.kind, EventKind::StateTransition { .. });
    let report = if is_status { Report::Status } else { Report::Event };
    let mut payload = serde_json::to_value(event).unwrap_or_default();
    payload["at"] = json!(at);
    if let Value::Object(payload) = &mut payload {
        // It is the message's own.
        payload.remove("cause");
    }
    Happening { report, trace_id: format!("cause-{}", event.cause), payload }
}
