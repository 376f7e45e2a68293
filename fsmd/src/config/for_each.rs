//! Reads the rows that `for_each` names, so that the tree is made of values and touches no file (T-9).

use std::path::Path;

use fsm_templating::{Diagnostics, Kind, Node, Row, parse_rows, read_rows as read_file, rows_of};

use super::inputs::Inputs;

/// Puts rows in the place of `{file: PATH}` and of plain lists.
pub(super) fn read_rows(document: &mut Node, base: &Path, inputs: &mut Inputs, found: &mut Diagnostics) {
    let Kind::Mapping(sections) = &mut document.kind else { return };
    let Some(bridges) = sections.get_mut("bridges") else { return };
    let Kind::Sequence(entries) = &mut bridges.value.kind else { return };
    for entry in entries {
        let Kind::Mapping(fields) = &mut entry.kind else { continue };
        let Some(for_each) = fields.get_mut("for_each") else { continue };
        match rows(&for_each.value, base, inputs) {
            Ok(Some(rows)) => put(&mut for_each.value, &rows),
            Ok(None) => {}
            Err(errors) => super::extend(found, errors),
        }
    }
}

fn rows(for_each: &Node, base: &Path, inputs: &mut Inputs) -> Result<Option<Vec<Row>>, Diagnostics> {
    if for_each.as_sequence().is_some() {
        return rows_of(for_each).map(Some);
    }
    let Some(file) = for_each.get("file").and_then(Node::as_str) else { return Ok(None) };
    let path = base.join(file);
    let rows = match inputs.read(&path) {
        Ok(text) => parse_rows(&path.display().to_string(), &text),
        // It may not be read in another way.
        Err(error) if inputs.is_enclosed() => Err(super::files::unreadable(&path, &error)),
        // Says why it can't be read.
        Err(_) => read_file(&path),
    };
    rows.map(Some).map_err(|errors| {
        errors.into_iter().map(|error| error.related("named here", for_each.place().clone())).collect()
    })
}

fn put(for_each: &mut Node, rows: &[Row]) {
    let place = for_each.place().clone();
    let list = rows.iter().map(|row| Node::from_value(&row.value, &row.place)).collect();
    let list =
        fsm_templating::Entry { key_place: place.clone(), value: Node::new(Kind::Sequence(list), place) };
    match &mut for_each.kind {
        Kind::Mapping(fields) => {
            fields.insert("rows".into(), list);
        }
        Kind::Sequence(_) | Kind::Scalar(_) => {
            for_each.kind = Kind::Mapping([("rows".to_owned(), list)].into_iter().collect());
        }
    }
}
