//! Metrics of the program around the nodes: the engine, the pools, the store, the subscribers, the build.

use crate::buckets::{TICK, WORK};
use crate::def::{Group, Init, MetricDef, Values, group};
use crate::words::{ReloadResult, StoreRole};

use Values::Closed;

group! {
    /// Metrics of the engine as a whole.
    EngineMetric(Group::Engine) {
        /// How long a tick took.
        TickDuration = MetricDef::seconds("fsm_tick_duration_seconds", TICK),
            [], "each tick";
        /// Ticks that took longer than a tenth of the tick interval.
        TickOverrunTotal = MetricDef::counter("fsm_tick_overrun_total"),
            [], "a tick overruns";
        /// Nodes that ticks evaluated, because an input of theirs changed.
        NodesEvaluatedTotal = MetricDef::counter("fsm_nodes_evaluated_total"),
            [], "each tick";
        /// Nodes that ticks left alone, because no input of theirs changed.
        NodesSkippedTotal = MetricDef::counter("fsm_nodes_skipped_total"),
            [], "each tick";
        /// Levels of the tree.
        HierarchyDepth = MetricDef::maximum("fsm_hierarchy_depth", ""),
            [], "the tree changes";
        /// Nodes in the tree.
        HierarchySize = MetricDef::gauge("fsm_hierarchy_size", ""),
            [], "the tree changes";
        /// Generation of the config in force.
        ConfigGeneration = MetricDef::maximum("fsm_config_generation", ""),
            [], "a config is applied";
        /// Reloads of the config.
        ConfigReloadTotal = MetricDef::counter("fsm_config_reload_total"),
            [result: Closed(ReloadResult::WORDS)], "a reload ends";
    }
}

group! {
    /// Metrics of a pool of the executor.
    PoolMetric(Group::Pool) {
        /// Share of the pool's places that are taken, 0 to 1.
        WorkerPoolUtilization = MetricDef::maximum("fsm_worker_pool_utilization", "ratio"),
            [], "a place is taken or given back";
        /// Jobs that wait for a place.
        WorkerPoolQueueSize = MetricDef::gauge("fsm_worker_pool_queue_size", ""),
            [], "a job is enqueued or dequeued";
    }
}

group! {
    /// Metrics of the store.
    StoreMetric(Group::Store) {
        /// How long a write took until it was durable.
        StoreWriteDuration = MetricDef::seconds("fsm_store_write_duration_seconds", WORK),
            [role: Closed(StoreRole::WORDS)], "a write is durable";
        /// Change records that were written.
        StoreChangesTotal = MetricDef::counter("fsm_store_changes_total"),
            [role: Closed(StoreRole::WORDS)], "a batch is written";
        /// Size of what the store keeps.
        StoreSizeBytes = MetricDef::gauge("fsm_store_size_bytes", "bytes"),
            [role: Closed(StoreRole::WORDS)], "a batch is written, or a compaction ends";
    }
}

group! {
    /// Metrics of a subscriber of events.
    SubscriberMetric(Group::Subscriber) {
        /// Events that a subscriber lost because it lagged.
        EventsDroppedTotal = MetricDef::counter("fsm_events_dropped_total"),
            [], "a subscriber loses events";
    }
}

group! {
    /// The running program.
    BuildMetric(Group::Build) {
        /// The running version: always 1, the facts are in the labels.
        BuildInfo = MetricDef::maximum("fsm_build_info", "").at(Init::FirstSample),
            [], "at the start";
    }
}
