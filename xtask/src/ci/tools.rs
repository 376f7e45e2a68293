//! Finds the programs that the tests need, installs what it may, and names the package of what it may not.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::shell;
use crate::workspace::Workspace;

/// A cargo subcommand that is installed from its source.
pub(crate) struct CargoTool {
    pub(crate) name: &'static str,
    /// Fixed, so that a new release can't break the build; the newest that builds with the workspace's
    /// `rust-version`.
    version: &'static str,
    options: &'static [&'static str],
}

pub(crate) const NEXTEST: CargoTool = CargoTool {
    name: "cargo-nextest",
    version: "0.9.128",
    // Without the self-update, which brings a TLS stack that takes as long to build as the rest.
    options: &["--no-default-features", "--features=default-no-update"],
};

pub(crate) const LLVM_COV: CargoTool = CargoTool { name: "cargo-llvm-cov", version: "0.9.1", options: &[] };

/// A program of the system that tests start as a real peer.
struct Peer {
    program: &'static str,
    package: &'static str,
    why: &'static str,
}

const PEERS: [Peer; 4] = [
    Peer { program: "mosquitto", package: "mosquitto", why: "the MQTT broker that tests talk to" },
    Peer {
        program: "mosquitto_pub",
        package: "mosquitto-clients",
        why: "the MQTT client that tests talk to",
    },
    Peer {
        program: "prometheus",
        package: "prometheus",
        why: "what scrapes the daemon and answers dashboards",
    },
    Peer {
        program: "promtool",
        package: "prometheus",
        why: "the judge of what /metrics shows, and of alerts",
    },
];

/// Where tools that this program installs are kept: outside of the clone, so that the next clone has them.
pub(crate) fn cache(workspace: &Workspace) -> PathBuf {
    let user = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")))
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join("fsm-xtask"));
    match user {
        Some(folder) if fs::create_dir_all(&folder).is_ok() => folder,
        Some(_) | None => workspace.target.join("xtask-tools"),
    }
}

/// `PATH` with the installed tools and the folders of daemons at its end.
pub(crate) fn path(workspace: &Workspace) -> OsString {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let more = [cache(workspace).join("bin")].into_iter().chain(shell::DAEMON_FOLDERS.map(PathBuf::from));
    std::env::join_paths(std::env::split_paths(&path).chain(more)).unwrap_or(path)
}

/// Finds a cargo subcommand or installs it.
pub(crate) fn find_or_install(workspace: &Workspace, tool: &CargoTool) -> Result<()> {
    let cache = cache(workspace);
    if let Some(found) = shell::find_program(tool.name) {
        println!("{}: {}", tool.name, found.display());
        return Ok(());
    }
    let cached = cache.join("bin").join(tool.name);
    if shell::succeeds(Command::new(&cached).arg("--version")) {
        println!("{}: {}", tool.name, cached.display());
        return Ok(());
    }
    println!(
        "{} is not installed: building {} into {}; this takes minutes",
        tool.name,
        tool.version,
        cache.display()
    );
    let mut install = shell::cargo();
    install
        .args(["install", tool.name, "--locked", "--version", tool.version, "--root"])
        .arg(&cache)
        .args(tool.options)
        // It starts tests; it need not be fast itself, and an optimised build takes three times as long.
        .envs([("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1"), ("CARGO_PROFILE_RELEASE_LTO", "off")])
        .envs([("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16"), ("CARGO_PROFILE_RELEASE_DEBUG", "0")])
        .env("CARGO_TARGET_DIR", workspace.target.join("xtask-tools/build"));
    shell::run(&mut install).with_context(|| {
        format!("could not install {0}; install it yourself: cargo install {0} --locked", tool.name)
    })?;
    // Its objects are of no use to anything else.
    let _ = fs::remove_dir_all(workspace.target.join("xtask-tools/build"));
    Ok(())
}

/// Finds the components of the toolchain that checks need; rustup adds those that lack.
pub(crate) fn components(wanted: &[(&str, &str)]) -> Result<()> {
    for (component, program) in wanted {
        if shell::succeeds(shell::cargo().args([program, "--version"])) {
            continue;
        }
        println!("{component} is not installed: adding it with rustup");
        shell::run(Command::new("rustup").args(["component", "add", component])).with_context(|| {
            format!("{component} is missing; install it: rustup component add {component}")
        })?;
    }
    Ok(())
}

/// Finds the peers, or installs their packages when this is Debian's root.
pub(crate) fn peers() -> Result<()> {
    let mut missing = Vec::new();
    for peer in &PEERS {
        match shell::find_program(peer.program) {
            Some(found) => println!("{}: {}", peer.program, found.display()),
            None => missing.push(peer),
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    let mut packages: Vec<&str> = missing.iter().map(|peer| peer.package).collect();
    packages.dedup();
    let told: Vec<String> = missing
        .iter()
        .map(|peer| format!("{} ({}; Debian package {})", peer.program, peer.why, peer.package))
        .collect();
    let by_hand =
        format!("install it as root: apt-get install --no-install-recommends {}", packages.join(" "));
    let is_root = shell::capture(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0");
    if !is_root || shell::find_program("apt-get").is_none() {
        bail!("the tests need {}; {by_hand}", told.join(" and "));
    }
    println!("not installed: {}; installing with apt-get", told.join(" and "));
    install_packages(&packages).context(by_hand)
}

fn install_packages(packages: &[&str]) -> Result<()> {
    let _policy = NoServices::forbid(Path::new("/usr/sbin/policy-rc.d"))?;
    let apt = |args: &[&str]| {
        let mut apt = Command::new("apt-get");
        // Another installation may be under way on a machine that has just started.
        apt.env("DEBIAN_FRONTEND", "noninteractive").args(["-y", "-o", "DPkg::Lock::Timeout=300"]).args(args);
        shell::run(&mut apt)
    };
    apt(&["update"])?;
    apt(&[&["install", "--no-install-recommends"], packages].concat())
}

/// While it lives, no package starts its service: a broker of the system would hold the port of nobody's test.
struct NoServices {
    policy: Option<PathBuf>,
}

impl NoServices {
    fn forbid(policy: &Path) -> Result<Self> {
        // A policy that is there is the administrator's.
        if policy.exists() {
            return Ok(Self { policy: None });
        }
        let told = || format!("could not write {}", policy.display());
        fs::write(policy, "#!/bin/sh\nexit 101\n").with_context(told)?;
        fs::set_permissions(policy, fs::Permissions::from_mode(0o755)).with_context(told)?;
        Ok(Self { policy: Some(policy.to_owned()) })
    }
}

impl Drop for NoServices {
    fn drop(&mut self) {
        if let Some(policy) = &self.policy {
            let _ = fs::remove_file(policy);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_stay_down_only_while_packages_are_installed() {
        let folder = tempfile::tempdir().expect("a folder");
        let policy = folder.path().join("policy-rc.d");
        let guard = NoServices::forbid(&policy).expect("written");
        let status = Command::new(&policy).status().expect("it runs");
        assert_eq!(status.code(), Some(101));
        drop(guard);
        assert!(!policy.exists());
    }

    #[test]
    fn a_policy_of_the_administrator_stays() {
        let folder = tempfile::tempdir().expect("a folder");
        let policy = folder.path().join("policy-rc.d");
        fs::write(&policy, "theirs").expect("written");
        drop(NoServices::forbid(&policy).expect("left alone"));
        assert_eq!(fs::read_to_string(&policy).expect("still there"), "theirs");
    }
}
