//! The daemon: load, bind, start, serve, reload, stop. Nothing is started before the config and the address are good.

mod banner;
mod logging;
mod reload;
pub(crate) mod settings;
mod signals;
mod traces;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use fsm_core::NodePath;
use fsm_metrics::{Metrics, NodeMetricsCollector, NodeMetricsConfig, RunMetrics};
use fsm_store::MemoryStore;
use fsm_supervisor::{Handle, ShutdownReport};
use fsm_templating::Diagnostic;
use fsm_worker_communicator::{Communicator, Exchange};
use fsm_worker_persistence::Persistence;
use tokio::net::TcpListener;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

use crate::agents::TreeAgents;
use crate::cli::Failure;
use crate::config::{self, Loaded};
use crate::relay::Port;
use crate::{http, kinds};
use reload::Reload;
use signals::{Signal, Signals};
use traces::Traces;

/// What `run` was asked for.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    pub(crate) config: PathBuf,
    /// Overrides the level of the config.
    pub(crate) log: Option<String>,
}

/// A flow's threads are few, and each costs memory: an edge box has one to four cores.
const MAX_THREADS: usize = 4;

/// What a release was built from; whoever builds one says it.
const COMMIT: &str = match option_env!("FSMD_COMMIT") {
    Some(commit) => commit,
    None => "unknown",
};

/// Runs until it is told to stop.
///
/// # Errors
/// What kept it from starting, or which nodes had to be forced.
pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    let checking = kinds::for_checking().map_err(|error| Failure::of(&error))?;
    let loaded = config::load(&options.config, &checking)
        .map_err(|found| Failure::of_config(&options.config, &found))?;
    let traces = Traces::start(&loaded.telemetry, loaded.root.name.as_str())?;
    logging::start(&loaded.telemetry, options.log.as_deref(), &traces)?;
    let threads = std::thread::available_parallelism().map_or(2, usize::from).min(MAX_THREADS);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .enable_all()
        .build()
        .map_err(|error| Failure::new(format!("the threads can't be started: {error}")))?;
    let reload = Reload::new(options.config.clone(), checking, &loaded);
    let result = runtime.block_on(daemon(&options.config, loaded, reload, &traces));
    traces.finish();
    // What still reads a file must not hold the end up.
    runtime.shutdown_background();
    result
}

async fn daemon(path: &Path, loaded: Loaded, reload: Reload, traces: &Traces) -> Result<(), Failure> {
    let mut signals =
        Signals::listen().map_err(|error| Failure::new(format!("signals can't be received: {error}")))?;
    let listener = bind(&loaded).await?;
    let address = listener.local_addr().unwrap_or(loaded.server.listen);
    let registry = prometheus::Registry::new();
    let metrics = Metrics::try_new(settings::metrics(&loaded.metrics), &registry)
        .map_err(|error| Failure::of(&error))?;
    metrics.build_info(env!("CARGO_PKG_VERSION"), COMMIT);
    traces.report(&metrics);
    let persistence = Persistence::new(Arc::new(MemoryStore::new(fsm_store::Retention::default())));
    let store = persistence.store();
    let port = Arc::new(Port::default());
    let exchange: Arc<dyn Exchange> = Arc::<Port>::clone(&port);
    let communicator = Communicator::new(exchange, Arc::clone(&store));
    let agent = loaded.root.name.as_str();
    let statistics = Arc::new(
        NodeMetricsCollector::try_new(NodeMetricsConfig::default()).map_err(|error| Failure::of(&error))?,
    );
    let runs = RunMetrics::new(&metrics);
    let process = kinds::process().with_metrics(runs.clone()).with_node_metrics(Arc::clone(&statistics));
    let runner = process.runner();
    let agents = Arc::new(TreeAgents::default());
    let asked = Arc::<TreeAgents>::clone(&agents);
    let kinds = kinds::registry(agent, Some(&metrics), persistence, communicator, process, asked)
        .map_err(|error| Failure::of(&error))?;
    let driver = settings::driver(&loaded.supervision).with_node_metrics(Arc::clone(&statistics));
    let tree = fsm_supervisor::start(kinds, driver, &metrics, Arc::clone(&store))
        .map_err(|error| Failure::of(&error))?;
    agents.bind(tree.clone());
    let within = loaded.supervision.shutdown_timeout.get();
    let root = NodePath::root(&loaded.root.name);
    let needs = http::Needs { tree: tree.clone(), root, store, runner, runs, metrics: metrics.clone() };
    let exec = http::Exec::try_new(&loaded.exec, needs).map_err(|error| Failure::of(&error))?;
    exec.offer(loaded.tools.clone(), loaded.workflows.clone(), &loaded.global);
    let api = http::Api::new(tree.clone(), metrics, statistics, exec, within);
    let checking = kinds::for_checking().map_err(|error| Failure::of(&error))?;
    port.bind(tree.clone(), api.clone(), checking);
    api.wants(http::Wanted::of(&loaded.rendered));
    banner::show(path, address, &loaded);
    logging::report(&loaded.warnings, loaded.telemetry.log);
    let gone = |_| Failure::new("the tree ended by itself");
    tree.apply(loaded.root, loaded.global).await.map_err(gone)?;
    api.applied();

    let (ended, end) = watch::channel(());
    let mut tasks = JoinSet::new();
    tasks.spawn(serve(listener, api.clone(), end));
    serve_signals(&mut signals, &tree, &api, reload).await;
    api.stops();
    tracing::info!(?within, "stopping; a second signal forces it");
    let stopped = stop(&tree, &api, within, &mut signals).await;
    port.unbind();
    agents.unbind();
    drop(ended);
    // A client that doesn't take its answer doesn't hold the end up.
    let _ = tokio::time::timeout(std::time::Duration::from_millis(200), tasks.join_next()).await;
    stopped
}

async fn bind(loaded: &Loaded) -> Result<TcpListener, Failure> {
    let address = loaded.server.listen;
    http::bind(address).await.map_err(|error| {
        if error.kind() != std::io::ErrorKind::AddrInUse {
            return Failure::new(format!("the address {address} can't be listened on: {error}"))
                .help("choose another `server.listen`");
        }
        let help =
            "stop the program that listens there, perhaps another fsmd, or choose another `server.listen`";
        let found = Diagnostic::error(config::PORT_IN_USE, format!("the address {address} is in use"));
        Failure::new(found.path("server.listen").help(help).to_string())
    })
}

async fn serve(listener: TcpListener, api: http::Api, mut end: watch::Receiver<()>) {
    // An error means that the sender is gone, which is the end, too.
    let end = async move { drop(end.changed().await) };
    if let Err(error) = http::serve(listener, api, end).await {
        tracing::error!(%error, "the API ended");
    }
}

/// Lets the config be followed until a signal says stop or the tree ends by itself, which it never should. Whatever hangs in a
/// reload, signals are heard.
async fn serve_signals(signals: &mut Signals, tree: &Handle, api: &http::Api, reload: Reload) {
    let mut events = tree.events_for("daemon");
    let ended = async move { while events.next().await.is_some() {} };
    let mut ended = std::pin::pin!(ended);
    let asked = Notify::new();
    let mut following = std::pin::pin!(reload.follow(tree, api, &asked));
    loop {
        // Cancel-safe: a signal is kept until it is taken; following the config and the end of the tree are pinned outside.
        let signal = tokio::select! {
            signal = signals.next() => signal,
            () = &mut following => return,
            () = &mut ended => return,
        };
        match signal {
            Signal::Stop => return,
            Signal::Reload => asked.notify_one(),
        }
    }
}

/// Stops the tree, and beside it what was called; the next signal forces both.
async fn stop(
    tree: &Handle,
    api: &http::Api,
    within: std::time::Duration,
    signals: &mut Signals,
) -> Result<(), Failure> {
    let gone = |_| Failure::new("the tree ended by itself");
    let mut stopping = std::pin::pin!(tree.shutdown(within));
    let mut ending = std::pin::pin!(api.exec().stop(within));
    let (mut report, mut ended, mut cut_off) = (None, false, false);
    while report.is_none() || !(ended || cut_off) {
        // Cancel-safe: shutdown and calls are pinned outside, a signal is kept until it is taken.
        tokio::select! {
            stopped = &mut stopping, if report.is_none() => report = Some(stopped.map_err(gone)?),
            () = &mut ending, if !ended => ended = true,
            signal = signals.next() => {
                if signal == Signal::Stop {
                    tracing::warn!("forced by a second signal");
                    cut_off = !ended;
                    // It may have ended just now; then the report comes anyway.
                    let _ = tree.force().await;
                }
            }
        }
    }
    report.as_ref().map_or(Ok(()), judge)?;
    match cut_off {
        true => Err(Failure::new("what was called did not end by itself and was forced")),
        false => Ok(()),
    }
}

fn judge(report: &ShutdownReport) -> Result<(), Failure> {
    let took = humantime::format_duration(std::time::Duration::from_millis(report.took.as_millis() as u64));
    if report.forced.is_empty() {
        tracing::info!(%took, "stopped");
        return Ok(());
    }
    let mut what =
        format!("{} nodes did not stop by themselves and were forced after {took}:", report.forced.len());
    for path in &report.forced {
        what.push_str(&format!("\n  {path}"));
    }
    Err(Failure::new(what))
}
