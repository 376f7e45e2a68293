//! What a script does to a run, the calm after it, and the end.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use fsm_core::{NodePath, Phase};
use fsm_supervisor::{Command, Input};

use super::super::host::lock;
use super::super::script::{Fault, Happening, Order};
use super::{Check, Moment, Old, RECOVERY, Run, SETTLE, engine, executor};

/// The deadline of the shutdown at the end of each run.
const SHUTDOWN: Duration = Duration::from_secs(30);

impl Run<'_> {
    /// One step of the script.
    pub(super) async fn happen(&mut self, what: &Happening) -> Check {
        match what {
            Happening::Fault { path, fault, lasts } => {
                let until = self.shared.now() + *lasts;
                lock(&self.present).entry(path.clone()).or_default().push((*fault, until));
            }
            Happening::Command { path, order } => self.command(path.clone(), *order),
            Happening::Config(variant) => {
                self.variant = *variant % self.stage.roots.len();
                self.checks.forgiven();
                self.root();
            }
            Happening::Extra { number, present } => self.extra(*number, *present),
            Happening::Suspend(time) => tokio::time::advance(*time).await,
            Happening::WallClock(by) => {
                self.shared.wall.fetch_add(*by, Ordering::Relaxed);
            }
            Happening::StoreStalls(time) => {
                self.stalled_until = self.shared.now() + *time;
                self.journal.stall(true);
            }
            Happening::Kill => self.kill().await,
            Happening::Late => return self.late(),
            Happening::Disturb { number, value } => {
                if let Some((name, disturb)) = self.stage.disturbances.get(*number) {
                    self.note(name);
                    disturb(*value);
                }
            }
        }
        Ok(())
    }

    fn command(&mut self, path: NodePath, order: Order) {
        let who = || Arc::from("operator");
        self.checks.forgiven();
        let command = match order {
            Order::Stop => Command::Stop { path, who: who() },
            Order::Start => Command::Start { path, who: who() },
            Order::Restart => Command::Restart { path, who: who() },
            Order::Retry => Command::Retry { path, who: who() },
            Order::Collect => Command::Collect { path },
        };
        // A refusal is an answer like any other.
        self.input(Input::Command(command));
    }

    fn extra(&mut self, number: usize, present: bool) {
        let Some((parent, child)) = self.stage.extras.get(number) else { return };
        self.checks.forgiven();
        let (parent, who) = (parent.clone(), Arc::from("operator"));
        let command = if present {
            Command::Upsert { parent, spec: Box::new(child.clone()), who }
        } else {
            Command::Delete { parent, name: child.name.clone(), who }
        };
        self.input(Input::Command(command));
    }

    pub(super) fn unstall(&mut self) {
        if self.stalled_until != Moment::ZERO && self.shared.now() >= self.stalled_until {
            self.stalled_until = Moment::ZERO;
            self.journal.stall(false);
        }
    }

    /// The process dies and is started again: what was in memory is gone, the world is as it was left.
    async fn kill(&mut self) {
        for collecting in std::mem::take(&mut self.collecting).into_values() {
            collecting.task.abort();
        }
        self.executor = executor(self.stage, self.seed, &self.shared);
        self.shared.end_all();
        // Aborted tasks are dropped when they are looked at next.
        tokio::time::advance(Duration::from_millis(1)).await;
        self.shared.end_all();
        self.old.clear();
        self.probing.clear();
        self.engine = engine(self.stage, self.seed);
        self.stalled_until = Moment::ZERO;
        self.journal.restore(&mut self.engine);
        self.checks.died();
        self.root();
    }

    /// Inputs that were delivered come again: nothing may change (J3, A-5).
    fn late(&mut self) -> Check {
        self.work()?;
        let before = self.checks.picture(&self.engine);
        for old in self.old.clone() {
            self.input(match old {
                Old::Observed { node, started, taken, generation, failure } => {
                    Input::Observed { node, started, taken, generation, result: Err(failure) }
                }
                Old::Ended { node, report } => Input::ActionEnded { node, report },
            });
        }
        let after = self.checks.picture(&self.engine);
        if before != after {
            return Err(("J3", format!("inputs that came too late counted:\n{before}\n{after}")));
        }
        Ok(())
    }

    /// The last fault is over: everything that was done to the tree is undone.
    pub(super) async fn calm(&mut self) -> Check {
        lock(&self.present).clear();
        (self.stage.calm)();
        self.journal.stall(false);
        self.stalled_until = Moment::ZERO;
        self.variant = 0;
        self.root();
        self.checks.forgiven();
        self.note("-- calm");
        for number in 0..self.stage.extras.len() {
            self.extra(number, false);
        }
        // Every node that an operator stopped, also those that are on their way back.
        let limit = self.shared.now() + SETTLE;
        self.until(|run| run.shared.now() >= limit || run.checks.has_recovered(&run.engine)).await?;
        let stopped: Vec<NodePath> =
            self.engine.tree().into_iter().filter(|e| e.stopped_by.is_some()).map(|e| e.path).collect();
        for path in stopped {
            self.command(path, Order::Start);
        }
        Ok(())
    }

    /// Everything stops within the deadline, for every other seed while nobody can be observed (S-24).
    pub(super) async fn shut_down(&mut self) -> Check {
        if self.seed.is_multiple_of(2) {
            let forever = self.shared.now() + RECOVERY;
            let paths: Vec<NodePath> = self.engine.tree().into_iter().map(|entry| entry.path).collect();
            for path in paths {
                lock(&self.present).entry(path).or_default().push((Fault::CollectFails, forever));
            }
            // Long enough for everything that was seen to grow stale.
            let stale = self.shared.now() + Duration::from_secs(15);
            self.until(|run| run.shared.now() >= stale).await?;
        }
        self.note("-- shutdown");
        self.input(Input::Command(Command::Shutdown { within: SHUTDOWN }));
        let limit = self.shared.now() + SHUTDOWN + Duration::from_secs(5);
        self.until(|run| run.engine.shutdown_report().is_some() || run.shared.now() >= limit).await?;
        let Some(report) = self.engine.shutdown_report() else {
            return Err(("S-24", "the shutdown did not end in time".into()));
        };
        if !report.forced.is_empty() {
            return Err(("S-24", format!("a willing tree had to be forced: {:?}", report.forced)));
        }
        let stats = self.executor.stats();
        if stats.running + stats.waiting > 0 || !self.collecting.is_empty() && self.at_rest() {
            return Err(("A-10", format!("something goes on after the end: {stats:?}")));
        }
        Ok(())
    }

    fn at_rest(&self) -> bool {
        self.engine.tree().iter().all(|entry| matches!(entry.phase, Phase::Stopped | Phase::Completed))
    }
}
