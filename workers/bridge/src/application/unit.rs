//! One entry of the config, with what its children are made from as numbers beside it: a derive in which nothing changed
//! looks at nothing else.

use std::fmt;
use std::sync::Arc;

use fsm_core::{ChildName, ChildSpec, DeriveError, Worker};
use fsm_templating::{Location, LocationError, Template};
use serde_json::Value;

use super::config::Inner;
use super::rows::{Rows, Scope};
use super::sections::Sections;
use crate::bridge::{Bridge, BridgeConfig};
use crate::entry::{BridgeEntry, DataflowEntry, WorkerEntry, finish, with_variables};
use crate::hashed::{Fingerprint, Hashed};
use crate::{flow, group};

/// One entry.
#[derive(Debug)]
pub(super) struct Unit {
    entry: Entry,
    /// Its position in its section.
    at: u32,
    /// What its child is made from; for rows, what all of them are.
    base: Fingerprint,
    rows: Option<Arc<Rows>>,
    /// Whether its jq programs see the application's own variables.
    sees_variables: bool,
}

#[derive(Debug)]
enum Entry {
    Bridge(Hashed<BridgeEntry>),
    Dataflow(Hashed<DataflowEntry>),
    Worker(Hashed<WorkerEntry>),
}

/// Where a child is declared, as a person finds it.
pub(super) struct Origin<'a> {
    unit: &'a Unit,
    row: Option<usize>,
}

impl Unit {
    pub(super) fn bridge(
        entry: Hashed<BridgeEntry>,
        at: u32,
        template: Option<&Template>,
        agent: u128,
    ) -> Self {
        let base = Fingerprint::of("bridge").with(agent).with(template.map_or(0, Template::hash));
        let (base, rows) = match &entry.for_each {
            // Of the entry without its rows: one that is added leaves the others alone.
            Some(for_each) => {
                let head = BridgeEntry { for_each: None, ..BridgeEntry::clone(&entry) };
                let base = base.with(crate::hashed::hash_of(&head));
                (base, Some(Arc::new(Rows::new(&head, for_each, base))))
            }
            None => (base.with(entry.hash()), None),
        };
        Self { entry: Entry::Bridge(entry), at, base, rows, sees_variables: false }
    }

    pub(super) fn dataflow(entry: Hashed<DataflowEntry>, at: u32, agent: u128) -> Self {
        let base = Fingerprint::of(flow::KIND).with(agent).with(entry.hash());
        Self { entry: Entry::Dataflow(entry), at, base, rows: None, sees_variables: true }
    }

    pub(super) fn worker(entry: Hashed<WorkerEntry>, at: u32) -> Self {
        let base = group::fingerprint(&entry);
        Self { entry: Entry::Worker(entry), at, base, rows: None, sees_variables: false }
    }

    /// The hash of the whole entry, rows included.
    pub(super) const fn hash(&self) -> u128 {
        match &self.entry {
            Entry::Bridge(entry) => entry.hash(),
            Entry::Dataflow(entry) => entry.hash(),
            Entry::Worker(entry) => entry.hash(),
        }
    }

    /// How many children it makes.
    pub(super) fn len(&self) -> usize {
        self.rows.as_ref().map_or(1, |rows| rows.len())
    }

    /// What the child of this row is made from.
    pub(super) fn made_from(&self, row: usize, scope: &Scope<'_>) -> u64 {
        match &self.rows {
            Some(rows) => rows.made_from(row, scope),
            None if self.sees_variables => self.base.with(scope.user_hash()).get(),
            None => self.base.get(),
        }
    }

    pub(super) fn origin(&self, row: usize) -> Origin<'_> {
        Origin { unit: self, row: self.rows.as_ref().map(|_| row) }
    }

    /// The spec of the child of this row. One with a fault is made anew at each derive: there are few.
    pub(super) fn make(&self, row: usize, app: &Inner, scope: &Scope<'_>) -> ChildSpec {
        let spec = match (&self.entry, &self.rows) {
            (Entry::Bridge(entry), None) => self.one_bridge(entry, app),
            (Entry::Bridge(entry), Some(rows)) => self.bridge_of_row(entry, rows, row, app, scope),
            (Entry::Dataflow(entry), _) => dataflow(entry, app, scope),
            (Entry::Worker(entry), _) => group::member(entry),
        };
        let made_from = if spec.fault.is_some() { Fingerprint::UNKNOWN } else { self.made_from(row, scope) };
        spec.with_fingerprint(made_from)
    }

    fn one_bridge(&self, entry: &BridgeEntry, app: &Inner) -> ChildSpec {
        let name = match ChildName::try_new(&entry.name) {
            Ok(name) => name,
            Err(error) => return self.nameless(0, DeriveError::config(error.to_string()).at("name")),
        };
        let fault = |error| ChildSpec::invalid(name.clone(), Bridge::KIND, error);
        let location = match location_value(entry.location.as_ref()) {
            Ok(location) => location,
            Err(error) => return fault(error),
        };
        let enabled = match &entry.enabled {
            None => true,
            Some(Value::Bool(enabled)) => *enabled,
            Some(_) => return fault(DeriveError::config("it is neither true nor false").at("enabled")),
        };
        match bridge_config(entry, app, location.as_ref()) {
            Ok(config) => {
                let spec = ChildSpec::new(name, Bridge::KIND).with_typed_config(config);
                let spec = finish(spec, enabled, &entry.depends_on, &entry.policy);
                with_variables(spec, &entry.variables)
            }
            Err(error) => fault(error),
        }
    }

    fn bridge_of_row(
        &self,
        entry: &BridgeEntry,
        rows: &Rows,
        row: usize,
        app: &Inner,
        scope: &Scope<'_>,
    ) -> ChildSpec {
        let expanded = match rows.expand(row, &app.location, scope) {
            Ok(expanded) => expanded,
            Err(refused) => {
                let what = format!("{}: {}", self.origin(row), refused.error);
                let error = DeriveError::new(refused.error.kind(), what);
                return match refused.name {
                    Some(name) => ChildSpec::invalid(name, Bridge::KIND, error),
                    None => self.nameless(row, error),
                };
            }
        };
        match bridge_config(entry, app, Some(&expanded.location)) {
            Ok(config) => {
                let spec = ChildSpec::new(expanded.name, Bridge::KIND).with_typed_config(config);
                let spec = finish(spec, expanded.enabled, &entry.depends_on, &entry.policy);
                with_variables(spec, &expanded.variables)
            }
            Err(error) => ChildSpec::invalid(expanded.name, Bridge::KIND, error),
        }
    }

    /// A child whose own name can't be: it is shown by its place.
    fn nameless(&self, row: usize, error: DeriveError) -> ChildSpec {
        let name = match &self.rows {
            Some(_) => format!("bridges-{}-row-{}", self.at, row + 1),
            None => format!("bridges-{}", self.at),
        };
        let name = ChildName::try_new(name).expect("letters, digits and dashes in between");
        ChildSpec::invalid(name, Bridge::KIND, error)
    }

    pub(super) fn put_into(&self, sections: &mut Sections) {
        match &self.entry {
            Entry::Bridge(entry) => sections.bridges.push(entry.clone()),
            Entry::Dataflow(entry) => sections.dataflows.push(entry.clone()),
            Entry::Worker(entry) => sections.workers.push(entry.clone()),
        }
    }
}

/// `bridges[3]`, `row 5 of bridges[7] (devices.csv)`
impl fmt::Display for Origin<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(row) = self.row {
            write!(f, "row {} of ", row + 1)?;
        }
        let (section, file) = match &self.unit.entry {
            Entry::Bridge(entry) => ("bridges", entry.for_each.as_ref().and_then(|rows| rows.file.as_ref())),
            Entry::Dataflow(_) => ("dataflows", None),
            Entry::Worker(_) => ("workers", None),
        };
        write!(f, "{section}[{}]", self.unit.at)?;
        match file {
            Some(file) => write!(f, " ({file})"),
            None => Ok(()),
        }
    }
}

fn location_value(location: Option<&Value>) -> Result<Option<Location>, DeriveError> {
    let read = |value: &Value| serde_json::from_value(value.clone());
    location
        .map(read)
        .transpose()
        .map_err(|error: serde_json::Error| DeriveError::config(error.to_string()).at("location"))
}

fn bridge_config(
    entry: &BridgeEntry,
    app: &Inner,
    location: Option<&Location>,
) -> Result<BridgeConfig, DeriveError> {
    let template = entry.template.as_ref().map(|name| {
        app.templates.get(name).cloned().ok_or_else(|| {
            let known = app.templates.keys().map(String::as_str);
            let hint = fsm_templating::nearest(name, known).map(|known| format!(": did you mean `{known}`?"));
            let what = format!("there is no template `{name}`{}", hint.unwrap_or_default());
            DeriveError::config(what).at("template")
        })
    });
    Ok(BridgeConfig {
        template: template.transpose()?,
        location: located(app, location)?,
        connection: entry.connection.clone(),
        read: entry.read.clone(),
        write: entry.write.clone(),
    })
}

/// The agent's location and the entry's own: shared where there is nothing of its own.
fn located(app: &Inner, own: Option<&Location>) -> Result<Arc<Location>, DeriveError> {
    match own.filter(|own| !own.is_empty()) {
        None => Ok(Arc::clone(&app.location)),
        Some(own) => Location::merge(&app.agent.location, own)
            .map(|merged| Arc::new(merged.fill_gaps(app.agent.location_gaps)))
            .map_err(|error: LocationError| {
                let what = format!("{error}: remove the level here, `agent.location` has the last word");
                DeriveError::config(what).at("location")
            }),
    }
}

fn dataflow(entry: &DataflowEntry, app: &Inner, scope: &Scope<'_>) -> ChildSpec {
    let spec = ChildSpec::new(entry.name.clone(), flow::KIND);
    let spec = match located(app, entry.location.as_ref()) {
        Ok(location) => {
            let user = fsm_core::merge(&scope.variables.user, &entry.variables);
            spec.with_config(flow::config(entry.flow.clone(), &user, &location, entry.name.as_str()))
        }
        Err(error) => return ChildSpec::invalid(entry.name.clone(), flow::KIND, error),
    };
    with_variables(finish(spec, entry.enabled, &entry.depends_on, &entry.policy), &entry.variables)
}
