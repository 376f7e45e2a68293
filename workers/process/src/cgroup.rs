//! A cgroup per run, where the machine allows it: memory that is held by the kernel, and an end for all at once.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// A cgroup v2 folder that belongs to this process, in which each run gets one of its own.
#[derive(Debug, Clone)]
pub struct Cgroups {
    folder: PathBuf,
    memory: bool,
}

/// Why a folder can't be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CgroupError {
    /// It is not a cgroup v2 folder.
    #[error("{} is not a cgroup v2 folder, it has no cgroup.controllers; use one that is delegated to this user (systemd: Delegate=yes)", .0.display())]
    NotACgroup(PathBuf),
    /// No folder can be made in it.
    #[error("can't make a cgroup in {}; it must be delegated to this user (systemd: Delegate=yes)", folder.display())]
    NotWritable {
        /// The folder.
        folder: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl Cgroups {
    /// Uses this folder.
    ///
    /// # Errors
    /// [`CgroupError`] when runs can't have cgroups in it.
    pub fn at(folder: impl Into<PathBuf>) -> Result<Self, CgroupError> {
        let folder = folder.into();
        if !folder.join("cgroup.controllers").is_file() {
            return Err(CgroupError::NotACgroup(folder));
        }
        let trial = folder.join(format!("fsm-trial-{}", std::process::id()));
        if let Err(source) = fs::create_dir(&trial).and_then(|()| fs::remove_dir(&trial)) {
            return Err(CgroupError::NotWritable { folder, source });
        }
        // Refused while processes are in the folder itself; then runs have cgroups without a limit, and say so.
        let memory = fs::write(folder.join("cgroup.subtree_control"), "+memory").is_ok();
        Ok(Self { folder, memory })
    }

    /// Uses the cgroup that this process is in, if it may make others there.
    pub fn detect() -> Option<Self> {
        let own = fs::read_to_string("/proc/self/cgroup").ok()?;
        let own = own.lines().find_map(|line| line.strip_prefix("0::/"))?;
        let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
        let mount = mounts.lines().find_map(|line| {
            let (place, kind) = line.split_once(" - ")?;
            kind.starts_with("cgroup2 ").then(|| place.split(' ').nth(4)).flatten()
        })?;
        Self::at(Path::new(mount).join(own)).ok()
    }

    pub(crate) fn open(&self, name: &str, memory: Option<u64>) -> io::Result<RunCgroup> {
        let path = self.folder.join(format!("fsm-run-{name}"));
        fs::create_dir(&path)?;
        let run = RunCgroup { path };
        let limit = |bytes: u64| fs::write(run.path.join("memory.max"), bytes.to_string());
        let limited = match memory {
            Some(bytes) if self.memory => limit(bytes).is_ok(),
            Some(_) | None => false,
        };
        if limited {
            // Or the limit only moves its memory to the swap; not every kernel has that file.
            let _ = fs::write(run.path.join("memory.swap.max"), "0");
        }
        Ok(run)
    }

    pub(crate) fn limits_memory(&self) -> bool {
        self.memory
    }
}

/// The cgroup of one run; goes with it, and everybody in it.
#[derive(Debug)]
pub(crate) struct RunCgroup {
    pub(crate) path: PathBuf,
}

impl RunCgroup {
    /// Did the kernel kill somebody in here for memory?
    pub(crate) fn oom_killed(&self) -> bool {
        let events = fs::read_to_string(self.path.join("memory.events")).unwrap_or_default();
        events
            .lines()
            .filter_map(|line| line.strip_prefix("oom_kill "))
            .any(|count| count.trim().parse::<u64>().is_ok_and(|count| count > 0))
    }

    /// Kills everybody in here at once, the keeper too.
    pub(crate) fn kill(&self) {
        // Kernels before 5.14 don't have the file: then the other ways have to do.
        let _ = fs::write(self.path.join("cgroup.kill"), "1");
    }
}

impl Drop for RunCgroup {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // spec: X-4
    #[test]
    fn a_folder_that_is_no_cgroup_is_refused_with_what_to_do() {
        let folder = std::env::temp_dir();
        let error = Cgroups::at(&folder).expect_err("a plain folder");
        assert!(error.to_string().contains("Delegate=yes"), "{error}");
    }
}
