//! What a store would have when the process is killed: the changes up to the last one that was written, not one more.

use std::collections::BTreeMap;

use fsm_core::NodePath;
use fsm_supervisor::{Change, Engine, Remembered, What};

/// Changes in the order in which they came.
#[derive(Default)]
pub(super) struct Journal {
    kept: BTreeMap<NodePath, Remembered>,
    /// Not written yet: the store stalls.
    waiting: Vec<Change>,
    stalled: bool,
}

impl Journal {
    pub(super) fn take(&mut self, change: Change) {
        self.waiting.push(change);
        if !self.stalled {
            self.write();
        }
    }

    pub(super) fn stall(&mut self, stalled: bool) {
        self.stalled = stalled;
        if !stalled {
            self.write();
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "only what outlives a process is kept")]
    fn write(&mut self) {
        for change in self.waiting.drain(..) {
            let kept = self.kept.entry(change.path).or_default();
            match change.what {
                What::Identity { created_at, .. } => {
                    kept.created_at = created_at;
                    kept.starts += 1;
                }
                What::Override { stopped_by } => kept.stopped_by = stopped_by,
                What::Dynamic { children } => kept.dynamic = children,
                What::Removed => kept.dynamic.clear(),
                _ => {}
            }
        }
    }

    /// What was not written is lost; the rest is given to the engine of the next process.
    pub(super) fn restore(&mut self, engine: &mut Engine) {
        self.waiting.clear();
        self.stalled = false;
        for (path, kept) in &self.kept {
            engine.restore(path.clone(), kept.clone());
        }
    }
}
