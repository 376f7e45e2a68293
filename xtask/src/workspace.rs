//! What the commands know about the workspace: its root, its packages, where builds go.

use std::collections::BTreeMap;
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
    /// The features that each of them requires.
    required_features: BTreeMap<String, Vec<String>>,
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
            let mut of_package = Package::new(&text(&package["name"])?, &folder);
            let is_bench = |target: &&Value| {
                target["kind"].as_array().is_some_and(|kinds| kinds.contains(&"bench".into()))
            };
            for target in targets.filter(is_bench) {
                let name = text(&target["name"])?;
                let features = target["required-features"].as_array().into_iter().flatten();
                of_package.required_features.insert(name.clone(), features.map(text).collect::<Result<_>>()?);
                of_package.benches.push(name);
            }
            packages.push(of_package);
        }
        packages.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Self { root, target, packages })
    }

    /// `path` below the root.
    pub(crate) fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        self.root.join(path)
    }

    /// The member that a file below the root belongs to: the one with the longest fitting folder.
    pub(crate) fn owner(&self, path: &str) -> Option<&Package> {
        let inside = |package: &&Package| {
            path.strip_prefix(package.folder.as_str()).is_some_and(|rest| rest.starts_with('/'))
        };
        self.packages.iter().filter(inside).max_by_key(|package| package.folder.len())
    }
}

impl Package {
    pub(crate) fn new(name: &str, folder: &str) -> Self {
        let (benches, required_features) = (Vec::new(), BTreeMap::new());
        Self { name: name.to_owned(), folder: folder.to_owned(), benches, required_features }
    }

    /// The features without which a benchmark is not built.
    pub(crate) fn bench_features(&self, bench: &str) -> &[String] {
        self.required_features.get(bench).map_or(&[], Vec::as_slice)
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
                 "targets": [{"kind": ["lib"], "name": "bench_support"}, {"kind": ["bench"], "name": "itself", "required-features": ["x"]}]}]}"#,
        )
        .expect("metadata")
    }

    #[test]
    fn benches_are_found_per_package() {
        let workspace = workspace();
        let package = &workspace.packages[0];
        assert_eq!(
            (package.benches.as_slice(), package.bench_features("itself")),
            (&["itself".to_owned()][..], &["x".to_owned()][..])
        );
        assert!(workspace.packages[1].benches.is_empty());
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
