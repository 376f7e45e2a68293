//! Documents against schemas made from Rust types.

#![expect(dead_code, reason = "the types exist for their schemas")]
#![expect(clippy::unwrap_used, reason = "a test fails by it")]

use std::collections::BTreeMap;

use fsm_templating::{Location, Node, Secret, check_schema, check_template_schema};
use schemars::JsonSchema;

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, rename_all = "snake_case")]
struct Config {
    /// The version of the format.
    version: u8,
    agent: Agent,
    #[schemars(default)]
    bridges: Vec<Bridge>,
    limits: Option<Limits>,
    #[schemars(default)]
    levels: BTreeMap<u8, String>,
    #[schemars(default)]
    labels: BTreeMap<String, String>,
    pair: Option<(u8, String)>,
    target: Option<Target>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Agent {
    #[schemars(length(min = 1, max = 63))]
    name: String,
    location: Option<Location>,
    password: Option<Secret>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Bridge {
    name: String,
    input: Input,
    output: Option<Output>,
    #[schemars(default)]
    enabled: bool,
    mode: Option<Mode>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
enum Input {
    /// From a broker.
    Mqtt(Mqtt),
    Http {
        url: String,
    },
    Stdin,
    Stdout {},
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Mqtt {
    url: String,
    topic: Option<String>,
    #[schemars(range(max = 2))]
    qos: Option<u8>,
    rate: Option<f64>,
}

#[derive(JsonSchema)]
#[schemars(tag = "type", rename_all = "snake_case")]
enum Output {
    File { path: String },
    Drop,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
enum Mode {
    Fast,
    Safe,
}

#[derive(JsonSchema)]
#[schemars(untagged)]
enum Target {
    Name(String),
    Full { host: String, port: u16 },
}

#[derive(JsonSchema)]
struct Limits {
    #[schemars(flatten)]
    common: Common,
    rate: Option<u32>,
}

#[derive(JsonSchema)]
struct Common {
    burst: u32,
}

fn schema() -> serde_json::Value {
    schemars::schema_for!(Config).to_value()
}

#[track_caller]
fn check(text: &str) -> Vec<String> {
    let node = Node::parse("c.yaml", text).unwrap_or_else(|e| panic!("{e}"));
    let line = |d: &fsm_templating::Diagnostic| {
        let place = d.place.as_ref().unwrap();
        let help = d.help.as_ref().map(|help| format!(" | {help}")).unwrap_or_default();
        format!("{} {} {}: {}{help}", d.code, place, d.path.clone().unwrap_or_default(), d.message)
    };
    check_schema(&node, &schema()).iter().map(line).collect()
}

const GOOD: &str = "
version: 1
agent: {name: edge, location: {enterprise: acme, '3': l4, 7: x, line: 4}, password: {secret: {env: PW}}}
bridges:
  - {name: a, input: {mqtt: {url: x, qos: 1, rate: 2}}, output: {type: file, path: x}, enabled: true, mode: fast}
  - {name: b, input: stdin, output: ~, mode: ~}
  - {name: c, input: {http: {url: x}}, output: {type: drop}}
  - {name: c, input: {stdout: {}}}
limits: {burst: 1, rate: 2}
levels: {0: a, 1: b}
labels: {any: thing}
pair: [1, x]
target: {host: x, port: 1}
";

// spec: C-2
#[test]
fn a_good_document_passes() {
    assert_eq!(check(GOOD), [""; 0]);
    assert_eq!(check("version: 1\nagent: {name: a, password: plain}\ntarget: x"), [""; 0]);
}

// spec: C-2
#[test]
fn every_mistake_is_reported_with_place_and_help() {
    let errors = check(
        "
verion: 1
agent: {name: '', location: {sit: x}, password: {secret: {evn: PW}}}
bridges:
  - {name: 7, input: {mqt: {url: x}}, enabled: 'true'}
  - {name: b, input: {mqtt: {ur: x, qos: 3, rate: '2', topic: 1}}, mode: fats}
  - {name: c, input: {mqtt: {url: x}, http: {url: x}}}
  - {name: d, input: stdni, output: {type: fil, path: x}}
  - {name: e, input: mqtt, output: {path: x}}
  - {name: f, input: {stdin: {}}, output: 5, enabled: yes}
  - {input: [1]}
  - ~
limits: {rate: -1}
levels: {a: b}
labels: [x]
pair: [x, 1]
target: [1]
",
    );
    insta::assert_snapshot!(errors.join("\n"));
}

#[test]
fn the_whole_message_of_an_unknown_key() {
    let node = Node::parse("c.yaml", "version: 1\nagent:\n  nmae: edge\n  name: x\n").unwrap();
    insta::assert_snapshot!(check_schema(&node, &schema()).to_string());
}

#[test]
fn a_template_mark_fits_everywhere_before_rendering() {
    let text = "version: '{{ v }}'\nagent: {name: a}\nbridges: [{name: x, input: '{{ i }}', '{{ k }}': 1}]\n";
    let node = Node::parse("c.yaml", text).unwrap();
    assert!(check_template_schema(&node, &schema()).is_empty());
    assert!(!check_schema(&node, &schema()).is_empty());
}

#[test]
fn a_schema_that_leads_to_itself_ends() {
    let schema = serde_json::json!({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}});
    assert!(check_schema(&Node::parse("c.yaml", "a: 1").unwrap(), &schema).is_empty());
}
