//! What the broker costs when nothing happens.

use std::time::Duration;

use tokio::time::{advance, pause};

use crate::support::{ask, config, connect, start};

/// Each park of the runtime is something that woke it. A thread that busy-waits or ticks would wake it too.
#[tokio::test]
async fn an_idle_hour_wakes_nobody() {
    let broker = start(config()).await;
    let mut client = connect(&broker).await;
    ask(&mut client, b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x00\x00\x01x", 4).await;
    let parks = || tokio::runtime::Handle::current().metrics().worker_park_count(0);
    pause();
    let before = parks();
    for _ in 0..60 {
        advance(Duration::from_secs(60)).await;
    }
    // Each `advance` itself parks once or twice.
    assert!(parks() - before <= 150, "{} parks", parks() - before);
    let stats = broker.handle().stats();
    assert_eq!((stats.connections, stats.broken), (1, 0), "a client without keep-alive was cut off");
}
