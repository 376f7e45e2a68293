//! The variables a worker sees: its own and inherited ones, the global ones, and facts about the rendering node.

use std::sync::Arc;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Variable names and values in declared order.
pub type Vars = IndexMap<String, Value>;

/// Names that user variables may not take, because [`VariableBundle::flatten`] and the template scope use them.
pub const RESERVED_NAMES: [&str; 6] =
    ["global", "internal", "location", "location_path", "location_topic", "name"];

/// Everything a render may use (T-10).
///
/// Cloning is cheap: the maps are shared.
///
/// ```
/// use fsm_core::{VariableBundle, Vars};
/// let parent = VariableBundle::default().with_user(Vars::from_iter([("ip".into(), "10.0.0.1".into())])).unwrap();
/// let child = parent.child(&Vars::from_iter([("ip".into(), "10.0.0.7".into())]));
/// assert_eq!(child.user["ip"], "10.0.0.7", "a child's own variables win");
/// ```
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct VariableBundle {
    /// Flat user variables: own ones merged over the parent's.
    pub user: Arc<Vars>,
    /// Variables of the whole configuration, reached as `global.*`.
    pub global: Arc<Vars>,
    /// Facts about the node that renders, reached as `internal.*`.
    pub internal: Internal,
}

/// Facts about the node that renders; they come from its stored identity, so they are stable over ticks and restarts (S-17).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Internal {
    /// A hash of the path, as 16 hexadecimal digits.
    pub id: Arc<str>,
    /// The node's name.
    pub name: Arc<str>,
    /// The node's path.
    pub path: Arc<str>,
    /// The parent's id; empty at the root.
    pub parent_id: Arc<str>,
    /// What stands in the metadata `bridged_by` of forwarded messages.
    pub bridged_by: Arc<str>,
    /// When the identity was first stored, in milliseconds since 1970 UTC.
    pub created_at: u64,
}

/// A user variable has a name that the scope needs for itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the variable name `{name}` is reserved: choose another name for this user variable")]
pub struct ReservedName {
    /// The refused name.
    pub name: String,
}

impl VariableBundle {
    /// Replaces the user variables.
    ///
    /// # Errors
    /// [`ReservedName`] when one of them would hide a part of the scope.
    pub fn with_user(mut self, user: Vars) -> Result<Self, ReservedName> {
        check_names(&user)?;
        self.user = Arc::new(user);
        Ok(self)
    }

    /// Replaces the global variables.
    #[must_use]
    pub fn with_global(mut self, global: Vars) -> Self {
        self.global = Arc::new(global);
        self
    }

    /// The bundle of a child with these variables of its own: its own win, globals pass through.
    /// `internal` stays that of this node until the engine sets the child's.
    #[must_use]
    pub fn child(&self, own: &Vars) -> Self {
        Self {
            user: merge(&self.user, own),
            global: Arc::clone(&self.global),
            internal: self.internal.clone(),
        }
    }

    /// One map for rendering: user variables flat, then `global` and `internal` as nested maps.
    #[must_use]
    pub fn flatten(&self) -> Vars {
        let mut all = Vars::clone(&self.user);
        let global = self.global.iter().map(|(k, v)| (k.clone(), v.clone())).collect();
        all.insert("global".into(), Value::Object(global));
        all.insert("internal".into(), serde_json::json!(self.internal));
        all
    }
}

/// Refuses names that the scope needs for itself.
///
/// # Errors
/// [`ReservedName`] with the first offender.
pub fn check_names(user: &Vars) -> Result<(), ReservedName> {
    match user.keys().find(|name| RESERVED_NAMES.contains(&name.as_str())) {
        Some(name) => Err(ReservedName { name: name.clone() }),
        None => Ok(()),
    }
}

/// `own` over `inherited`; shares the inherited map when there is nothing to add.
#[must_use]
pub fn merge(inherited: &Arc<Vars>, own: &Vars) -> Arc<Vars> {
    if own.is_empty() {
        return Arc::clone(inherited);
    }
    let mut merged = Vars::clone(inherited);
    for (name, value) in own {
        merged.insert(name.clone(), value.clone());
    }
    Arc::new(merged)
}
