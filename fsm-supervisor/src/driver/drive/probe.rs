//! Probes of what nodes need of the outside world: one task per key, dropped with the loop (S-41).

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use fsm_core::{Infrastructure, Probe, chain};
use tokio::net::TcpStream;

use super::Drive;
use crate::driver::tasks::{AbortOnDrop, spawn};
use crate::input::Input;

/// The probes under way, by number.
pub(super) type Probes = HashMap<u64, AbortOnDrop>;

impl Drive {
    pub(super) fn probe(&mut self, infrastructure: Infrastructure, number: u64, timeout: Duration) {
        let inbox = Arc::clone(&self.shared.inbox);
        let task = spawn(async move {
            let result = reach(&infrastructure.probe, timeout).await;
            inbox.put(Input::Probed { key: infrastructure.key, number, result });
        });
        self.probes.insert(number, AbortOnDrop(task.abort_handle()));
    }
}

/// Whether it is there, and why not.
async fn reach(probe: &Probe, timeout: Duration) -> Result<(), Arc<str>> {
    match probe {
        Probe::Tcp { address } => match tokio::time::timeout(timeout, TcpStream::connect(&**address)).await {
            Ok(Ok(_connection)) => Ok(()),
            Ok(Err(error)) => Err(chain(&error)),
            Err(_elapsed) => {
                Err(format!("no connection within {}", fsm_core::HumanDuration::new(timeout)).into())
            }
        },
        // Another probe comes with another version of the core.
        _ => Err("this version has no such probe".into()),
    }
}
