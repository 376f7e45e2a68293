//! Dashboards and alerts against the truth: a daemon that runs, and a Prometheus that scrapes it.

mod expression;
mod peer;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use fsm_metrics::{Group, Init, MetricDef, catalogue};
use serde_json::Value;

use crate::rig::{Daemon, Files, free_port};
use expression::{Expression, Known};
use peer::Prometheus;

fn deployed(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy").join(file)
}

/// The quick start and what it lacks: programs, something that fails, something that can't be reached.
fn plant() -> Files {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/quickstart.yaml");
    let config = std::fs::read_to_string(example).unwrap();
    let more = "
  - {name: program, kind: process, config: {command: [sleep, \"600\"]}}
  - {name: once, kind: tool, config: {command: [\"true\"], protocol: raw}}
  - {name: keeper, kind: persistence}
  - {name: failing, kind: failing}
  - {name: parent, kind: parent}
  - {name: away, kind: connection, config: {tcp: {host: 127.0.0.1, port: 1}}}
";
    let (workers, telemetry) = config.split_once("\n# Messages have the standard output").unwrap();
    let (_, telemetry) = telemetry.split_once("telemetry:").unwrap();
    let config = format!("{workers}{more}\ntelemetry:{telemetry}\nserver: {{listen: \"127.0.0.1:0\"}}\n");
    Files::new(&[("plant.yaml", &config.replace("18830", &free_port().to_string()))])
}

/// What is asked, where, and which labels the answer has to have.
struct Question {
    place: String,
    expr: String,
    named: BTreeSet<String>,
}

/// The names in `{{name}}` or `{{ $labels.name }}`.
fn labels_in(text: &str) -> BTreeSet<String> {
    let places = text.split("{{").skip(1).filter_map(|rest| rest.split("}}").next());
    let names = places.filter_map(|place| match place.split_once("$labels.") {
        Some((_, rest)) => rest.split(|char: char| !(char.is_alphanumeric() || char == '_')).next(),
        None => {
            Some(place.trim()).filter(|name| name.chars().all(|char| char.is_alphanumeric() || char == '_'))
        }
    });
    // `else` and `end` are words of the template language.
    names.filter(|name| !["else", "end"].contains(name)).map(str::to_owned).collect()
}

fn dashboards() -> Vec<(String, Value)> {
    let mut boards = Vec::new();
    for entry in std::fs::read_dir(deployed("grafana")).unwrap() {
        let path = entry.unwrap().path();
        let board = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        boards.push((path.file_name().unwrap().to_string_lossy().into_owned(), board));
    }
    boards
}

/// As Grafana would ask, with everything chosen.
fn filled_in(expr: &str, variables: &BTreeSet<&str>) -> String {
    let mut filled = expr.replace("$__rate_interval", "1m").replace("$__interval", "30s");
    for variable in variables {
        filled = filled.replace(&format!("${variable}"), ".*");
    }
    assert!(!filled.contains('$'), "a variable that the dashboard doesn't have: {filled}");
    filled
}

fn of_dashboards(known: &Known) -> Vec<Question> {
    let mut questions = Vec::new();
    for (file, board) in dashboards() {
        let variables = board["templating"]["list"].as_array().unwrap();
        let names = variables.iter().map(|variable| variable["name"].as_str().unwrap()).collect();
        for variable in variables.iter().filter(|variable| variable["type"] == "query") {
            let query = variable["definition"].as_str().unwrap();
            let inner = query.strip_prefix("label_values(").and_then(|rest| rest.strip_suffix(')')).unwrap();
            let (metric, label) = inner.split_once(", ").unwrap();
            known.has_label(metric, label).unwrap_or_else(|wrong| panic!("{file}: {query}: {wrong}"));
        }
        for panel in board["panels"].as_array().unwrap().iter().filter(|panel| panel["type"] != "row") {
            let title = panel["title"].as_str().unwrap();
            let targets = panel["targets"].as_array().unwrap();
            assert!(!targets.is_empty(), "{file}: {title} shows nothing");
            for target in targets {
                assert_eq!(target["datasource"]["uid"], "${datasource}", "{file}: {title}");
                questions.push(Question {
                    place: format!("{file}: {title}"),
                    expr: filled_in(target["expr"].as_str().unwrap(), &names),
                    named: labels_in(target["legendFormat"].as_str().unwrap()),
                });
            }
        }
    }
    questions
}

async fn of_alerts(prometheus: &Prometheus) -> Vec<Question> {
    let groups = prometheus.get("/api/v1/rules").await;
    let groups = groups["groups"].as_array().unwrap().clone();
    let rules = groups.iter().flat_map(|group| group["rules"].as_array().unwrap());
    let question = |rule: &Value| {
        assert_ne!(rule["health"], "err", "{rule}");
        let annotations = rule["annotations"].as_object().unwrap();
        let runbook = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("..")
            .join(annotations["runbook_url"].as_str().unwrap());
        assert!(runbook.exists(), "{rule}");
        Question {
            place: format!("alert {}", rule["name"]),
            expr: rule["query"].as_str().unwrap().to_owned(),
            named: annotations.values().flat_map(|text| labels_in(text.as_str().unwrap())).collect(),
        }
    };
    rules.map(question).collect()
}

/// Every label of every metric of a scrape.
fn labels_of(scrape: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in scrape.lines().filter(|line| !line.starts_with('#')) {
        let series = line.rsplit_once(' ').unwrap().0;
        let (name, labels) = series.split_once('{').unwrap_or((series, ""));
        let labels = labels.split("=\"").filter_map(|part| part.rsplit(['{', ',', '"']).next());
        let labels = labels.filter(|label| !label.is_empty() && *label != "}").map(str::to_owned);
        found.entry(name.to_owned()).or_default().extend(labels);
    }
    found
}

/// Whether a running daemon may be without it: it comes with its first sample, or with somebody who is not here.
fn may_be_missing(def: &MetricDef) -> bool {
    def.init != Init::Known
        || matches!(def.group, Group::Subscriber | Group::Tool | Group::Process | Group::Exec)
}

// spec: M-1, M-3, E-1, E-2, E-3, E-4, E-5, E-6, E-7, E-8, E-9, E-10, E-11, E-12, E-13, E-14, E-15
#[tokio::test]
async fn every_expression_of_dashboards_and_alerts_is_answered_and_names_what_there_is() {
    let files = plant();
    let daemon = Daemon::start(&files.path("plant.yaml")).await;
    daemon
        .until("/metrics", |answer| answer.body.contains("fsm_action_execution_duration_seconds_count"))
        .await;
    let prometheus = Prometheus::start(daemon.address, &deployed("prometheus/alerts.yml"));
    prometheus.until("sum(count_over_time(up{job=\"fsmd\"}[1m])) >= 3").await;

    let exposed = labels_of(&daemon.get("/metrics").await.body);
    let known = Known::of(exposed.clone());
    let mut questions = of_dashboards(&known);
    let of_dashboards = questions.len();
    questions.extend(of_alerts(&prometheus).await);
    assert!(
        of_dashboards > 50 && questions.len() - of_dashboards > 20,
        "{of_dashboards} of {}",
        questions.len()
    );

    let mut wrong = Vec::new();
    let mut answered = 0;
    let mut asked = BTreeSet::new();
    for question in &questions {
        let place = &question.place;
        match Expression::parse(&question.expr)
            .and_then(|expression| expression.check(&known, &question.named))
        {
            Ok(metrics) => asked.extend(metrics),
            Err(why) => wrong.push(format!("{place}: {why}\n    {}", question.expr)),
        }
        match prometheus.query(&question.expr).await {
            Ok(elements) => answered += usize::from(elements > 0),
            Err(why) => wrong.push(format!("{place}: {why}\n    {}", question.expr)),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // The tree is there and works: most panels of it have something to show.
    assert!(answered > 30, "only {answered} of {} expressions have an answer", questions.len());

    let missing = |def: &&MetricDef| {
        let name = def.name();
        asked.contains(name) && !exposed.contains_key(name) && !exposed.contains_key(&format!("{name}_count"))
    };
    let missing: Vec<&str> =
        catalogue().filter(missing).filter(|def| !may_be_missing(def)).map(MetricDef::name).collect();
    assert!(missing.is_empty(), "asked for and never exposed: {missing:?}");
}

#[test]
fn a_wrong_name_is_found() {
    let scrape = "fsm_child_count{supervisor_id=\"group\",path=\"\"} 3\nup 1\n";
    let known = Known::of(labels_of(scrape));
    assert_eq!(
        known.labels("fsm_child_count").unwrap(),
        BTreeSet::from(["supervisor_id", "path"].map(str::to_owned))
    );
    let check = |expr: &str, named: &[&str]| {
        let named = named.iter().map(|name| (*name).to_owned()).collect();
        Expression::parse(expr).and_then(|expression| expression.check(&known, &named))
    };
    assert!(
        check("sum by (supervisor_id) (fsm_child_count)", &["supervisor_id", "job"]).is_err(),
        "job was summed away"
    );
    assert!(check("sum by (supervisor_id) (fsm_child_count)", &["supervisor_id"]).is_ok());
    for (expr, why) in [
        ("fsm_child_cuont", "no metric fsm_child_cuont"),
        ("fsm_child_count{supervisor=\"group\"}", "no label supervisor"),
        ("sum by (tool_id) (fsm_child_count)", "no label tool_id"),
        ("rate(fsm_reconciliation_total{result=\"eror\"}[5m])", "never `eror`"),
        ("rate(fsm_reconciliation_total{result!~\"error|partail\"}[5m])", "never `partail`"),
        ("rate(fsm_action_wait_seconds_bucket{le=\"31\"}[5m])", "no bound 31"),
        ("rate(fsm_reconciliation_total) by (result)", ""),
        ("sum by (path) (fsm_child_count) / sum by (supervisor_id) (fsm_child_count)", "never meet"),
    ] {
        let error = check(expr, &[]).expect_err(expr);
        assert!(error.contains(why), "{expr}: {error}");
    }
}
