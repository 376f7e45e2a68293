//! The broker against real clients: mosquitto's and rumqttc, and against bytes that no client sends.

mod delivery;
mod hostile;
mod idempotent;
mod idle;
mod lifecycle;
mod sessions;

mod support;
mod worker;
