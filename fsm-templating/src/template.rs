//! Templates: documents whose texts and keys are rendered one by one, so that a value never changes the structure
//! around it (T-1, T-2).

mod check;
mod compile;
mod context;
mod declaration;
mod engine;
mod eval;
mod fault;
mod hash;
mod node;
mod parameters;
mod render;
mod scalar;
mod split;

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use crate::diagnostic::Diagnostics;
use crate::document::{Node, Path};
use crate::source::{Place, Source, Span};

use compile::Compiled;

pub use check::{ignored_marks, reserved_names};
pub use compile::CompileOptions;
pub use context::{Input, Origins, RESERVED, RenderContext};
pub use engine::DEFAULT_FUEL;
pub(crate) use parameters::type_name;
pub use parameters::{Parameter, ParameterType, Parameters};
pub use render::{RenderKey, Rendered, ScalarTrace, UsedInput};
pub use split::has_mark;

/// A document with template marks, compiled once per content (T-1).
///
/// A cheap handle: clones and equal templates share what is compiled. Two templates are equal when their content
/// is. It serialises as its source; deserialising a template that is alive anywhere finds the compiled one, with
/// the places in its file.
///
/// ```
/// use fsm_core::VariableBundle;
/// use fsm_templating::{Location, Node, RenderContext, Template};
/// let node = Node::parse("t.yaml", r#"
/// parameters: {ip: {type: string}, port: {type: integer, default: 502}}
/// tcp: {host: "{{ ip }}", port: "{{ port }}", url: "tcp://{{ ip }}:{{ port }}"}
/// "#).unwrap();
/// let template = Template::compile(&node).unwrap();
/// let variables: fsm_core::Vars = [("ip".to_owned(), "10.0.0.7".into())].into_iter().collect();
/// let variables = VariableBundle::default().with_user(variables).unwrap();
/// let location = Location::default();
/// let rendered = template.render(&RenderContext::new(&variables, &location, "press-7")).unwrap();
/// assert_eq!(
///     rendered.value,
///     serde_json::json!({"tcp": {"host": "10.0.0.7", "port": 502, "url": "tcp://10.0.0.7:502"}})
/// );
/// ```
#[derive(Clone)]
pub struct Template {
    compiled: Arc<Compiled>,
    /// The document it was read from, for places.
    origin: Option<Arc<Node>>,
}

impl Template {
    /// Compiles a document with the default options.
    ///
    /// A mapping may declare `parameters`; they are not part of the result.
    ///
    /// # Errors
    /// Everything that is wrong with it, not the first error only.
    pub fn compile(node: &Node) -> Result<Self, Diagnostics> {
        Self::compile_with(node, &CompileOptions::default())
    }

    /// Compiles a document.
    ///
    /// # Errors
    /// Everything that is wrong with it, not the first error only.
    pub fn compile_with(node: &Node, options: &CompileOptions) -> Result<Self, Diagnostics> {
        compile::compile(node, options)
    }

    /// Compiles a value that was not read from a file: errors name paths in it instead of lines.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn from_value(value: &Value) -> Result<Self, Diagnostics> {
        if let Some(template) = compile::find(value, &CompileOptions::default()) {
            return Ok(template);
        }
        // The text of the value itself serves as the source.
        let text = serde_json::to_string_pretty(value).unwrap_or_default();
        let source = Source::new("<template>", text);
        Self::compile(&Node::from_value(value, &source.place(Span::default())))
            .map(|template| Self { origin: None, ..template })
    }

    /// The content hash: equal templates have equal ones, in each process.
    #[must_use]
    pub fn hash(&self) -> u128 {
        self.compiled.hash
    }

    /// The source as a value.
    #[must_use]
    pub fn source(&self) -> &Value {
        &self.compiled.source
    }

    /// The declared parameters.
    #[must_use]
    pub fn parameters(&self) -> &Parameters {
        &self.compiled.parameters
    }

    /// The flat variables that a render may use, in alphabetical order.
    pub fn variables(&self) -> impl Iterator<Item = &str> {
        self.compiled.users.iter().map(String::as_str)
    }

    /// Whether nothing in it depends on the context: each render gives the same.
    #[must_use]
    pub fn is_constant(&self) -> bool {
        self.compiled.is_constant()
    }

    fn place_of(&self, path: &Path) -> Option<Place> {
        Some(self.origin.as_ref()?.nearest_place(path).clone())
    }
}

impl PartialEq for Template {
    fn eq(&self, other: &Self) -> bool {
        self.compiled.hash == other.compiled.hash
    }
}

impl Eq for Template {}

impl std::hash::Hash for Template {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        state.write_u128(self.compiled.hash);
    }
}

/// The hash only: the source may be large.
impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Template({:032x})", self.compiled.hash)
    }
}

impl Serialize for Template {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.compiled.source.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Template {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        Self::from_value(&value).map_err(serde::de::Error::custom)
    }
}

/// Any document: what the rendered result must look like is the business of who uses it.
impl schemars::JsonSchema for Template {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Template".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"description": "A template: texts and keys may hold {{ … }}"})
    }
}
