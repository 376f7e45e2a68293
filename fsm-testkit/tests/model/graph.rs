//! Diagrams say what the states do, are always the same, and are found when they drift.

use fsm_testkit::DiagramError;

use crate::lamp::*;

// spec: K-9
#[test]
fn mermaid_shows_moves_reasons_actions_and_phases() {
    let graph = model::<NONE>().graph().unwrap();
    let expected = "\
stateDiagram-v2
    TryingToShine: TryingToShine<br/>acts - on
    TryingToEnd: TryingToEnd<br/>acts - off
    [*] --> Dark
    Dark --> TryingToShine: told to shine
    TryingToShine --> Shining: it shines
    TryingToShine --> Broken: it is broken
    Shining --> TryingToShine: it is dark
    Shining --> Broken: it is broken
    Broken --> TryingToShine: it is dark
    TryingToEnd --> TryingToShine: told to shine
    TryingToShine --> TryingToEnd: (stop) told to stop
    Shining --> TryingToEnd: (stop) told to stop
    Broken --> TryingToEnd: (stop) told to stop
    TryingToEnd --> Dark: (stop) it is dark<br/>it was turned off
    classDef stopped fill:#eceff1,stroke:#78909c,color:#000
    class Dark stopped
    classDef starting fill:#e3f2fd,stroke:#1e88e5,color:#000
    class TryingToShine starting
    classDef running fill:#e8f5e9,stroke:#43a047,color:#000
    class Shining running
    classDef degraded fill:#fff3e0,stroke:#fb8c00,color:#000
    class Broken degraded
    classDef stopping fill:#f3e5f5,stroke:#8e24aa,color:#000
    class TryingToEnd stopping
";
    assert_eq!(graph.mermaid(), expected);
    assert!(
        graph.markdown().contains("| TryingToShine | starting | trying | `on` |\n"),
        "{}",
        graph.markdown()
    );
}

// spec: K-9
#[test]
fn dot_and_svg_show_the_same() {
    let graph = model::<NONE>().graph().unwrap();
    let dot = graph.dot();
    assert!(dot.starts_with("digraph \"lamp\" {\n") && dot.ends_with("}\n"), "{dot}");
    assert!(
        dot.contains("\"TryingToEnd\" -> \"Dark\" [label=\"it is dark\\nit was turned off\", style=dashed];"),
        "{dot}"
    );
    assert!(dot.contains("\"(start)\" -> \"Dark\";"), "{dot}");
    let svg = graph.svg();
    assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"), "{svg}");
    assert_eq!(svg.matches("marker-end").count(), graph.mermaid().matches("-->").count() - 1, "{svg}");
    assert!(svg.contains(">it is dark · it was turned off</text>"), "{svg}");
}

#[test]
fn a_removal_and_a_restart_are_ends_of_their_own() {
    let graph = model::<RESTARTS_WHILE_STOPPING>().graph().unwrap();
    assert!(
        graph.mermaid().contains("Broken --> Dark: (restarted) (stop) it is broken"),
        "{}",
        graph.mermaid()
    );
    assert!(graph.dot().contains("\"Broken\" -> \"(restarted)\""), "{}", graph.dot());
    assert!(graph.svg().contains(">(restarted)</text>"));
}

#[test]
fn the_same_model_draws_the_same_picture() {
    let draw = || {
        let graph = model::<NONE>().graph().unwrap();
        graph.mermaid() + &graph.dot() + &graph.svg()
    };
    assert_eq!(draw(), draw());
}

// spec: K-9
#[test]
fn a_diagram_that_drifted_is_found_at_its_first_line() {
    let folder = tempfile::tempdir().unwrap();
    let graph = model::<NONE>().graph().unwrap();
    for (file, text) in [("lamp.mmd", graph.mermaid()), ("lamp.dot", graph.dot()), ("lamp.svg", graph.svg())]
    {
        let file = folder.path().join(file);
        let missing = graph.check_file(&file).unwrap_err();
        assert!(matches!(missing, DiagramError::File { .. }), "{missing}");
        std::fs::write(&file, &text).unwrap();
        graph.check_file(&file).unwrap();
    }
    let file = folder.path().join("lamp.mmd");
    std::fs::write(&file, graph.mermaid().replace("[*] --> Dark", "[*] --> Broken")).unwrap();
    let error = graph.check_file(&file).unwrap_err();
    let DiagramError::Drifted { line, found, expected, .. } = &error else { panic!("{error}") };
    assert_eq!((*line, found.as_str(), expected.as_str()), (4, "    [*] --> Broken", "    [*] --> Dark"));
    assert!(error.to_string().contains("FSM_WRITE_DIAGRAMS=1"), "{error}");
    let error = graph.check_file(folder.path().join("lamp.png")).unwrap_err();
    assert!(error.to_string().ends_with("ends with none of .md, .mmd, .dot and .svg"), "{error}");
}
