//! What docs/metrics.md says of dashboards and alerts.

use std::fmt::Write as _;

use super::super::dashboards;
use super::groups;

/// The tables of the dashboards and of the alerts.
pub(in super::super) fn markdown() -> String {
    let mut out = String::from("\n## Dashboards\n\n| dashboard | panel | what it shows |\n|---|---|---|\n");
    for board in dashboards::all() {
        let path = dashboards::path(&board);
        for panel in board.panels() {
            // Writing to a String can't fail.
            let _ = writeln!(out, "| [{}](../{path}) | {} | {} |", board.uid, panel.title(), panel.says());
        }
    }
    out.push_str("\n## Alerts\n\nAll of them are in [alerts.yml](../deploy/prometheus/alerts.yml). ");
    out.push_str("Each name leads to its runbook.\n\n| alert | severity | for | says |\n|---|---|---|---|\n");
    for alert in groups().into_iter().flat_map(|group| group.alerts) {
        let runbook = alert.runbook();
        let runbook = runbook.trim_start_matches("docs/");
        let hold = if alert.hold.is_empty() { "–" } else { alert.hold };
        let says = alert.summary.replace("{{ $labels.", "*").replace(" }}", "*");
        let _ =
            writeln!(out, "| [{}]({runbook}) | {} | {hold} | {says} |", alert.name, alert.severity.as_str());
    }
    out
}
