//! P24: a bridge with ten tags, rendered from cold inputs and found unchanged.

#![expect(clippy::unwrap_used, reason = "a benchmark may fail")]

use std::hint::black_box;

use bench_support::{Bench, Record, Unit};
use fsm_core::{VariableBundle, Vars};
use fsm_templating::{Location, Node, RenderContext, Template};
use serde_json::{Value, json};

/// Rounds of one measurement; the median of them is robust against a busy machine.
const ROUNDS: usize = 101;

fn bridge() -> String {
    let tags: String = (0..10)
        .map(|n| format!("        - {{name: \"{{{{ prefix }}}}-tag{n}\", address: {n}, type: f32}}\n"))
        .collect();
    format!(
        r#"
parameters: {{ip: {{type: string}}, port: {{type: integer, default: 502}}, prefix: {{type: string}}}}
connection: {{tcp: {{host: "{{{{ ip }}}}", port: "{{{{ port }}}}"}}}}
read:
  input:
    modbus:
      address: "{{{{ ip }}}}:{{{{ port }}}}"
      unit: 1
      interval: 1s
      registers:
{tags}  pipeline: [{{topic: {{expr: '"umh/v1/\($location_topic)/_raw/\(.name)"'}}}}]
  output: {{mqtt: {{url: "{{{{ global.broker }}}}"}}}}
write:
  input: {{mqtt: {{url: "{{{{ global.broker }}}}", topic: "umh/v1/{{{{ location_topic }}}}/_cmd/+"}}}}
  output: {{modbus: {{address: "{{{{ ip }}}}:{{{{ port }}}}", unit: 1}}}}
"#
    )
}

fn vars(value: Value) -> Vars {
    value.as_object().unwrap().clone().into_iter().collect()
}

fn measure(bench: &Bench, name: &str, target: Option<f64>, per_round: u32, work: impl FnMut()) {
    let record = Record::new("P24", name, Unit::Nanoseconds).samples(&bench.time(ROUNDS, per_round, work));
    match target {
        Some(limit) => record.at_most(limit).print(),
        None => record.print(),
    }
}

fn main() {
    let bench = Bench::from_args();
    if !bench.wants("P24") {
        return;
    }
    let text = bridge();
    let node = Node::parse("bridge.yaml", &text).unwrap();
    let template = Template::compile(&node).unwrap();
    let variables = VariableBundle::default()
        .with_user(vars(json!({"ip": "10.0.0.7", "prefix": "press-7", "other": 1, "more": "x"})))
        .unwrap()
        .with_global(vars(json!({"broker": "mqtt://127.0.0.1:1883", "x": 1})));
    let location =
        Location::from_pairs([("enterprise", "acme"), ("site", "cologne"), ("line", "l4")]).unwrap();
    let cx = RenderContext::new(&variables, &location, "press-7");
    let rendered = template.render(&cx).unwrap();

    measure(&bench, "render a 10-tag bridge, cold inputs", Some(10_000.0), 200, || {
        black_box(template.render(black_box(&cx)).unwrap());
    });
    measure(&bench, "see that nothing changed", Some(300.0), 2000, || {
        assert!(template.is_current(black_box(&rendered.key), black_box(&cx)));
    });
    measure(&bench, "clone of the result alone", None, 200, || {
        black_box(rendered.value.clone());
    });
    measure(&bench, "parse the template", None, 20, || {
        black_box(Node::parse("bridge.yaml", black_box(&text)).unwrap());
    });
    let source = node.to_value();
    measure(&bench, "find the compiled template", None, 200, || {
        black_box(Template::from_value(black_box(&source)).unwrap());
    });
}
