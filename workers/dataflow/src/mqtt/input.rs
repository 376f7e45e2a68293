//! A flow's end of its subscription, wherever that is at the moment: on the shared session, on its own, or between.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::Instant;

use super::codec::Protocol;
use super::link::{Incoming, Progress, Start};
use super::pool::{Peer, SessionPool, Subscription};
use crate::config::{MqttInput, Qos, TopicFilter, Version};
use crate::flow::Shared;
use crate::stats::Stage;

/// How long a flow on its own connection must be quiet before it goes back to the shared one.
const CALM: Duration = Duration::from_secs(60);

/// What the source is doing besides giving messages.
enum Lane {
    /// Nothing.
    Steady,
    /// The shared session was resumed: waits for its turn to look whether the flow had moved in that earlier life.
    Asking,
    /// Waits for what the flow's own session says to that.
    Looking(Box<Subscription>, #[expect(dead_code, reason = "held, not read")] OwnedSemaphorePermit),
    /// Subscribed at the next session as well; `left` once the current one was told.
    Moving { next: Box<Subscription>, left: bool },
}

/// The messages of one flow's subscription, in order over all moves.
pub(crate) struct MqttSource {
    pool: Arc<SessionPool>,
    shared: Peer,
    own: Peer,
    filters: Vec<TopicFilter>,
    qos: Qos,
    flow: Arc<Shared>,
    current: Subscription,
    lane: Lane,
    started: bool,
    last: Instant,
}

enum Event {
    Messages(usize),
    Crowded,
    Progress,
    Permit(OwnedSemaphorePermit),
    Calm,
}

impl MqttSource {
    pub(crate) fn new(config: &MqttInput, pool: &Arc<SessionPool>, flow: &Arc<Shared>) -> Self {
        let shared = Peer::of_input(config);
        let own = shared.owned_by(flow.name(), Stage::Input);
        let filters: Vec<_> = config.topic.iter().cloned().collect();
        // MQTT 3.1.1 has no window that could be shared.
        let narrow = config.version == Version::V311 && config.qos != Qos::AtMostOnce;
        let dedicated = config.dedicated || !shared.shared() || narrow;
        let subscribe = |peer: &Peer, start| pool.subscribe(peer, (filters.clone(), config.qos), start, flow);
        let (current, lane) = if dedicated {
            (subscribe(&own, Start::Now), Lane::Steady)
        } else if pool.has(&own) {
            // A flow of this name had moved, and was stopped just now.
            let current = subscribe(&shared, Start::Told);
            current.leave();
            (current, Lane::Moving { next: Box::new(subscribe(&own, Start::Now)), left: true })
        } else if config.qos == Qos::AtMostOnce {
            (subscribe(&shared, Start::Now), Lane::Steady)
        } else {
            (subscribe(&shared, Start::Fresh), Lane::Steady)
        };
        Self {
            pool: Arc::clone(pool),
            shared: if dedicated { own.clone() } else { shared },
            own,
            filters,
            qos: config.qos,
            flow: Arc::clone(flow),
            started: !matches!(lane, Lane::Steady),
            current,
            lane,
            last: Instant::now(),
        }
    }

    fn at(&self, peer: &Peer, start: Start) -> Subscription {
        self.pool.subscribe(peer, (self.filters.clone(), self.qos), start, &self.flow)
    }

    /// Whether the flow shares at all.
    fn may_share(&self) -> bool {
        self.shared != self.own
    }

    fn on_own(&self) -> bool {
        !self.current.attachment.link.peer.shared()
    }

    /// Waits for messages and appends at most `limit` of them.
    ///
    /// # Cancel safety
    /// Nothing is lost when dropped: messages stay queued.
    pub(crate) async fn receive(&mut self, batch: &mut Vec<Incoming>, limit: usize) {
        self.drive(batch, limit).await;
    }

    /// Does all but take messages; never ends. A flow that waits for room polls this, or it could not get out of the way
    /// of others.
    pub(crate) async fn tend(&mut self) {
        self.drive(&mut Vec::new(), 0).await;
    }

    async fn drive(&mut self, batch: &mut Vec<Incoming>, limit: usize) {
        loop {
            let event = self.event(batch, limit).await;
            match event {
                Event::Messages(0) => self.arrive(),
                Event::Messages(_) => {
                    self.last = Instant::now();
                    return;
                }
                Event::Crowded => {
                    tracing::info!(
                        flow = self.flow.name(),
                        "holds back others on the shared connection: moves to its own"
                    );
                    self.lane = Lane::Moving { next: Box::new(self.at(&self.own, Start::Now)), left: false };
                }
                Event::Calm => {
                    self.last = Instant::now();
                    let narrow = self.current.attachment.link.protocol() != Some(Protocol::V5);
                    if !narrow && self.current.route.held() == 0 {
                        self.lane =
                            Lane::Moving { next: Box::new(self.at(&self.shared, Start::Now)), left: false };
                    }
                }
                Event::Permit(permit) => {
                    self.lane = Lane::Looking(Box::new(self.at(&self.own, Start::Told)), permit);
                }
                Event::Progress => self.progress(),
            }
        }
    }

    async fn event(&mut self, batch: &mut Vec<Incoming>, limit: usize) -> Event {
        let may_share = self.may_share();
        let on_own = self.on_own();
        let calm = self.last + CALM;
        let current = &mut self.current;
        let mut progress = current.route.progress.subscribe();
        // Cancel-safe: all branches may be dropped at any time.
        match &mut self.lane {
            Lane::Steady if !self.started => tokio::select! {
                n = take(&mut current.receiver, batch, limit) => Event::Messages(n),
                _ = progress.wait_for(|p| *p != Progress::Pending) => Event::Progress,
            },
            // Cancel-safe: all branches may be dropped at any time.
            Lane::Steady if on_own && may_share => tokio::select! {
                n = take(&mut current.receiver, batch, limit) => Event::Messages(n),
                () = tokio::time::sleep_until(calm) => Event::Calm,
            },
            // Cancel-safe: all branches may be dropped at any time.
            Lane::Steady if may_share => tokio::select! {
                n = take(&mut current.receiver, batch, limit) => Event::Messages(n),
                () = current.route.crowd.notified() => Event::Crowded,
            },
            Lane::Steady => Event::Messages(take(&mut current.receiver, batch, limit).await),
            Lane::Asking => {
                let probes = Arc::clone(&self.pool.probes);
                // Cancel-safe: all branches may be dropped at any time; a permit is asked for again.
                tokio::select! {
                    n = take(&mut current.receiver, batch, limit) => Event::Messages(n),
                    Ok(permit) = probes.acquire_owned() => Event::Permit(permit),
                }
            }
            Lane::Looking(next, _) => {
                let mut seen = next.route.progress.subscribe();
                // Cancel-safe: all branches may be dropped at any time.
                tokio::select! {
                    n = take(&mut current.receiver, batch, limit) => Event::Messages(n),
                    _ = seen.wait_for(|p| *p != Progress::Pending) => Event::Progress,
                }
            }
            Lane::Moving { left: true, .. } => {
                Event::Messages(take(&mut current.receiver, batch, limit).await)
            }
            Lane::Moving { next, .. } => {
                let mut arrived = next.route.progress.subscribe();
                // Cancel-safe: all branches may be dropped at any time.
                tokio::select! {
                    n = take(&mut current.receiver, batch, limit) => Event::Messages(n),
                    _ = arrived.wait_for(|p| *p != Progress::Pending) => Event::Progress,
                }
            }
        }
    }

    fn progress(&mut self) {
        self.lane = match std::mem::replace(&mut self.lane, Lane::Steady) {
            Lane::Moving { next, .. } => {
                self.current.leave();
                Lane::Moving { next, left: true }
            }
            Lane::Looking(next, _) => {
                let present = *next.route.progress.borrow() == Progress::Held { present: true };
                if present {
                    // It had moved: what is left on the shared session is older.
                    next.activate();
                    self.current.leave();
                    Lane::Moving { next, left: true }
                } else {
                    self.current.activate();
                    Lane::Steady
                }
            }
            Lane::Steady | Lane::Asking => {
                self.started = true;
                let progress = self.current.route.progress.borrow().clone();
                match progress {
                    Progress::Held { .. } => Lane::Asking,
                    Progress::TooNarrow => {
                        Lane::Moving { next: Box::new(self.at(&self.own, Start::Now)), left: false }
                    }
                    Progress::Pending | Progress::Subscribed => Lane::Steady,
                }
            }
        };
    }

    /// The queue that was read from has ended.
    fn arrive(&mut self) {
        match std::mem::replace(&mut self.lane, Lane::Steady) {
            Lane::Moving { next, .. } => self.current = *next,
            Lane::Steady | Lane::Asking | Lane::Looking(..) => {
                // The session's task ended, which it does only with the pool, or by a bug: start over.
                let start = if self.may_share() { Start::Fresh } else { Start::Now };
                self.current = self.at(&self.current.attachment.link.peer.clone(), start);
                self.started = false;
            }
        }
        self.last = Instant::now();
    }

    /// Messages that are queued and not received.
    pub(crate) fn queued(&self) -> usize {
        self.current.receiver.len()
    }
}

/// Takes messages; with the limit 0 it waits for ever.
async fn take(
    queue: &mut mpsc::UnboundedReceiver<Incoming>,
    batch: &mut Vec<Incoming>,
    limit: usize,
) -> usize {
    if limit == 0 {
        return std::future::pending().await;
    }
    queue.recv_many(batch, limit).await
}
