//! Rules about manifests: what every crate inherits, and what a library must not depend on.

use toml::Table;

use super::rules::Finding;
use super::tree::File;

/// Fields that are the same for all members.
const INHERITED: [&str; 5] = ["version", "edition", "rust-version", "license", "authors"];

pub(crate) fn check(file: &File) -> Vec<Finding> {
    let manifest: Table = match file.text.parse() {
        Ok(manifest) => manifest,
        Err(error) => return vec![Finding::new(&file.path, 0, "parse", error.to_string())],
    };
    // Examples are workspaces of their own, as a user's would be.
    let Some(package) = manifest.get("package").and_then(|package| package.as_table()) else {
        return Vec::new();
    };
    if manifest.contains_key("workspace") || file.path.starts_with("examples/") {
        return Vec::new();
    }
    let mut found = Vec::new();
    let mut add = |key: &str, rule, what: String| {
        let line = file.text.lines().position(|line| line.starts_with(key)).map_or(0, |index| index + 1);
        found.push(Finding::new(&file.path, line, rule, what));
    };
    let inherits = |value: Option<&toml::Value>| {
        value.and_then(|value| value.get("workspace")).and_then(toml::Value::as_bool) == Some(true)
    };
    if !inherits(manifest.get("lints")) {
        add("[lints]", "lints", "the crate doesn't inherit the workspace's lints".into());
    }
    match package.get("description").and_then(toml::Value::as_str) {
        None => add("[package]", "description", "no description".into()),
        Some(text) if text.ends_with('.') || text.contains(". ") || text.split_whitespace().count() < 3 => {
            add("description", "description", format!("`{text}` is not one sentence without a full stop"));
        }
        Some(_) => {}
    }
    for field in INHERITED {
        if !inherits(package.get(field)) {
            add(field, "inherit", format!("`{field}` is not the workspace's"));
        }
    }
    let is_binary = ["fsmd/", "xtask/"].iter().any(|folder| file.path.starts_with(folder));
    let depends = manifest.get("dependencies").and_then(|all| all.get("anyhow")).is_some();
    if depends && !is_binary {
        add("anyhow", "anyhow", "a library that depends on anyhow".into());
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
[package]
name = "fsm-a"
description = "One sentence about it"
version.workspace = true
edition.workspace = true
rust-version.workspace = true
license.workspace = true
authors.workspace = true
[lints]
workspace = true
[dependencies]
thiserror.workspace = true
[dev-dependencies]
anyhow.workspace = true
"#;

    #[track_caller]
    fn check_manifest(path: &str, text: &str, expected: &[&str]) {
        let found = check(&File::new(path.into(), text.into()));
        assert_eq!(found.iter().map(|finding| finding.rule).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn members_inherit_and_describe_themselves() {
        let path = "fsm-a/Cargo.toml";
        check_manifest(path, GOOD, &[]);
        check_manifest(path, &GOOD.replace("[lints]\nworkspace = true", ""), &["lints"]);
        check_manifest(path, &GOOD.replace("about it", "about it."), &["description"]);
        check_manifest(path, &GOOD.replace("description = \"One sentence about it\"", ""), &["description"]);
        check_manifest(path, &GOOD.replace("edition.workspace = true", "edition = \"2024\""), &["inherit"]);
        check_manifest(path, "a = ", &["parse"]);
    }

    #[test]
    fn libraries_return_their_own_errors() {
        let text = GOOD.replace("thiserror", "anyhow");
        check_manifest("fsm-a/Cargo.toml", &text, &["anyhow"]);
        check_manifest("fsmd/Cargo.toml", &text, &[]);
    }

    #[test]
    fn examples_stand_alone() {
        check_manifest("examples/01-a/Cargo.toml", "[package]\nname = \"a\"\n", &[]);
    }
}
