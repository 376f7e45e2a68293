//! The tree as JSON: what the engine shows, with its moments as times on the wall.

use std::time::{Duration, UNIX_EPOCH};

use fsm_core::{HumanDuration, Moment};
use fsm_metrics::NodeMetrics;
use fsm_supervisor::{Handle, IncidentView, LongestStop, NodeView, TreeEntry};
use serde_json::{Value, json};

/// A node in one line; `healthy` is one that is as it should be.
pub(super) fn entry(entry: &TreeEntry, healthy: bool, tree: &Handle) -> Value {
    let mut value = serde_json::to_value(entry).unwrap_or_default();
    value["healthy"] = json!(healthy);
    value["since"] = wall(entry.since, tree);
    value
}

/// Everything about a node.
pub(super) fn node(view: &NodeView, healthy: bool, statistics: &NodeMetrics, tree: &Handle) -> Value {
    let mut value = serde_json::to_value(view).unwrap_or_default();
    value["statistics"] = json!(statistics);
    value["healthy"] = json!(healthy);
    value["since"] = wall(view.since, tree);
    value["observed_at"] = view.observed_at.map_or(Value::Null, |at| wall(at, tree));
    value["next_look"] = view.next_look.map_or(Value::Null, |at| wall(at, tree));
    if let Some(action) = &view.action {
        value["action"]["since"] = wall(action.since, tree);
    }
    if let Some(history) = value["history"].as_array_mut() {
        for (shown, entry) in history.iter_mut().zip(&view.history) {
            shown["at"] = wall(entry.at, tree);
        }
    }
    value
}

/// The longest chain of stops, and the time that a shutdown has for it; with times for people.
pub(super) fn longest_stop(longest: &LongestStop, deadline: Duration) -> Value {
    let time = |time| HumanDuration::new(time).to_string();
    let chain = longest.chain.iter().map(|stop| json!({"path": stop.path, "within": time(stop.within)}));
    json!({"takes": time(longest.takes), "deadline": time(deadline), "chain": chain.collect::<Vec<_>>()})
}

/// Something that can't be reached.
pub(super) fn incident(incident: &IncidentView, tree: &Handle) -> Value {
    let mut value = serde_json::to_value(incident).unwrap_or_default();
    value["since"] = wall(incident.since, tree);
    value["next_probe"] = incident.next_probe.map_or(Value::Null, |at| wall(at, tree));
    value
}

fn wall(at: Moment, tree: &Handle) -> Value {
    let at = UNIX_EPOCH + Duration::from_millis(tree.wall_ms(at));
    json!(humantime::format_rfc3339_millis(at).to_string())
}
