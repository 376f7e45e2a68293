//! Writing, which the environment asks for, without touching the environment.

use super::*;

#[test]
fn a_file_is_written_when_it_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("docs/workers/scripted.md");
    let graph = Graph { kind: "empty", states: Vec::new(), initial: Vec::new(), edges: Vec::new() };
    assert!(graph.check_or_write(&file, false).is_err());
    graph.check_or_write(&file, true).unwrap();
    graph.check_or_write(&file, false).unwrap();
    assert!(fs::read_to_string(&file).unwrap().starts_with("<!-- @generated from the model of `empty`"));
}
