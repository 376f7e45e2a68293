//! Speaks the endpoints of a stream engine, and moves nothing: for trying `benthos_dataflow` where there is no engine.
//!
//! `run FILE` answers on the file's `http.address`: `/ping`, `/version`, `/stats`, and `/ready`, which is 503 while an
//! `input.file.paths` names a file that isn't there. `lint FILE` refuses inputs and outputs that it doesn't know. SIGTERM ends
//! it. The file must be JSON, which is YAML.

use std::error::Error;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::ExitCode;

use serde_json::{Value, json};

/// Inputs and outputs that are known.
const KNOWN: [&str; 8] = ["broker", "drop", "file", "generate", "http_client", "mqtt", "stdin", "stdout"];

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let done = match args.as_slice() {
        [verb, file] if verb == "run" || verb == "-c" => run(Path::new(file)),
        [verb, file] if verb == "lint" => lint(Path::new(file)),
        _ => Err("usage: fsm-stand-in-engine run|lint FILE".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn read(file: &Path) -> Result<Value, Box<dyn Error>> {
    let text = std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    Ok(serde_json::from_str(&text).map_err(|error| format!("{}: {error}", file.display()))?)
}

fn lint(file: &Path) -> Result<(), Box<dyn Error>> {
    let config = read(file)?;
    for part in ["input", "output"] {
        let plugins = config[part].as_object().ok_or_else(|| format!("field {part} is required"))?;
        if let Some(unknown) = plugins.keys().find(|plugin| !KNOWN.contains(&plugin.as_str())) {
            return Err(
                format!("{}(1,1) unable to infer {part} type from key {unknown}", file.display()).into()
            );
        }
    }
    Ok(())
}

fn run(file: &Path) -> Result<(), Box<dyn Error>> {
    lint(file)?;
    let config = read(file)?;
    let address = config["http"]["address"].as_str().unwrap_or("127.0.0.1:4195");
    let listener = TcpListener::bind(address).map_err(|error| format!("{address}: {error}"))?;
    println!("listening for HTTP requests at http://{address}");
    for stream in listener.incoming() {
        // A client that left is no trouble.
        let _ = answer(stream?, &config);
    }
    Ok(())
}

fn answer(mut stream: TcpStream, config: &Value) -> std::io::Result<()> {
    let mut request = BufReader::new(stream.try_clone()?);
    let mut line = String::new();
    request.read_line(&mut line)?;
    let mut header = String::new();
    while request.read_line(&mut header)? > 2 {
        header.clear();
    }
    let (status, body) = match line.split(' ').nth(1).unwrap_or_default() {
        "/ping" => ("200 OK", "pong".to_owned()),
        "/version" => ("200 OK", json!({"version": env!("CARGO_PKG_VERSION"), "built": ""}).to_string()),
        "/stats" => ("200 OK", json!({"input_received": 0, "output_sent": 0}).to_string()),
        "/ready" if is_connected(config) => ("200 OK", "OK\n".to_owned()),
        "/ready" => ("503 Service Unavailable", "input not connected\n".to_owned()),
        _ => ("404 Not Found", String::new()),
    };
    write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
}

fn is_connected(config: &Value) -> bool {
    let paths = config["input"]["file"]["paths"].as_array().into_iter().flatten();
    paths.filter_map(Value::as_str).all(|path| Path::new(path).exists())
}
