//! The first thing a person sees: what runs, where to look, what to try.

use std::net::SocketAddr;
use std::path::Path;

use crate::config::{Loaded, LogFormat, Server};

/// On the standard error, as the logs; as a log line where those are for programs.
pub(super) fn show(path: &Path, address: SocketAddr, loaded: &Loaded) {
    let nodes = loaded.rendered.nodes.len();
    let agent = &loaded.root.name;
    match loaded.telemetry.log {
        LogFormat::Json => {
            tracing::info!(%agent, nodes, config = %path.display(), tree = %format!("http://{address}/v1/tree"), "fsmd runs");
        }
        LogFormat::Text => eprintln!("{}", text(path, address, agent.as_str(), nodes, loaded)),
    }
}

fn text(path: &Path, address: SocketAddr, agent: &str, nodes: usize, loaded: &Loaded) -> String {
    // As this process was called, so that the commands can be copied.
    let me = std::env::args().next().unwrap_or_else(|| "fsmd".to_owned());
    let server = if address == Server::default().listen {
        String::new()
    } else {
        format!(" --server http://{address}")
    };
    let nodes = crate::show::count(nodes, "node");
    let version = env!("CARGO_PKG_VERSION");
    let example = loaded.rendered.nodes.iter().find(|node| node.kind == "bridge");
    let example = example.map_or_else(|| format!("/{agent}"), |node| node.path.to_string());
    format!(
        "fsmd {version} runs {path}: agent {agent}, {nodes}\n\
         \n  tree     http://{address}/v1/tree\
         \n  ready    http://{address}/readyz\
         \n  metrics  http://{address}/metrics\
         \n\
         \n  try      {me} tree{server}\
         \n           {me} describe {example}{server}\
         \n           edit {path} while it runs: only what changed is touched\
         \n  stop     Ctrl-C\n",
        path = path.display(),
    )
}
