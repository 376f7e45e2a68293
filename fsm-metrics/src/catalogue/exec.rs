//! Metrics of tool runs and executions: a second group of names, published as they are, so without the prefix of the others.

use crate::buckets::{CPU, MEMORY, OUTPUT, TOOL, WAIT};
use crate::def::{Group, MetricDef, Values, group};
use crate::words::{
    ExecErrorCode, ExecKind, ExecOutcome, ExecStatus, PROCESS_CODES, PROCESS_SIGNALS, PROCESS_STATUSES,
    PollOutcome, ProcessExit, ToolErrorKind, ToolOutcome,
};

use Values::Closed;

group! {
    /// Metrics of the runs of one tool.
    ToolMetric(Group::Tool) {
        /// How long a call of a tool took, from the call to its end.
        ExecuteSeconds = MetricDef::seconds("runtime_tool_execute_seconds", TOOL),
            [outcome: Closed(ToolOutcome::WORDS)], "a call ends, whatever way: refused ones and dropped ones too";
        /// Calls of a tool that did not succeed.
        ErrorsTotal = MetricDef::counter("runtime_tool_errors_total"),
            [error_kind: Closed(ToolErrorKind::WORDS)], "a call ends without success";
        /// Calls of a tool that were still running at their deadline.
        TimeoutsTotal = MetricDef::counter("runtime_tool_timeouts_total"),
            [], "a call times out";
        /// Bytes that a tool wrote to stdout.
        OutputBytes = MetricDef::histogram("runtime_tool_output_bytes", "bytes", OUTPUT),
            [], "a call ends whose stdout was read to its end";
        /// User and system time of all processes of a run.
        CpuSeconds = MetricDef::seconds("runtime_tool_cpu_seconds", CPU),
            [], "a run ends whose processes were seen to end";
        /// Most memory that one process of a run held at a time.
        PeakRssBytes = MetricDef::histogram("runtime_tool_peak_rss_bytes", "bytes", MEMORY),
            [], "a run ends whose processes were seen to end";
        /// From the call to the first byte on stdout.
        FirstByteSeconds = MetricDef::seconds("runtime_tool_first_byte_seconds", WAIT),
            [], "a run ends that wrote to stdout";
    }
}

group! {
    /// Metrics of the processes that this program started.
    ProcessMetric(Group::Process) {
        /// Processes that left: by themselves with a code, or by a signal.
        ExitsTotal = MetricDef::counter("runtime_process_exits_total").only(ProcessExit::ROWS),
            [status: Closed(PROCESS_STATUSES), code: Closed(PROCESS_CODES), signal: Closed(PROCESS_SIGNALS)],
            "a process is reaped, killed ones included";
    }
}

group! {
    /// Metrics of executions: runs of tools, of agents' actions and of workflows that somebody asked for.
    ExecMetric(Group::Exec) {
        /// Asynchronous starts that were accepted.
        StartedTotal = MetricDef::counter("http_exec_started_total"),
            [kind: Closed(ExecKind::WORDS)], "an asynchronous start is accepted, before it is answered";
        /// Looks at a workflow's record by somebody who waits for its end, by how the wait ended.
        SyncPollsTotal = MetricDef::counter("workflow_sync_polls_total"),
            [outcome: Closed(PollOutcome::WORDS)], "a wait for a workflow ends, for all looks of the wait";
        /// How long somebody waited for the end of a workflow.
        SyncPollDuration = MetricDef::seconds("workflow_sync_poll_duration_seconds", WAIT),
            [], "a wait for a workflow ends, whatever way";
        /// How long a synchronous request for an execution took.
        SyncLatency = MetricDef::seconds("http_exec_sync_latency_seconds", TOOL),
            [kind: Closed(ExecKind::WORDS), outcome: Closed(ExecOutcome::WORDS)], "a synchronous request ends";
        /// Executions that ended.
        FinishedTotal = MetricDef::counter("exec_finished_total"),
            [kind: Closed(ExecKind::WORDS), status: Closed(ExecStatus::WORDS)], "an execution ends";
        /// Executions that run.
        InFlight = MetricDef::gauge("exec_in_flight", ""),
            [kind: Closed(ExecKind::WORDS)], "an execution starts or ends";
        /// How long an execution waited for its turn.
        QueueWait = MetricDef::seconds("exec_queue_wait_seconds", WAIT),
            [kind: Closed(ExecKind::WORDS)], "an execution starts";
        /// Synchronous requests for an execution that ended in a timeout.
        TimeoutsTotal = MetricDef::counter("http_exec_timeouts_total"),
            [kind: Closed(ExecKind::WORDS)], "a synchronous request ends in a timeout, of the wait or of the run";
        /// Requests for an execution that were answered with an error.
        ErrorsTotal = MetricDef::counter("http_exec_errors_total"),
            [kind: Closed(ExecKind::WORDS), code: Closed(ExecErrorCode::WORDS)], "a request is answered with 400 or above";
    }
}
