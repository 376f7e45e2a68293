//! What is recorded of tools, processes and executions.

use fsm_metrics::{
    ExecKind, ExecMetrics, ExecOutcome, ExecStatus, Metrics, MetricsConfig, PollOutcome, ProcessExit,
    RunMetrics, ToolErrorKind, ToolOutcome,
};

use crate::world::{metrics, ms, series_with, value, with};

const KINDS: [ToolErrorKind; 10] = [
    ToolErrorKind::Start,
    ToolErrorKind::Stdin,
    ToolErrorKind::Stdout,
    ToolErrorKind::Stderr,
    ToolErrorKind::Wait,
    ToolErrorKind::Parse,
    ToolErrorKind::Timeout,
    ToolErrorKind::Tool,
    ToolErrorKind::Cancelled,
    ToolErrorKind::OutputLimit,
];

fn calls(metrics: &Metrics, tool: &str, outcome: &str) -> Option<f64> {
    let labels = format!("outcome=\"{outcome}\",tool_id=\"{tool}\"");
    value(metrics, &format!("runtime_tool_execute_seconds_count{{{labels}}}"))
}

fn errors(metrics: &Metrics, tool: &str, kind: &str) -> Option<f64> {
    value(metrics, &format!("runtime_tool_errors_total{{error_kind=\"{kind}\",tool_id=\"{tool}\"}}"))
}

fn timeouts(metrics: &Metrics, tool: &str) -> Option<f64> {
    value(metrics, &format!("runtime_tool_timeouts_total{{tool_id=\"{tool}\"}}"))
}

// spec: X-7, M-3
#[test]
fn a_call_is_one_sample_with_its_outcome_and_its_error_kind() {
    let metrics = metrics();
    let tool = RunMetrics::new(&metrics).tool("t");
    assert_eq!((errors(&metrics, "t", "stdin"), timeouts(&metrics, "t")), (Some(0.0), Some(0.0)));
    assert_eq!(calls(&metrics, "t", "success"), None, "a histogram begins with its first sample");
    tool.begin(|| ms(2)).end(None);
    for kind in KINDS {
        tool.begin(|| ms(2)).end(Some(kind));
        assert_eq!(errors(&metrics, "t", kind.as_str()), Some(1.0), "{kind:?}");
    }
    let counts = ToolOutcome::WORDS.iter().map(|outcome| calls(&metrics, "t", outcome));
    assert_eq!(counts.collect::<Vec<_>>(), [Some(1.0), Some(8.0), Some(1.0), Some(1.0)]);
    assert_eq!(timeouts(&metrics, "t"), Some(1.0));
}

// spec: X-7
#[test]
fn a_call_that_is_dropped_is_cancelled() {
    let metrics = metrics();
    let tool = RunMetrics::new(&metrics).tool("t");
    drop(tool.begin(|| ms(2)));
    assert_eq!(calls(&metrics, "t", "cancelled"), Some(1.0));
    assert_eq!(errors(&metrics, "t", "cancelled"), Some(1.0));
}

// spec: X-6, M-1
#[test]
fn tools_over_the_cap_fold_and_unknown_ids_make_no_series() {
    let metrics = with(MetricsConfig::default().with_max_tools(2));
    let runs = RunMetrics::new(&metrics);
    for id in ["a", "b", "c", "d", "a"] {
        runs.tool(id).begin(|| ms(2)).end(None);
    }
    for _ in 0..3 {
        runs.unknown_tool().begin(|| ms(0)).end(Some(ToolErrorKind::Start));
    }
    assert_eq!(calls(&metrics, "a", "success"), Some(2.0));
    assert_eq!(calls(&metrics, "b", "success"), Some(1.0));
    assert_eq!(calls(&metrics, "_other", "success"), Some(2.0));
    assert_eq!(calls(&metrics, "_invalid", "error"), Some(3.0));
    assert_eq!(series_with(&metrics, "tool_id=\"c\""), Vec::<String>::new());
}

// spec: M-1
#[test]
fn the_default_cap_is_two_hundred_tools() {
    let metrics = metrics();
    let runs = RunMetrics::new(&metrics);
    for id in 0..250 {
        let _tool = runs.tool(&format!("t{id}"));
    }
    // Beside them `_other` and `_invalid`.
    assert_eq!(series_with(&metrics, "runtime_tool_timeouts_total").len(), 202);
}

// spec: M-3
#[test]
fn the_series_of_a_tool_go_with_it_and_a_running_call_keeps_them() {
    let metrics = metrics();
    let runs = RunMetrics::new(&metrics);
    let call = runs.tool("a").begin(|| ms(2));
    drop(runs.tool("b"));
    runs.retain(|id| id == "c");
    assert_eq!((timeouts(&metrics, "a"), timeouts(&metrics, "b")), (Some(0.0), None));
    call.end(None);
    assert_eq!(timeouts(&metrics, "a"), None);
}

// spec: X-4, M-3
#[test]
fn each_process_that_left_has_a_code_or_a_signal() {
    let metrics = metrics();
    let processes = RunMetrics::new(&metrics);
    let processes = processes.processes();
    let known = series_with(&metrics, "runtime_process_exits_total");
    let exits = |status: &str, code: &str, signal: &str| {
        let labels = format!("code=\"{code}\",signal=\"{signal}\",status=\"{status}\"");
        value(&metrics, &format!("runtime_process_exits_total{{{labels}}}"))
    };
    assert_eq!(exits("signal", "", "SIGKILL"), Some(0.0));
    assert_eq!((exits("signal", "0", "SIGKILL"), exits("exit", "", "")), (None, None));
    processes.exited(ProcessExit::Code(0));
    processes.exited(ProcessExit::Code(130));
    processes.exited(ProcessExit::Signal(9));
    processes.exited(ProcessExit::Signal(40));
    assert_eq!((exits("exit", "0", ""), exits("exit", "128+", "")), (Some(1.0), Some(1.0)));
    assert_eq!((exits("signal", "", "SIGKILL"), exits("signal", "", "other")), (Some(1.0), Some(1.0)));
    assert_eq!(series_with(&metrics, "runtime_process_exits_total"), known, "no label set is new");
}

// spec: X-21
#[test]
fn an_execution_is_in_flight_until_it_ends_and_ends_once() {
    let metrics = metrics();
    let executions = ExecMetrics::new(metrics.executions());
    let in_flight = || value(&metrics, "exec_in_flight{kind=\"agent\"}");
    let finished =
        |status: &str| value(&metrics, &format!("exec_finished_total{{kind=\"agent\",status=\"{status}\"}}"));
    assert_eq!((in_flight(), finished("failure")), (Some(0.0), Some(0.0)));
    let (one, two) = (executions.started(ExecKind::Agent, ms(1)), executions.started(ExecKind::Agent, ms(1)));
    assert_eq!(in_flight(), Some(2.0));
    one.finished(ExecStatus::Failure);
    drop(two);
    executions.finished_in_queue(ExecKind::Agent, ExecStatus::Cancelled);
    assert_eq!((in_flight(), finished("failure"), finished("cancelled")), (Some(0.0), Some(1.0), Some(2.0)));
    assert_eq!(value(&metrics, "exec_queue_wait_seconds_count{kind=\"agent\"}"), Some(2.0));
}

// spec: X-20
#[test]
fn a_request_counts_its_latency_its_timeout_and_its_error() {
    let metrics = metrics();
    let executions = ExecMetrics::new(metrics.executions());
    executions.answered(ExecKind::Task, ExecOutcome::Timeout, ms(60_000));
    executions.answered(ExecKind::Task, ExecOutcome::Error, ms(10));
    executions.responded(ExecKind::Task, 408);
    executions.responded(ExecKind::Task, 200);
    executions.responded(ExecKind::Task, 418);
    let latency = |outcome: &str| {
        let labels = format!("kind=\"task\",outcome=\"{outcome}\"");
        value(&metrics, &format!("http_exec_sync_latency_seconds_count{{{labels}}}"))
    };
    assert_eq!((latency("timeout"), latency("error"), latency("success")), (Some(1.0), Some(1.0), None));
    assert_eq!(value(&metrics, "http_exec_timeouts_total{kind=\"task\"}"), Some(1.0));
    let errors =
        |code: &str| value(&metrics, &format!("http_exec_errors_total{{code=\"{code}\",kind=\"task\"}}"));
    assert_eq!((errors("408"), errors("404"), errors("other")), (Some(1.0), Some(0.0), Some(1.0)));
    assert_eq!(series_with(&metrics, "code=\"200\""), Vec::<String>::new());
}

// spec: X-25
#[test]
fn a_wait_records_its_looks_on_every_way_out() {
    let metrics = metrics();
    let executions = ExecMetrics::new(metrics.executions());
    let polls =
        |outcome: &str| value(&metrics, &format!("workflow_sync_polls_total{{outcome=\"{outcome}\"}}"));
    let mut wait = executions.wait(|| ms(700));
    assert_eq!((wait.polled(), wait.polled(), wait.polled()), (1, 2, 3));
    wait.end(PollOutcome::Failed);
    let mut gone = executions.wait(|| ms(100));
    gone.polled();
    drop(gone);
    assert_eq!((polls("failed"), polls("cancelled"), polls("completed")), (Some(3.0), Some(1.0), Some(0.0)));
    assert_eq!(value(&metrics, "workflow_sync_poll_duration_seconds_count"), Some(2.0));
}
