//! How much goes wrong, and the script that a seed makes of it.

use std::time::Duration;

use fastrand::Rng;
use fsm_core::NodePath;

use super::{Fault, Happening, Order, Script, Stage, Step};

/// How much goes wrong, and for how long.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Faults {
    /// The most steps of one script.
    pub most: usize,
    /// The time in which they happen.
    pub within: Duration,
    /// Which faults of jobs there are.
    pub jobs: Vec<Fault>,
    /// Whether the process may be killed.
    pub kills: bool,
    /// Whether operators give commands, change the config, add and remove children.
    pub operators: bool,
}

impl Faults {
    /// Nothing goes wrong.
    #[must_use]
    pub fn none() -> Self {
        Self { most: 0, within: Duration::ZERO, jobs: Vec::new(), kills: false, operators: false }
    }

    /// A bit of everything, in three minutes.
    #[must_use]
    pub fn mix() -> Self {
        Self {
            most: 24,
            within: Duration::from_secs(180),
            jobs: Fault::ALL.to_vec(),
            kills: true,
            operators: true,
        }
    }

    /// The script that this seed makes for a tree of these nodes.
    pub(super) fn script(&self, seed: u64, stage: &Stage, paths: &[NodePath]) -> Script {
        let mut rng = Rng::with_seed(seed);
        let count = if self.most == 0 { 0 } else { rng.usize(1..=self.most) };
        let mut steps: Vec<Step> = Vec::with_capacity(count);
        while steps.len() < count {
            let at = Duration::from_millis(rng.u64(0..=self.within.as_millis() as u64));
            if let Some(what) = self.happening(&mut rng, stage, paths) {
                steps.push(Step { at, what });
            }
        }
        steps.sort_by_key(|step| step.at);
        Script { steps }
    }

    /// One thing; none when the dice show what this stage or mix doesn't have.
    fn happening(&self, rng: &mut Rng, stage: &Stage, paths: &[NodePath]) -> Option<Happening> {
        let path = rng.choice(paths).cloned();
        Some(match rng.u32(0..32) {
            0..=11 => {
                let fault = *rng.choice(&self.jobs)?;
                // Most are short; some last longer than every timeout.
                let longest = *rng.choice(&[500, 5_000, 60_000])?;
                Happening::Fault { path: path?, fault, lasts: Duration::from_millis(rng.u64(1..=longest)) }
            }
            12..=15 if self.operators => Happening::Command { path: path?, order: *rng.choice(&Order::ALL)? },
            16..=19 if self.operators && stage.roots.len() > 1 => {
                Happening::Config(rng.usize(0..stage.roots.len()))
            }
            20..=21 if self.operators && !stage.extras.is_empty() => {
                Happening::Extra { number: rng.usize(0..stage.extras.len()), present: rng.bool() }
            }
            22 => Happening::Suspend(Duration::from_millis(rng.u64(1..=900_000))),
            23 => Happening::WallClock(rng.i64(-86_400_000..=86_400_000)),
            24 => Happening::StoreStalls(Duration::from_millis(rng.u64(1..=30_000))),
            25 if self.kills => Happening::Kill,
            26..=27 => Happening::Late,
            28..=31 if !stage.disturbances.is_empty() => Happening::Disturb {
                number: rng.usize(0..stage.disturbances.len()),
                value: rng.u64(0..1_000),
            },
            _ => return None,
        })
    }
}
