//! Gives a rendered result the places of the template it came from, so that later checks can point at them.

use serde_json::Value;

use super::Template;
use super::compile::Tree;
use crate::document::{Entry, Kind, Node, Scalar, Style};
use crate::source::Place;

impl Template {
    /// The result of a render of this template as a document: each value stands where the template has it.
    /// `fallback` is the place of everything where the template was not read from a file.
    ///
    /// The result can be checked against a schema, with errors that point into the template.
    #[must_use]
    pub fn to_node(&self, value: &Value, fallback: &Place) -> Node {
        let Some(origin) = &self.origin else { return Node::from_value(value, fallback) };
        self.node(&self.compiled.body, value, origin)
    }

    fn node(&self, tree: &Tree, value: &Value, origin: &Node) -> Node {
        let place = origin.place();
        match (tree, value, &origin.kind) {
            (Tree::Sequence(trees), Value::Array(values), Kind::Sequence(origins)) => {
                let items = trees.iter().zip(values).zip(origins);
                let items = items.map(|((tree, value), origin)| self.node(tree, value, origin)).collect();
                Node::new(Kind::Sequence(items), place.clone())
            }
            (Tree::Mapping(trees), Value::Object(values), Kind::Mapping(origins)) => {
                // The declaration of parameters is not part of the result.
                let declared = self.compiled.parameters.is_declared() && trees.len() < origins.len();
                let origins = origins.iter().filter(|(key, _)| !(declared && *key == "parameters"));
                let entries = trees.iter().zip(values).zip(origins);
                let map = entries.map(|(((_, tree), (name, value)), (_, origin))| {
                    let value = self.node(tree, value, &origin.value);
                    (name.clone(), Entry { key_place: origin.key_place.clone(), value })
                });
                Node::new(Kind::Mapping(map.collect()), place.clone())
            }
            (Tree::Constant(_), _, _) => constant(value, origin),
            (Tree::Scalar(_) | Tree::Sequence(_) | Tree::Mapping(_), _, _) => Node::from_value(value, place),
        }
    }
}

/// Nothing was rendered here: value and origin have the same shape, but for the declaration of parameters.
fn constant(value: &Value, origin: &Node) -> Node {
    let place = origin.place();
    match (value, &origin.kind) {
        (Value::Array(values), Kind::Sequence(origins)) => {
            let items = values.iter().zip(origins).map(|(value, origin)| constant(value, origin)).collect();
            Node::new(Kind::Sequence(items), place.clone())
        }
        (Value::Object(values), Kind::Mapping(origins)) => {
            let entry = |(name, value): (&String, &Value)| {
                let origin = origins.get(name)?;
                let entry =
                    Entry { key_place: origin.key_place.clone(), value: constant(value, &origin.value) };
                Some((name.clone(), entry))
            };
            Node::new(Kind::Mapping(values.iter().filter_map(entry).collect()), place.clone())
        }
        (_, Kind::Scalar(scalar)) => {
            Node::new(Kind::Scalar(Scalar { value: value.clone(), style: scalar.style }), place.clone())
        }
        (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_), _) => {
            Node::new(Kind::Scalar(Scalar { value: value.clone(), style: Style::Quoted }), place.clone())
        }
        (Value::Array(_) | Value::Object(_), Kind::Sequence(_) | Kind::Mapping(_)) => {
            Node::from_value(value, place)
        }
    }
}
