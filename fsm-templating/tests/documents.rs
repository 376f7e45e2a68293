//! Reading YAML and JSON: values, places, and clear errors.

#![expect(clippy::unwrap_used, reason = "a test fails by it")]

use fsm_templating::{Code, Format, Limits, Node, Source, codes};
use serde_json::{Value, json};

#[track_caller]
fn reads(text: &str, expected: Value) {
    match Node::parse("a.yaml", text) {
        Ok(node) => assert_eq!(node.to_value(), expected),
        Err(error) => panic!("{error}"),
    }
}

#[track_caller]
fn reads_json(text: &str, expected: Value) {
    assert_eq!(Node::parse("a.json", text).unwrap().to_value(), expected);
}

#[track_caller]
fn refuses(name: &str, text: &str, code: Code, position: &str, words: &str) {
    match Node::parse(name, text) {
        Ok(node) => panic!("{text:?} was read as {}", node.to_value()),
        Err(error) => {
            let shown = error.to_string();
            assert_eq!(error.code, code, "{text:?}: {shown}");
            assert!(shown.contains(&format!("{name}:{position}\n")), "{text:?}: {shown}");
            assert!(shown.contains(words), "{text:?}: {shown}");
        }
    }
}

#[test]
fn yaml_is_read_by_the_core_schema() {
    reads(
        "a: 1\nb: [x, 'y', \"z\\n\"]\nc: |\n  t\nd: !!str 5\ne: ! 6\nf: !!float 2\n",
        json!({
            "a": 1, "b": ["x", "y", "z\n"], "c": "t\n", "d": "5", "e": "6", "f": 2.0
        }),
    );
    reads("1: a\ntrue: b\n'<<': c\n\"~\": d", json!({"1": "a", "true": "b", "<<": "c", "~": "d"}));
    reads("", Value::Null);
    reads("# only a comment\n", Value::Null);
    reads("\u{feff}a: 1\n", json!({"a": 1}));
    reads(
        "a: &x {k: 1, l: 2}\nb: *x\nc: {<<: *x, k: 3}\nd: {<<: [*x, {m: 4}]}\n",
        json!({
            "a": {"k": 1, "l": 2}, "b": {"k": 1, "l": 2}, "c": {"k": 3, "l": 2}, "d": {"k": 1, "l": 2, "m": 4}
        }),
    );
}

#[test]
fn json_is_read_as_json() {
    reads_json(
        "{\"a\":\t1,\n\t\"b\": [\"\\ud83d\\ude00\\/\", true, null, -1.5e3]}",
        json!({"a": 1, "b": ["😀/", true, null, -1500.0]}),
    );
    reads(" [ ] ", json!([]));
    refuses("a.json", "{\"a\": 1, \"a\": 2}", codes::DUPLICATE_KEY, "1:10", "first here (a.json:1:2)");
    refuses("a.json", "{\"a\" 1}", codes::SYNTAX, "1:6", "expected `:`, found `1`");
    refuses("a.json", "[1, 2", codes::SYNTAX, "1:6", "the end of the document");
    refuses("a.json", "[1] x", codes::SYNTAX, "1:5", "expected the end of the document");
    refuses("a.json", "[nope]", codes::SYNTAX, "1:2", "expected a value");
    refuses("a.json", "{a: 1}", codes::SYNTAX, "1:2", "a key in double quotes");
    refuses("a.json", "[\"a", codes::SYNTAX, "1:2", "no closing quote");
    refuses("a.json", "[\"\\x\"]", codes::SYNTAX, "1:2", "invalid escape");
    refuses("a.json", "[18446744073709551616]", codes::BAD_NUMBER, "1:2", "64 bits");
    refuses("a.json", "[01]", codes::BAD_NUMBER, "1:2", "not a number");
    refuses("a.json", &"[".repeat(5000), codes::TOO_LARGE, "1:98", "nested deeper");
}

// spec: C-2
#[test]
fn what_yaml_can_get_wrong_is_said_clearly() {
    refuses("a.yaml", "a: 1\nb: 2\na: 3\n", codes::DUPLICATE_KEY, "3:1", "first here (a.yaml:1:1)");
    refuses("a.yaml", "a: {{ port }}\n", codes::BAD_KEY, "1:4", "into quotes");
    refuses("a.yaml", "a: {{ ip }}:{{ port }}\n", codes::BAD_KEY, "1:4", "into quotes");
    refuses("a.yaml", "? [a]\n: b\n", codes::BAD_KEY, "1:3", "not a text");
    refuses("a.yaml", "~: b\n", codes::BAD_KEY, "1:1", "not a text");
    refuses("a.yaml", "a: .inf\n", codes::BAD_NUMBER, "1:4", "in quotes");
    refuses("a.yaml", "a: 99999999999999999999\n", codes::BAD_NUMBER, "1:4", "64 bits");
    refuses("a.yaml", "a: *b\n", codes::BAD_ALIAS, "1:4", "`&name`");
    refuses("a.yaml", "a: &a [*a]\n", codes::BAD_ALIAS, "1:8", "inside what it repeats");
    refuses("a.yaml", "a: {<<: 1}\n", codes::BAD_ALIAS, "1:9", "`<<` merges");
    refuses("a.yaml", "a:\n\tb: 1\n", codes::SYNTAX, "2:2", "spaces");
    refuses("a.yaml", "a: b: c\n", codes::SYNTAX, "1:5", "quotes");
    refuses("a.yaml", "a: \"x\n", codes::SYNTAX, "1:4", "quoted scalar");
    refuses("a.yaml", "a: !foo 1\n", codes::UNKNOWN_TAG, "1:4", "`!foo`");
    refuses("a.yaml", "a: !!binary AA\n", codes::UNKNOWN_TAG, "1:4", "`!!binary`");
    refuses("a.yaml", "a: !foo [1]\n", codes::UNKNOWN_TAG, "1:4", "`!foo`");
    refuses("a.yaml", "a: !!int x\n", codes::WRONG_TYPE, "1:4", "`!!int`");
    refuses("a.yaml", "a: 1\n---\nb: 2\n", codes::MANY_DOCUMENTS, "2:1", "one document per file");
    refuses("a.yaml", &"[".repeat(5000), codes::TOO_LARGE, "1:256", "nested deeper");
    refuses("a.yaml", &"- ".repeat(200), codes::TOO_LARGE, "1:193", "nested deeper");
}

#[test]
fn a_few_lines_of_aliases_do_not_fill_the_memory() {
    let mut laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..10 {
        let before = format!("*a{}, ", level - 1).repeat(10);
        laughs += &format!("a{level}: &a{level} [{before}]\n");
    }
    let error = Node::parse("a.yaml", &laughs).unwrap_err();
    assert_eq!(error.code, codes::BAD_ALIAS, "{error}");
    let long = format!("a: &a \"{}\"\nb: [{}]\n", "x".repeat(1 << 20), "*a, ".repeat(1000));
    assert_eq!(Node::parse("a.yaml", &long).unwrap_err().code, codes::BAD_ALIAS);
}

#[test]
fn the_size_of_a_document_is_limited() {
    let source = Source::new("a.yaml", "a: 1\n");
    let mut limits = Limits::default();
    limits.bytes = 3;
    let error = Node::parse_source(&source, Format::Yaml, limits).unwrap_err();
    assert_eq!(error.code, codes::TOO_LARGE);
}

#[test]
fn each_node_and_key_knows_its_place() {
    let node = Node::parse(
        "a.yaml",
        "ä:\n  - {k: \"v\"}\n  - |\n    line {{ x }}\n    two {{ y }}\n  - \"\\t{{ z }}\"\n",
    )
    .unwrap();
    assert_eq!(node.entry("ä").unwrap().key_place.to_string(), "a.yaml:1:1");
    assert_eq!(node.pointer("/ä/0/k").unwrap().place().to_string(), "a.yaml:2:9");
    assert_eq!(node.at(&"ä[0].k".parse().unwrap()).unwrap().as_str(), Some("v"));
    assert_eq!(node.nearest_place(&"ä[0].zz.y".parse().unwrap()).to_string(), "a.yaml:2:5");
    let block = node.pointer("/ä/1").unwrap();
    let at = block.as_str().unwrap().find("{{ y").unwrap();
    assert_eq!(block.locate(at..at + 7).to_string(), "a.yaml:5:9");
    let quoted = node.pointer("/ä/2").unwrap();
    assert_eq!(quoted.locate(1..8).to_string(), "a.yaml:6:8");
}

#[test]
fn scalars_can_be_replaced_with_their_path_in_hand() {
    let mut node = Node::parse("a.yaml", "a: [x, {b: y}]").unwrap();
    let mut seen = Vec::new();
    node.for_each_scalar_mut(&mut |path, scalar, place| {
        seen.push(format!("{path} {place}"));
        scalar.value = json!(1);
    });
    assert_eq!(seen, ["a[0] a.yaml:1:5", "a[1].b a.yaml:1:12"]);
    assert_eq!(node.to_value(), json!({"a": [1, {"b": 1}]}));
}

#[test]
fn snippets_survive_long_lines_and_control_characters() {
    let text = format!("a: \"{}\u{7}\tx\", b: {{{{ }}}}", "ü".repeat(1 << 16));
    let error = Node::parse("a.yaml", &text).unwrap_err().to_string();
    assert!(error.len() < 2000, "{}", error.len());
    assert!(!error.contains('\u{7}') && !error.contains('\t'));
}
