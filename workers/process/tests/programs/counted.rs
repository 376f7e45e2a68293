//! What the metrics say of a run, against what the run says of itself.

use std::sync::Arc;

use fsm_metrics::{Metrics, NodeMetricsCollector, RunMetrics};
use fsm_worker_process::{Exit, Run, Runner};

/// Metrics of one test, and a reader of them.
pub(crate) struct Counted {
    metrics: Metrics,
    pub(crate) runs: RunMetrics,
    pub(crate) statistics: Arc<NodeMetricsCollector>,
}

impl Counted {
    pub(crate) fn new() -> Self {
        let metrics = Metrics::try_new(Default::default(), &prometheus::Registry::new()).expect("free names");
        let runs = RunMetrics::new(&metrics);
        let statistics = NodeMetricsCollector::try_new(Default::default()).expect("a good config");
        Self { metrics, runs, statistics: Arc::new(statistics) }
    }

    /// The same runner, counted here.
    pub(crate) fn by(&self, runner: &Runner) -> Runner {
        runner.clone().with_metrics(self.runs.clone()).with_node_metrics(Arc::clone(&self.statistics))
    }

    /// The sum of all series of this name whose labels hold all of these.
    pub(crate) fn sum(&self, name: &str, labels: &[&str]) -> u64 {
        let text = self.metrics.encode();
        let series = text.lines().filter_map(|line| line.strip_prefix(name)).filter_map(|rest| {
            let (found, value) = rest.rsplit_once(' ')?;
            (found.is_empty() || found.starts_with('{')).then_some((found, value))
        });
        let matching = series.filter(|(found, _)| labels.iter().all(|label| found.contains(label)));
        matching.map(|(_, value)| value.parse::<u64>().expect("a count")).sum()
    }

    /// Calls that ended with this outcome.
    pub(crate) fn calls(&self, outcome: &str) -> u64 {
        self.sum("runtime_tool_execute_seconds_count", &[&format!("outcome=\"{outcome}\"")])
    }

    /// Processes that left in this way.
    pub(crate) fn exits(&self, exit: Exit) -> u64 {
        self.sum("runtime_process_exits_total", &[&labels(exit)])
    }

    pub(crate) fn all_exits(&self) -> u64 {
        self.sum("runtime_process_exits_total", &[])
    }

    /// Holds what is promised of every call: counted once, as what it was.
    #[track_caller]
    pub(crate) fn check(&self, run: &Run) {
        let (ending, what) = (&run.ending, format!("{}: {}", run.ending.name(), run.ending));
        let all = self.sum("runtime_tool_execute_seconds_count", &["tool_id="]);
        assert_eq!((all, self.calls(ending.outcome())), (1, 1), "E-1, {what}");
        let errors = self.sum("runtime_tool_errors_total", &[]);
        assert_eq!(errors, u64::from(ending.error_kind().is_some()), "E-2, {what}");
        if let Some(kind) = ending.error_kind() {
            let kind = format!("error_kind=\"{kind}\"");
            assert_eq!(self.sum("runtime_tool_errors_total", &[&kind]), 1, "E-2, {what}");
        }
        assert_eq!(self.sum("runtime_tool_timeouts_total", &[]), self.calls("timeout"), "E-3, {what}");
        assert_eq!(self.all_exits(), u64::from(run.pid.is_some()), "E-4, {what}");
        if run.pid.is_some() {
            assert_eq!(self.exits(run.exit.unwrap_or(Exit::Signal(9))), 1, "E-4, {what}");
        }
        let nodes = self.statistics.get_all();
        let [node] = nodes.values().collect::<Vec<_>>()[..] else { panic!("one tool ran: {nodes:?}") };
        let failed = u64::from(ending.error_kind().is_some());
        assert_eq!((node.total_executions, node.failure_count), (1, failed), "N-2, {what}");
        assert_eq!(node.timeout_errors, self.calls("timeout"), "N-15, {what}");
        let whole = u64::from(run.stdout_bytes.is_some());
        assert_eq!(self.sum("runtime_tool_output_bytes_count", &[]), whole, "E-5, {what}");
        let seen = u64::from(run.resources.cpu.is_some());
        assert_eq!(self.sum("runtime_tool_cpu_seconds_count", &[]), seen, "E-15, {what}");
        assert_eq!(self.sum("runtime_tool_peak_rss_bytes_count", &[]), seen, "E-15, {what}");
        let spoke = u64::from(run.resources.first_byte.is_some());
        assert_eq!(self.sum("runtime_tool_first_byte_seconds_count", &[]), spoke, "E-15, {what}");
    }
}

fn labels(exit: Exit) -> String {
    let signal = |number| match number {
        6 => "SIGABRT",
        9 => "SIGKILL",
        11 => "SIGSEGV",
        13 => "SIGPIPE",
        15 => "SIGTERM",
        _ => "other",
    };
    match exit {
        Exit::Code(code @ 0..=2) => format!("status=\"exit\",code=\"{code}\",signal=\"\""),
        Exit::Code(code @ (126 | 127)) => format!("status=\"exit\",code=\"{code}\",signal=\"\""),
        Exit::Code(code) if code > 127 => "status=\"exit\",code=\"128+\",signal=\"\"".into(),
        Exit::Code(_) => "status=\"exit\",code=\"other\",signal=\"\"".into(),
        Exit::Signal(number) => format!("status=\"signal\",code=\"\",signal=\"{}\"", signal(number)),
    }
}
