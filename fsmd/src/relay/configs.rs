//! Configs that come from the relay: what one would change, and taking it (U-4, U-5).
//!
//! It is read in a folder of its own: it can neither name files of this machine nor its environment, whose secrets would come
//! out by the names of nodes or by the texts of errors.

use std::collections::{BTreeMap, HashMap};
use std::path::{Component, Path};

use fsm_core::NodePath;
use fsm_metrics::ReloadResult;
use fsm_supervisor::TreeEntry;
use fsm_worker_communicator::CommandFailure;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinSet;

use super::{Bound, gone};
use crate::config::{self, Inputs, Loaded};
use crate::http::Wanted;

/// Under this name the config is looked for among several files.
const MAIN: &str = "fsmd.yaml";
/// So many errors are answered; the others are counted.
const SHOWN: usize = 10;

/// What this config would create, change and remove; nothing is done.
pub(super) async fn plan(bound: Bound, files: BTreeMap<String, String>) -> Result<Value, CommandFailure> {
    let loaded = load(&bound, files).await?;
    let tree = bound.tree.tree().await.map_err(|_| gone())?;
    let running: HashMap<&NodePath, &TreeEntry> = tree.iter().map(|entry| (&entry.path, entry)).collect();
    let (mut create, mut change) = (Vec::new(), Vec::new());
    let mut wanted = HashMap::new();
    for node in &loaded.rendered.nodes {
        wanted.insert(&node.path, ());
        match running.get(&node.path) {
            None => create.push(&node.path),
            Some(entry) if *entry.kind != *node.kind => change.push(&node.path),
            Some(_) => {
                let view = bound.tree.node(&node.path).await.map_err(|_| gone())?;
                if view.is_none_or(|view| view.config != node.config()) {
                    change.push(&node.path);
                }
            }
        }
    }
    let remove: Vec<_> = tree
        .iter()
        .filter(|entry| !entry.dynamic && !wanted.contains_key(&entry.path))
        .map(|entry| &entry.path)
        .collect();
    let keep = loaded.rendered.nodes.len() - create.len() - change.len();
    Ok(json!({"create": create, "change": change, "remove": remove, "keep": keep}))
}

/// Runs with this config from now on, until the file or somebody else says otherwise.
pub(super) async fn apply(bound: Bound, files: BTreeMap<String, String>) -> Result<Value, CommandFailure> {
    let loaded = load(&bound, files).await?;
    let tree = bound.tree.tree().await.map_err(|_| gone())?;
    let root = loaded.root.name.as_str();
    if let Some(present) = tree.first().map(|entry| entry.path.name()).filter(|present| *present != root) {
        let what =
            format!("`agent.name` is `{present}` here and `{root}` there: this config is for another agent");
        return Err(CommandFailure::new("bad_config", what));
    }
    bound.api.wants(Wanted::of(&loaded.rendered));
    bound.api.exec().offer(loaded.tools, loaded.workflows, &loaded.global);
    let receipt = bound.tree.apply(loaded.root, loaded.global).await.map_err(|_| gone())?;
    bound.api.applied();
    let result = if receipt.is_empty() { ReloadResult::Unchanged } else { ReloadResult::Applied };
    // A tree that has ended counts nothing any more.
    let _ = bound.tree.record(move |samples| samples.config_reloaded(result));
    Ok(serde_json::to_value(&receipt).unwrap_or_default())
}

/// Reads and checks it, where that may block.
async fn load(bound: &Bound, files: BTreeMap<String, String>) -> Result<Loaded, CommandFailure> {
    let kinds = std::sync::Arc::clone(&bound.kinds);
    let mut tasks = JoinSet::new();
    tasks.spawn_blocking(move || {
        let folder = write(&files)?;
        let main = folder.path().join(main_of(&files)?);
        let mut inputs = Inputs::enclosed_in(folder.path());
        config::load_noting(&main, &kinds, &mut inputs).map_err(|found| {
            let errors: Vec<_> = found.iter().filter(|diagnostic| diagnostic.is_error()).collect();
            let mut what: Vec<String> =
                errors.iter().take(SHOWN).map(|error| error.message.to_string()).collect();
            if let Some(more) = errors.len().checked_sub(SHOWN).filter(|more| *more > 0) {
                what.push(format!("and {more} more errors"));
            }
            CommandFailure::new("bad_config", what.join("\n"))
        })
    });
    let failed =
        || CommandFailure::new("panic", "the config can't be checked because of a bug: reading it panicked");
    tasks.join_next().await.and_then(Result::ok).unwrap_or_else(|| Err(failed()))
}

fn main_of(files: &BTreeMap<String, String>) -> Result<&str, CommandFailure> {
    let mut names = files.keys().map(String::as_str);
    match (files.contains_key(MAIN), names.next(), names.next()) {
        (true, _, _) => Ok(MAIN),
        (false, Some(only), None) => Ok(only),
        (false, _, _) => {
            Err(CommandFailure::new("bad_config", format!("which file is the config? call it `{MAIN}`")))
        }
    }
}

fn write(files: &BTreeMap<String, String>) -> Result<TempDir, CommandFailure> {
    let failed = |error: std::io::Error| {
        CommandFailure::new("not_now", format!("the config can't be put aside: {error}"))
    };
    let folder = tempfile::Builder::new().prefix("fsmd-relay-").tempdir().map_err(failed)?;
    for (name, text) in files {
        let inside = !name.is_empty()
            && Path::new(name).components().all(|component| matches!(component, Component::Normal(_)));
        if !inside {
            return Err(CommandFailure::new(
                "bad_config",
                format!("`{name}` is no name of a file beside the config"),
            ));
        }
        if text.contains("${") {
            let what =
                format!("`{name}` holds `${{…}}`, which would be read here: fill it in before it is sent");
            return Err(CommandFailure::new("bad_config", what));
        }
        let path = folder.path().join(name);
        path.parent().map_or(Ok(()), std::fs::create_dir_all).map_err(failed)?;
        std::fs::write(path, text).map_err(failed)?;
    }
    Ok(folder)
}
