//! The model of the plant: what each machine does at a moment, as a pure function of seed, machine and time.

mod machine;
mod profile;

use std::time::Duration;

pub use profile::MachineType;

use crate::config::Machine;
use crate::noise::Noise;
use machine::Course;

/// What a signal says.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// A measured number, rounded as an instrument would.
    Number(f64),
    /// A counter; it only grows.
    Count(u64),
    /// A fixed word.
    Word(&'static str),
}

/// One value of one machine.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Signal {
    /// Position of the machine in the list that the plant was made of.
    pub machine: usize,
    /// Name of the signal, as in `temperature`.
    pub name: &'static str,
    /// Unit of the value, empty for words and counts.
    pub unit: &'static str,
    /// The value.
    pub value: Value,
}

/// A plant of simulated machines.
///
/// ```
/// use std::time::Duration;
/// use fsm_worker_simulator::{Machine, MachineType, Plant};
///
/// let machines = [Machine::new("press-1".parse()?, MachineType::Press)];
/// let mut plant = Plant::new(7, &machines);
/// let first = plant.step(Duration::from_secs(60)).to_vec();
/// assert_eq!(first[0].name, "state");
///
/// // The same seed tells the same story, whatever was asked before.
/// let mut again = Plant::new(7, &machines);
/// again.step(Duration::from_millis(12_345));
/// assert_eq!(again.step(Duration::from_secs(60)), first);
/// # Ok::<(), fsm_worker_simulator::ConfigError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Plant {
    courses: Vec<Course>,
    signals: Vec<Signal>,
}

impl Plant {
    /// A plant of these machines. A machine's story depends on the seed, its name and its type, not on its
    /// neighbours: adding one changes no other.
    #[must_use]
    pub fn new(seed: u64, machines: &[Machine]) -> Self {
        let noise = Noise::new(seed);
        let courses: Vec<_> = machines
            .iter()
            .map(|machine| Course::new(machine.kind, noise.named(machine.name.as_str())))
            .collect();
        let signals = Vec::with_capacity(courses.iter().map(Course::signals).sum());
        Self { courses, signals }
    }

    /// All signals at `at` after the plant's start, machine by machine, always in the same order. Time does
    /// not run backwards: an earlier moment than the last one is taken for that.
    pub fn step(&mut self, at: Duration) -> &[Signal] {
        self.signals.clear();
        for (machine, course) in self.courses.iter_mut().enumerate() {
            course.advance(at);
            course.read(machine, &mut self.signals);
        }
        &self.signals
    }

    /// How many signals a step gives.
    #[must_use]
    pub fn signals(&self) -> usize {
        self.courses.iter().map(Course::signals).sum()
    }
}

#[cfg(test)]
mod tests;
