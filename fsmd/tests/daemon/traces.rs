//! Spans of a daemon as a collector gets them.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::rig::{Daemon, Files};

/// The end of a test, not its pace.
const PATIENCE: Duration = Duration::from_secs(60);

/// A collector that keeps what it gets.
struct Collector {
    address: SocketAddr,
    spans: watch::Receiver<Vec<Span>>,
}

impl Collector {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (keep, spans) = watch::channel(Vec::new());
        let take = async move |body: Bytes| {
            let request = ExportTraceServiceRequest::decode(body).unwrap();
            let scopes = request.resource_spans.into_iter().flat_map(|all| all.scope_spans);
            keep.send_modify(|kept: &mut Vec<Span>| kept.extend(scopes.flat_map(|all| all.spans)));
        };
        tokio::spawn(axum::serve(listener, Router::new().route("/v1/traces", post(take))).into_future());
        Self { address, spans }
    }

    /// Waits until there is such a span.
    async fn until(&mut self, what: &str, wanted: impl Fn(&Span) -> bool) -> Span {
        let waited = self.spans.wait_for(|spans| spans.iter().any(&wanted));
        let found = timeout(PATIENCE, waited).await.ok();
        let found = found.map(|spans| spans.unwrap().iter().find(|span| wanted(span)).unwrap().clone());
        if let Some(found) = found {
            return found;
        }
        let names: BTreeSet<String> = self.spans.borrow().iter().map(|span| span.name.clone()).collect();
        panic!("never a span as wanted ({what}), but {names:?}")
    }
}

fn attribute(span: &Span, name: &str) -> Option<String> {
    let value =
        span.attributes.iter().find(|attribute| attribute.key == name)?.value.as_ref()?.value.as_ref()?;
    Some(if let Value::StringValue(text) = value {
        text.clone()
    } else if let Value::IntValue(number) = value {
        number.to_string()
    } else {
        format!("{value:?}")
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

const CONFIG: &str = r#"
version: 1
agent: {name: plant}
server: {listen: "127.0.0.1:0"}
workers:
  - {name: parent, kind: parent}
  - {name: failing, kind: failing}
  - name: note
    kind: tool
    config: {command: [sh, "-c", 'printf %s "$TRACEPARENT" > trace'], protocol: raw, cwd: FOLDER}
  - name: bad
    kind: tool
    config: {command: [sh, "-c", "exit 3"], protocol: raw}
"#;

fn plant() -> Files {
    let files = Files::new(&[]);
    files.write("plant.yaml", &CONFIG.replace("FOLDER", &files.folder().display().to_string()));
    files
}

/// The status Error of OTLP.
const ERROR: i32 = 2;

fn is_error(span: &Span) -> bool {
    span.status.as_ref().is_some_and(|status| status.code == ERROR)
}

fn at(name: &'static str, path: &'static str) -> impl Fn(&Span) -> bool {
    move |span| span.name == name && attribute(span, "hierarchy_path").as_deref() == Some(path)
}

fn of_tool(name: &'static str) -> impl Fn(&Span) -> bool {
    move |span| {
        span.name == "runtime.execute_tool" && attribute(span, "tool_id").is_some_and(|id| id.contains(name))
    }
}

// spec: X-8
#[tokio::test]
async fn a_collector_sees_ticks_reconciles_collections_actions_and_tools() {
    let (files, mut collector) = (plant(), Collector::start().await);
    let endpoint = format!("http://{}", collector.address);
    let variables =
        [("OTEL_EXPORTER_OTLP_ENDPOINT", &*endpoint), ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")];
    let mut daemon = Daemon::start_in(&files.path("plant.yaml"), &variables).await;

    let tick = collector.until("a tick", |span| span.name == "supervisor.tick").await;
    assert!(attribute(&tick, "evaluated").is_some(), "{tick:?}");
    let reconcile = collector.until("a reconcile", at("supervisor.reconcile", "/plant")).await;
    assert_eq!(attribute(&reconcile, "created").as_deref(), Some("4"));
    assert!(!reconcile.parent_span_id.is_empty(), "it is inside of its tick");
    let collect = collector.until("a collection", at("worker.collect", "/plant/note")).await;
    assert_eq!(attribute(&collect, "worker_type").as_deref(), Some("tool"));
    let failed =
        collector.until("a failed action", |span| span.name == "action.execute" && is_error(span)).await;
    assert_eq!(attribute(&failed, "hierarchy_path").as_deref(), Some("/plant/failing"));
    assert_eq!(attribute(&failed, "error_type").as_deref(), Some("failure"));

    let note = collector.until("a tool", of_tool("note")).await;
    assert_eq!(attribute(&note, "exit_code").as_deref(), Some("0"));
    assert!(
        attribute(&note, "timeout_ms").is_some() && attribute(&note, "permissions").is_some(),
        "{note:?}"
    );
    assert!(!is_error(&note), "{note:?}");
    let seen = std::fs::read_to_string(files.path("trace")).unwrap();
    assert_eq!(seen, format!("00-{}-{}-01", hex(&note.trace_id), hex(&note.span_id)));
    let bad = collector.until("a failed tool", of_tool("bad")).await;
    assert!(is_error(&bad), "{bad:?}");
    assert_eq!(attribute(&bad, "error_kind").as_deref(), Some("wait"));

    daemon.signal("TERM");
    assert_eq!(daemon.ends().await.code(), Some(0), "{}", daemon.said.join("\n"));
    let lines = daemon.said.join("\n");
    assert!(!lines.contains("supervisor.tick"), "spans are not for the log: {lines}");
}

#[tokio::test]
async fn a_collector_that_is_not_there_changes_nothing_but_one_line_of_the_log() {
    let files = plant();
    let variables = [("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")];
    let mut daemon = Daemon::start_in(&files.path("plant.yaml"), &variables).await;
    daemon.hears("spans can't be exported").await;
    let lost = |body: &str| {
        let line =
            body.lines().find(|line| line.starts_with("fsm_events_dropped_total{subscriber=\"otlp\"}"));
        line.is_some_and(|line| !line.ends_with(" 0"))
    };
    daemon.until("/metrics", |answer| lost(&answer.body)).await;
    daemon.signal("TERM");
    assert_eq!(daemon.ends().await.code(), Some(0), "{}", daemon.said.join("\n"));
    let warnings = daemon.said.iter().filter(|line| line.contains("spans can't be exported")).count();
    assert_eq!(warnings, 1, "{}", daemon.said.join("\n"));
}

#[tokio::test]
async fn a_collector_that_cant_be_is_refused_with_what_to_do() {
    let files = plant();
    let mut fsmd = crate::rig::fsmd();
    fsmd.env("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4317").arg("run").arg(files.path("plant.yaml"));
    let output = fsmd.output().unwrap();
    let said = crate::rig::text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("`collector:4317` is no address") && said.contains("OTEL_EXPORTER_OTLP"), "{said}");
}

const CALLS: &str = r#"
version: 1
agent: {name: plant}
server: {listen: "127.0.0.1:0"}
tools:
  - {id: label/note, command: [sh, "-c", 'printf %s "$TRACEPARENT"'], protocol: raw, runtime: shell}
workflows:
  - id: two
    steps:
      - {name: one, tool: label/note}
      - {name: other, tool: label/note, depends_on: [one]}
"#;

// spec: X-8
#[tokio::test]
async fn a_call_continues_the_trace_that_it_came_with_down_to_the_tool() {
    let (files, mut collector) = (Files::new(&[("calls.yaml", CALLS)]), Collector::start().await);
    let endpoint = format!("http://{}", collector.address);
    let variables =
        [("OTEL_EXPORTER_OTLP_ENDPOINT", &*endpoint), ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")];
    let daemon = Daemon::start_in(&files.path("calls.yaml"), &variables).await;
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let header = format!("traceparent: 00-{trace}-b7ad6b7169203331-01\r\n");
    let answer = daemon.post("/v1/exec/tasks/label/note", &header, "{}").await;
    assert_eq!(answer.status, 200, "{answer:?}");

    let named = |name: &'static str| move |span: &Span| span.name == name;
    let request = collector.until("a request", named("exec.request")).await;
    assert_eq!(
        (hex(&request.trace_id), hex(&request.parent_span_id)),
        (trace.into(), "b7ad6b7169203331".into())
    );
    let task = collector.until("a task", named("task.execute_sync")).await;
    assert_eq!((&task.trace_id, &task.parent_span_id), (&request.trace_id, &request.span_id));
    assert_eq!(attribute(&task, "task_id").as_deref(), Some("label/note"));
    assert_eq!(attribute(&task, "timeout_ms").as_deref(), Some("60000"));
    let tool = collector.until("its tool", named("runtime.execute_tool")).await;
    assert_eq!((&tool.trace_id, &tool.parent_span_id), (&task.trace_id, &task.span_id));
    assert_eq!(attribute(&tool, "runtime").as_deref(), Some("shell"));
    assert!(answer.body.contains(&format!("00-{trace}-{}-01", hex(&tool.span_id))), "{answer:?}");

    let answer = daemon.post("/v1/exec/agents/plant/nobody/-/probe", "", "").await;
    assert_eq!(answer.status, 404, "{answer:?}");
    let prepare = collector.until("an agent", named("agent.prepare")).await;
    assert!(is_error(&prepare), "{prepare:?}");
    assert_eq!(attribute(&prepare, "agent_id").as_deref(), Some("/plant/nobody"));

    let answer = daemon.post("/v1/exec/workflows/two", "", "{}").await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let whole = collector.until("a workflow", named("workflow.execute_sync")).await;
    assert_eq!(attribute(&whole, "workflow_id").as_deref(), Some("two"));
    assert!(attribute(&whole, "exec_id").is_some() && !is_error(&whole), "{whole:?}");
    let wait = collector.until("its wait", named("workflow.wait_completion")).await;
    assert_eq!((&wait.trace_id, &wait.parent_span_id), (&whole.trace_id, &whole.span_id));
    let looks = wait.events.iter().filter(|event| event.name == "poll_iteration").count();
    assert!(looks > 0, "{wait:?}");
    assert_eq!(attribute(&wait, "total_iterations"), Some(looks.to_string()));
}
