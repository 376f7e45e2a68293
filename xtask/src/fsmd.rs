//! How commands call the daemon's own command line: the built one, or through cargo.

use std::path::PathBuf;
use std::process::Command;

use crate::shell;
use crate::workspace::Workspace;

/// Makes commands that run `fsmd` with all its features.
pub(crate) struct Fsmd {
    built: Option<PathBuf>,
    root: PathBuf,
}

impl Fsmd {
    /// Built by cargo when it is called.
    pub(crate) fn through_cargo(workspace: &Workspace) -> Self {
        Self { built: None, root: workspace.root.clone() }
    }

    /// Built already, as part of the workspace.
    pub(crate) fn built(workspace: &Workspace) -> Self {
        Self { built: Some(workspace.target.join("debug/fsmd")), root: workspace.root.clone() }
    }

    pub(crate) fn command(&self) -> Command {
        let mut command = match &self.built {
            Some(program) => Command::new(program),
            None => {
                let mut cargo = shell::cargo();
                cargo.args(["run", "--quiet", "--package", "fsmd", "--all-features", "--"]);
                cargo
            }
        };
        command.current_dir(&self.root);
        command
    }
}
