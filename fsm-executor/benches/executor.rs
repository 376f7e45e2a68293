//! P20 enqueue, P21 no-op actions through the pool, P22 utilisation under sleeping actions.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bench_support::{Bench, Record, Samples, Unit};
use fsm_core::{ActionId, ActionPolicy, Outcome, RetryPolicy};
use fsm_executor::{
    ActionRef, Executor, ExecutorConfig, ExecutorEvent, ExecutorObserver, NoObserver, Request, tokio_clock,
};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{Notify, Semaphore};
use tokio::time::Instant;

bench_support::count_allocations!();

fn main() {
    let bench = Bench::from_args();
    if bench.wants("P20") {
        enqueue(&bench);
    }
    if bench.wants("P21") {
        throughput(&bench);
    }
    if bench.wants("P22") {
        utilisation(&bench);
    }
}

fn runtime() -> Runtime {
    // The reference machine has 2 cores.
    Builder::new_multi_thread().worker_threads(2).enable_time().build().expect("threads can be started")
}

fn policy() -> ActionPolicy {
    ActionPolicy::new("bench", Duration::from_secs(300)).with_retry(RetryPolicy::NEVER)
}

fn hangs() -> Request {
    Request::new(ActionId::new(0), policy(), |_| pending())
}

fn ignore() -> Arc<dyn Fn(ExecutorEvent<u32>) + Send + Sync> {
    Arc::new(|_| {})
}

fn try_new(config: ExecutorConfig, sink: Arc<dyn Fn(ExecutorEvent<u32>) + Send + Sync>) -> Executor<u32> {
    Executor::try_new(config, tokio_clock(), sink, Arc::new(NoObserver)).expect("a valid config")
}

/// The call alone: beside 1 000 hanging actions, and into an idle pool, where a runner must be woken.
fn enqueue(bench: &Bench) {
    let runtime = runtime();
    let _inside = runtime.enter();
    let calls = u32::try_from(bench.size(20_000, 2_000)).expect("small");
    let runs = bench.size(30, 5);

    let mut samples = Vec::new();
    let mut allocations = 0;
    for _ in 0..runs {
        let executor = try_new(ExecutorConfig::default().with_concurrency(1_000), ignore());
        for key in 0..1_000 {
            executor.enqueue(key, hangs()).expect("accepted");
        }
        while executor.stats().running < 1_000 {
            std::thread::yield_now();
        }
        let mut requests: Vec<_> = (0..calls).map(|_| hangs()).collect();
        let start = Instant::now();
        let (refused, allocated) = bench_support::allocations(|| {
            let accepted =
                (1_000..).zip(requests.drain(..)).map(|(key, request)| executor.enqueue(key, request));
            accepted.filter(Result::is_err).count()
        });
        samples.push(start.elapsed().as_secs_f64() * 1e9 / f64::from(calls));
        assert_eq!(refused, 0);
        allocations = allocated.count;
        runtime.block_on(executor.shutdown(Duration::ZERO));
    }
    // One box per action; the rest is the growth of tables, which doubles.
    Record::new("P20", "enqueue while 1 000 actions hang", Unit::Nanoseconds)
        .samples(&samples.into_iter().collect())
        .at_most(1_000.0)
        .gate("allocations", allocations, u64::from(calls) + 100)
        .print();

    let mut samples = Vec::new();
    for _ in 0..runs {
        let executor = try_new(ExecutorConfig::default(), ignore());
        let request = || Request::new(ActionId::new(0), policy(), |_| async { Ok(()) });
        let mut requests: Vec<_> = (0..calls).map(|_| request()).collect();
        let start = Instant::now();
        for (key, request) in (0..).zip(requests.drain(..)) {
            executor.enqueue(key, request).expect("accepted");
        }
        samples.push(start.elapsed().as_secs_f64() * 1e9 / f64::from(calls));
        runtime.block_on(executor.shutdown(Duration::from_secs(5)));
    }
    Record::new("P20-idle", "enqueue into a pool that runs what it gets", Unit::Nanoseconds)
        .samples(&samples.into_iter().collect())
        .at_most(1_000.0)
        .print();
}

/// From the first enqueue to the last end, request, closure and future boxed, events told.
fn throughput(bench: &Bench) {
    let runtime = runtime();
    let actions = bench.size(1_000_000, 50_000);
    let mut samples = Vec::new();
    let mut cpu = Vec::new();
    let mut allocations = 0;
    for _ in 0..bench.size(9, 2) {
        let before = bench_support::process_cpu_time();
        let (rate, allocated) = bench_support::allocations(|| runtime.block_on(noops(actions)));
        samples.push(rate);
        let used = bench_support::process_cpu_time() - before;
        cpu.push(used.as_secs_f64() * 1e9 / actions as f64);
        allocations = allocated.count / actions as u64;
    }
    Record::new("P21", format!("{actions} no-op actions through the pool"), Unit::PerSecond)
        .samples(&samples.into_iter().collect())
        .at_least(500_000.0)
        // The job, its clean-up list, its token, and the token's place in the tree of tokens.
        .gate("allocations per action", allocations, 4)
        .print();
    Record::new("P21-cpu", "CPU time of a no-op action, on all threads", Unit::Nanoseconds)
        .samples(&cpu.into_iter().collect())
        // Two cores that do nothing else reach P21 with this.
        .at_most(4_000.0)
        .print();
}

async fn noops(actions: usize) -> f64 {
    let done = Arc::new((AtomicU64::new(0), Notify::new()));
    let room = Arc::new(Semaphore::new(32_768));
    let (ends, free) = (Arc::clone(&done), Arc::clone(&room));
    let total = actions as u64;
    let sink = Arc::new(move |event: ExecutorEvent<u32>| {
        if let ExecutorEvent::Ended(_) = event {
            free.add_permits(1);
            if ends.0.fetch_add(1, Ordering::AcqRel) + 1 == total {
                ends.1.notify_one();
            }
        }
    });
    let executor = try_new(ExecutorConfig::default(), sink);
    let start = Instant::now();
    let enqueue = async {
        let mut key = 0;
        while key < actions {
            // Half a queue at a time: the enqueuing side must neither wait for each end nor be refused.
            let batch = 4_096.min(actions - key);
            room.acquire_many(batch as u32).await.expect("never closed").forget();
            for _ in 0..batch {
                let request = Request::new(ActionId::new(key as u64), policy(), |_| async { Ok(()) });
                executor.enqueue(key as u32, request).expect("the queue is longer than what is under way");
                key += 1;
            }
        }
    };
    enqueue.await;
    done.1.notified().await;
    let rate = actions as f64 / start.elapsed().as_secs_f64();
    assert!(executor.shutdown(Duration::from_secs(1)).await.is_clean());
    rate
}

/// Adds up how long attempts held their places.
#[derive(Default)]
struct Busy(AtomicU64);

impl ExecutorObserver<u32> for Busy {
    fn attempt_ended(&self, _: &ActionRef<u32>, _: u32, _: Outcome, duration: Duration) {
        self.0.fetch_add(duration.as_nanos() as u64, Ordering::Relaxed);
    }
}

fn utilisation(bench: &Bench) {
    let runtime = runtime();
    let actions = bench.size(3_000, 500);
    let samples: Samples = (0..bench.size(5, 1)).map(|_| runtime.block_on(sleepers(actions))).collect();
    Record::new("P22", format!("share of 10 places in use, {actions} actions of 5 to 15 ms"), Unit::Ratio)
        .samples(&samples)
        .at_least(0.95)
        .print();
}

async fn sleepers(actions: usize) -> f64 {
    let busy = Arc::new(Busy::default());
    let done = Arc::new((AtomicU64::new(0), Notify::new()));
    let ends = Arc::clone(&done);
    let total = actions as u64;
    let sink = Arc::new(move |event: ExecutorEvent<u32>| {
        if let ExecutorEvent::Ended(_) = event
            && ends.0.fetch_add(1, Ordering::AcqRel) + 1 == total
        {
            ends.1.notify_one();
        }
    });
    let config = ExecutorConfig::default();
    let executor = Executor::try_new(config, tokio_clock(), sink, Arc::clone(&busy) as _).expect("valid");
    let start = Instant::now();
    for key in 0..actions as u32 {
        let sleep = Duration::from_millis(5 + u64::from(key) % 11);
        let request = Request::new(ActionId::new(1), policy(), move |_| async move {
            tokio::time::sleep(sleep).await;
            Ok(())
        });
        executor.enqueue(key, request).expect("accepted");
    }
    done.1.notified().await;
    let share = busy.0.load(Ordering::Relaxed) as f64
        / (start.elapsed().as_nanos() as f64 * config.concurrency as f64);
    assert!(executor.shutdown(Duration::from_secs(1)).await.is_clean());
    share
}
