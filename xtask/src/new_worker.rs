//! Scaffolds a worker crate that compiles and is tested: a beginning that is right, to be changed step by step.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::shell;
use crate::workspace::Workspace;

/// The files of a new crate; `{{…}}` stands for its names.
const TEMPLATE: [(&str, &str); 8] = [
    ("Cargo.toml", include_str!("new_worker/template/Cargo.toml.txt")),
    ("src/lib.rs", include_str!("new_worker/template/src/lib.rs.txt")),
    ("src/config.rs", include_str!("new_worker/template/src/config.rs.txt")),
    ("src/state.rs", include_str!("new_worker/template/src/state.rs.txt")),
    ("src/worker.rs", include_str!("new_worker/template/src/worker.rs.txt")),
    ("tests/actions.rs", include_str!("new_worker/template/tests/actions.rs.txt")),
    ("tests/model.rs", include_str!("new_worker/template/tests/model.rs.txt")),
    ("tests/table.rs", include_str!("new_worker/template/tests/table.rs.txt")),
];

/// Makes `workers/NAME` and adds it to the workspace.
pub(crate) fn run(workspace: &Workspace, name: &str) -> Result<()> {
    let names = Names::try_new(name)?;
    let folder = workspace.path("workers").join(name);
    if folder.exists() {
        bail!("{} is there already: choose another name or remove it", folder.display());
    }
    let manifest = workspace.path("Cargo.toml");
    let text =
        fs::read_to_string(&manifest).with_context(|| format!("could not read {}", manifest.display()))?;
    let text = add_member(&text, &names)?;
    write(&folder, &names)?;
    fs::write(&manifest, text).with_context(|| format!("could not write {}", manifest.display()))?;
    shell::run(shell::cargo().current_dir(&workspace.root).args(["fmt", "-p", &names.package]))?;
    println!("made workers/{name}; next:");
    println!("  cargo nextest run -p {}", names.package);
    println!(
        "  change src/config.rs (the words), src/state.rs (decides), src/worker.rs (acts) and tests/table.rs"
    );
    println!("  name it where fsmd registers its kinds: registry.register({}::{})", names.lib, names.camel);
    Ok(())
}

/// The name in the forms that a crate needs.
struct Names {
    name: String,
    /// `pump_station`: the kind, as configs write it.
    kind: String,
    /// `PumpStation`: the types.
    camel: String,
    /// `fsm-worker-pump-station`: the crate.
    package: String,
    /// `fsm_worker_pump_station`: the crate in Rust.
    lib: String,
}

impl Names {
    fn try_new(name: &str) -> Result<Self> {
        let begins = name.starts_with(|char: char| char.is_ascii_lowercase());
        let fits =
            |char: char| char.is_ascii_lowercase() || char.is_ascii_digit() || char == '-' || char == '_';
        if !begins || !name.chars().all(fits) || name.ends_with(['-', '_']) {
            bail!(
                "`{name}` is no name for a worker: use lower-case words with `-` between them, as in `pump-station`"
            );
        }
        let words = || name.split(['-', '_']).filter(|word| !word.is_empty());
        let kind = words().collect::<Vec<_>>().join("_");
        let camel = words().map(|word| word[..1].to_uppercase() + &word[1..]).collect();
        let package = format!("fsm-worker-{}", kind.replace('_', "-"));
        Ok(Self { name: name.to_owned(), kind, camel, lib: package.replace('-', "_"), package })
    }

    fn fill(&self, template: &str) -> String {
        template
            .replace("{{kind}}", &self.kind)
            .replace("{{Type}}", &self.camel)
            .replace("{{package}}", &self.package)
            .replace("{{lib}}", &self.lib)
    }
}

fn write(folder: &Path, names: &Names) -> Result<()> {
    for (path, template) in TEMPLATE {
        let file = folder.join(path);
        let parent = file.parent().unwrap_or(folder);
        fs::create_dir_all(parent)
            .and_then(|()| fs::write(&file, names.fill(template)))
            .with_context(|| format!("could not write {}", file.display()))?;
    }
    Ok(())
}

/// The workspace's manifest with the new member, beside its like and in order; the rest as it was.
fn add_member(manifest: &str, names: &Names) -> Result<String> {
    let member = format!("    \"workers/{}\",", names.name);
    let dependency =
        format!("{} = {{ path = \"workers/{}\", version = \"0.1.0\" }}", names.package, names.name);
    let with_member =
        insert_sorted(manifest, "    \"workers/", &member).context("Cargo.toml lists no `workers/…`")?;
    insert_sorted(&with_member, "fsm-worker-", &dependency)
        .context("Cargo.toml has no dependency `fsm-worker-…`")
}

/// Inserts a line into the run of lines that begin alike.
fn insert_sorted(text: &str, alike: &str, line: &str) -> Option<String> {
    let lines: Vec<&str> = text.lines().collect();
    let first = lines.iter().position(|found| found.starts_with(alike))?;
    let run = lines[first..].iter().take_while(|found| found.starts_with(alike));
    let at = first + run.take_while(|found| **found < line).count();
    let all = lines[..at].iter().chain([&line]).chain(&lines[at..]);
    Some(all.fold(String::new(), |text, line| text + line + "\n"))
}

#[cfg(test)]
mod tests;
