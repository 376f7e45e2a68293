//! The dashboards below `deploy/grafana`, one file per dashboard.

mod execution;
mod supervision;
mod tools;

use anyhow::Result;
use fsm_metrics::{BuildMetric, Metric as _};

use super::Output;
use super::grafana::{Dashboard, Variable};

/// All of them, in the order of the docs.
pub(super) fn all() -> [Dashboard; 3] {
    [supervision::dashboard(), tools::dashboard(), execution::dashboard()]
}

/// Their files.
pub(super) fn files() -> Result<Vec<Output>> {
    all().iter().map(|board| Ok(Output { path: path(board), text: board.text()? })).collect()
}

/// Where a dashboard is.
pub(super) fn path(board: &Dashboard) -> String {
    format!("deploy/grafana/{}.json", board.uid)
}

/// Which daemons; every dashboard begins with it.
fn instance() -> Variable {
    Variable { label: "instance", title: "Daemon", of: BuildMetric::BuildInfo.def() }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;

    fn json(board: &Dashboard) -> Value {
        serde_json::from_str(&board.text().expect("every expression can be asked")).expect("JSON")
    }

    fn number(panel: &Value, key: &str) -> u64 {
        panel["gridPos"][key].as_u64().expect("a place on the grid")
    }

    #[test]
    fn panels_have_a_place_of_their_own_on_the_grid() {
        for board in all() {
            let json = json(&board);
            let mut taken = BTreeSet::new();
            let mut ids = BTreeSet::new();
            for panel in json["panels"].as_array().expect("panels") {
                assert!(ids.insert(panel["id"].as_u64().expect("an id")), "{}: {panel}", board.title);
                assert!(number(panel, "x") + number(panel, "w") <= 24, "{}: {panel}", board.title);
                for x in number(panel, "x")..number(panel, "x") + number(panel, "w") {
                    for y in number(panel, "y")..number(panel, "y") + number(panel, "h") {
                        assert!(taken.insert((x, y)), "{}: {} overlaps", board.title, panel["title"]);
                    }
                }
            }
        }
    }

    #[test]
    fn every_panel_says_what_it_shows_in_which_unit() {
        for board in all() {
            for panel in
                json(&board)["panels"].as_array().expect("panels").iter().filter(|it| it["type"] != "row")
            {
                for text in ["title", "description"] {
                    assert!(panel[text].as_str().is_some_and(|text| !text.is_empty()), "{panel}");
                }
                let unit = panel["fieldConfig"]["defaults"]["unit"].as_str().expect("a unit");
                let known = ["s", "bytes", "short", "none", "cps", "reqps", "percentunit"];
                assert!(known.contains(&unit), "Grafana doesn't know the unit {unit}");
                assert!(panel["targets"].as_array().is_some_and(|all| !all.is_empty()), "{panel}");
            }
        }
    }

    #[track_caller]
    fn check(uid: &str, title: &str, kind: &str, width: u64) {
        let boards = all();
        let board = boards.iter().find(|board| board.uid == uid).expect("the dashboard is there");
        let json = json(board);
        let panel = json["panels"].as_array().expect("panels").iter().find(|panel| panel["title"] == title);
        let panel = panel.unwrap_or_else(|| panic!("{uid} has no panel `{title}`"));
        assert_eq!((panel["type"].as_str(), number(panel, "w")), (Some(kind), width), "{title}");
    }

    // spec: E-1, E-2, E-3, E-4, E-5, E-7, E-9
    #[test]
    fn what_was_asked_for_is_shown_as_it_was_asked_for() {
        check("runtime-tools", "p95 latency by tool", "timeseries", 24);
        check("runtime-tools", "Error rate by kind", "timeseries", 12);
        check("runtime-tools", "Timeout rate", "stat", 6);
        check("runtime-tools", "Process exits", "heatmap", 12);
        check("runtime-tools", "Output size p99", "timeseries", 12);
        check("execution-overview", "Latency by kind", "timeseries", 24);
        check("execution-overview", "Async start rate", "timeseries", 12);
        check("execution-overview", "Async-to-sync ratio", "timeseries", 12);
        check("execution-overview", "Workflow wait p95", "timeseries", 8);
        check("execution-overview", "Polls per workflow", "timeseries", 8);
        check("execution-overview", "Error rate by kind and status code", "heatmap", 24);
        for title in [
            "Child count",
            "Tick propagation depth",
            "p95 tick propagation",
            "Reconcile rate",
            "Reconcile error ratio",
            "p95 age of observations",
            "Circuit state",
            "Action queue",
            "Action pool",
            "Template errors",
        ] {
            check("supervision", title, "timeseries", 12);
        }
        check("supervision", "State transitions", "timeseries", 24);
    }
}
