//! A config that changed while it runs (C-5): everything is read and checked first; a bad one changes nothing.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use fsm_core::{NodePath, Registry};
use fsm_metrics::ReloadResult;
use fsm_supervisor::{ApplyReceipt, Handle};
use fsm_templating::Diagnostics;
use tokio::task::JoinSet;

use super::logging;
use crate::config::{self, Inputs, Loaded, MetricsSection, Server, Supervision, Telemetry};

/// How often the files are looked at: a person who saved one looks up about then.
const LOOK: Duration = Duration::from_millis(500);
/// A change is taken once two looks this far apart agree: an editor may be in the middle of writing.
const SETTLE: Duration = Duration::from_millis(50);
/// So many paths are named in the log; a mass change is a number.
const NAMED: usize = 20;

/// The files of a config, and what of them is in force.
pub(super) struct Reload {
    path: PathBuf,
    kinds: Arc<Registry>,
    inputs: Inputs,
    fixed: Fixed,
    /// Reading files blocks; dropping this waits for nobody.
    reading: JoinSet<Read>,
}

/// The sections that are read once, at the start.
#[derive(Debug, Clone, PartialEq)]
struct Fixed {
    agent: String,
    server: Server,
    supervision: Supervision,
    metrics: MetricsSection,
    telemetry: Telemetry,
}

impl Fixed {
    fn of(loaded: &Loaded) -> Self {
        Self {
            agent: loaded.root.name.to_string(),
            server: loaded.server.clone(),
            supervision: loaded.supervision.clone(),
            metrics: loaded.metrics.clone(),
            telemetry: loaded.telemetry.clone(),
        }
    }

    /// The sections that differ.
    fn differences(&self, new: &Self) -> Vec<&'static str> {
        let all = [
            ("agent.name", self.agent != new.agent),
            ("server", self.server != new.server),
            ("supervision", self.supervision != new.supervision),
            ("metrics", self.metrics != new.metrics),
            ("telemetry", self.telemetry != new.telemetry),
        ];
        all.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name).collect()
    }
}

/// What a task that reads files brings back.
enum Read {
    Looked(Inputs),
    Loaded(Inputs, Result<Box<Loaded>, Diagnostics>),
}

impl Reload {
    pub(super) fn new(path: PathBuf, kinds: Registry, loaded: &Loaded) -> Self {
        Self {
            path,
            kinds: Arc::new(kinds),
            inputs: loaded.inputs.clone(),
            fixed: Fixed::of(loaded),
            reading: JoinSet::new(),
        }
    }

    /// Completes when the files are other than those in force.
    ///
    /// # Cancel safety
    /// Nothing is lost: the next call looks again.
    pub(super) async fn changed(&mut self) {
        loop {
            tokio::time::sleep(LOOK).await;
            let mut seen = self.look().await;
            if seen == self.inputs {
                continue;
            }
            loop {
                tokio::time::sleep(SETTLE).await;
                let again = self.look().await;
                if again == seen {
                    return;
                }
                seen = again;
            }
        }
    }

    async fn look(&mut self) -> Inputs {
        let inputs = self.inputs.clone();
        match self.read(move || Read::Looked(inputs.now())).await {
            Some(Read::Looked(now)) => now,
            Some(Read::Loaded(..)) | None => self.inputs.clone(),
        }
    }

    async fn read(&mut self, read: impl FnOnce() -> Read + Send + 'static) -> Option<Read> {
        // What a cancelled call left behind is of no interest.
        self.reading.detach_all();
        self.reading.spawn_blocking(read);
        self.reading.join_next().await?.ok()
    }

    /// Loads the config and applies it, if it is good and says something new.
    pub(super) async fn reload(&mut self, tree: &Handle) {
        let (path, kinds) = (self.path.clone(), Arc::clone(&self.kinds));
        let load = move || {
            // Before, so that a change while it is loaded is seen as one.
            let seen = config::inputs_of(&path);
            Read::Loaded(seen, config::load(&path, &kinds).map(Box::new))
        };
        let result = match self.read(load).await {
            Some(Read::Loaded(_, Ok(loaded))) => self.apply(tree, *loaded).await,
            Some(Read::Loaded(seen, Err(found))) => {
                self.inputs = seen;
                self.refuse(&found);
                Some(ReloadResult::Refused)
            }
            Some(Read::Looked(_)) | None => {
                tracing::error!("the config could not be read; the last good one goes on");
                Some(ReloadResult::Failed)
            }
        };
        if let Some(result) = result {
            // A tree that has ended counts nothing any more.
            let _ = tree.record(move |samples| samples.config_reloaded(result));
        }
    }

    async fn apply(&mut self, tree: &Handle, loaded: Loaded) -> Option<ReloadResult> {
        self.inputs = loaded.inputs.clone();
        logging::report(&loaded.warnings, self.fixed.telemetry.log);
        let fixed = Fixed::of(&loaded);
        for section in self.fixed.differences(&fixed) {
            tracing::warn!(section, "changed, but is read at the start only: restart fsmd for it");
        }
        let receipt = tree.apply(loaded.root, loaded.global).await.ok()?;
        if receipt.is_empty() {
            tracing::info!(
                evaluated = receipt.evaluated,
                "reloaded: the config says the same as before, no node was touched"
            );
            return Some(ReloadResult::Unchanged);
        }
        log(&receipt);
        Some(ReloadResult::Applied)
    }

    /// People read it where they started the daemon; programs read the log and the metric.
    fn refuse(&self, found: &Diagnostics) {
        logging::report(found, self.fixed.telemetry.log);
        let errors = found.iter().filter(|diagnostic| diagnostic.is_error()).count();
        tracing::error!(
            config = %self.path.display(),
            errors,
            first = %found.iter().find(|diagnostic| diagnostic.is_error()).map(|d| d.message.as_str()).unwrap_or_default(),
            "the config is refused and changes nothing; the last good one goes on"
        );
    }
}

fn log(receipt: &ApplyReceipt) {
    tracing::info!(
        generation = receipt.generation,
        created = %names(&receipt.created),
        updated = %names(&receipt.updated),
        leaving = %names(&receipt.leaving),
        "reloaded"
    );
}

fn names(paths: &[NodePath]) -> String {
    let named: Vec<&str> = paths.iter().take(NAMED).map(NodePath::as_str).collect();
    match paths.len().checked_sub(NAMED) {
        None | Some(0) => format!("[{}]", named.join(", ")),
        Some(more) => format!("[{}, and {more} more]", named.join(", ")),
    }
}
