//! Rendering: types, scope, errors, limits.

#![expect(clippy::unwrap_used, reason = "a test fails by it")]

use fsm_core::{VariableBundle, Vars};
use fsm_templating::{CompileOptions, Diagnostics, Location, Node, RenderContext, Template, codes};
use serde_json::{Value, json};

fn vars(value: &Value) -> Vars {
    value.as_object().unwrap().iter().map(|(k, v)| (k.clone(), v.clone())).collect()
}

struct World {
    variables: VariableBundle,
    location: Location,
}

impl World {
    fn new(user: Value, global: Value) -> Self {
        let mut variables =
            VariableBundle::default().with_user(vars(&user)).unwrap().with_global(vars(&global));
        variables.internal.id = "0123456789abcdef".into();
        variables.internal.name = "press-7".into();
        variables.internal.path = "/edge-01/press-7".into();
        variables.internal.created_at = 1_700_000_000_000;
        let location =
            Location::from_pairs([("enterprise", "acme"), ("site", "cologne"), ("line", "l4")]).unwrap();
        Self { variables, location }
    }

    fn cx(&self) -> RenderContext<'_> {
        RenderContext::new(&self.variables, &self.location, "press-7")
    }
}

fn template(text: &str) -> Template {
    let node = Node::parse("t.yaml", text).unwrap_or_else(|error| panic!("{error}"));
    Template::compile(&node).unwrap_or_else(|errors| panic!("{errors}"))
}

#[track_caller]
fn renders(text: &str, user: Value, expected: Value) {
    let world = World::new(user, json!({"broker": "mqtt://127.0.0.1:1883", "deep": {"a": [1, 2]}}));
    match template(text).render(&world.cx()) {
        Ok(rendered) => assert_eq!(rendered.value, expected),
        Err(errors) => panic!("{errors}"),
    }
}

#[track_caller]
fn fails(text: &str, user: Value) -> Diagnostics {
    let world = World::new(user, json!({"broker": "mqtt://127.0.0.1:1883"}));
    let node = Node::parse("t.yaml", text).unwrap_or_else(|error| panic!("{error}"));
    let result =
        Template::compile(&node).and_then(|t| t.render(&world.cx().with_subject("bridges[3] press-7")));
    match result {
        Ok(rendered) => panic!("rendered to {}", rendered.value),
        Err(errors) => errors,
    }
}

// spec: T-3
#[test]
fn a_scalar_that_is_one_expression_keeps_its_type() {
    renders(
        "{a: '{{ n }}', b: '{{ n + 1 }}', c: 'x{{ n }}', d: '{{ f }}', e: '{{ l }}', g: '{{ m }}', h: '{{ t }}', i: '{{ z }}', j: '{{- n -}}'}",
        json!({"n": 502, "f": 1.0, "l": [1, "a"], "m": {"k": true}, "t": true, "z": null}),
        json!({"a": 502, "b": 503, "c": "x502", "d": 1.0, "e": [1, "a"], "g": {"k": true}, "h": true, "i": null, "j": 502}),
    );
}

// spec: T-3
#[test]
fn mixed_text_is_a_text() {
    renders(
        "a: '{{ t }}/{{ f }}/{{ l }}'\nb: |\n  x = {{ n }}\nc: '{# nothing #}{{ n }}'\nd: '{{ n }} '",
        json!({"n": 5, "t": true, "f": 2.5, "l": [1, {"a": "b"}]}),
        json!({"a": "true/2.5/[1,{\"a\":\"b\"}]", "b": "x = 5\n", "c": "5", "d": "5 "}),
    );
}

// spec: T-2
#[test]
fn marks_in_comments_are_nothing() {
    renders("# {{ nobody }}\na: 1 # {{ .X }}\n", json!({}), json!({"a": 1}));
}

// spec: T-2
#[test]
fn keys_are_rendered_and_order_is_kept() {
    renders(
        "z: 1\n'{{ k }}-{{ n }}': '{{ n }}'\na: 2\n",
        json!({"k": "m", "n": 3}),
        json!({"z": 1, "m-3": 3, "a": 2}),
    );
}

// spec: T-4
#[test]
fn the_scope_has_all_names() {
    renders(
        "
a: '{{ global.broker }}'
b: '{{ internal.path }} {{ internal.created_at }}'
c: '{{ location.site }}/{{ location[3] }}/{{ location[\"0\"] }}'
d: '{{ location_path }} {{ location_topic }}'
e: '{{ name }}'
f: '{{ global.deep.a | last }}'
g: '{{ location }}'
h: '{{ internal.created_at + 1 }}'
",
        json!({}),
        json!({
            "a": "mqtt://127.0.0.1:1883", "b": "/edge-01/press-7 1700000000000", "c": "cologne/l4/acme",
            "d": "acme.cologne.l4 acme/cologne/l4", "e": "press-7", "f": 2,
            "g": {"enterprise": "acme", "site": "cologne", "line": "l4"}, "h": 1_700_000_000_001_u64
        }),
    );
}

// spec: T-4
#[test]
fn own_variables_win_over_inherited_ones_and_those_over_defaults() {
    let t = template(
        "parameters: {a: {default: d}, b: {default: d}, c: {default: d}}\nx: '{{ a }}{{ b }}{{ c }}'",
    );
    let parent = VariableBundle::default().with_user(vars(&json!({"a": "p", "b": "p"}))).unwrap();
    let child = parent.child(&vars(&json!({"a": "o"})));
    let location = Location::default();
    let rendered = t.render(&RenderContext::new(&child, &location, "x")).unwrap();
    assert_eq!(rendered.value, json!({"x": "opd"}));
}

// spec: T-5
#[test]
fn errors_name_variable_place_path_and_the_nearest_name_together() {
    let errors = fails(
        "read:\n  input:\n    modbus:\n      address: \"{{ ipp }}:{{ prt }}\"\n      unit: '{{ global.brokr }}'\nx: '{{ location.cell }}'\n",
        json!({"ip": "10.0.0.7", "port": 502}),
    );
    insta::assert_snapshot!(errors.to_string());
    assert!(!errors.to_string().contains("10.0.0.7"));
}

// spec: T-5
#[test]
fn go_style_gets_a_hint() {
    for text in ["'{{ .IP }}'", "'a{{.IP}}b'", "'{{ if .IP }}x'", "'{{ .IP | upper }}'"] {
        let errors = fails(&format!("a: {text}"), json!({}));
        assert_eq!(errors.iter().next().unwrap().code, codes::GO_STYLE, "{errors}");
        assert!(errors.to_string().contains("{{ ip }}"), "{errors}");
    }
}

// spec: T-1
#[test]
fn undefined_is_an_error_everywhere() {
    for text in [
        "{{ zz }}",
        "{{ zz.a }}",
        "{{ ip.a }}",
        "{{ zz | upper }}",
        "{{ ip if false }}",
        "{% if zz %}{% endif %}",
        "{{ [zz] }}",
        "{{ {'a': zz} }}",
        "x{{ zz }}",
        "{{ zz ~ 'a' }}",
        "{{ not zz }}",
        "{{ zz == 1 }}",
        "{{ global.x }}",
        "{{ global['x'] }}",
        "{{ internal.x }}",
        "{{ location.cell }}",
        "{{ location.floor }}",
        "{% for a in zz %}{% endfor %}",
        "{% if true %}{{ zz }}{% endif %}",
        "{{ item }}",
        "{{ m.b }}",
        "{{ m.a.b }}",
        "{{ ip | default(zz) if false else zz }}",
        "{{ [ip, zz] | join }}",
        "{{ zz[0] }}",
    ] {
        let errors = fails(&format!("a: {text:?}"), json!({"ip": "10.0.0.7", "m": {"a": 1}}));
        assert_eq!(errors.iter().next().unwrap().code, codes::UNKNOWN_VARIABLE, "{text}: {errors}");
    }
}

// spec: T-1
#[test]
fn a_missing_variable_may_be_asked_for() {
    renders(
        "a: \"{{ zz | default('x') }}{{ 'y' if zz is defined else 'n' }}\"",
        json!({}),
        json!({"a": "xn"}),
    );
}

// spec: T-1
#[test]
fn templates_are_bounded() {
    for text in [
        "{% for i in range(60000) %}{{ i }}{% endfor %}",
        "{{ range(90000) | map('upper') | join(a) }}",
        "{{ a | replace('a', a) | replace('a', a) }}",
        "{{ ('a' * 90000000) ~ 'b' }}",
        "{% for i in range(9000) %}{% for k in range(9000) %}{% endfor %}{% endfor %}",
    ] {
        let errors = fails(&format!("x: {text:?}"), json!({"a": "a".repeat(5000)}));
        let code = errors.iter().next().unwrap().code;
        assert!(code == codes::TEMPLATE_LIMIT || code == codes::BAD_RESULT, "{text}: {errors}");
    }
    let node = Node::parse("t.yaml", "x: '{% for i in range(9) %}{% endfor %}'").unwrap();
    let tight = Template::compile_with(&node, &CompileOptions::default().with_fuel(5)).unwrap();
    assert!(tight.render(&World::new(json!({}), json!({})).cx()).is_err());
}

// spec: T-1
#[test]
fn templates_reach_no_file_and_no_environment() {
    for (text, code) in [
        ("{% include 'x' %}", codes::FORBIDDEN_STATEMENT),
        ("{% import 'x' as y %}", codes::FORBIDDEN_STATEMENT),
        ("{{ env('HOME') }}", codes::UNKNOWN_FUNCTION),
        ("{{ 'HOME' | env_default('x') }}", codes::UNKNOWN_FUNCTION),
        ("{{ debug() }}", codes::UNKNOWN_FUNCTION),
    ] {
        let errors = fails(&format!("a: {text:?}"), json!({}));
        assert_eq!(errors.iter().next().unwrap().code, code, "{text}: {errors}");
    }
}

// spec: T-3
#[test]
fn a_mark_in_jq_is_an_error_with_the_hint() {
    let errors = fails(
        "pipeline: [{map: '.a + {{ b }}'}, {topic: {expr: '\"{{ location_topic }}\"'}}, {code: 'x {{ b }}'}]",
        json!({"b": 1}),
    );
    assert_eq!(errors.len(), 2, "{errors}");
    assert!(errors.iter().all(|e| e.code == codes::TEMPLATE_IN_JQ));
    assert!(errors.to_string().contains("$vars.ip"), "{errors}");
}

// spec: T-4
#[test]
fn reserved_names_are_refused() {
    for name in ["global", "internal", "location", "location_path", "location_topic", "name"] {
        let mut world = World::new(json!({}), json!({}));
        world.variables.user = std::sync::Arc::new(vars(&json!({name: 1})));
        let errors = template("a: 1").render(&world.cx()).unwrap_err();
        assert_eq!(errors.iter().next().unwrap().code, codes::RESERVED_NAME);
    }
}

// spec: T-1
#[test]
fn equal_content_is_one_template_and_survives_serialisation() {
    let a = template("a: '{{ ip }}'\n");
    let b = template("# other\na:   \"{{ ip }}\"\n");
    assert_eq!(a, b);
    assert_ne!(a, template("a: '{{ ip }} '\n"));
    let text = serde_json::to_string(&a).unwrap();
    assert_eq!(text, r#"{"a":"{{ ip }}"}"#);
    let back: Template = serde_json::from_str(&text).unwrap();
    assert_eq!(a, back);
    let world = World::new(json!({}), json!({}));
    let errors = back.render(&world.cx()).unwrap_err();
    assert!(errors.to_string().contains("t.yaml:2:10"), "the compiled one knows its file: {errors}");
}

// spec: T-1
#[test]
fn only_what_a_render_used_makes_it_stale() {
    let t = template(
        "parameters: {p: {default: 1}, q: {default: 2}}\na: '{{ ip }}{{ global.broker }}{{ location.site }}{{ p }}{% if flag %}{{ q }}{% endif %}'",
    );
    let world = |user, global| World::new(user, global);
    let base = world(json!({"ip": "1", "flag": false, "other": 1}), json!({"broker": "b", "x": 1}));
    let rendered = t.render(&base.cx()).unwrap();
    assert!(t.is_current(&rendered.key, &base.cx()));
    for (user, global, current) in [
        (json!({"ip": "1", "flag": false, "other": 2}), json!({"broker": "b", "x": 2}), true),
        (json!({"ip": "2", "flag": false, "other": 1}), json!({"broker": "b", "x": 1}), false),
        (json!({"ip": "1", "flag": true, "other": 1}), json!({"broker": "b", "x": 1}), false),
        (json!({"ip": "1", "flag": false, "p": 1}), json!({"broker": "b"}), true),
        (json!({"ip": "1", "flag": false, "p": 3}), json!({"broker": "b"}), false),
        (json!({"ip": "1", "flag": false}), json!({"broker": "c"}), false),
        (json!({"flag": false}), json!({"broker": "c"}), false),
    ] {
        let next = world(user.clone(), global);
        assert_eq!(t.is_current(&rendered.key, &next.cx()), current, "{user}");
    }
    let mut moved = world(json!({"ip": "1", "flag": false}), json!({"broker": "b"}));
    moved.variables.internal.created_at = 5;
    moved.location = Location::from_pairs([("enterprise", "other"), ("site", "cologne")]).unwrap();
    assert!(t.is_current(&rendered.key, &moved.cx()), "neither enterprise nor created_at was used");
    let names: Vec<String> = rendered.key.inputs().iter().map(ToString::to_string).collect();
    assert_eq!(names, ["p", "q", "ip", "global.broker", "location.site", "flag"]);
}
