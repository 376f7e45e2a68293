//! The course of one machine through its states. Each stay is drawn when it begins; within it every value is a
//! closed formula of the time since then, so that the pace of questions can't change an answer.

use std::time::Duration;

use super::profile::{Analog, MachineType, Profile, Seconds};
use super::{Signal, Value};
use crate::noise::Noise;

/// Seconds in which a drift changes its direction.
const DRIFT_PERIOD: f64 = 45.0;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Running,
    Idle,
    Fault,
}

/// One stay in one mode.
#[derive(Debug, Clone, Copy)]
struct Stay {
    number: u64,
    mode: Mode,
    start: Duration,
    end: Duration,
    ends_in_fault: bool,
}

/// One machine between its start and now.
#[derive(Debug, Clone)]
pub(super) struct Course {
    profile: &'static Profile,
    noise: Noise,
    now: Duration,
    stay: Stay,
    /// Where each analog signal stood when the stay began, without drift and noise.
    levels: Vec<f64>,
    /// Parts that were finished before the stay, and how far the next one was.
    parts: f64,
}

impl Course {
    pub(super) fn new(kind: MachineType, noise: Noise) -> Self {
        let profile = kind.profile();
        let noise = noise.named(kind.name());
        // At the start it has been running for a while: a quick look shows something.
        let stay = stay(profile, noise, 0, Mode::Running, Duration::ZERO);
        let levels = profile.analogs.iter().map(|analog| analog.running).collect();
        Self { profile, noise, now: Duration::ZERO, stay, levels, parts: 0.0 }
    }

    pub(super) fn signals(&self) -> usize {
        1 + self.profile.analogs.len() + usize::from(self.profile.cycle > 0.0)
    }

    pub(super) fn advance(&mut self, at: Duration) {
        self.now = self.now.max(at);
        while self.now >= self.stay.end {
            let end = self.stay.end;
            for index in 0..self.levels.len() {
                self.levels[index] = self.level(index, end);
            }
            self.parts = self.parts_at(end);
            let next = match self.stay.mode {
                Mode::Running if self.stay.ends_in_fault => Mode::Fault,
                Mode::Running | Mode::Fault => Mode::Idle,
                Mode::Idle => Mode::Running,
            };
            self.stay = stay(self.profile, self.noise, self.stay.number + 1, next, end);
        }
    }

    pub(super) fn read(&self, machine: usize, signals: &mut Vec<Signal>) {
        let word = match self.stay.mode {
            Mode::Running => "running",
            Mode::Idle => "idle",
            Mode::Fault => "fault",
        };
        signals.push(Signal { machine, name: "state", unit: "", value: Value::Word(word) });
        signals.extend(self.profile.analogs.iter().enumerate().map(|(index, analog)| Signal {
            machine,
            name: analog.name,
            unit: analog.unit,
            value: Value::Number(self.reading(index, analog)),
        }));
        if self.profile.cycle > 0.0 {
            // Parts are positive and far below 2^53.
            let count = self.parts_at(self.now).floor() as u64;
            signals.push(Signal { machine, name: "parts", unit: "", value: Value::Count(count) });
        }
    }

    /// The value without drift and noise: on its way from the stay's first level to the mode's target.
    fn level(&self, index: usize, at: Duration) -> f64 {
        let analog = &self.profile.analogs[index];
        let target = match self.stay.mode {
            Mode::Running => analog.running,
            Mode::Idle | Mode::Fault => analog.idle,
        };
        let passed = (at - self.stay.start).as_secs_f64();
        target + (self.levels[index] - target) * (-passed / analog.inertia).exp()
    }

    fn reading(&self, index: usize, analog: &Analog) -> f64 {
        let noise = self.noise.of(index as u64);
        // What stands still neither wanders nor trembles.
        let level = self.level(index, self.now);
        let activity = if analog.idle == 0.0 { (level / analog.running).clamp(0.0, 1.0) } else { 1.0 };
        let drift = analog.drift * noise.named("drift").smooth(self.now.as_secs_f64() / DRIFT_PERIOD);
        let tremble = analog.noise * noise.named("tremble").bell(self.now.as_millis() as u64);
        let value = level + self.strain() * analog.strain + (drift + tremble) * activity;
        // No instrument here knows negative values; the sum turns -0 into 0.
        (value * analog.scale).round().max(0.0) / analog.scale + 0.0
    }

    /// 0 to 1 over the last half of a run that a fault ends, growing faster and faster.
    fn strain(&self) -> f64 {
        if !self.stay.ends_in_fault {
            return 0.0;
        }
        let whole = (self.stay.end - self.stay.start).as_secs_f64();
        let passed = (self.now - self.stay.start).as_secs_f64();
        (2.0 * passed / whole - 1.0).max(0.0).powi(2)
    }

    fn parts_at(&self, at: Duration) -> f64 {
        match self.stay.mode {
            Mode::Running if self.profile.cycle > 0.0 => {
                self.parts + (at - self.stay.start).as_secs_f64() / self.profile.cycle
            }
            Mode::Running | Mode::Idle | Mode::Fault => self.parts,
        }
    }
}

fn stay(profile: &Profile, noise: Noise, number: u64, mode: Mode, start: Duration) -> Stay {
    let noise = noise.named("stay").of(number);
    let (min, max): Seconds = match mode {
        Mode::Running => profile.running,
        Mode::Idle => profile.idle,
        Mode::Fault => profile.fault,
    };
    let length = Duration::from_secs_f64(min + (max - min) * noise.unit(0));
    let ends_in_fault = mode == Mode::Running && noise.unit(1) < profile.fault_chance;
    Stay { number, mode, start, end: start + length, ends_in_fault }
}
