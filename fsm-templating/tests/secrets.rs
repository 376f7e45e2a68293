//! Secrets are references that taint what they are rendered into and are never shown.

#![expect(clippy::unwrap_used, reason = "a test fails by it")]

use fsm_core::{VariableBundle, Vars};
use fsm_templating::{
    Code, Diagnostics, Location, Node, Reference, RenderContext, Secret, Template, check_secrets, codes,
    rebase_secret_files, redacted,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

#[derive(Debug, Serialize, Deserialize, PartialEq)]
struct Broker {
    url: Secret,
    password: Secret,
}

fn render(text: &str) -> Result<Value, Diagnostics> {
    let node = Node::parse("t.yaml", text).unwrap();
    let user: Vars = [
        ("pw".to_owned(), json!({"secret": {"env": "PW"}})),
        ("key".to_owned(), json!({"secret": {"file": "/run/key"}})),
        ("host".to_owned(), json!("h")),
        ("box".to_owned(), json!({"inner": {"secret": {"env": "INNER"}}})),
    ]
    .into_iter()
    .collect();
    let variables = VariableBundle::default().with_user(user).unwrap();
    let location = Location::default();
    Template::compile(&node)?.render(&RenderContext::new(&variables, &location, "x")).map(|r| r.value)
}

fn clear(secret: &Secret) -> String {
    let read = |reference: &Reference| match reference {
        Reference::Env(name) => Ok(format!("<{name}>")),
        Reference::File(path) => Ok(format!("<{path}>")),
    };
    secret.resolve_with(read).unwrap().into_exposed()
}

// spec: T-8
#[test]
fn a_secret_taints_what_it_is_rendered_into() {
    let value = render("{url: 'mqtt://u:{{ pw }}@{{ host }}/{{ key }}', password: '{{ pw }}'}").unwrap();
    let broker: Broker = serde_json::from_value(value.clone()).unwrap();
    assert_eq!(clear(&broker.url), "mqtt://u:<PW>@h/</run/key>");
    assert_eq!(clear(&broker.password), "<PW>");
    assert_eq!(format!("{broker:?}"), "Broker { url: [secret], password: [secret] }");
    assert_eq!(serde_json::to_value(&broker).unwrap(), json!({"url": "[secret]", "password": "[secret]"}));
    assert_eq!(redacted(&value), json!({"url": "[secret]", "password": "[secret]"}));
}

// spec: T-8
#[test]
fn the_store_keeps_the_reference() {
    let value = render("{url: 'a{{ pw }}', password: 'plain'}").unwrap();
    let broker: Broker = serde_json::from_value(value).unwrap();
    let stored = Secret::with_references(|| serde_json::to_value(&broker).unwrap());
    assert_eq!(stored, json!({"url": {"secret": {"concat": ["a", {"env": "PW"}]}}, "password": "[secret]"}));
    let url: Secret = serde_json::from_value(stored["url"].clone()).unwrap();
    assert_eq!(url, broker.url);
    assert_eq!(serde_json::to_value(&broker.url).unwrap(), json!("[secret]"), "only inside");
}

// spec: T-8
#[test]
fn a_secret_passes_through_expressions_that_do_not_read_it() {
    for (text, expected) in [
        ("{{ pw if host == 'h' else key }}", json!({"secret": {"env": "PW"}})),
        ("{{ zz | default(pw) }}", json!({"secret": {"env": "PW"}})),
        ("{{ box.inner }}", json!({"secret": {"env": "INNER"}})),
        ("{{ box['inner'] }}", json!({"secret": {"env": "INNER"}})),
        ("{{ [pw, host] }}", json!([{"secret": {"env": "PW"}}, "h"])),
        ("{% if pw %}yes{% endif %}", json!("yes")),
    ] {
        assert_eq!(render(&format!("a: {text:?}")).unwrap()["a"], expected, "{text}");
    }
}

// spec: T-8
#[test]
fn a_secret_can_not_be_changed_or_read() {
    for text in [
        "{{ pw | upper }}",
        "{{ pw ~ 'x' }}",
        "{{ pw | length }}",
        "{{ [pw] | join }}",
        "{{ pw | replace('a', 'b') }}",
        "{% if true %}{{ pw }}{% endif %}",
        "{{ pw | string }}",
        "{{ pw | slug }}",
        "{{ pw + 'x' }}",
        "{{ [pw, key] | sort }}",
        "{{ pw[0] }}",
        "{{ pw.env }}x",
    ] {
        match render(&format!("a: {text:?}")) {
            Ok(value) => panic!("{text}: {value}"),
            Err(errors) => {
                let code = errors.iter().next().unwrap().code;
                let fine =
                    [codes::SECRET_CHANGED, codes::TEMPLATE_FAILED, codes::UNKNOWN_VARIABLE].contains(&code);
                assert!(fine, "{text}: {errors}");
            }
        }
    }
    let errors = render("'{{ pw }}': 1").unwrap_err();
    assert_eq!(errors.iter().next().unwrap().code, codes::SECRET_CHANGED);
}

// spec: T-8
#[test]
fn secrets_are_fetched_at_the_point_of_use() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key");
    let secret: Secret = serde_json::from_value(json!({"secret": {"file": path}})).unwrap();
    assert!(secret.resolve().unwrap_err().to_string().contains("can't be read: entity not found"));
    std::fs::write(&path, "one\r\n").unwrap();
    assert_eq!(secret.resolve().unwrap().expose(), "one");
    std::fs::write(&path, "two\n\n").unwrap();
    let text = secret.resolve().unwrap();
    assert_eq!(text.expose(), "two\n");
    assert_eq!(format!("{text} {text:?}"), "[secret] [secret]");
    std::fs::write(&path, vec![b'x'; (1 << 20) + 1]).unwrap();
    assert!(secret.resolve().is_err());
    let unset = Secret::reference(Reference::Env("FSM_TEMPLATING_TEST_NOT_SET".into()));
    assert!(unset.resolve().unwrap_err().to_string().contains("`FSM_TEMPLATING_TEST_NOT_SET` is not set"));
    assert!(Secret::reference(Reference::Env("PATH".into())).resolve().is_ok());
    assert_eq!(Secret::plain("p").resolve().unwrap().expose(), "p");
}

// spec: T-8
#[test]
fn malformed_secrets_are_errors() {
    for bad in [
        json!("[secret]"),
        json!({"secret": {"evn": "X"}}),
        json!({"secret": {"env": "X", "file": "Y"}}),
        json!([1]),
        json!({"secret": {"env": ""}}),
    ] {
        assert!(serde_json::from_value::<Secret>(bad.clone()).is_err(), "{bad}");
    }
    let node =
        Node::parse("c.yaml", "a: {secret: {evn: X}}\nb: [{secret: {file: y}}]\nsecret: {c: d}\n").unwrap();
    let errors = check_secrets(&node);
    assert_eq!(errors.len(), 1);
    assert_eq!(errors.iter().next().unwrap().code, Code(119));
    assert!(errors.to_string().contains("did you mean `env`?"), "{errors}");
    assert!(Template::compile(&node).is_err());
    assert_eq!(
        redacted(&node.to_value())["a"],
        json!("[secret]"),
        "what was meant as one is not shown, either"
    );
}

#[test]
fn secret_files_are_relative_to_their_config() {
    let mut node = Node::parse(
        "c.yaml",
        "{a: {secret: {file: pw}}, b: {secret: {file: /pw}}, c: {file: pw}, d: {secret: {env: pw}}}",
    )
    .unwrap();
    rebase_secret_files(&mut node, std::path::Path::new("/etc/fsmd"));
    assert_eq!(
        node.to_value(),
        json!({"a": {"secret": {"file": "/etc/fsmd/pw"}}, "b": {"secret": {"file": "/pw"}}, "c": {"file": "pw"}, "d": {"secret": {"env": "pw"}}})
    );
}
