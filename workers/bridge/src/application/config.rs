//! The application's config in the form that derives fast: what each child is made from is a number, known beforehand.

use std::sync::Arc;

use fsm_core::{ChildName, Config};
use fsm_templating::{GapPolicy, Location, Template};
use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::sections::Sections;
use super::unit::Unit;
use crate::hashed::hash_of;

/// The machine: what it is called and where it stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Agent {
    /// The name of the root node.
    pub name: ChildName,
    /// ISA-95 levels, authoritative for everything below.
    #[serde(default)]
    pub location: Location,
    /// What stands for a level that is empty between two others.
    #[serde(default)]
    pub location_gaps: GapPolicy,
}

impl Agent {
    /// An agent of this name, somewhere.
    #[must_use]
    pub fn new(name: ChildName) -> Self {
        Self { name, location: Location::default(), location_gaps: GapPolicy::Skip }
    }

    /// With this location.
    #[must_use]
    pub fn with_location(mut self, location: Location) -> Self {
        self.location = location;
        self
    }
}

/// Everything that the children of the root are made from. Cheap to clone and to compare.
///
/// It is made of [`Sections`], and reads and writes as these.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(from = "Sections", into = "Sections")]
pub struct ApplicationConfig {
    pub(super) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) agent: Agent,
    /// The agent's location as its children have it.
    pub(super) location: Arc<Location>,
    pub(super) templates: IndexMap<String, Template>,
    pub(super) units: Vec<Unit>,
    /// How many children there are.
    pub(super) children: usize,
    /// Of everything but the units.
    frame: u128,
}

impl Config for ApplicationConfig {}

impl ApplicationConfig {
    /// Takes the sections; `variables` is no part of it, see [`Sections::into_config`].
    #[must_use]
    pub fn new(sections: Sections) -> Self {
        let Sections { agent, templates, bridges, dataflows, workers, .. } = sections;
        let location = Arc::new(agent.location.fill_gaps(agent.location_gaps));
        let agent_hash = hash_of(&(&agent.location, agent.location_gaps));
        let hashes: IndexMap<&String, u128> = templates.iter().map(|(name, t)| (name, t.hash())).collect();
        let frame = hash_of(&(
            &agent,
            hashes.iter().map(|(name, hash)| (name, hash.to_string())).collect::<Vec<_>>(),
        ));

        let mut units = Vec::with_capacity(bridges.len() + dataflows.len() + workers.len());
        units.extend(bridges.into_iter().zip(0..).map(|(entry, at)| {
            let template = entry.template.as_ref().and_then(|name| templates.get(name));
            Unit::bridge(entry, at, template, agent_hash)
        }));
        units.extend(dataflows.into_iter().zip(0..).map(|(entry, at)| Unit::dataflow(entry, at, agent_hash)));
        units.extend(workers.into_iter().zip(0..).map(|(entry, at)| Unit::worker(entry, at)));
        let children = units.iter().map(Unit::len).sum();
        Self { inner: Arc::new(Inner { agent, location, templates, units, children, frame }) }
    }

    /// The machine.
    #[must_use]
    pub fn agent(&self) -> &Agent {
        &self.inner.agent
    }

    /// The template with this name.
    #[must_use]
    pub fn template(&self, name: &str) -> Option<&Template> {
        self.inner.templates.get(name)
    }

    /// How many children it makes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.inner.children
    }

    /// Whether it makes none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A walk over numbers, and none at all for a shared one: a hundred thousand entries are compared at each reload.
impl PartialEq for ApplicationConfig {
    fn eq(&self, other: &Self) -> bool {
        let (a, b) = (&*self.inner, &*other.inner);
        Arc::ptr_eq(&self.inner, &other.inner)
            || a.frame == b.frame
                && a.units.len() == b.units.len()
                && a.units.iter().zip(&b.units).all(|(a, b)| a.hash() == b.hash())
    }
}

impl From<Sections> for ApplicationConfig {
    fn from(sections: Sections) -> Self {
        Self::new(sections)
    }
}

impl From<ApplicationConfig> for Sections {
    fn from(config: ApplicationConfig) -> Self {
        let mut sections = Self::new(config.inner.agent.clone());
        sections.templates.clone_from(&config.inner.templates);
        for unit in &config.inner.units {
            unit.put_into(&mut sections);
        }
        sections
    }
}

impl JsonSchema for ApplicationConfig {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        Sections::schema_name()
    }
    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        Sections::json_schema(generator)
    }
}
