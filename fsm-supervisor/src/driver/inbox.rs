//! Where everything that happens waits for the loop. Pushed observations coalesce per node, so a slow tick piles nothing up
//! (I12); everything else is bounded by one collection and one action per node.

use std::sync::{Mutex, PoisonError};

use fsm_core::NodeId;
use indexmap::IndexMap;
use tokio::sync::Notify;

use crate::input::Input;

#[derive(Default)]
struct Waiting {
    inputs: Vec<Input>,
    pushed: IndexMap<NodeId, Input>,
}

/// The loop's letter box.
pub(crate) struct Inbox {
    waiting: Mutex<Waiting>,
    news: Notify,
}

impl Inbox {
    pub(crate) fn new() -> Self {
        Self { waiting: Mutex::new(Waiting::default()), news: Notify::new() }
    }

    /// Never blocks for longer than another put.
    pub(crate) fn put(&self, input: Input) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Input::Pushed { node, .. } = &input {
            waiting.pushed.insert(*node, input);
        } else {
            waiting.inputs.push(input);
        }
        drop(waiting);
        self.news.notify_one();
    }

    /// Takes all into `inputs`, in order of arrival, pushed observations last.
    pub(crate) fn take(&self, inputs: &mut Vec<Input>) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        inputs.append(&mut waiting.inputs);
        inputs.extend(waiting.pushed.drain(..).map(|(_, input)| input));
    }

    /// Completes when something was put since the last take. Cancel-safe: a permit is kept.
    pub(crate) async fn news(&self) {
        self.news.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fsm_core::{Incarnation, Moment};
    use std::sync::Arc;

    // spec: I12
    #[test]
    fn pushed_observations_of_one_node_coalesce() {
        let inbox = Inbox::new();
        let node = NodeId::new(1, Incarnation::new(1));
        for n in 0..1_000_u64 {
            inbox.put(Input::Pushed { node, taken: Moment::from_nanos(n), value: Arc::new(n) });
        }
        let mut inputs = Vec::new();
        inbox.take(&mut inputs);
        assert_eq!(inputs.len(), 1);
        assert!(matches!(inputs[0], Input::Pushed { taken, .. } if taken.as_nanos() == 999));
    }
}
