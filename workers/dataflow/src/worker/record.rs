//! Carries a flow's counters over into its metrics, at each look.

use fsm_metrics::{DropReason as Dropped, FlowErrorKind, FlowMetrics, FlowStage};

use crate::stats::{DropReason, ErrorKind, FlowSnapshot, Stage};

/// See the module.
pub(super) struct Recorder {
    metrics: FlowMetrics,
    last: Option<FlowSnapshot>,
}

impl Recorder {
    pub(super) const fn new(metrics: FlowMetrics) -> Self {
        Self { metrics, last: None }
    }

    /// Adds what has come since the last call.
    pub(super) fn record(&mut self, now: &FlowSnapshot) {
        let last = self.last.as_ref();
        let more = |of: &dyn Fn(&FlowSnapshot) -> u64| of(now).saturating_sub(last.map_or(0, of));
        let m = &self.metrics;
        m.messages_in.add(more(&|s| s.messages_in));
        m.messages_out.add(more(&|s| s.messages_out));
        m.bytes_in.add(more(&|s| s.bytes_in));
        m.bytes_out.add(more(&|s| s.bytes_out));
        m.retries.add(more(&|s| s.retries));
        m.reconnects.add(more(&|s| s.reconnects));
        m.in_flight.set(now.in_flight as f64);
        m.lag_messages.set(now.lag as f64);
        m.last_message_age.set(now.since_out.unwrap_or_default().as_secs_f64());
        m.buffer_bytes.set(now.bytes_in_flight as f64);
        for reason in DropReason::ALL {
            let count = more(&|s| s.dropped(*reason));
            if count > 0 {
                m.dropped(dropped(*reason), count);
            }
        }
        for stage in Stage::ALL {
            for kind in ErrorKind::ALL {
                for _ in 0..more(&|s| s.errors(*stage, *kind)) {
                    m.error(stage_of(*stage), kind_of(*kind));
                }
            }
        }
        self.last = Some(now.clone());
    }
}

const fn dropped(reason: DropReason) -> Dropped {
    match reason {
        DropReason::Filtered => Dropped::Filter,
        DropReason::Error => Dropped::Error,
        DropReason::Overflow => Dropped::Overflow,
        DropReason::DeadLetter => Dropped::Other,
    }
}

const fn stage_of(stage: Stage) -> FlowStage {
    match stage {
        Stage::Input => FlowStage::Input,
        Stage::Pipeline => FlowStage::Pipeline,
        Stage::Output => FlowStage::Output,
    }
}

const fn kind_of(kind: ErrorKind) -> FlowErrorKind {
    match kind {
        ErrorKind::Connection => FlowErrorKind::Connection,
        ErrorKind::Json => FlowErrorKind::Decode,
        ErrorKind::Jq => FlowErrorKind::Expression,
        ErrorKind::Topic => FlowErrorKind::Encode,
        ErrorKind::Rejected | ErrorKind::TooLarge => FlowErrorKind::Rejected,
        ErrorKind::Io => FlowErrorKind::Io,
    }
}
