//! What a type of machine is like: its signals, its pace, its habits. Plain data.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Types of machines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum MachineType {
    /// A stamping press: force, strokes, oil temperature.
    Press,
    /// A milling machine: spindle speed, spindle temperature, vibration.
    Mill,
    /// A hardening furnace: slow and hot.
    Furnace,
    /// A pump: flow, pressure, bearing temperature.
    Pump,
    /// A conveyor: belt speed, motor temperature.
    Conveyor,
}

impl MachineType {
    /// All types.
    pub const ALL: &'static [Self] = &[Self::Press, Self::Mill, Self::Furnace, Self::Pump, Self::Conveyor];

    /// The name in a config.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Press => "press",
            Self::Mill => "mill",
            Self::Furnace => "furnace",
            Self::Pump => "pump",
            Self::Conveyor => "conveyor",
        }
    }

    pub(super) const fn profile(self) -> &'static Profile {
        match self {
            Self::Press => &PRESS,
            Self::Mill => &MILL,
            Self::Furnace => &FURNACE,
            Self::Pump => &PUMP,
            Self::Conveyor => &CONVEYOR,
        }
    }
}

/// A range of seconds.
pub(super) type Seconds = (f64, f64);

/// The habits of a type.
#[derive(Debug)]
pub(super) struct Profile {
    pub(super) analogs: &'static [Analog],
    /// Seconds per part; 0 for a machine that makes none.
    pub(super) cycle: f64,
    pub(super) running: Seconds,
    pub(super) idle: Seconds,
    pub(super) fault: Seconds,
    /// How often a run ends in a fault, 0 to 1.
    pub(super) fault_chance: f64,
}

/// A measured signal. It follows its target for the machine's state with inertia, wanders around it, and is
/// noisy.
#[derive(Debug)]
pub(super) struct Analog {
    pub(super) name: &'static str,
    pub(super) unit: &'static str,
    pub(super) running: f64,
    pub(super) idle: f64,
    /// Seconds in which two thirds of a change happen.
    pub(super) inertia: f64,
    /// Slow wandering around the target, as an amplitude.
    pub(super) drift: f64,
    pub(super) noise: f64,
    /// What is added at the end of a run that a fault ends.
    pub(super) strain: f64,
    /// Decimal places of the instrument, as a factor.
    pub(super) scale: f64,
}

impl Analog {
    const fn new(name: &'static str, unit: &'static str, running: f64, idle: f64, inertia: f64) -> Self {
        Self { name, unit, running, idle, inertia, drift: 0.0, noise: 0.0, strain: 0.0, scale: 10.0 }
    }
    const fn wandering(mut self, drift: f64, noise: f64) -> Self {
        self.drift = drift;
        self.noise = noise;
        self
    }
    const fn straining(mut self, strain: f64) -> Self {
        self.strain = strain;
        self
    }
    const fn scale(mut self, scale: f64) -> Self {
        self.scale = scale;
        self
    }
}

static PRESS: Profile = Profile {
    analogs: &[
        Analog::new("temperature", "°C", 61.0, 34.0, 90.0).wandering(2.5, 0.4).straining(6.0),
        Analog::new("speed", "rpm", 42.0, 0.0, 1.5).wandering(0.8, 0.3),
        Analog::new("force", "kN", 630.0, 0.0, 0.8).wandering(8.0, 6.0).straining(45.0),
        Analog::new("vibration", "mm/s", 3.2, 0.2, 0.6).wandering(0.3, 0.35).straining(4.5).scale(100.0),
        Analog::new("power", "kW", 27.0, 2.4, 1.2).wandering(0.8, 0.6).straining(3.0),
    ],
    cycle: 1.4,
    running: (90.0, 420.0),
    idle: (8.0, 45.0),
    fault: (15.0, 90.0),
    fault_chance: 0.12,
};

static MILL: Profile = Profile {
    analogs: &[
        Analog::new("temperature", "°C", 47.0, 27.0, 120.0).wandering(1.8, 0.2).straining(9.0),
        Analog::new("speed", "rpm", 8_200.0, 0.0, 2.5).wandering(60.0, 18.0).scale(1.0),
        Analog::new("vibration", "mm/s", 1.6, 0.1, 0.8).wandering(0.2, 0.2).straining(3.8).scale(100.0),
        Analog::new("power", "kW", 11.5, 1.1, 1.5).wandering(0.9, 0.4).straining(1.6),
    ],
    cycle: 38.0,
    running: (120.0, 900.0),
    idle: (15.0, 60.0),
    fault: (20.0, 120.0),
    fault_chance: 0.1,
};

static FURNACE: Profile = Profile {
    analogs: &[
        Analog::new("temperature", "°C", 860.0, 640.0, 400.0).wandering(4.0, 0.6).straining(-35.0),
        Analog::new("power", "kW", 84.0, 31.0, 4.0).wandering(3.0, 1.2).straining(-22.0),
    ],
    cycle: 75.0,
    running: (600.0, 3_600.0),
    idle: (60.0, 300.0),
    fault: (60.0, 300.0),
    fault_chance: 0.06,
};

static PUMP: Profile = Profile {
    analogs: &[
        Analog::new("temperature", "°C", 52.0, 24.0, 150.0).wandering(1.5, 0.2).straining(11.0),
        Analog::new("speed", "rpm", 2_940.0, 0.0, 1.8).wandering(6.0, 3.0).scale(1.0),
        Analog::new("flow", "m³/h", 38.0, 0.0, 1.2).wandering(0.9, 0.3).straining(-6.0),
        Analog::new("pressure", "bar", 6.2, 0.9, 1.0).wandering(0.15, 0.05).straining(-1.1).scale(100.0),
        Analog::new("vibration", "mm/s", 2.1, 0.1, 0.6).wandering(0.2, 0.2).straining(5.0).scale(100.0),
        Analog::new("power", "kW", 7.4, 0.1, 1.0).wandering(0.2, 0.1).straining(0.9).scale(100.0),
    ],
    cycle: 0.0,
    running: (300.0, 1_800.0),
    idle: (20.0, 120.0),
    fault: (30.0, 120.0),
    fault_chance: 0.08,
};

static CONVEYOR: Profile = Profile {
    analogs: &[
        Analog::new("temperature", "°C", 44.0, 23.0, 110.0).wandering(1.2, 0.2).straining(5.0),
        Analog::new("speed", "m/s", 0.8, 0.0, 0.9).wandering(0.01, 0.005).straining(-0.1).scale(1_000.0),
        Analog::new("power", "kW", 2.2, 0.2, 0.7).wandering(0.1, 0.08).straining(0.7).scale(100.0),
    ],
    cycle: 2.2,
    running: (120.0, 600.0),
    idle: (5.0, 30.0),
    fault: (10.0, 60.0),
    fault_chance: 0.1,
};
