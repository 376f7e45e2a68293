//! A config that changed while it runs (C-5): everything is read and checked first; a bad one changes nothing.

mod fixed;
mod reader;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use fsm_core::{NodePath, Registry};
use fsm_metrics::ReloadResult;
use fsm_supervisor::{ApplyReceipt, Handle};
use fsm_templating::Diagnostics;
use tokio::sync::Notify;

use super::logging;
use crate::config::{self, Inputs, Loaded};
use crate::http::{Api, Wanted};
use fixed::Fixed;
use reader::{ReadError, Reader};

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
    /// As they were last seen.
    inputs: Inputs,
    fixed: Fixed,
    reader: Reader,
    /// The last look failed, and that was said.
    blind: bool,
}

impl Reload {
    pub(super) fn new(path: PathBuf, kinds: Registry, loaded: &Loaded) -> Self {
        Self {
            path,
            kinds: Arc::new(kinds),
            inputs: loaded.inputs.clone(),
            fixed: Fixed::of(loaded),
            reader: Reader::default(),
            blind: false,
        }
    }

    /// Reloads when the files changed, and when asked; for ever.
    ///
    /// # Cancel safety
    /// It may be dropped at any time, which waits for nobody: neither for a file that is being read nor for the tree.
    pub(super) async fn follow(mut self, tree: &Handle, api: &Api, asked: &Notify) {
        loop {
            // Cancel-safe: a notification that nobody took is kept; a look at the files that is dropped is made again.
            tokio::select! {
                () = asked.notified() => {}
                () = self.changed() => {}
            }
            self.reload(tree, api).await;
        }
    }

    /// Completes when the files say something else than when they were last seen.
    async fn changed(&mut self) {
        loop {
            tokio::time::sleep(LOOK).await;
            let mut seen = self.look().await;
            if seen.same(&self.inputs) {
                // Some may be known to rest by now: those are not read again.
                self.inputs = seen;
                continue;
            }
            loop {
                tokio::time::sleep(SETTLE).await;
                let again = self.look().await;
                if again.same(&seen) {
                    self.inputs = again;
                    return;
                }
                seen = again;
            }
        }
    }

    /// The files as they are; as they were seen last while they can't be looked at.
    async fn look(&mut self) -> Inputs {
        let inputs = self.inputs.clone();
        match self.reader.read(&inputs.under_way(), move || inputs.now()).await {
            Ok(now) => {
                self.blind = false;
                now
            }
            Err(error) => {
                if !std::mem::replace(&mut self.blind, true) {
                    tracing::error!(%error, "the files of the config can't be watched for changes");
                }
                self.inputs.clone()
            }
        }
    }

    /// Loads the config and applies it, if it is good and says something new.
    async fn reload(&mut self, tree: &Handle, api: &Api) {
        let mut inputs = Inputs::default();
        let under_way = inputs.under_way();
        let (path, kinds) = (self.path.clone(), Arc::clone(&self.kinds));
        let load = move || {
            let loaded = config::load_noting(&path, &kinds, &mut inputs).map(Box::new);
            (inputs, loaded)
        };
        let result = match self.reader.read(&under_way, load).await {
            Ok((inputs, loaded)) => {
                self.inputs = inputs;
                match loaded {
                    Ok(loaded) => self.apply(tree, api, *loaded).await,
                    Err(found) => {
                        self.refuse(&found);
                        Some(ReloadResult::Refused)
                    }
                }
            }
            Err(error) => {
                give_up(&self.path, &error);
                Some(ReloadResult::Failed)
            }
        };
        if let Some(result) = result {
            // A tree that has ended counts nothing any more.
            let _ = tree.record(move |samples| samples.config_reloaded(result));
        }
    }

    async fn apply(&mut self, tree: &Handle, api: &Api, loaded: Loaded) -> Option<ReloadResult> {
        logging::report(&loaded.warnings, self.fixed.log());
        let fixed = Fixed::of(&loaded);
        for section in self.fixed.differences(&fixed) {
            tracing::warn!(section, "changed, but is read at the start only: restart fsmd for it");
        }
        api.wants(Wanted::of(&loaded.rendered));
        api.exec().offer(loaded.tools, loaded.workflows, &loaded.global);
        let receipt = tree.apply(loaded.root, loaded.global).await.ok()?;
        api.applied();
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
        logging::report(found, self.fixed.log());
        let errors = found.iter().filter(|diagnostic| diagnostic.is_error()).count();
        tracing::error!(
            config = %self.path.display(),
            errors,
            first = %found.iter().find(|diagnostic| diagnostic.is_error()).map(|d| d.message.as_str()).unwrap_or_default(),
            "the config is refused and changes nothing; the last good one goes on"
        );
    }
}

fn give_up(config: &Path, error: &ReadError) {
    let config = config.display();
    tracing::error!(
        %config,
        %error,
        "the config could not be read and changes nothing; the last good one goes on; SIGHUP tries again"
    );
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
