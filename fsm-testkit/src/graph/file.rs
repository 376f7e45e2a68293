//! Diagrams that are committed: the file must be what the worker is.

use std::path::{Path, PathBuf};
use std::{env, fs, io};

use super::Graph;

/// Set to anything but nothing, it makes [`Graph::check_file`] write instead of compare.
const WRITE: &str = "FSM_WRITE_DIAGRAMS";

/// A committed diagram is not what the worker does.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DiagramError {
    /// The file has another text.
    #[error(
        "{} is not what `{kind}` does any more, from line {line} on: it says `{found}` instead of `{expected}`; run the test \
         again with {WRITE}=1 and commit the file", path.display()
    )]
    Drifted {
        /// The file.
        path: PathBuf,
        /// The kind.
        kind: &'static str,
        /// The first line that differs, from 1.
        line: usize,
        /// What stands there.
        found: String,
        /// What should.
        expected: String,
    },
    /// The file can't be read or written.
    #[error("can't use {}; with {WRITE}=1 the test writes it", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// There is no picture of this sort.
    #[error("{} ends with none of .md, .mmd, .dot and .svg", path.display())]
    Ending {
        /// The file.
        path: PathBuf,
    },
}

impl Graph {
    /// Compares a committed diagram with what the worker does: `.md` (a page), `.mmd` (Mermaid), `.dot` or `.svg`.
    ///
    /// With `FSM_WRITE_DIAGRAMS=1` in the environment it writes the file instead.
    ///
    /// # Errors
    /// [`DiagramError`] when the file has drifted or can't be used.
    pub fn check_file(&self, path: impl AsRef<Path>) -> Result<(), DiagramError> {
        let write = env::var_os(WRITE).is_some_and(|value| !value.is_empty());
        self.check_or_write(path.as_ref(), write)
    }

    fn check_or_write(&self, path: &Path, write: bool) -> Result<(), DiagramError> {
        let expected = match path.extension().and_then(|ending| ending.to_str()) {
            Some("md") => format!("{}{}", self.header(), self.markdown()),
            Some("mmd") => self.mermaid(),
            Some("dot") => self.dot(),
            Some("svg") => self.svg(),
            Some(_) | None => return Err(DiagramError::Ending { path: path.to_owned() }),
        };
        let failed = |source| DiagramError::File { path: path.to_owned(), source };
        if write {
            if let Some(folder) = path.parent() {
                fs::create_dir_all(folder).map_err(failed)?;
            }
            return fs::write(path, expected).map_err(failed);
        }
        let found = fs::read_to_string(path).map_err(failed)?;
        if found == expected {
            return Ok(());
        }
        let same =
            found.lines().zip(expected.lines()).take_while(|(found, expected)| found == expected).count();
        let line = |text: &str| text.lines().nth(same).unwrap_or("(end)").to_owned();
        Err(DiagramError::Drifted {
            path: path.to_owned(),
            kind: self.kind,
            line: same + 1,
            found: line(&found),
            expected: line(&expected),
        })
    }

    fn header(&self) -> String {
        format!(
            "<!-- @generated from the model of `{}`: change the worker, not this page. -->\n\n",
            self.kind
        )
    }
}

#[cfg(test)]
mod tests;
