//! Reads a config file, or the files of a folder, into one document.

use std::path::{Path, PathBuf};

use fsm_templating::{Diagnostic, Diagnostics, Kind, Node};

use super::codes;
use super::inputs::Inputs;

/// The files of a folder that are a config.
pub(super) fn list(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
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
    if !inputs.is_folder(path) {
        return read_file(path, inputs);
    }
    let files = inputs.list(path).map_err(|error| unreadable(path, &error))?;
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
    let text = inputs.read(path).map_err(|error| unreadable(path, &error))?;
    Node::parse(&path.display().to_string(), &text).map_err(|error| (*error).into())
}

pub(super) fn unreadable(path: &Path, error: &std::io::Error) -> Diagnostics {
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
