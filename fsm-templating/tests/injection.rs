//! A value never changes the structure around it, whatever it is; rendering twice gives the same bytes; nothing
//! that is written makes the parser or the renderer panic, hang or eat memory.

#![expect(clippy::unwrap_used, reason = "a test fails by it")]

use fsm_core::{VariableBundle, Vars};
use fsm_templating::{Location, Node, RenderContext, Template, check_schema, parse_rows};
use proptest::prelude::*;
use serde_json::{Value, json};

/// Texts that break out of their place wherever text is pasted instead of data being placed.
fn hostile() -> Vec<String> {
    let mut all: Vec<String> = [
        "a: b",
        "- a",
        "\n- injected: true",
        "\"",
        "'",
        "\"}, injected: {",
        "' }}{{ global }}",
        "{{ global.secret }}",
        "{{",
        "}}",
        "{% if true %}",
        "{% raw %}",
        "{# x #}",
        "&anchor",
        "*anchor",
        "<<: *base",
        "!!python/object:os.system",
        "--- \n...",
        "| \n  x",
        "> \n  x",
        "# comment",
        "? x",
        "%YAML 1.2",
        "\u{0}\u{1}\u{7f}\u{1b}[31m",
        "\r\n\t",
        "\u{2028}\u{feff}\u{202e}",
        "\\u0022\\n\\",
        "${HOME}",
        "null",
        "true",
        "0x1F",
        ".inf",
        "",
        " ",
        "{\"secret\": {\"env\": \"HOME\"}}",
        "[secret]",
        "</script><script>",
        "$(reboot)`reboot`",
    ]
    .map(str::to_owned)
    .into();
    all.push("é{{ x }}: ".repeat(1 << 17));
    assert!(all.len() >= 30);
    assert!(all.iter().any(|text| text.len() >= 1 << 20));
    all
}

const TEMPLATE: &str = r#"
parameters: {v: {type: string}}
alone: "{{ v }}"
mixed: "a{{ v }}b"
filtered: "{{ v | default('x') }}"
branch: "{{ v if true else 'x' }}"
block: "{% if true %}{{ v }}{% endif %}"
loop: "{% for x in [v] %}{{ x }}{% endfor %}"
trimmed: "<{{- v -}}>"
literal: |
  {{ v }}
folded: >-
  {{ v }}
single: '{{ v }}'
plain: a {{ v }}
global: "{{ global.v }}"
item: "{{ item.v }}"
name: "{{ name }}"
list: ["{{ v }}", {deep: "{{ v }}"}]
"k{{ v }}": 1
'{{ v }}!': 2
typed: "{{ [v, {'k': v}] }}"
after: true
"#;

fn context<R>(text: &str, f: impl FnOnce(&RenderContext<'_>) -> R) -> R {
    let user: Vars = [("v".to_owned(), json!(text))].into_iter().collect();
    let variables = VariableBundle::default().with_user(user.clone()).unwrap().with_global(user);
    let location = Location::from_pairs([("site", "s")]).unwrap();
    let item = json!({"v": text});
    f(&RenderContext::new(&variables, &location, text).with_item(&item, 0))
}

// spec: T-2
#[test]
fn hostile_values_leave_the_structure_unchanged_in_every_position() {
    let template = Template::compile(&Node::parse("t.yaml", TEMPLATE).unwrap()).unwrap();
    for text in hostile() {
        let value =
            context(&text, |cx| template.render(cx)).unwrap_or_else(|e| panic!("{text:?}: {e}")).value;
        let shown: String = text.chars().take(40).collect();
        let expected = json!({
            "alone": text, "mixed": format!("a{text}b"), "filtered": text, "branch": text, "block": text,
            "loop": text, "trimmed": format!("<{text}>"), "literal": format!("{text}\n"), "folded": text,
            "single": text, "plain": format!("a {text}"), "global": text, "item": text, "name": text,
            "list": [text, {"deep": text}], format!("k{text}"): 1, format!("{text}!"): 2,
            "typed": [text, {"k": text}], "after": true
        });
        assert!(value == expected, "{shown:?}");
        let keys: Vec<_> = value.as_object().unwrap().keys().collect();
        assert!(
            keys == expected.as_object().unwrap().keys().collect::<Vec<_>>(),
            "declared order: {shown:?}"
        );
    }
}

// spec: T-2
#[test]
fn a_rendered_key_that_is_already_there_is_an_error_not_a_loss() {
    let template = Template::compile(&Node::parse("t.yaml", "a: 1\n'{{ v }}': 2\n").unwrap()).unwrap();
    assert!(context("a", |cx| template.render(cx)).unwrap_err().to_string().contains("already there"));
    assert!(context("b", |cx| template.render(cx)).is_ok());
}

// spec: T-1
#[test]
fn rendering_twice_gives_the_same_bytes() {
    for text in hostile() {
        let render = || {
            let template = Template::compile(&Node::parse("t.yaml", TEMPLATE).unwrap()).unwrap();
            let rendered = context(&text, |cx| template.render(cx)).unwrap();
            (serde_json::to_vec(&rendered.value).unwrap(), rendered.key)
        };
        assert!(render() == render());
    }
}

// spec: T-5
#[test]
fn errors_do_not_hold_values() {
    let value = "TOP-SECRET-VALUE";
    for text in [
        "{{ v + 1 }}",
        "{{ v | int }}",
        "{{ 1 / v }}",
        "{{ v.x }}",
        "{{ v[0].x }}",
        "{{ v() }}",
        "{{ v.foo() }}",
        "{{ v | round }}",
        "{{ v | items }}",
        "{{ {v: 1}[zz] }}",
        "{{ [v] | sum }}",
        "{{ -v }}",
        "{{ v ** v }}",
        "{{ range(v) }}",
        "{{ v | attr(zz) }}",
        "{{ v | split(zz) }}",
        "{{ v is divisibleby(zz) }}",
        "{% for a in 1 %}{{ v }}{% endfor %}",
        "{{ {v: zz}[v] }}",
        "{{ global[v] }}",
        "{{ item[v] }}",
        "{{ dict(v) }}",
        "{{ v | abs }}",
        "{{ v // 2 }}",
        "{{ v | float }}",
        "{{ location[v] }}",
        "{{ internal[v] }}",
    ] {
        let node = Node::parse("t.yaml", &format!("a: {text:?}")).unwrap();
        let errors = context(value, |cx| Template::compile(&node).and_then(|t| t.render(cx)));
        match errors {
            Ok(rendered) => panic!("{text} gave {}", rendered.value),
            Err(errors) => assert!(!errors.to_string().contains(value), "{text}: {errors}"),
        }
    }
}

/// Pieces from which hostile documents are put together.
fn soup() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("{{ ".to_owned()),
        Just(" }}".to_owned()),
        Just("{% if ".to_owned()),
        Just(" %}".to_owned()),
        Just("{% endif %}".to_owned()),
        Just("{% for x in ".to_owned()),
        Just("{% endfor %}".to_owned()),
        Just("{#".to_owned()),
        Just("{% raw %}".to_owned()),
        Just("v".to_owned()),
        Just(" | upper".to_owned()),
        Just(" ~ ".to_owned()),
        Just("[".to_owned()),
        Just("]".to_owned()),
        Just("{".to_owned()),
        Just("}".to_owned()),
        Just(": ".to_owned()),
        Just("\n".to_owned()),
        Just("  ".to_owned()),
        Just("- ".to_owned()),
        Just("&a ".to_owned()),
        Just("*a".to_owned()),
        Just("<<: ".to_owned()),
        Just("\"".to_owned()),
        Just("'".to_owned()),
        Just("|\n".to_owned()),
        Just(",".to_owned()),
        Just("!!int ".to_owned()),
        Just("range(99999)".to_owned()),
        Just("'x' * 9999".to_owned()),
        Just("-".to_owned()),
        Just("not ".to_owned()),
        Just("(".to_owned()),
        Just(")".to_owned()),
        Just(".".to_owned()),
        Just("parameters: ".to_owned()),
        Just("secret: ".to_owned()),
        "\\PC{0,4}",
        "[0-9a-z]{1,3}",
    ];
    proptest::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::vec((any::<String>(), inner), 0..4)
                .prop_map(|v| Value::Object(v.into_iter().collect())),
        ]
    })
}

/// Everything a text can go through.
fn exercise(text: &str) {
    for name in ["a.yaml", "a.json"] {
        if let Ok(node) = Node::parse(name, text) {
            let _ = context(text, |cx| Template::compile(&node).and_then(|t| t.render_traced(cx)))
                .map_err(|e| e.to_string());
            let _ = check_schema(&node, &json!({"type": "object", "properties": {"a": {"type": "integer"}}, "additionalProperties": false})).to_string();
            let _ = Location::from_node(&node).map_err(|e| e.to_string());
        }
    }
    let _ = parse_rows("a.csv", text).map_err(|e| e.to_string());
    let _ = Template::from_value(&json!({"a": text, text: [text]}))
        .and_then(|t| context(text, |cx| t.render(cx)))
        .map_err(|e| e.to_string());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_that_is_written_makes_it_panic(text in soup()) {
        exercise(&text);
    }

    #[test]
    fn no_text_at_all_makes_it_panic(text in any::<String>()) {
        exercise(&text);
    }

    #[test]
    fn expressions_never_panic(text in soup()) {
        exercise(&format!("a: {:?}\n", format!("{{{{ {text} }}}}")));
        exercise(&format!("a: '{{{{ {} }}}}'\n", text.replace('\'', "''")));
    }

    // spec: T-3
    #[test]
    fn a_value_that_stands_alone_arrives_as_it_is(value in any_value()) {
        let template = Template::compile(&Node::parse("t.yaml", "{a: '{{ v }}', b: '{{ v if true else 0 }}', c: '{{ [v][0] }}'}").unwrap()).unwrap();
        let user: Vars = [("v".to_owned(), value.clone())].into_iter().collect();
        let variables = VariableBundle::default().with_user(user).unwrap();
        let location = Location::default();
        let rendered = template.render(&RenderContext::new(&variables, &location, "x")).unwrap();
        prop_assert_eq!(&rendered.value["a"], &value);
        prop_assert_eq!(&rendered.value["b"], &value);
        prop_assert_eq!(&rendered.value["c"], &value);
    }

    /// The plain lookups that skip minijinja must give what minijinja gives.
    #[test]
    fn shortcuts_and_minijinja_agree(text in any::<String>(), number in any::<i64>()) {
        let node = Node::parse("t.yaml", "{a: 'x{{ v }}{{ n }}{{ m.k }}', b: 'x{{ v if true }}{{ n if true }}{{ m[\"k\"] }}', c: '{% if true %}x{{ v }}{{ n }}{{ m.k }}{% endif %}'}").unwrap();
        let template = Template::compile(&node).unwrap();
        let user: Vars = [("v".to_owned(), json!(text)), ("n".to_owned(), json!(number)), ("m".to_owned(), json!({"k": number}))].into_iter().collect();
        let variables = VariableBundle::default().with_user(user).unwrap();
        let location = Location::default();
        let value = template.render(&RenderContext::new(&variables, &location, "x")).unwrap().value;
        prop_assert_eq!(&value["a"], &value["b"]);
        prop_assert_eq!(&value["a"], &value["c"]);
    }

    /// What the YAML reader reads is what was written as JSON (of which it is nearly a superset).
    #[test]
    fn json_comes_back_as_it_was_written(value in any_value()) {
        let text = serde_json::to_string_pretty(&value).unwrap();
        prop_assert_eq!(Node::parse("a.json", &text).unwrap().to_value(), value);
    }
}

/// Deep and long inputs on the smallest usual stack.
#[test]
fn deep_and_long_inputs_do_not_overflow_the_stack() {
    let run = || {
        for (open, close) in [
            ("[", "]"),
            ("{a: ", "}"),
            ("- ", ""),
            ("? ", ""),
            ("{{ ", " }}"),
            ("(", ")"),
            ("&a [", "]"),
            ("!!seq [", "]"),
        ] {
            exercise(&format!("{}1{}", open.repeat(20_000), close.repeat(20_000)));
            exercise(&format!("{}1{}", open.repeat(90), close.repeat(90)));
        }
        for (open, close) in [
            ("-", ""),
            ("not ", ""),
            ("(", ")"),
            ("[", "]"),
            ("{1:", "}"),
            ("1+", ""),
            ("v.", "v"),
            ("v|upper|", "upper"),
            ("1 if 1 else ", ""),
            ("v(", ")"),
            ("1**", ""),
            ("1,", ""),
        ] {
            for count in [40, 140, 250, 500, 20_000] {
                exercise(&format!("a: \"{{{{ {}1{} }}}}\"", open.repeat(count), close.repeat(count)));
            }
        }
        for count in [60, 120, 20_000] {
            exercise(&format!("a: \"{}{}\"", "{% if v %}".repeat(count), "{% endif %}".repeat(count)));
            exercise(&format!("a: \"{{% if v %}}{}{{% endif %}}\"", "{% elif v %}".repeat(count)));
        }
    };
    std::thread::Builder::new().stack_size(2 << 20).spawn(run).unwrap().join().unwrap();
}
