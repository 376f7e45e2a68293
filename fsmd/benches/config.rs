//! P25: what checking a large config takes, from the files to the answer.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use bench_support::{Bench, Record, Samples, Unit};
use fsmd::{config, kinds};
use tempfile::TempDir;
use tokio::time::Instant;

/// One template, one list of devices: connection and flow of each are rendered, read and checked on their own.
const CONFIG: &str = r#"
version: 1
agent: {name: edge, location: {enterprise: acme, site: cologne}}
variables: {broker: "mqtt://127.0.0.1:1883"}
templates:
  press:
    parameters:
      ip: {type: string}
      port: {type: integer, default: 502}
      id: {type: string}
    connection: {tcp: {host: "{{ ip }}", port: "{{ port }}"}}
    read:
      input: {mqtt: {url: "mqtt://{{ ip }}:1883", topic: "plant/{{ id }}/+", qos: 1}}
      pipeline:
        - tag: {tag: {expr: '$meta.topic | split("/") | last'}}
      output: {mqtt: {url: "{{ global.broker }}"}}
bridges:
  - for_each: {file: devices.csv}
    name: "press-{{ item.id }}"
    template: press
    location: {area: "{{ item.area }}"}
    variables: {ip: "{{ item.ip }}", id: "{{ item.id }}"}
"#;

/// The agent, and a bridge with its connection and its flow for each row.
fn nodes(bridges: usize) -> usize {
    1 + 3 * bridges
}

struct Plant {
    folder: TempDir,
}

impl Plant {
    fn new(bridges: usize) -> Self {
        let folder = TempDir::new().expect("a folder can be made");
        let mut rows = "id,ip,area\n".to_owned();
        for n in 0..bridges {
            let (high, low) = (n / 250, n % 250 + 1);
            rows.push_str(&format!("{n},10.0.{high}.{low},area-{}\n", n % 20));
        }
        std::fs::write(folder.path().join("devices.csv"), rows).expect("written");
        std::fs::write(folder.path().join("fsmd.yaml"), CONFIG).expect("written");
        Self { folder }
    }

    fn config(&self) -> PathBuf {
        self.folder.path().join("fsmd.yaml")
    }
}

fn main() {
    let bench = Bench::from_args();
    let bridges = bench.size(10_000, 1_000);
    if bench.wants("P25") {
        check(&bench, bridges);
    }
    if bench.wants("P25-load") {
        load(&bench, bridges);
    }
}

/// The program itself.
fn check(bench: &Bench, bridges: usize) {
    let plant = Plant::new(bridges);
    let wanted = format!("ok: {} nodes\n", nodes(bridges));
    let samples: Samples = (0..bench.size(7, 3))
        .map(|_| {
            let began = Instant::now();
            let output = Command::new(env!("CARGO_BIN_EXE_fsmd"))
                .arg("check")
                .arg(plant.config())
                .stdin(Stdio::null())
                .output()
                .expect("fsmd can be started");
            let took = began.elapsed();
            assert_eq!(String::from_utf8_lossy(&output.stdout), wanted, "{output:?}");
            took.as_secs_f64() * 1e9
        })
        .collect();
    Record::new("P25", format!("fsmd check, {bridges} bridges from a CSV file"), Unit::Nanoseconds)
        .samples(&samples)
        .at_most(1e9)
        .print();
}

/// The same without the program's start and end: what a reload takes before it is applied.
fn load(bench: &Bench, bridges: usize) {
    let plant = Plant::new(bridges);
    let path = plant.config();
    let run = |path: &Path| {
        let kinds = kinds::for_checking().expect("the kinds have different names");
        config::load(path, &kinds).expect("a good config").rendered.nodes.len()
    };
    let made = run(&path);
    let samples = bench.time(7, 1, || run(&path));
    Record::new("P25-load", format!("load a config of {bridges} bridges"), Unit::Nanoseconds)
        .samples(&samples)
        .gate_exactly("nodes", made as u64, nodes(bridges) as u64)
        .print();
}
