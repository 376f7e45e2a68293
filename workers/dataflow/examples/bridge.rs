//! A bridge between two MQTT brokers that acknowledges at the source only what the sink has taken:
//! `bridge SOURCE_URL FILTER SINK_URL`. Prints its counters each second.

use std::sync::Arc;
use std::time::Duration;

use fsm_worker_dataflow::{CancellationToken, Flow, SessionPool};
use serde_json::json;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let (Some(source), Some(filter), Some(sink)) = (args.next(), args.next(), args.next()) else {
        return Err("usage: bridge SOURCE_URL FILTER SINK_URL".into());
    };
    let config = serde_json::from_value(json!({
        "input": {"mqtt": {"url": source, "topic": filter}},
        "output": {"mqtt": {"url": sink}}
    }))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let pool = Arc::new(SessionPool::new("example-bridge"));
        let flow = Flow::try_new("/bridge", Arc::new(config), &pool)?;
        let watch = flow.watch();
        let mut each_second = tokio::time::interval(Duration::from_secs(1));
        each_second.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        each_second.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        let report = async {
            loop {
                each_second.tick().await;
                let s = watch.snapshot();
                println!(
                    "in {} out {} in flight {} retries {}",
                    s.messages_in, s.messages_out, s.in_flight, s.retries
                );
            }
        };
        // Cancel-safe: the report keeps nothing, and dropping the flow leaves what is under way with its source.
        tokio::select! {
            ended = flow.run(CancellationToken::new()) => Ok(ended?),
            () = report => Ok(()),
        }
    })
}
