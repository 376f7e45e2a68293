//! CPU time and memory of this process and of a peer, as the kernel accounts them.

use std::fs;
use std::io;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// What a process has used so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// CPU time of all its threads, user and system, in ticks of the kernel (usually 10 ms).
    pub cpu: Duration,
    /// Resident memory now, in bytes.
    pub rss: u64,
    /// The most resident memory so far, in bytes.
    pub peak_rss: u64,
}

impl Usage {
    /// Reads what the process `pid` has used: a peer that was started for a comparison.
    ///
    /// # Errors
    /// If there is no such process, or no `/proc`.
    pub fn of(pid: u32) -> io::Result<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        parse(&stat, &status, rustix::param::clock_ticks_per_second()).ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidData, format!("/proc/{pid} is not in a known form"))
        })
    }

    /// Reads what this process has used.
    ///
    /// # Errors
    /// If there is no `/proc`.
    pub fn of_self() -> io::Result<Self> {
        Self::of(std::process::id())
    }
}

/// CPU time of all threads of this process, to the nanosecond.
pub fn process_cpu_time() -> Duration {
    clock(ClockId::ProcessCPUTime)
}

/// CPU time of the calling thread, to the nanosecond.
pub fn thread_cpu_time() -> Duration {
    clock(ClockId::ThreadCPUTime)
}

fn clock(id: ClockId) -> Duration {
    let time = clock_gettime(id);
    let nanos = u32::try_from(time.tv_nsec).unwrap_or(0);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), nanos)
}

fn parse(stat: &str, status: &str, ticks_per_second: u64) -> Option<Usage> {
    // The command name is in parentheses and may hold spaces and parentheses itself.
    let (_, fields) = stat.rsplit_once(") ")?;
    // After the name come the fields from `state` (3) on; utime is 14 and stime 15.
    let mut times = fields.split(' ').skip(11).take(2).map(str::parse::<u64>);
    let ticks = times.next()?.ok()? + times.next()?.ok()?;
    let kib = |key: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(key))?;
        line.split_whitespace().next()?.parse::<u64>().ok()
    };
    Some(Usage {
        cpu: Duration::from_secs_f64(ticks as f64 / ticks_per_second as f64),
        rss: kib("VmRSS:")? * 1024,
        peak_rss: kib("VmHWM:")? * 1024,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_name_with_parentheses_does_not_shift_the_fields() {
        let stat = "7 (a) b) S 1 1 1 0 -1 4194560 10 0 0 0 150 50 0 0 20 0 1 0 5 0 0";
        let usage = parse(stat, "Name:\tx\nVmHWM:\t  200 kB\nVmRSS:\t  100 kB\n", 100).expect("known form");
        assert_eq!(usage, Usage { cpu: Duration::from_secs(2), rss: 102_400, peak_rss: 204_800 });
    }

    #[test]
    fn this_process_uses_memory_and_time() {
        let usage = Usage::of_self().expect("/proc");
        assert!(usage.rss > 0 && usage.peak_rss >= usage.rss);
        let before = (process_cpu_time(), thread_cpu_time());
        std::hint::black_box((0..100_000_u64).fold(0, |sum, n| sum ^ std::hint::black_box(n)));
        assert!(process_cpu_time() > before.0 && thread_cpu_time() > before.1);
    }
}
