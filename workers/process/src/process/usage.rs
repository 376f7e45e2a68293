//! What a process and all its descendants use, as far as it can be read.

use std::fs;
use std::time::Duration;

use crate::identity::{self, Identity};

use super::observed::Usage;

/// Sums over the whole tree below `root`. What can't be read is missing, and no error.
pub(super) fn usage(root: Identity, cgroup_memory: Option<u64>) -> Usage {
    let mut usage = Usage { cgroup_memory, ..Usage::default() };
    if !root.lives() {
        return usage;
    }
    let tree = identity::descendants(root.pid).into_iter().map(|seen| seen.identity.pid);
    let ticks = rustix::param::clock_ticks_per_second().max(1);
    let page = rustix::param::page_size() as u64;
    for pid in std::iter::once(root.pid).chain(tree) {
        usage.processes += 1;
        if let Some(used) = cpu_ticks(pid) {
            let time = Duration::from_nanos((u128::from(used) * 1_000_000_000 / u128::from(ticks)) as u64);
            usage.cpu = Some(usage.cpu.unwrap_or_default() + time);
        }
        if let Some(pages) = resident_pages(pid) {
            usage.rss = Some(usage.rss.unwrap_or_default() + pages * page);
        }
    }
    usage
}

fn cpu_ticks(pid: i32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<&str> = stat.get(stat.rfind(')')? + 1..)?.split_whitespace().collect();
    Some(fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?)
}

fn resident_pages(pid: i32) -> Option<u64> {
    fs::read_to_string(format!("/proc/{pid}/statm")).ok()?.split(' ').nth(1)?.parse().ok()
}
