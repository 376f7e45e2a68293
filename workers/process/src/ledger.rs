//! Notes of what runs, on disk: with them the next start ends what survived a SIGKILL of both its owner and its keeper.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::identity::{self, Dying, Identity};

/// The variable by which a descendant of a run is known, wherever it went.
pub(crate) const EXEC_ID: &str = "FSM_EXEC_ID";

/// A folder of notes, one per run in progress.
///
/// A note is not synced: it has to outlive this process, not the machine, whose next boot has none of these processes.
#[derive(Debug, Clone)]
pub struct Ledger {
    folder: PathBuf,
}

/// Why notes can't be kept.
#[derive(Debug, thiserror::Error)]
#[error("can't use {} for notes of running programs; check that the folder can be created and written", folder.display())]
pub struct LedgerError {
    folder: PathBuf,
    source: io::Error,
}

/// What [`Ledger::end_survivors`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Survivors {
    /// Notes of runs whose owner has died.
    pub runs: usize,
    /// Processes of them that still lived and were killed.
    pub killed: usize,
}

/// Who is who in one run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Note {
    pub(crate) boot: String,
    pub(crate) exec_id: String,
    pub(crate) owner: Identity,
    pub(crate) keeper: Identity,
    pub(crate) tool: Identity,
}

/// One note; the file goes with it.
#[derive(Debug)]
pub(crate) struct Entry(PathBuf);

impl Drop for Entry {
    fn drop(&mut self) {
        // A note that stays is looked at by the next start, and found to be about nobody.
        let _ = fs::remove_file(&self.0);
    }
}

impl Ledger {
    /// Keeps notes in `folder`, which is created.
    ///
    /// # Errors
    /// [`LedgerError`] when it can't be.
    pub fn open(folder: impl Into<PathBuf>) -> Result<Self, LedgerError> {
        let folder = folder.into();
        match fs::create_dir_all(&folder) {
            Ok(()) => Ok(Self { folder }),
            Err(source) => Err(LedgerError { folder, source }),
        }
    }

    pub(crate) fn note(&self, note: &Note) -> Result<Entry, LedgerError> {
        let path = self.folder.join(format!("{}-{}.run", note.tool.pid, note.tool.start));
        let draft = path.with_extension("draft");
        let text = serde_json::to_vec(note).unwrap_or_default();
        fs::write(&draft, text)
            .and_then(|()| fs::rename(&draft, &path))
            .map(|()| Entry(path))
            .map_err(|source| LedgerError { folder: self.folder.clone(), source })
    }

    /// Kills what runs of dead owners left, and forgets those runs. To be called before anything is run.
    ///
    /// Only a process that is known by pid and start time, or by the id of its run in its environment, is touched; runs of an
    /// owner that lives are left alone.
    ///
    /// # Errors
    /// [`LedgerError`] when the folder can't be read.
    pub fn end_survivors(&self) -> Result<Survivors, LedgerError> {
        let fail = |source| LedgerError { folder: self.folder.clone(), source };
        let boot = identity::boot_id();
        let mut found = Survivors::default();
        for file in fs::read_dir(&self.folder).map_err(fail)? {
            let path = file.map_err(fail)?.path();
            let Some(note) = read(&path) else { continue };
            if note.boot == boot {
                if note.owner.lives() {
                    continue;
                }
                found.runs += 1;
                found.killed += end_run(&note);
            }
            drop(Entry(path));
        }
        Ok(found)
    }
}

fn read(path: &Path) -> Option<Note> {
    if path.extension()? != "run" {
        return None;
    }
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

/// Rounds in which new processes may still come to light: one per generation of a program that forks while it is killed.
const ROUNDS: usize = 16;

/// Kills every process of a run that can be known as such; answers how many there were.
pub(crate) fn end_run(note: &Note) -> usize {
    let mark = format!("{EXEC_ID}={}", note.exec_id);
    let mut killed = 0;
    for _ in 0..ROUNDS {
        let mut doomed = Vec::new();
        for known in [note.keeper, note.tool] {
            if known.lives() {
                // Parents before children, which would otherwise go on when those end.
                doomed.push(known);
                doomed.extend(identity::descendants(known.pid).into_iter().map(|seen| seen.identity));
            }
        }
        let group = if note.tool.lives() { note.tool.pid } else { 0 };
        for seen in identity::all() {
            let ours = (group != 0 && seen.group == group) || identity::has_env(seen.identity.pid, &mark);
            if ours && !seen.zombie && !doomed.contains(&seen.identity) {
                doomed.push(seen.identity);
            }
        }
        // The keeper last: while it lives it reaps and adopts.
        doomed.sort_by_key(|one| *one == note.keeper);
        let dying: Vec<_> = doomed.into_iter().filter_map(Identity::kill).collect();
        if dying.is_empty() {
            break;
        }
        killed += dying.len();
        dying.into_iter().for_each(Dying::wait);
    }
    killed
}
