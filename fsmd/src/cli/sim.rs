//! `fsmd sim`: a config under simulation, seed after seed.

use std::path::PathBuf;

use fsm_testkit::simulate::Report;

use super::Failure;
use crate::config;
use crate::kinds;
use crate::sim::{self, Mix};

/// What `sim` was asked for.
#[derive(Debug)]
pub(super) struct Options {
    pub(super) config: PathBuf,
    pub(super) seed: u64,
    pub(super) seeds: u64,
    pub(super) faults: Mix,
    pub(super) hours: Option<u64>,
}

impl Options {
    /// The command that repeats this seed.
    fn again(&self, seed: u64) -> String {
        let hours = self.hours.map(|hours| format!(" --hours {hours}")).unwrap_or_default();
        let (config, faults) = (self.config.display(), self.faults.as_str());
        format!("fsmd sim {config} --seed {seed} --faults {faults}{hours}")
    }
}

pub(super) fn run(options: &Options) -> Result<String, Failure> {
    let checking = kinds::for_checking().map_err(|error| Failure::of(&error))?;
    let loaded = config::load(&options.config, &checking)
        .map_err(|found| Failure::of_config(&options.config, &found))?;
    let simulation = sim::simulation(&loaded).faults(options.faults.faults(options.hours));
    let (mut text, mut total) = (String::new(), Report::default());
    for seed in (options.seed..).take(usize::try_from(options.seeds).unwrap_or(usize::MAX)) {
        match simulation.run_seed(seed) {
            Ok(report) => {
                text += &sim::held(seed, &report);
                total = total.and(report);
            }
            Err(failure) => {
                text += &sim::broken(&failure, &options.again(seed));
                return Err(Failure::answered(text));
            }
        }
    }
    text += &sim::total(options.seed, options.seeds, &total);
    Ok(text)
}
