//! P24: a bridge with ten tags, rendered from cold inputs and found unchanged. Prints median, min and max in ns.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a benchmark reads the clock and may fail"
)]

use std::hint::black_box;
use std::time::Instant;

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

fn measure(name: &str, per_round: u32, mut f: impl FnMut()) {
    let mut rounds: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            for _ in 0..per_round {
                f();
            }
            start.elapsed().as_secs_f64() * 1e9 / f64::from(per_round)
        })
        .collect();
    rounds.sort_by(f64::total_cmp);
    let (median, min, max) = (rounds[ROUNDS / 2], rounds[0], rounds[ROUNDS - 1]);
    println!("{name:32} median {median:10.0} ns   min {min:10.0} ns   max {max:10.0} ns");
}

fn main() {
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

    measure("P24 render, cold inputs", 200, || {
        black_box(template.render(black_box(&cx)).unwrap());
    });
    measure("P24 unchanged, cached", 2000, || {
        assert!(template.is_current(black_box(&rendered.key), black_box(&cx)));
    });
    measure("clone of the result alone", 200, || {
        black_box(rendered.value.clone());
    });
    measure("parse the template", 20, || {
        black_box(Node::parse("bridge.yaml", black_box(&text)).unwrap());
    });
    let source = node.to_value();
    measure("find the compiled template", 200, || {
        black_box(Template::from_value(black_box(&source)).unwrap());
    });
}
