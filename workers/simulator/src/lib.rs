//! Worker kind `device_simulator`: a plant with plausible signals over real protocols, so that a bridge can be
//! tried without a machine at hand.
//!
//! [`Plant`] is the model: pure, seeded, and the same at any moment however often it was asked before. Each
//! machine runs, idles and fails with dwell times of its own; temperatures, speeds, power and vibration follow
//! its state with inertia, drift and noise; vibration rises before a failure; parts are counted while it runs.
//! [`publisher`] sends the signals to an MQTT broker.
//!
//! Modbus TCP and OPC UA servers of the same plant will stand beside the publisher.

// The worker.
mod config;
mod state;
mod worker;

// The publisher.
mod publisher;

// The model.
mod noise;
mod plant;

pub use config::{
    ConfigError, Machine, MachineName, MqttTarget, MqttUrl, Password, Payload, Qos, SimulatorConfig,
    TopicTemplate,
};
pub use plant::{MachineType, Plant, Signal, Value};
pub use publisher::{PublisherHandle, PublisherStatus, publisher};
pub use state::SimulatorState;
pub use worker::{DeviceSimulator, SimulatorAction, SimulatorLife, SimulatorObserved, register};
