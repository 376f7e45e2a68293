//! Everything that can be wrong in a config is said clearly, with its place, its code and what to do; and all of it at once.
#![expect(clippy::unwrap_used, reason = "a test fails by it")]

use std::path::Path;

use fsmd::{config, kinds};

/// What `check` prints about a file of `tests/bad`.
#[track_caller]
fn refused(name: &str) -> String {
    let registry = kinds::for_checking().unwrap();
    let path = format!("tests/bad/{name}");
    config::load(Path::new(&path), &registry)
        .map(|loaded| loaded.rendered.nodes.len())
        .expect_err("it is bad")
        .to_string()
}

macro_rules! bad {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {
        $(
            $(#[$doc])*
            #[test]
            fn $name() {
                insta::assert_snapshot!(refused(concat!(stringify!($name), ".yaml")));
            }
        )+
    };
}

bad! {
    // spec: C-2
    unknown_key,
    // spec: C-2
    wrong_type,
    // spec: T-5, T-6
    missing_variable,
    // spec: T-5
    go_style,
    // spec: S-10
    duplicate_name,
    // spec: S-15
    cycle,
    // spec: S-10
    unknown_kind,
    // spec: C-2
    unknown_version,
    no_version,
    // spec: T-9
    broken_row,
    jq,
    // spec: U-80
    not_loopback,
    location_override,
    // spec: C-2, T-5
    all_at_once,
    // spec: C-4
    environment,
    // spec: T-5, T-8
    secret_not_shown,
    unreadable,
    // spec: C-2, T-9
    rows_not_there,
    empty,
    // spec, C-2
    tools,
    // spec: C-2, S-15, T-5
    workflows,
}

// spec: C-3
#[test]
fn the_schema_is_closed_and_names_every_section() {
    let schema = config::schema();
    assert_eq!(schema["additionalProperties"], false);
    for section in [
        "version",
        "agent",
        "server",
        "store",
        "variables",
        "templates",
        "bridges",
        "dataflows",
        "workers",
        "tools",
        "workflows",
        "exec",
    ] {
        assert!(schema["properties"][section].is_object(), "{section} is missing");
    }
}
