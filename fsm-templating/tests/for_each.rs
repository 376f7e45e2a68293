//! `for_each`: rows become children.

#![expect(clippy::unwrap_used, reason = "a test fails by it")]

use fsm_core::{VariableBundle, Vars};
use fsm_templating::{
    Code, Diagnostics, Expanded, ForEach, Location, Node, RenderContext, codes, parse_rows, read_rows,
    rows_of,
};
use serde_json::json;

const ENTRY: &str = "
for_each: {file: devices.csv}
name: \"press-{{ item.id | slug }}\"
variables: {ip: \"{{ item.ip }}\", at: '{{ index }}', me: '{{ name }}', site: '{{ location.site }}', b: '{{ global.b }}'}
location: {line: \"{{ item.line }}\"}
enabled: '{{ item.on }}'
";

fn expand(entry: &str, file: &str, rows: &str) -> Result<Vec<Expanded>, Diagnostics> {
    let node = Node::parse("c.yaml", entry).unwrap();
    let rows = parse_rows(file, rows)?;
    let global: Vars = [("b".to_owned(), json!("mqtt"))].into_iter().collect();
    let variables = VariableBundle::default().with_global(global);
    let location = Location::from_pairs([("site", "s1")]).unwrap();
    ForEach::compile(&node)?
        .expand(&rows, &RenderContext::new(&variables, &location, "app").with_subject("bridges[2]"))
}

// spec: T-9
#[test]
fn rows_become_children_in_order() {
    let children = expand(
        ENTRY,
        "devices.csv",
        "id,ip,line,on\nB 7,10.0.0.7,l1,true\n\n\"A,8\",\"10.0.0.8\",l2,false\n",
    )
    .unwrap();
    let names: Vec<_> = children.iter().map(|c| c.name.as_str()).collect();
    assert_eq!(names, ["press-b-7", "press-a-8"]);
    assert_eq!(
        json!(children[1].variables),
        json!({"ip": "10.0.0.8", "at": 1, "me": "press-a-8", "site": "s1", "b": "mqtt"})
    );
    assert_eq!(children[1].location.path(), "l2");
    assert_eq!((children[0].enabled, children[1].enabled), (true, false));
    assert_eq!(children[1].row.to_string(), "devices.csv:4:1");
}

// spec: T-9
#[test]
fn rows_come_from_yaml_json_and_lists() {
    let entry = "{for_each: [], name: 'p{{ item.id }}'}";
    for (file, rows) in [("r.yaml", "- id: 1\n- {id: 2}\n"), ("r.json", "[{\"id\": 1}, {\"id\": 2}]")] {
        let children = expand(entry, file, rows).unwrap();
        assert_eq!(children.len(), 2, "{file}");
        assert_eq!(children[1].name.as_str(), "p2");
    }
    let list = Node::parse("c.yaml", "[a, b]").unwrap();
    assert_eq!(rows_of(&list).unwrap()[1].place.to_string(), "c.yaml:1:5");
    assert!(parse_rows("r.yaml", "").unwrap().is_empty());
}

// spec: T-9
#[test]
fn names_that_collide_name_both_rows() {
    let errors =
        expand(ENTRY, "devices.csv", "id,ip,line,on\na,1,l,true\nb,2,l,true\nA,3,l,true\n").unwrap_err();
    insta::assert_snapshot!(errors.to_string());
}

// spec: T-9
#[test]
fn all_errors_of_all_rows_are_reported_without_values() {
    let entry = "{for_each: [], name: '{{ item.id }}', variables: {ip: '{{ item.ipp }}'}, location: {sit: '{{ item.l }}'}, enabled: '{{ item.on }}'}";
    let errors = expand(entry, "d.csv", "id,ip,l,on\nBad Name,hidden,l,true\nb,hidden,l,true\n").unwrap_err();
    insta::assert_snapshot!(errors.to_string());
    assert!(!errors.to_string().contains("hidden"));
    let entry = "{for_each: [], name: '{{ item.id }}', variables: {name: '{{ item.ip }}'}, location: {sit: '{{ item.l }}'}, enabled: '{{ item.on }}'}";
    let errors = expand(entry, "d.csv", "id,ip,l,on\nBad Name,hidden,l,maybe\n").unwrap_err();
    let mut found: Vec<Code> = errors.iter().map(|e| e.code).collect();
    found.sort();
    assert_eq!(
        found,
        [codes::RESERVED_NAME, codes::BAD_LEVEL, codes::BAD_NAME, codes::BAD_FOR_EACH],
        "{errors}"
    );
}

#[test]
fn an_entry_without_a_name_is_an_error() {
    let node = Node::parse("c.yaml", "{for_each: [], variables: {a: '{{'}}").unwrap();
    let errors = ForEach::compile(&node).unwrap_err();
    let found: Vec<Code> = errors.iter().map(|e| e.code).collect();
    assert_eq!(found, [codes::BAD_FOR_EACH, codes::TEMPLATE_SYNTAX]);
    let errors = expand("{name: x, variables: [1]}", "r.yaml", "[1]").unwrap_err();
    assert_eq!(errors.iter().next().unwrap().code, codes::BAD_FOR_EACH);
}

#[test]
fn bad_files_of_rows_are_errors_with_lines() {
    for (text, line, words) in [
        ("a,b\n1,2\n3\n", "3:1", "1 fields"),
        ("a,a\n1,2\n", "1:1", "stands twice"),
        ("a,\n1,2\n", "1:1", "has no name"),
        ("a,b\n1,2,3\n", "2:1", "3 fields"),
    ] {
        let errors = parse_rows("d.csv", text).unwrap_err().to_string();
        assert!(errors.contains(&format!("d.csv:{line}\n")) && errors.contains(words), "{errors}");
    }
    assert!(parse_rows("d.yaml", "a: 1").unwrap_err().to_string().contains("must be a list"));
    assert!(parse_rows("d.json", "[").is_err());
    let missing = read_rows(std::path::Path::new("/nonexistent/d.csv")).unwrap_err();
    assert!(missing.to_string().contains("/nonexistent/d.csv"));
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("d.CSV"), "\u{feff}a\n1\n").unwrap();
    let rows = read_rows(&dir.path().join("d.CSV")).unwrap();
    assert_eq!(rows[0].value, json!({"a": "1"}));
    assert!(rows[0].place.to_string().ends_with("d.CSV:2:1"), "{}", rows[0].place);
}
