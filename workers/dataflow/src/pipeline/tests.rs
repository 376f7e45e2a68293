//! What each step does to a message.

use serde_json::json;

use super::*;

const NOW: u64 = 1_700_000_000_000;

fn vars() -> IndexMap<String, Value> {
    let vars = json!({"ip": "a\" + env.HOME + \"", "limit": 10, "location_topic": "acme/cologne", "location_path": "acme.cologne", "name": "press-7"});
    vars.as_object().unwrap().iter().map(|(k, v)| (k.clone(), v.clone())).collect()
}

fn pipeline(steps: Value) -> Pipeline {
    let steps: Vec<Step> = serde_json::from_value(steps).unwrap();
    Pipeline::compile(&steps, &vars()).unwrap_or_else(|error| panic!("{}", fsm_core::chain(&error)))
}

fn run(steps: Value, topic: &str, payload: &str) -> Result<Vec<(String, String)>, StepError> {
    let mut out = Vec::new();
    pipeline(steps).run(Message::new(topic, payload.to_owned()), NOW, &mut out)?;
    Ok(out
        .into_iter()
        .map(|m| (m.topic.to_string(), String::from_utf8(m.payload.to_vec()).unwrap()))
        .collect())
}

#[track_caller]
fn gives(steps: Value, payload: &str, expected: &[(&str, &str)]) {
    let got = run(steps, "in/x", payload).unwrap_or_else(|error| panic!("{error}"));
    let expected: Vec<_> = expected.iter().map(|(t, p)| ((*t).to_owned(), (*p).to_owned())).collect();
    assert_eq!(got, expected);
}

#[track_caller]
fn fails(steps: Value, payload: &str, kind: ErrorKind, says: &str) {
    let error = run(steps, "in/x", payload).unwrap_err();
    assert_eq!(error.kind, kind, "{error}");
    assert!(error.to_string().contains(says), "{error}");
}

// spec: D-4
#[test]
fn steps_do_what_they_say() {
    gives(json!([]), "not json", &[("in/x", "not json")]);
    gives(json!([{"topic": "t"}]), "not json", &[("t", "not json")]);
    gives(
        json!([{"map": ".a"}]),
        r#"{"a": {"b": [1, 2.5, "x", null]}}"#,
        &[("in/x", r#"{"b":[1,2.5,"x",null]}"#)],
    );
    gives(
        json!([{"map": ".[]"}, {"topic": {"expr": "\"n/\\(.)\""}}]),
        "[1,2]",
        &[("n/1", "1"), ("n/2", "2")],
    );
    gives(json!([{"map": "empty"}]), "1", &[]);
    gives(json!([{"filter": ". > $vars.limit"}]), "11", &[("in/x", "11")]);
    gives(json!([{"filter": ". > $vars.limit"}]), "9", &[]);
    gives(json!([{"filter": "null"}]), "9", &[]);
    gives(json!([{"filter": "0"}]), "9", &[("in/x", "9")]);
    gives(json!([{"topic": {"expr": "\"out/\" + $meta.topic"}}]), "1", &[("out/in/x", "1")]);
    gives(
        json!([{"map": "[$location_topic, $location_path, $name]"}]),
        "1",
        &[("in/x", r#"["acme/cologne","acme.cologne","press-7"]"#)],
    );
}

#[test]
fn a_payload_that_only_passes_a_filter_keeps_its_bytes() {
    gives(json!([{"filter": "true"}]), "{ \"a\" :  1.0 }", &[("in/x", "{ \"a\" :  1.0 }")]);
}

// spec: D-4: the unified namespace
#[test]
fn a_tag_has_its_place_in_the_namespace() {
    let tag = |more: Value| {
        let mut tag = json!({"tag": "temperature"});
        tag.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!([{ "tag": tag }])
    };
    let topic = "umh/v1/acme/cologne/_raw/temperature";
    gives(tag(json!({})), "21.5", &[(topic, r#"{"timestamp_ms":1700000000000,"value":21.5}"#)]);
    gives(
        tag(json!({})),
        r#"{"value": 3, "timestamp_ms": 7}"#,
        &[(topic, r#"{"timestamp_ms":7,"value":3}"#)],
    );
    gives(
        tag(json!({})),
        r#"{"other": 3}"#,
        &[(topic, r#"{"timestamp_ms":1700000000000,"value":{"other":3}}"#)],
    );
    gives(
        tag(
            json!({"tag": {"expr": ".name"}, "value": ".v", "timestamp_ms": ".t * 1000", "contract": "_press", "location": "x"}),
        ),
        r#"{"name": "speed", "v": "fast", "t": 2}"#,
        &[("umh/v1/x/_press/speed", r#"{"timestamp_ms":2000,"value":"fast"}"#)],
    );
    fails(tag(json!({"tag": {"expr": ".name"}})), r#"{"name": "a+b"}"#, ErrorKind::Topic, "wildcard `+`");
    let mut out = Vec::new();
    pipeline(tag(json!({}))).run(Message::new("t", "1"), NOW, &mut out).unwrap();
    assert_eq!(out[0].metadata, [("bridged_by".into(), "press-7".into())]);
}

// spec: D-7
#[test]
fn refused_messages_say_where_and_why() {
    fails(json!([{"topic": "t"}, {"map": "."}]), "{", ErrorKind::Json, "pipeline[1].map");
    fails(json!([{"map": "."}]), "", ErrorKind::Json, "empty");
    fails(json!([{"map": ".a.b"}]), r#"{"a": 1}"#, ErrorKind::Jq, "pipeline[0].map");
    fails(json!([{"map": "error(\"no\")"}]), "1", ErrorKind::Jq, "no");
    fails(json!([{"topic": {"expr": "1"}}]), "1", ErrorKind::Topic, "a number instead of a string");
    fails(json!([{"topic": {"expr": "empty"}}]), "1", ErrorKind::Topic, "gives nothing");
    fails(json!([{"topic": {"expr": "\"\""}}]), "1", ErrorKind::Topic, "empty");
    fails(json!([{"map": "range(1e9)"}]), "1", ErrorKind::Jq, "more than 10000");
    fails(json!([{"map": "1, error(\"late\")"}]), "1", ErrorKind::Jq, "late");
}

#[test]
fn a_message_that_fails_halfway_leaves_nothing_behind() {
    let mut out = vec![Message::new("before", "")];
    let result =
        pipeline(json!([{"map": "1, 2, error(\"late\")"}])).run(Message::new("t", "1"), NOW, &mut out);
    assert!(result.is_err());
    assert_eq!(out.len(), 1);
}

#[track_caller]
fn refused(steps: Value, says: &[&str]) {
    let steps: Vec<Step> = serde_json::from_value(steps).unwrap();
    let error = fsm_core::chain(&Pipeline::compile(&steps, &vars()).unwrap_err());
    for part in says {
        assert!(error.contains(part), "`{part}` is missing in: {error}");
    }
}

#[test]
fn bad_programs_are_refused_with_their_place() {
    refused(json!([{"topic": "t"}, {"map": ".a | \n  .b +"}]), &["pipeline[1].map", "line 2", "`  .b +`"]);
    refused(json!([{"map": ".a | foo(1)"}]), &["column 6", "foo"]);
    refused(json!([{"map": "$nope"}]), &["$nope", "$meta", "$vars.NAME"]);
    refused(json!([{"filter": "\"abc"}]), &["pipeline[0].filter"]);
    refused(json!([{"topic": {"expr": "{{ ip }}"}}]), &["$vars.NAME", "column 1"]);
    refused(json!([{"map": "include \"x\"; ."}]), &["modules"]);
    refused(json!([{"tag": {"tag": "a#"}}]), &["pipeline[0].tag", "wildcard `#`"]);
}

// A program sees its message and its variables, nothing else.
#[test]
fn a_program_has_no_way_out() {
    for code in ["env", "$ENV", "halt", "halt(3)", "halt_error", "input", "[inputs]", "input_filename"] {
        let steps: Vec<Step> = serde_json::from_value(json!([{ "map": code }])).unwrap();
        assert!(Pipeline::compile(&steps, &vars()).is_err(), "{code} compiles");
    }
}

// spec: T-3: bound, never spliced
#[test]
fn a_hostile_variable_is_only_a_text() {
    gives(json!([{"map": "$vars.ip"}]), "1", &[("in/x", r#""a\" + env.HOME + \"""#)]);
}

#[test]
fn values_keep_their_precision() {
    for text in
        ["9007199254740993", "-0.1", "123456789012345678901234567890", "1e-7", "\"\\u00e4\\n\\\"\"", "\"😀\""]
    {
        let got = run(json!([{"map": "."}]), "t", text).unwrap();
        let (before, after): (Value, Value) =
            (serde_json::from_str(text).unwrap(), serde_json::from_str(&got[0].1).unwrap());
        assert_eq!(before, after, "{text} became {}", got[0].1);
    }
}

#[test]
fn what_json_can_not_say_is_not_written() {
    for code in ["nan", "infinite", "-infinite", "[nan]", "{(0): 1}", "{a: nan}"] {
        fails(json!([{ "map": code }]), "1", ErrorKind::Jq, "JSON can't say");
    }
}
