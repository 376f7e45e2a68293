//! Checks what users copy: every example config, and every example crate from its own workspace.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::fsmd::Fsmd;
use crate::shell;
use crate::workspace::Workspace;

/// In the first lines of a YAML file below `examples/` that is something else than a config of `fsmd`.
const NO_CONFIG: &str = "# not a config of fsmd";

/// `fsmd check` on every config; all that is wrong is shown at once.
pub(crate) fn check_configs(workspace: &Workspace, fsmd: &Fsmd) -> Result<()> {
    let configs = configs(&workspace.path("examples"))?;
    let mut wrong = Vec::new();
    for config in &configs {
        let shown = config.strip_prefix(&workspace.root).unwrap_or(config).display();
        match shell::run(fsmd.command().arg("check").arg(config)) {
            Ok(()) => println!("{shown}: valid"),
            Err(_) => wrong.push(shown.to_string()),
        }
    }
    if !wrong.is_empty() {
        bail!("{} example configs are not valid: {}", wrong.len(), wrong.join(", "));
    }
    println!("{} example configs are valid", configs.len());
    Ok(())
}

/// Tests every example crate as a user would: as a workspace of its own.
pub(crate) fn test_crates(workspace: &Workspace, cargo: impl Fn() -> std::process::Command) -> Result<()> {
    let mut manifests = files(&workspace.path("examples"), &|path| path.ends_with("Cargo.toml"))?;
    // A member of the main workspace is tested with it.
    manifests.retain(|manifest| {
        !workspace
            .packages
            .iter()
            .any(|package| workspace.path(&package.folder).join("Cargo.toml") == *manifest)
    });
    for manifest in &manifests {
        let mut test = cargo();
        // One target folder for all of them, so that what they share is built once.
        test.args(["test", "--quiet", "--manifest-path"]).arg(manifest);
        test.arg("--target-dir").arg(workspace.target.join("examples"));
        shell::run(&mut test)?;
    }
    println!("{} example crates are tested", manifests.len());
    Ok(())
}

fn configs(folder: &Path) -> Result<Vec<PathBuf>> {
    let yaml = |path: &Path| path.extension().is_some_and(|end| end == "yaml" || end == "yml");
    let mut configs = files(folder, &yaml)?;
    let is_config = |path: &PathBuf| {
        let text = fs::read_to_string(path).unwrap_or_default();
        !text.lines().take(5).any(|line| line.starts_with(NO_CONFIG))
    };
    configs.retain(is_config);
    Ok(configs)
}

fn files(folder: &Path, wanted: &dyn Fn(&Path) -> bool) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        if !folder.exists() {
            continue;
        }
        for entry in fs::read_dir(&folder).with_context(|| format!("could not read {}", folder.display()))? {
            let path = entry?.path();
            if path.is_dir() && !path.ends_with("target") {
                folders.push(path);
            } else if wanted(&path) {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_yaml_file_is_a_config_unless_it_says_otherwise() {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |path: &str, text: &str| {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().expect("inside")).expect("created");
            fs::write(path, text).expect("written");
        };
        write("b.yaml", "agent: {}\n");
        write("01-a/fsmd.yml", "agent: {}\n");
        write("compose.yaml", "# not a config of fsmd: for docker compose\n");
        write("target/c.yaml", "agent: {}\n");
        write("readme.md", "");
        let found = configs(folder.path()).expect("readable");
        let found: Vec<_> =
            found.iter().map(|path| path.strip_prefix(folder.path()).expect("inside")).collect();
        assert_eq!(found, [Path::new("01-a/fsmd.yml"), Path::new("b.yaml")]);
    }

    #[test]
    fn no_examples_is_no_error() {
        assert!(configs(Path::new("/no/such/folder")).expect("nothing there").is_empty());
    }
}
