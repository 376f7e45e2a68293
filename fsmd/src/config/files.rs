//! Reads a config file, or the files of a folder into one document, and remembers what was read.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, Hasher};
use std::path::{Path, PathBuf};

use fsm_templating::{Diagnostic, Diagnostics, Kind, Node};

use super::codes;

/// The files a config was made of, with a hash of what was in them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Inputs {
    files: BTreeMap<PathBuf, Option<u64>>,
    /// The folder whose list of files counts, if the config is one.
    folder: Option<PathBuf>,
}

impl Inputs {
    /// Remembers a file and its content; none for one that can't be read.
    pub(super) fn note(&mut self, path: &Path, content: Option<&str>) {
        self.files.insert(path.to_path_buf(), content.map(hash));
    }

    /// The same files as they are now. Symbolic links are followed: one that was swapped shows the new content.
    #[must_use]
    pub fn now(&self) -> Self {
        let mut now = Self { files: BTreeMap::new(), folder: self.folder.clone() };
        let listed = self.folder.as_deref().and_then(|folder| list(folder).ok()).unwrap_or_default();
        for path in self.files.keys().chain(&listed) {
            let content = std::fs::read_to_string(path).ok();
            now.note(path, content.as_deref());
        }
        if let Some(folder) = &self.folder {
            // A file that left the folder is no input any more; one that could not be read before still can't.
            let unreadable = |path: &PathBuf| self.files.get(path) == Some(&None);
            now.files.retain(|path, content| {
                content.is_some() || path.parent() != Some(folder) || unreadable(path)
            });
        }
        now
    }

    /// The files.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.files.keys().map(PathBuf::as_path)
    }
}

fn hash(content: &str) -> u64 {
    let mut hasher = fsm_core::NameHasher::default().build_hasher();
    hasher.write(content.as_bytes());
    hasher.finish()
}

fn list(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    // Hidden files are those of editors.
    let is_hidden =
        |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
    let is_config = |path: &PathBuf| {
        if is_hidden(path) {
            return false;
        }
        path.extension()
            .is_some_and(|e| ["yaml", "yml", "json"].iter().any(|known| e.eq_ignore_ascii_case(known)))
    };
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder)?.filter_map(|entry| Some(entry.ok()?.path())).filter(is_config).collect();
    files.sort();
    Ok(files)
}

/// Reads the config at `path`.
pub(super) fn read(path: &Path, inputs: &mut Inputs) -> Result<Node, Diagnostics> {
    if !path.is_dir() {
        return read_file(path, inputs);
    }
    inputs.folder = Some(path.to_path_buf());
    let files = list(path).map_err(|error| unreadable(path, &error))?;
    let mut merged: Option<Node> = None;
    let mut found = Diagnostics::default();
    for file in &files {
        match read_file(file, inputs) {
            Ok(document) => match &mut merged {
                None => merged = Some(document),
                Some(merged) => merge(merged, document, &mut found, true),
            },
            Err(errors) => super::extend(&mut found, errors),
        }
    }
    if found.has_errors() {
        return Err(found.sorted());
    }
    merged.ok_or_else(|| {
        let message = format!("the folder `{}` holds no config", path.display());
        Diagnostic::error(codes::NO_FILES, message).help("put files *.yaml, *.yml or *.json into it").into()
    })
}

fn read_file(path: &Path, inputs: &mut Inputs) -> Result<Node, Diagnostics> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => {
            inputs.note(path, None);
            return Err(unreadable(path, &error));
        }
    };
    inputs.note(path, Some(&text));
    Node::parse(&path.display().to_string(), &text).map_err(|error| (*error).into())
}

fn unreadable(path: &Path, error: &std::io::Error) -> Diagnostics {
    let message = format!("the file `{}` can't be read: {error}", path.display());
    let help = if error.kind() == std::io::ErrorKind::NotFound {
        "is the path right? it is relative to the folder this command runs in"
    } else if error.kind() == std::io::ErrorKind::PermissionDenied {
        "let this user read it"
    } else {
        "is it a text file in UTF-8?"
    };
    Diagnostic::error(codes::UNREADABLE, message).help(help).into()
}

/// Merges another file into the document: lists are joined, maps merged, anything else may be defined once.
fn merge(into: &mut Node, from: Node, found: &mut Diagnostics, top: bool) {
    let from_place = from.place().clone();
    let into_place = into.place().clone();
    match (&mut into.kind, from.kind) {
        (Kind::Mapping(into), Kind::Mapping(from)) => {
            for (key, entry) in from {
                match into.get_mut(&key) {
                    None => {
                        into.insert(key, entry);
                    }
                    // Each file may say which version it is of.
                    Some(present)
                        if top && key == "version" && present.value.to_value() == entry.value.to_value() => {}
                    Some(present) if top => merge(&mut present.value, entry.value, found, false),
                    Some(present) => found.push(
                        Diagnostic::error(
                            codes::DUPLICATE_SECTION,
                            format!("`{key}` is defined in two files"),
                        )
                        .at(entry.key_place)
                        .related("first defined here", present.key_place.clone())
                        .help("keep one of them"),
                    ),
                }
            }
        }
        (Kind::Sequence(into), Kind::Sequence(from)) => into.extend(from),
        (_, _) => found.push(
            Diagnostic::error(codes::DUPLICATE_SECTION, "this is defined in two files")
                .at(from_place)
                .related("first defined here", into_place)
                .help("keep one of them"),
        ),
    }
}
