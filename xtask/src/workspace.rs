//! What the commands know about the workspace: its root, its packages, where builds go.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::shell;

/// The workspace that this program was built from.
pub(crate) struct Workspace {
    pub(crate) root: PathBuf,
    pub(crate) target: PathBuf,
    pub(crate) packages: Vec<Package>,
}

/// A member.
pub(crate) struct Package {
    pub(crate) name: String,
    /// Relative to the root: `workers/bridge`.
    pub(crate) folder: String,
    /// Names of `[[bench]]` targets.
    pub(crate) benches: Vec<String>,
}

impl Workspace {
    pub(crate) fn find() -> Result<Self> {
        // The working directory may be anywhere below the root: a linked worktree's binary is shared.
        let metadata =
            shell::capture(shell::cargo().args(["metadata", "--format-version=1", "--no-deps", "--offline"]))
                .or_else(|_| {
                    shell::capture(shell::cargo().args(["metadata", "--format-version=1", "--no-deps"]))
                })
                .context("run this inside the workspace")?;
        Self::parse(&metadata)
    }

    fn parse(metadata: &str) -> Result<Self> {
        let metadata: Value = serde_json::from_str(metadata).context("cargo metadata is no JSON")?;
        let text = |value: &Value| value.as_str().map(str::to_owned).context("cargo metadata lacks a field");
        let root = PathBuf::from(text(&metadata["workspace_root"])?);
        let target = PathBuf::from(text(&metadata["target_directory"])?);
        let mut packages = Vec::new();
        for package in metadata["packages"].as_array().into_iter().flatten() {
            let manifest = PathBuf::from(text(&package["manifest_path"])?);
            let folder = manifest.parent().unwrap_or(&manifest);
            let folder = folder.strip_prefix(&root).unwrap_or(folder).to_string_lossy().into_owned();
            let targets = package["targets"].as_array().into_iter().flatten();
            let benches = targets
                .filter(|target| {
                    target["kind"].as_array().is_some_and(|kinds| kinds.contains(&"bench".into()))
                })
                .map(|target| text(&target["name"]))
                .collect::<Result<_>>()?;
            packages.push(Package { name: text(&package["name"])?, folder, benches });
        }
        packages.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Self { root, target, packages })
    }

    /// `path` below the root.
    pub(crate) fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        self.root.join(path)
    }

    pub(crate) fn package(&self, name: &str) -> Option<&Package> {
        self.packages.iter().find(|package| package.name == name)
    }

    /// The member that a file below the root belongs to: the one with the longest fitting folder.
    pub(crate) fn owner(&self, path: &str) -> Option<&Package> {
        let inside = |package: &&Package| {
            path.strip_prefix(package.folder.as_str()).is_some_and(|rest| rest.starts_with('/'))
        };
        self.packages.iter().filter(inside).max_by_key(|package| package.folder.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workspace() -> Workspace {
        Workspace::parse(
            r#"{"workspace_root": "/w", "target_directory": "/t", "packages": [
                {"name": "xtask", "manifest_path": "/w/xtask/Cargo.toml", "targets": [{"kind": ["bin"], "name": "xtask"}]},
                {"name": "bench-support", "manifest_path": "/w/xtask/bench-support/Cargo.toml",
                 "targets": [{"kind": ["lib"], "name": "bench_support"}, {"kind": ["bench"], "name": "itself"}]}]}"#,
        )
        .expect("metadata")
    }

    #[test]
    fn benches_are_found_per_package() {
        let workspace = workspace();
        assert_eq!(workspace.package("bench-support").expect("member").benches, ["itself"]);
        assert!(workspace.package("xtask").expect("member").benches.is_empty());
    }

    #[test]
    fn a_file_belongs_to_the_innermost_member() {
        let workspace = workspace();
        let owner = |path| workspace.owner(path).map(|package| package.name.as_str());
        assert_eq!(owner("xtask/bench-support/src/lib.rs"), Some("bench-support"));
        assert_eq!(owner("xtask/src/main.rs"), Some("xtask"));
        assert_eq!(owner("README.md"), None);
    }
}
