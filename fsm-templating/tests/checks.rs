//! What `check`, `render --trace` and `plan` need: parameters, provenance, warnings, golden results.

#![expect(clippy::unwrap_used, reason = "a test fails by it")]

use fsm_core::{VariableBundle, Vars};
use fsm_templating::{
    CATALOGUE, Code, Diagnostics, Location, Node, Origins, Related, RenderContext, Severity, Template,
    check_schema, codes, explain, ignored_marks, reserved_names,
};
use serde_json::{Value, json};

/// The template of the documentation, complete.
const PRESS: &str = r#"parameters:
  ip: {type: string, description: address of the press, pattern: '^[0-9.]+$'}
  port: {type: integer, default: 502, min: 1, max: 65535}
  tags: {type: list, default: [], max: 2}
  mode: {type: string, enum: [fast, safe], default: fast}
connection: {tcp: {host: "{{ ip }}", port: "{{ port }}"}}
read:
  input:
    modbus:
      address: "{{ ip }}:{{ port }}"
      unit: 1
      interval: "{{ '100ms' if mode == 'fast' else '1s' }}"
      registers: [{name: temperature, address: 0, type: f32}]
  pipeline: [{topic: {expr: '"umh/v1/\($location_topic)/_raw/\(.name)"'}}]
  output: {mqtt: {url: "{{ global.broker }}"}}
write:
  input: {mqtt: {url: "{{ global.broker }}", topic: "umh/v1/{{ location_topic }}/_cmd/+"}}
  output: {modbus: {address: "{{ ip }}:{{ port }}", unit: 1, tags: "{{ tags }}"}}
"#;

fn template(text: &str) -> Template {
    Template::compile(&Node::parse("press.yaml", text).unwrap()).unwrap_or_else(|errors| panic!("{errors}"))
}

fn vars(value: Value) -> Vars {
    value.as_object().unwrap().clone().into_iter().collect()
}

fn with<R>(user: Value, f: impl FnOnce(RenderContext<'_>) -> R) -> R {
    let variables = VariableBundle::default()
        .with_user(vars(user))
        .unwrap()
        .with_global(vars(json!({"broker": "mqtt://127.0.0.1:1883"})));
    let location = Location::from_pairs([("enterprise", "acme"), ("site", "cologne")]).unwrap();
    f(RenderContext::new(&variables, &location, "press-7"))
}

fn codes_of(found: &Diagnostics) -> Vec<Code> {
    found.iter().map(|error| error.code).collect()
}

// spec: T-2, T-3
#[test]
fn the_press_renders_to_its_reviewed_result() {
    let rendered = with(json!({"ip": "10.0.0.7"}), |cx| template(PRESS).render(&cx)).unwrap();
    insta::assert_snapshot!(serde_json::to_string_pretty(&rendered.value).unwrap());
}

// spec: T-6
#[test]
fn parameters_are_checked_before_anything_is_rendered() {
    for (user, code, words) in [
        (json!({}), codes::MISSING_PARAMETER, "`ip` (string) under `variables`: address of the press"),
        (json!({"ip": 7}), codes::BAD_PARAMETER, "must be a text, not an integer"),
        (json!({"ip": "host"}), codes::BAD_PARAMETER, "must match the pattern"),
        (json!({"ip": "1", "port": "502"}), codes::BAD_PARAMETER, "must be an integer, not a text"),
        (json!({"ip": "1", "port": 0}), codes::BAD_PARAMETER, "must be at least 1"),
        (json!({"ip": "1", "port": 65536}), codes::BAD_PARAMETER, "must be at most 65535"),
        (json!({"ip": "1", "tags": [1, 2, 3]}), codes::BAD_PARAMETER, "must have a length of at most 2"),
        (json!({"ip": "1", "mode": "slow"}), codes::BAD_PARAMETER, "must be one of \"fast\", \"safe\""),
    ] {
        let errors = with(user.clone(), |cx| template(PRESS).render(&cx)).unwrap_err();
        assert!(codes_of(&errors).contains(&code), "{user}: {errors}");
        assert!(errors.to_string().contains(words), "{user}: {errors}");
        assert!(!errors.to_string().contains("slow") && !errors.to_string().contains("host`"), "{errors}");
    }
}

// spec: T-6
#[test]
fn declarations_that_can_not_be_meant_are_errors() {
    for text in [
        "parameters: [a]",
        "parameters: {a: 1}",
        "parameters: {a: {type: strnig}}",
        "parameters: {a: {tpye: string}}",
        "parameters: {a: {default: '{{ b }}'}}",
        "parameters: {a: {default: [{'{{ b }}': 1}]}}",
        "parameters: {a: {required: 1}}",
        "parameters: {a: {required: true, default: 1}}",
        "parameters: {a: {enum: []}}",
        "parameters: {a: {type: string, pattern: '('}}",
        "parameters: {a: {pattern: 1}}",
        "parameters: {a: {type: integer, pattern: a}}",
        "parameters: {a: {min: 2, max: 1}}",
        "parameters: {a: {min: x}}",
        "parameters: {a: {description: 1}}",
        "parameters: {a: {type: integer, default: x}}",
        "parameters: {a: {enum: [1], default: 2}}",
    ] {
        let errors = Template::compile(&Node::parse("t.yaml", text).unwrap()).unwrap_err();
        assert_eq!(codes_of(&errors), [codes::BAD_DECLARATION], "{text}: {errors}");
    }
    let errors = Template::compile(&Node::parse("t.yaml", "parameters: {global: {}}").unwrap()).unwrap_err();
    assert_eq!(codes_of(&errors), [codes::RESERVED_NAME]);
    let optional = template(
        "parameters: {a: {required: false}, b: , c: {default: ~}}\nx: '{{ a | default(1) }}{{ b }}'\ny: '{{ c }}'",
    );
    assert_eq!(
        with(json!({"b": 2}), |cx| optional.render(&cx)).unwrap().value,
        json!({"x": "12", "y": null})
    );
    let bare = template("parameters: {a: {required: false}}\nx: '{{ a }}'");
    let errors = with(json!({}), |cx| bare.render(&cx)).unwrap_err();
    assert!(errors.to_string().contains("optional parameter"), "{errors}");
}

// spec: T-6
#[test]
fn unknown_unused_and_shadowed_variables_are_reported() {
    let t = template("parameters: {ip: {}, spare: {default: 1}}\na: '{{ ip }}'");
    let lint = t.lint();
    assert_eq!(codes_of(&lint), [codes::UNUSED_VARIABLE]);
    assert!(lint.to_string().contains("press.yaml:1:22"), "{lint}");
    let node = Node::parse("c.yaml", "{ipp: hidden, ip: x, location: y}").unwrap();
    let own = vars(node.to_value());
    let found = t.check_variables(&own, &vars(json!({"ip": 1})), Some(&node));
    assert_eq!(codes_of(&found), [codes::UNKNOWN_PARAMETER, codes::SHADOWED_VARIABLE, codes::RESERVED_NAME]);
    assert!(
        found.to_string().contains("did you mean `ip`?") && !found.to_string().contains("hidden"),
        "{found}"
    );
    assert_eq!(codes_of(&reserved_names(&own, Some(&node))), [codes::RESERVED_NAME]);

    let free = template("a: '{{ ip }}'");
    let mut found = free.check_variables(&vars(json!({"ip": 1, "x": 2})), &Vars::new(), None);
    assert_eq!(codes_of(&found), [codes::UNUSED_VARIABLE]);
    assert!(!found.has_errors());
    found.deny_warnings();
    assert!(found.has_errors() && found.iter().all(|f| f.severity == Severity::Error));
    assert_eq!(free.variables().collect::<Vec<_>>(), ["ip"]);
    assert!(!free.is_constant() && template("a: 1").is_constant());
}

// spec: T-7
#[test]
fn each_scalar_knows_where_it_comes_from() {
    let node = Node::parse("c.yaml", "variables: {ip: 10.0.0.7}\nbroker: x\n").unwrap();
    let place = |path: &str| node.at(&path.parse().unwrap()).unwrap().place().clone();
    let origins: Origins =
        [("ip".to_owned(), place("variables.ip")), ("global.broker".to_owned(), place("broker"))]
            .into_iter()
            .collect();
    let (rendered, trace) =
        with(json!({"ip": "10.0.0.7"}), |cx| template(PRESS).render_traced(&cx.with_origins(&origins)))
            .unwrap();
    let plain = with(json!({"ip": "10.0.0.7"}), |cx| template(PRESS).render(&cx)).unwrap();
    assert_eq!(rendered.value, plain.value);
    assert!(plain.key.inputs().iter().all(|input| rendered.key.inputs().contains(input)));
    let lines: Vec<String> = trace
        .iter()
        .map(|scalar| {
            let used = scalar.used.iter().map(|used| {
                let at = used.set_at.as_ref().map(ToString::to_string).unwrap_or_default();
                format!("{}{}@{at}", used.input, if used.is_default { " (default)" } else { "" })
            });
            let place = scalar.place.as_ref().unwrap();
            format!("{} <- {} {place}: {}", scalar.path, scalar.template, used.collect::<Vec<_>>().join(", "))
        })
        .collect();
    insta::assert_snapshot!(lines.join("\n"));
}

// spec: T-5
#[test]
fn errors_tell_the_chain_that_led_to_them() {
    let node = Node::parse("c.yaml", "bridges:\n  - {name: press-7, template: press}\n").unwrap();
    let chain = [Related {
        message: "used by the bridge `press-7`".into(),
        place: Some(node.pointer("/bridges/0").unwrap().place().clone()),
    }];
    let errors = with(json!({}), |cx| {
        template("a: [1, '{{ ip }}']").render(&cx.with_chain(&chain).with_subject("bridges[0] press-7"))
    })
    .unwrap_err();
    insta::assert_snapshot!(errors.to_string());
    let json = serde_json::to_value(&errors).unwrap();
    assert_eq!(json[0]["line"], 1);
    assert_eq!(json[0]["related"][0]["at"], "c.yaml:2:5");
}

// spec: T-2, C-2
#[test]
fn a_rendered_result_points_back_into_the_template() {
    let t = template(PRESS);
    let rendered = with(json!({"ip": "10.0.0.7", "tags": [1]}), |cx| t.render(&cx)).unwrap();
    let node = t.to_node(
        &rendered.value,
        &fsm_templating::Source::new("x", "").place(fsm_templating::Span::default()),
    );
    assert_eq!(node.to_value(), rendered.value);
    assert_eq!(node.pointer("/read/input/modbus/address").unwrap().place().to_string(), "press.yaml:10:16");
    let schema = json!({"properties": {"write": {"properties": {"output": {"properties": {"modbus": {"properties": {"unit": {"type": "string"}}}}}}}}});
    let found = check_schema(&node, &schema);
    assert!(found.to_string().contains("press.yaml:18:59"), "{found}");
}

// spec: T-2
#[test]
fn marks_where_nothing_is_rendered_are_warnings() {
    let node = Node::parse(
        "c.yaml",
        "templates: {a: '{{ x }}'}\nagent: {name: '{{ y }}', tags: ['{{ z }}', {'{{ k }}': 1}]}\n",
    )
    .unwrap();
    let found = ignored_marks(&node, &|path| path.to_string().starts_with("templates"));
    assert_eq!(codes_of(&found), [codes::TEMPLATE_MARK_IGNORED; 3]);
    assert!(!found.has_errors());
}

// spec: C-2
#[test]
fn every_code_is_explained() {
    assert!(CATALOGUE.iter().all(|entry| entry.text.len() > 60 && !entry.title.is_empty()));
    assert_eq!(explain("e0103".parse().unwrap(), &[]).unwrap().code, codes::UNKNOWN_VARIABLE);
    assert!(explain(Code(999), &[]).is_none());
    assert!("E10301".parse::<Code>().is_err() && "x".parse::<Code>().is_err());
}

// spec: T-1
#[test]
fn syntax_errors_are_all_reported_with_their_places() {
    let text = "a: '{{ x + }}'\nb: '{{ }}{{ y | }}'\nc: '{{ x | uper }}'\nd: 'x {{ y'\ne: '{% set a = 1 %}'\n'{{ k': 1\n";
    let errors = Template::compile(&Node::parse("t.yaml", text).unwrap()).unwrap_err();
    insta::assert_snapshot!(errors.to_string());
    let errors = with(json!({"x": "a"}), |cx| {
        template("c: '{{ x | uper }}'\nd: '{{ x is strin }}'\ne: '{{ rnge(3) }}'").render(&cx)
    })
    .unwrap_err();
    insta::assert_snapshot!(errors.to_string());
}
