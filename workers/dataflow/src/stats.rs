//! What a flow counts about itself: atomics only, so that counting costs a message nothing it would notice.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use fsm_metrics::Histogram;
use tokio::time::Instant;

/// Upper bounds of the latency buckets, in microseconds: those of the metric. 30 s is the default `ack_timeout`.
pub const LATENCY_BOUNDS_US: [u64; 12] = [
    1_000, 5_000, 10_000, 50_000, 100_000, 500_000, 1_000_000, 2_200_000, 5_000_000, 10_000_000, 20_000_000,
    30_000_000,
];
const LATENCIES: usize = LATENCY_BOUNDS_US.len() + 1;

/// How many errors within [`ERROR_WINDOW`] degrade a flow (D-6).
pub const ERROR_LIMIT: usize = 3;
/// The time in which [`ERROR_LIMIT`] errors degrade a flow (D-6).
pub const ERROR_WINDOW: Duration = Duration::from_secs(60);

macro_rules! labels {
    ($(#[$about:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $label:literal,)* }) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$doc])* $variant,)* }
        impl $name {
            /// All of them, in the order of their labels in metrics.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];
            /// The label in metrics.
            #[must_use]
            pub const fn label(self) -> &'static str {
                match self { $(Self::$variant => $label,)* }
            }
        }
    };
}

labels! {
    /// Where an error happened.
    Stage {
        /// Connecting to the source or reading from it.
        Input = "input",
        /// A step.
        Pipeline = "pipeline",
        /// Connecting to the target or writing to it.
        Output = "output",
    }
}

labels! {
    /// What kind of error it was.
    ErrorKind {
        /// No connection, or it broke.
        Connection = "connection",
        /// The payload is not JSON and a step needs it to be.
        Json = "json",
        /// A jq program failed on the message.
        Jq = "jq",
        /// The message has no topic that can be published to.
        Topic = "topic",
        /// The peer refused it.
        Rejected = "rejected",
        /// Larger than the peer takes.
        TooLarge = "too_large",
        /// A file could not be written.
        Io = "io",
    }
}

labels! {
    /// Why a message was left out.
    DropReason {
        /// A `filter`, or a `map` without result: on purpose.
        Filtered = "filtered",
        /// It failed and `on_error` is `drop`.
        Error = "error",
        /// It failed and went to the dead letter output instead.
        DeadLetter = "dead_letter",
        /// It came at quality of service 0 while the flow was full.
        Overflow = "overflow",
    }
}

const ERRORS: usize = Stage::ALL.len() * ErrorKind::ALL.len();

/// The counters of one flow. Shared by the tasks that move its messages; read by `FlowWatch::snapshot`.
#[derive(Debug)]
pub struct FlowStats {
    started: Instant,
    messages_in: AtomicU64,
    bytes_in: AtomicU64,
    messages_out: AtomicU64,
    bytes_out: AtomicU64,
    duplicates: AtomicU64,
    retries: AtomicU64,
    reconnects: AtomicU64,
    dropped: [AtomicU64; DropReason::ALL.len()],
    errors: [AtomicU64; ERRORS],
    latency: [AtomicU64; LATENCIES],
    latency_sum_us: AtomicU64,
    latency_metric: OnceLock<Histogram>,
    pub(crate) lag: AtomicU64,
    pub(crate) input_up: AtomicBool,
    pub(crate) output_up: AtomicBool,
    // Milliseconds since `started`, plus one; 0 is never.
    last_in: AtomicU64,
    last_out: AtomicU64,
    last_progress: AtomicU64,
    recent_errors: Mutex<RecentErrors>,
}

#[derive(Debug, Default)]
struct RecentErrors {
    times: [Option<Instant>; ERROR_LIMIT],
    next: usize,
    text: Option<(Stage, Arc<str>)>,
}

/// All counters of a flow at one moment. Counters only grow; a metrics recorder adds the difference to the one before.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct FlowSnapshot {
    /// Messages from the source.
    pub messages_in: u64,
    /// Bytes of their payloads.
    pub bytes_in: u64,
    /// Messages that the output took.
    pub messages_out: u64,
    /// Bytes of their payloads.
    pub bytes_out: u64,
    /// Messages that the source sent again.
    pub duplicates: u64,
    /// Messages that were written again after a reconnect or a failed write.
    pub retries: u64,
    /// Connections made after the first one.
    pub reconnects: u64,
    /// Messages left out, by [`DropReason::ALL`].
    pub dropped: [u64; DropReason::ALL.len()],
    /// Errors, by [`Stage::ALL`] and [`ErrorKind::ALL`].
    pub errors: [[u64; ErrorKind::ALL.len()]; Stage::ALL.len()],
    /// Messages received and not yet acknowledged.
    pub in_flight: u64,
    /// Their bytes.
    pub bytes_in_flight: u64,
    /// Messages received that wait for the pipeline.
    pub lag: u64,
    /// How many messages took how long end to end, by [`LATENCY_BOUNDS_US`], the last for all longer ones.
    pub latency: [u64; LATENCIES],
    /// Sum of these times.
    pub latency_sum: Duration,
    /// How long ago the source sent the last message; none came: `None`.
    pub since_in: Option<Duration>,
    /// How long ago the last message passed end to end.
    pub since_out: Option<Duration>,
    /// How long messages have been in flight without any of them ending; zero when none is in flight.
    pub stalled: Duration,
    /// How long the flow has run.
    pub running: Duration,
    /// Whether the source can be reached.
    pub input_up: bool,
    /// Whether the target can be reached.
    pub output_up: bool,
    /// Errors within the last [`ERROR_WINDOW`], at most [`ERROR_LIMIT`].
    pub recent_errors: usize,
    /// The last error: where and what.
    pub last_error: Option<(Stage, Arc<str>)>,
}

impl FlowSnapshot {
    /// Messages left out for this reason.
    #[must_use]
    pub fn dropped(&self, reason: DropReason) -> u64 {
        self.dropped[reason as usize]
    }
    /// Errors of this kind.
    #[must_use]
    pub fn errors(&self, stage: Stage, kind: ErrorKind) -> u64 {
        self.errors[stage as usize][kind as usize]
    }
}

fn zeros<const N: usize>() -> [AtomicU64; N] {
    std::array::from_fn(|_| AtomicU64::new(0))
}

fn load<const N: usize>(counters: &[AtomicU64; N]) -> [u64; N] {
    std::array::from_fn(|i| counters[i].load(Relaxed))
}

impl FlowStats {
    pub(crate) fn new() -> Self {
        Self {
            started: Instant::now(),
            messages_in: AtomicU64::new(0),
            bytes_in: AtomicU64::new(0),
            messages_out: AtomicU64::new(0),
            bytes_out: AtomicU64::new(0),
            duplicates: AtomicU64::new(0),
            retries: AtomicU64::new(0),
            reconnects: AtomicU64::new(0),
            dropped: zeros(),
            errors: zeros(),
            latency: zeros(),
            latency_sum_us: AtomicU64::new(0),
            latency_metric: OnceLock::new(),
            lag: AtomicU64::new(0),
            input_up: AtomicBool::new(false),
            output_up: AtomicBool::new(false),
            last_in: AtomicU64::new(0),
            last_out: AtomicU64::new(0),
            last_progress: AtomicU64::new(0),
            recent_errors: Mutex::default(),
        }
    }

    /// Also samples latencies into this metric; the first one counts.
    pub(crate) fn sample_into(&self, metric: Histogram) {
        self.latency_metric.get_or_init(|| metric);
    }

    fn stamp(&self, now: Instant) -> u64 {
        u64::try_from((now - self.started).as_millis()).unwrap_or(u64::MAX - 1) + 1
    }

    pub(crate) fn received(&self, bytes: usize, now: Instant, idle: bool) {
        self.messages_in.fetch_add(1, Relaxed);
        self.bytes_in.fetch_add(bytes as u64, Relaxed);
        let stamp = self.stamp(now);
        self.last_in.store(stamp, Relaxed);
        if idle {
            // Nothing was in flight: waiting begins now.
            self.last_progress.store(stamp, Relaxed);
        }
    }

    pub(crate) fn delivered(&self, took: Duration, messages: usize, bytes: usize) {
        self.messages_out.fetch_add(messages as u64, Relaxed);
        self.bytes_out.fetch_add(bytes as u64, Relaxed);
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let bucket = LATENCY_BOUNDS_US.partition_point(|bound| *bound < us);
        self.latency[bucket].fetch_add(1, Relaxed);
        self.latency_sum_us.fetch_add(us, Relaxed);
        if let Some(metric) = self.latency_metric.get() {
            metric.observe_duration(took);
        }
        self.passed();
    }

    /// A message ended as it should: a filtered one counts as taken (D-6).
    pub(crate) fn passed(&self) {
        let stamp = self.stamp(Instant::now());
        self.last_out.store(stamp, Relaxed);
        self.last_progress.store(stamp, Relaxed);
    }

    pub(crate) fn dropped(&self, reason: DropReason) {
        self.dropped[reason as usize].fetch_add(1, Relaxed);
    }

    pub(crate) fn duplicate(&self) {
        self.duplicates.fetch_add(1, Relaxed);
    }

    pub(crate) fn retried(&self, count: usize) {
        self.retries.fetch_add(count as u64, Relaxed);
    }

    pub(crate) fn reconnected(&self) {
        self.reconnects.fetch_add(1, Relaxed);
    }

    pub(crate) fn error(&self, stage: Stage, kind: ErrorKind, text: Arc<str>) {
        self.errors[stage as usize * ErrorKind::ALL.len() + kind as usize].fetch_add(1, Relaxed);
        let now = Instant::now();
        self.last_progress.fetch_max(self.stamp(now) * u64::from(kind != ErrorKind::Connection), Relaxed);
        let mut recent = self.recent_errors.lock().unwrap_or_else(PoisonError::into_inner);
        let next = recent.next;
        recent.times[next] = Some(now);
        recent.next = (next + 1) % ERROR_LIMIT;
        recent.text = Some((stage, text));
    }

    /// Reads all counters. Not one moment to the nanosecond: messages go on meanwhile.
    #[must_use]
    pub(crate) fn snapshot(&self, in_flight: usize, bytes_in_flight: usize) -> FlowSnapshot {
        let now = Instant::now();
        let at = self.stamp(now);
        let since = |stamp: &AtomicU64| match stamp.load(Relaxed) {
            0 => None,
            stamp => Some(Duration::from_millis(at.saturating_sub(stamp))),
        };
        let errors = load(&self.errors);
        let recent = self.recent_errors.lock().unwrap_or_else(PoisonError::into_inner);
        FlowSnapshot {
            messages_in: self.messages_in.load(Relaxed),
            bytes_in: self.bytes_in.load(Relaxed),
            messages_out: self.messages_out.load(Relaxed),
            bytes_out: self.bytes_out.load(Relaxed),
            duplicates: self.duplicates.load(Relaxed),
            retries: self.retries.load(Relaxed),
            reconnects: self.reconnects.load(Relaxed),
            dropped: load(&self.dropped),
            errors: std::array::from_fn(|stage| {
                std::array::from_fn(|kind| errors[stage * ErrorKind::ALL.len() + kind])
            }),
            in_flight: in_flight as u64,
            bytes_in_flight: bytes_in_flight as u64,
            lag: self.lag.load(Relaxed),
            latency: load(&self.latency),
            latency_sum: Duration::from_micros(self.latency_sum_us.load(Relaxed)),
            since_in: since(&self.last_in),
            since_out: since(&self.last_out),
            stalled: if in_flight == 0 {
                Duration::ZERO
            } else {
                since(&self.last_progress).unwrap_or_default()
            },
            running: now - self.started,
            input_up: self.input_up.load(Relaxed),
            output_up: self.output_up.load(Relaxed),
            recent_errors: recent.times.iter().flatten().filter(|t| now - **t <= ERROR_WINDOW).count(),
            last_error: recent.text.clone(),
        }
    }
}
