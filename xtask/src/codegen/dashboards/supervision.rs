//! The tree: its size, its pace, who is not well, and what the executor does for it.

use fsm_metrics::{EngineMetric, Metric as _, NodeMetric, PoolMetric, StoreMetric, SubscriberMetric};

use super::super::grafana::{Dashboard, Panel, Row, Variable, WINDOW};
use super::super::promql::{Expr, Select, at_most, count, quantile, series};
use super::instance;

/// What can be chosen.
const BY: &[&str] = &["instance", "supervisor_id", "path"];
/// Most panels have one line per kind.
const KIND: &[&str] = &["supervisor_id"];

pub(super) fn dashboard() -> Dashboard {
    Dashboard {
        uid: "supervision",
        title: "fsm: supervision",
        says: "The tree of workers: who runs, how fast a change passes, what fails and is tried again.",
        variables: vec![
            instance(),
            Variable { label: "supervisor_id", title: "Kind", of: NodeMetric::ChildCount.def() },
            Variable { label: "path", title: "Path", of: NodeMetric::ChildCount.def() },
        ],
        rows: vec![
            Row { title: "Now", panels: vec![size(), degraded(), incidents(), circuits_now()] },
            Row { title: "Tree", panels: vec![phases(), children(), health(), transitions()] },
            Row { title: "Ticks", panels: vec![depth(), propagation(), ticks(), economy()] },
            Row {
                title: "Reconciling",
                panels: vec![reconciles(), reconcile_errors(), reconcile_time(), changes()],
            },
            Row { title: "Templates", panels: vec![template_errors(), render_time()] },
            Row { title: "Freshness", panels: vec![age(), fresh(), stale(), observations()] },
            Row { title: "Faults", panels: vec![circuits(), restarts(), panics(), recoveries()] },
            Row {
                title: "Actions",
                panels: vec![pool(), queue(), attempts(), attempt_time(), waits(), leaks()],
            },
            Row { title: "Store and events", panels: vec![writes(), dropped(), reloads()] },
        ],
    }
}

fn chosen(all: Select) -> Select {
    all.chosen(BY)
}

fn here(all: Select) -> Select {
    all.chosen(&["instance"])
}

fn now(metric: NodeMetric, by: &[&'static str]) -> Expr {
    chosen(series(metric)).now().sum_by(by)
}

fn rate(metric: NodeMetric, by: &[&'static str]) -> Expr {
    chosen(series(metric)).rate(WINDOW).sum_by(by)
}

fn p95(metric: NodeMetric) -> Expr {
    quantile(0.95, metric, chosen, WINDOW, KIND)
}

fn size() -> Panel {
    Panel::number("short", "Nodes", "Nodes in the tree.")
        .shows("nodes", here(series(EngineMetric::HierarchySize)).now().sum_by(&[]))
}

fn degraded() -> Panel {
    Panel::number("short", "Degraded", "Nodes that should run and don't, or whose observation is too old.")
        .limits(1.0, 5.0)
        .shows("degraded", chosen(series(NodeMetric::Workers)).with("phase", "degraded").now().sum_by(&[]))
}

fn incidents() -> Panel {
    Panel::number("short", "Incidents", "Shared infrastructure that can't be reached.")
        .limits(1.0, 2.0)
        .shows("incidents", now(NodeMetric::IncidentsOpen, &[]))
}

fn circuits_now() -> Panel {
    Panel::number(
        "short",
        "Open circuits",
        "Nodes that are not asked, because they panic or their infrastructure is away.",
    )
    .limits(1.0, 5.0)
    .shows("open", now(NodeMetric::CircuitOpen, &[]))
}

fn phases() -> Panel {
    Panel::stacked("short", "Nodes by phase", "Effective phases: a stale node counts as degraded.")
        .full()
        .shows("{{phase}}", now(NodeMetric::Workers, &["phase"]))
}

fn children() -> Panel {
    Panel::lines("short", "Child count", "Direct children of the nodes of a kind.")
        .shows("{{supervisor_id}}", now(NodeMetric::ChildCount, KIND))
}

fn health() -> Panel {
    Panel::stacked(
        "cps",
        "Children that changed, by what their parent sees",
        "Changes, not children: a quiet tree shows nothing.",
    )
    .shows("{{status}}", rate(NodeMetric::ChildHealthCheckTotal, &["status"]))
}

fn transitions() -> Panel {
    Panel::lines("cps", "State transitions", "Moves per second; a kind that moves all the time is flapping.")
        .full()
        .shows(
            "{{supervisor_id}}: {{from_state}} → {{to_state}}",
            rate(NodeMetric::StateTransitionsTotal, &["supervisor_id", "from_state", "to_state"]),
        )
}

fn depth() -> Panel {
    Panel::lines("short", "Tick propagation depth", "Levels that the last tick visited below a supervisor.")
        .shows("{{supervisor_id}}", chosen(series(NodeMetric::TickPropagationDepth)).now().max_by(KIND))
}

fn propagation() -> Panel {
    Panel::lines(
        "s",
        "p95 tick propagation",
        "From a supervisor's own visit to the last one below it in the same tick.",
    )
    .shows("{{supervisor_id}}", p95(NodeMetric::TickPropagationDuration))
}

fn ticks() -> Panel {
    let of = |share| quantile(share, EngineMetric::TickDuration, here, WINDOW, &["instance"]);
    // 10 ms is what a tick is promised to stay below; 100 ms is an overrun at the default interval.
    Panel::lines("s", "Tick duration", "A tick that takes longer than a tenth of the interval is an overrun.")
        .limits(0.01, 0.1)
        .shows("{{instance}} p50", of(0.5))
        .shows("{{instance}} p99", of(0.99))
}

fn economy() -> Panel {
    let of = |metric| here(series(metric)).rate(WINDOW).sum_by(&[]);
    Panel::lines(
        "cps",
        "Nodes evaluated and left alone",
        "Cost follows change: an idle tree evaluates next to nothing.",
    )
    .shows("evaluated", of(EngineMetric::NodesEvaluatedTotal))
    .shows("left alone", of(EngineMetric::NodesSkippedTotal))
}

fn reconciles() -> Panel {
    Panel::stacked("cps", "Reconcile rate", "Reconciles by their result.")
        .shows("{{result}}", rate(NodeMetric::ReconciliationTotal, &["result"]))
}

fn reconcile_errors() -> Panel {
    let failed = chosen(series(NodeMetric::ReconciliationTotal)).with_any("result", &["partial", "error"]);
    Panel::lines(
        "percentunit",
        "Reconcile error ratio",
        "Share of reconciles that could not apply everything.",
    )
    .shows(
        "{{supervisor_id}}",
        failed.rate(WINDOW).sum_by(KIND).over(rate(NodeMetric::ReconciliationTotal, KIND)),
    )
}

fn reconcile_time() -> Panel {
    Panel::lines("s", "p95 reconcile duration", "Comparing what is declared with what is there.")
        .shows("{{supervisor_id}}", p95(NodeMetric::ReconciliationDuration))
}

fn changes() -> Panel {
    Panel::stacked("cps", "Children changed", "What reconciles did to children.")
        .shows("{{change}}", rate(NodeMetric::ChildrenChangedTotal, &["change"]))
}

fn template_errors() -> Panel {
    Panel::stacked("cps", "Template errors", "Renders that gave no value, by why.").shows(
        "{{supervisor_id}} {{error_type}}",
        rate(NodeMetric::TemplateRenderingErrorsTotal, &["supervisor_id", "error_type"]),
    )
}

fn render_time() -> Panel {
    Panel::lines("s", "p95 render duration", "Rendering the template of one child.")
        .shows("{{supervisor_id}}", p95(NodeMetric::TemplateRenderingDuration))
}

fn age() -> Panel {
    Panel::lines("s", "p95 age of observations", "How old what an evaluation saw was.")
        .shows("{{supervisor_id}}", p95(NodeMetric::ObservationAge))
}

fn fresh() -> Panel {
    let young = chosen(at_most(NodeMetric::ObservationAge, 1.0)).rate(WINDOW).sum_by(KIND);
    let all = chosen(count(NodeMetric::ObservationAge)).rate(WINDOW).sum_by(KIND);
    Panel::lines(
        "percentunit",
        "Decisions on what was seen within a second",
        "Share of evaluations with an observation at most 1 s old.",
    )
    .shows("{{supervisor_id}}", young.over(all))
}

fn stale() -> Panel {
    Panel::lines(
        "cps",
        "Turned stale, collectors restarted",
        "Observations that became too old, and collectors that were started again.",
    )
    .shows("{{supervisor_id}} stale", rate(NodeMetric::ObservationStaleTotal, KIND))
    .shows("{{supervisor_id}} restarted", rate(NodeMetric::CollectorRestartsTotal, KIND))
}

fn observations() -> Panel {
    Panel::stacked("cps", "Observations by result", "Collections that ended, per second.")
        .shows("{{result}}", rate(NodeMetric::ObservationTotal, &["result"]))
}

fn circuits() -> Panel {
    Panel::lines("short", "Circuit state", "Nodes whose circuit is open.")
        .shows("{{supervisor_id}} {{circuit}}", now(NodeMetric::CircuitOpen, &["supervisor_id", "circuit"]))
}

fn restarts() -> Panel {
    Panel::stacked("cps", "Restarts", "Restarts of nodes by their cause.")
        .shows("{{supervisor_id}} {{cause}}", rate(NodeMetric::RestartsTotal, &["supervisor_id", "cause"]))
}

fn panics() -> Panel {
    Panel::stacked("cps", "Panics", "Panics that were caught, by where.").shows(
        "{{supervisor_id}} {{where}}",
        rate(NodeMetric::PanicRecoveryTotal, &["supervisor_id", "where"]),
    )
}

fn recoveries() -> Panel {
    Panel::lines("s", "p95 time without infrastructure", "How long something shared could not be reached.")
        .shows("{{supervisor_id}}", p95(NodeMetric::InfrastructureRecoveryDuration))
}

fn pool() -> Panel {
    Panel::lines("percentunit", "Action pool", "Share of the places for actions that are taken.")
        .limits(0.8, 0.95)
        .shows("{{pool_name}}", here(series(PoolMetric::WorkerPoolUtilization)).now().max_by(&["pool_name"]))
}

fn queue() -> Panel {
    Panel::lines("short", "Action queue", "Actions that wait for a place, and those that run.")
        .shows(
            "{{pool_name}} waiting",
            here(series(PoolMetric::WorkerPoolQueueSize)).now().sum_by(&["pool_name"]),
        )
        .shows("{{supervisor_id}} running", now(NodeMetric::ActionInFlight, KIND))
}

fn attempts() -> Panel {
    Panel::stacked("cps", "Attempts of actions by outcome", "Every attempt has one outcome.").shows(
        "{{status}}",
        chosen(count(NodeMetric::ActionExecutionDuration)).rate(WINDOW).sum_by(&["status"]),
    )
}

fn attempt_time() -> Panel {
    Panel::lines("s", "p95 duration of an attempt", "How long actions take.").shows(
        "{{supervisor_id}} {{action_type}}",
        quantile(
            0.95,
            NodeMetric::ActionExecutionDuration,
            chosen,
            WINDOW,
            &["supervisor_id", "action_type"],
        ),
    )
}

fn waits() -> Panel {
    Panel::lines("s", "p95 wait for a place", "From the queue to the start of an action.")
        .shows("{{supervisor_id}}", p95(NodeMetric::ActionWait))
}

fn leaks() -> Panel {
    Panel::lines("short", "Left behind", "Blocking actions and collectors that were given up and still run.")
        .limits(1.0, 5.0)
        .shows(
            "{{supervisor_id}} {{action_type}}",
            now(NodeMetric::ActionLeaked, &["supervisor_id", "action_type"]),
        )
        .shows("{{supervisor_id}} collectors", now(NodeMetric::CollectorsLeaked, KIND))
}

fn writes() -> Panel {
    Panel::lines("s", "p95 write to the store", "Until a batch of changes was durable.")
        .width(8)
        .shows("{{role}}", quantile(0.95, StoreMetric::StoreWriteDuration, here, WINDOW, &["role"]))
}

fn dropped() -> Panel {
    Panel::lines("cps", "Events dropped", "Events that a subscriber lost because it lagged.").width(8).shows(
        "{{subscriber}}",
        here(series(SubscriberMetric::EventsDroppedTotal)).rate(WINDOW).sum_by(&["subscriber"]),
    )
}

fn reloads() -> Panel {
    Panel::stacked("short", "Reloads of the config", "By their result.").width(8).shows(
        "{{result}}",
        here(series(EngineMetric::ConfigReloadTotal)).increase(WINDOW).sum_by(&["result"]),
    )
}
