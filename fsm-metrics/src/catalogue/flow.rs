//! Metrics of the native dataflow, labelled `flow` (the path of its node) under the same cap as paths.

use crate::buckets::OBSERVATION;
use crate::def::{Group, MetricDef, Values, group};
use crate::words::{DropReason, FlowErrorKind, FlowStage};

use Values::Closed;

group! {
    /// Metrics of a dataflow.
    FlowMetric(Group::Flow) {
        /// Messages that a flow took from its source.
        MessagesInTotal = MetricDef::counter("dataflow_messages_in_total"),
            [], "a message is taken from the source";
        /// Messages that every output of a flow took.
        MessagesOutTotal = MetricDef::counter("dataflow_messages_out_total"),
            [], "the last output took a message";
        /// Payload bytes that a flow took from its source.
        BytesInTotal = MetricDef::counter("dataflow_bytes_in_total"),
            [], "a message is taken from the source";
        /// Payload bytes that every output of a flow took.
        BytesOutTotal = MetricDef::counter("dataflow_bytes_out_total"),
            [], "the last output took a message";
        /// Messages that were taken and not passed on.
        DroppedTotal = MetricDef::counter("dataflow_dropped_total"),
            [reason: Closed(DropReason::WORDS)], "a message is dropped";
        /// Errors of a flow.
        ErrorsTotal = MetricDef::counter("dataflow_errors_total").at(crate::def::Init::FirstSample),
            [stage: Closed(FlowStage::WORDS), kind: Closed(FlowErrorKind::WORDS)], "an error is met";
        /// Messages that were sent again.
        RetriesTotal = MetricDef::counter("dataflow_retries_total"),
            [], "a message is sent again";
        /// Messages that were taken and not yet acknowledged.
        InFlight = MetricDef::gauge("dataflow_in_flight", ""),
            [], "a message is taken or acknowledged";
        /// Messages that wait at the source or in the buffer, as far as it is known.
        LagMessages = MetricDef::gauge("dataflow_lag_messages", ""),
            [], "the flow is observed";
        /// Age of the last message that passed end to end.
        LastMessageAge = MetricDef::maximum("dataflow_last_message_age_seconds", "seconds"),
            [], "the flow is observed";
        /// From taking a message to its last acknowledgement.
        EndToEndLatency = MetricDef::seconds("dataflow_end_to_end_latency_seconds", OBSERVATION),
            [], "the last output took a message";
        /// Bytes of the messages that a flow holds: taken and not yet acknowledged.
        BufferBytes = MetricDef::gauge("dataflow_buffer_bytes", "bytes"),
            [], "the flow is observed";
        /// Connections that were made again.
        ReconnectsTotal = MetricDef::counter("dataflow_reconnects_total"),
            [], "a connection is made again";
    }
}
