//! The file that an engine is given: where it stands, what stands in it.

use std::io::{self, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use fsm_core::NodePath;
use serde_json::{Value, json};

use super::config::StreamConfig;

/// Engines that are looked for when a config names none, the present name first.
const ENGINES: [&str; 2] = ["redpanda-connect", "benthos"];

/// The command of the engine.
pub(super) fn engine(config: &StreamConfig) -> Result<Vec<String>, String> {
    if !config.engine.is_empty() {
        return Ok(config.engine.clone());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let is_there = |name: &&&str| std::env::split_paths(&path).any(|folder| folder.join(name).is_file());
    ENGINES.iter().find(is_there).map(|name| vec![(*name).to_owned()]).ok_or_else(|| {
        let names = ENGINES.join(" and ");
        format!(
            "no stream engine was found: {names} are not on the PATH; install one, or name yours in `engine`"
        )
    })
}

/// Where the file of a node stands.
pub(super) fn file(config: &StreamConfig, node: &NodePath) -> PathBuf {
    let folder = config.folder.clone().unwrap_or_else(|| {
        // systemd's RuntimeDirectory=, or that of a user's session; else a folder that only this user can read.
        let runtime = ["RUNTIME_DIRECTORY", "XDG_RUNTIME_DIR"].iter().find_map(std::env::var_os);
        let own = || std::env::temp_dir().join(format!("fsmd-{}", rustix::process::getuid().as_raw()));
        runtime.map_or_else(own, PathBuf::from).join("fsmd-streams")
    });
    folder.join(format!("{}.yaml", node.as_str().trim_start_matches('/').replace('/', "+")))
}

/// An address for an engine whose config names none: free now, and the engine takes it in a moment. One that is taken in
/// between makes the engine leave, and its next life gets another.
pub(super) fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

/// What stands in the file: the stream, and where it answers. JSON is YAML.
pub(super) fn text(config: &StreamConfig, address: SocketAddr) -> String {
    let mut stream = config.stream.clone();
    let http = stream.entry("http").or_insert_with(|| json!({}));
    if let Value::Object(http) = http {
        http.insert("address".into(), address.to_string().into());
        http.insert("enabled".into(), true.into());
    }
    format!("{:#}\n", Value::Object(stream))
}

/// Writes a file that only this user can read.
pub(super) fn write(file: &Path, text: &str) -> io::Result<()> {
    if let Some(folder) = file.parent() {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    let mut options = std::fs::OpenOptions::new();
    let mut opened = options.write(true).create(true).truncate(true).mode(0o600).open(file)?;
    opened.write_all(text.as_bytes())?;
    opened.sync_all()
}
