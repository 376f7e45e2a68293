//! The scaffold is a promise to newcomers: it is built and tested as they would, in a workspace of its own.

use super::*;

#[track_caller]
fn check_names(name: &str, expected: Option<(&str, &str, &str)>) {
    let names = Names::try_new(name).ok();
    let found =
        names.as_ref().map(|names| (names.kind.as_str(), names.camel.as_str(), names.package.as_str()));
    assert_eq!(found, expected, "{name}");
}

#[test]
fn a_name_has_the_form_that_each_place_needs() {
    check_names("pump-station", Some(("pump_station", "PumpStation", "fsm-worker-pump-station")));
    check_names("s7", Some(("s7", "S7", "fsm-worker-s7")));
    check_names("a--b", Some(("a_b", "AB", "fsm-worker-a-b")));
    for wrong in ["", "Pump", "7s", "pump station", "pump/..", "pump-", "-pump", "pümp"] {
        check_names(wrong, None);
    }
}

#[test]
fn a_member_is_added_in_order_and_nothing_else_changes() {
    let manifest = "[workspace]\nmembers = [\n    \"a\",\n    \"workers/b\",\n    \"workers/d\",\n    \"z\",\n]\n\
                    [workspace.dependencies]\nfsm-worker-b = 1\nfsm-worker-d = 1\nserde = 1\n";
    let names = Names::try_new("c").expect("a name");
    let added = add_member(manifest, &names).expect("added");
    let new: Vec<&str> = added.lines().filter(|line| !manifest.lines().any(|old| old == *line)).collect();
    assert_eq!(new, ["    \"workers/c\",", "fsm-worker-c = { path = \"workers/c\", version = \"0.1.0\" }"]);
    let place = |part: &str| added.lines().position(|line| line.contains(part));
    assert!(place("workers/b\"") < place("workers/c\"") && place("workers/c\"") < place("workers/d\""));
    let last = add_member(manifest, &Names::try_new("e").expect("a name")).expect("added");
    assert!(last.contains("    \"workers/d\",\n    \"workers/e\",\n    \"z\","));
}

#[test]
fn a_name_that_is_taken_is_refused() {
    let workspace = Workspace::find().expect("the workspace");
    let error = run(&workspace, "broker").expect_err("there is a broker");
    assert!(error.to_string().contains("is there already"), "{error}");
}

#[test]
fn a_scaffolded_worker_breaks_no_rule_of_tidy() {
    let names = Names::try_new("pump-station").expect("a name");
    let files =
        TEMPLATE.map(|(path, template)| (format!("workers/pump-station/{path}"), names.fill(template)));
    assert_eq!(crate::tidy::check_files(&files), [] as [String; 0]);
}

/// The workspace's manifest for a workspace elsewhere, of which the new worker is the only member.
fn manifest_elsewhere(workspace: &Workspace, member: &str) -> String {
    let text = fs::read_to_string(workspace.path("Cargo.toml")).expect("readable");
    let mut manifest: toml::Table = text.parse().expect("a manifest");
    let own = manifest["workspace"].as_table_mut().expect("a workspace");
    own.insert("members".into(), toml::Value::Array(vec![member.into()]));
    own.remove("default-members");
    for (_, dependency) in own["dependencies"].as_table_mut().expect("dependencies").iter_mut() {
        if let Some(path) = dependency.get_mut("path") {
            let absolute = workspace.path(path.as_str().expect("a path"));
            *path = absolute.to_string_lossy().into_owned().into();
        }
    }
    toml::to_string(&manifest).expect("a manifest")
}

// spec: U-60
#[test]
fn a_scaffolded_worker_compiles_without_warnings_and_passes_its_tests() {
    let workspace = Workspace::find().expect("the workspace");
    let folder = tempfile::tempdir().expect("a folder");
    let names = Names::try_new("pump-station").expect("a name");
    write(&folder.path().join("workers/pump-station"), &names).expect("written");
    fs::write(folder.path().join("Cargo.toml"), manifest_elsewhere(&workspace, "workers/pump-station"))
        .expect("written");
    // The same versions as here: nothing is downloaded.
    fs::copy(workspace.path("Cargo.lock"), folder.path().join("Cargo.lock")).expect("copied");
    fs::copy(workspace.path("clippy.toml"), folder.path().join("clippy.toml")).expect("copied");

    let cargo = |args: &[&str]| {
        let mut cargo = shell::cargo();
        cargo
            .current_dir(folder.path())
            .env("CARGO_TARGET_DIR", workspace.target.join("new-worker"))
            .args(args);
        shell::capture(&mut cargo)
    };
    cargo(&["clippy", "--offline", "--all-targets", "--", "-D", "warnings"]).expect("no warning");
    let output = cargo(&["test", "--offline"]).expect("it passes its tests");
    let passed: Vec<&str> = output.lines().filter(|line| line.starts_with("test result: ok. ")).collect();
    let tests: u32 = passed.iter().filter_map(|line| line.split(' ').nth(3)?.parse::<u32>().ok()).sum();
    assert!(tests >= 12, "11 tests and a doctest are in the template:\n{output}");
}
