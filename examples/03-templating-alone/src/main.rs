//! A config template without any engine. Run it with `cargo run -p example-templating-alone`.

use std::error::Error;

use fsm_templating::{Location, Node, RenderContext, Template};
use serde_json::{Value, json};

/// As it would stand in a file. A text that is one expression keeps its type: `port` becomes a number.
const TEMPLATE: &str = "\
parameters:
  ip: {type: string}
  port: {type: integer, default: 502}
input:
  tcp: {host: '{{ ip }}', port: '{{ port }}'}
output:
  mqtt: {topic: 'plant/{{ location_path }}/{{ name }}', broker: '{{ global.broker }}'}
";

/// A slip that a reader overlooks: nothing is called `ipp`.
const MISTAKEN: &str = "\
parameters:
  ip: {type: string}
input:
  tcp: {host: '{{ ipp }}'}
";

fn main() -> Result<(), Box<dyn Error>> {
    println!("{:#}", render(TEMPLATE, json!({"ip": "10.0.0.7"}))?);

    // A value is data: what looks like structure or like a template stays text.
    println!("{:#}", render(TEMPLATE, json!({"ip": "x, port: 1}} {{ global.broker }}"}))?);

    match render(MISTAKEN, json!({"ip": "10.0.0.7"})) {
        Ok(rendered) => Err(format!("a mistake was not found: {rendered}"))?,
        Err(error) => println!("{error}"),
    }
    Ok(())
}

/// Renders a template for the machine `press-7` on line 4.
fn render(template: &str, user: Value) -> Result<Value, Box<dyn Error>> {
    // Parsed first, compiled once, then rendered as often as there are machines.
    let template = Template::compile(&Node::parse("press.yaml", template)?)?;

    let location = Location::from_pairs([("enterprise", "acme"), ("site", "cologne"), ("line", "l4")])?;
    let variables = serde_json::from_value(json!({
        "user": user,
        "global": {"broker": "mqtt://127.0.0.1:1883"},
        "internal": {
            "id": "7", "name": "press-7", "path": "/press-7", "parent_id": "", "bridged_by": "me", "created_at": 0,
        },
    }))?;
    let rendered = template.render(&RenderContext::new(&variables, &location, "press-7"))?;
    Ok(rendered.value)
}
