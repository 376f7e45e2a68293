//! Which kinds there are: the one place where a composition root names them.

use std::collections::BTreeMap;

use indexmap::IndexMap;

use crate::erase::{Cells, DynWorker};
use crate::{IoHalf, Policy, PolicyError, State, Worker};

/// The registered kinds, in order of registration.
#[derive(Default)]
pub struct Registry {
    kinds: IndexMap<&'static str, Box<dyn DynWorker>>,
    aliases: BTreeMap<&'static str, &'static str>,
}

/// A kind can't be registered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RegisterError {
    /// The name is taken by another kind or alias.
    #[error("the kind `{kind}` is registered already: give one of the two another name")]
    Taken {
        /// The name.
        kind: &'static str,
    },
    /// An alias of a kind that isn't there.
    #[error("the alias `{alias}` points at `{kind}`, which is not registered: register the kind first")]
    NoSuchKind {
        /// The alias.
        alias: &'static str,
        /// What it points at.
        kind: &'static str,
    },
    /// `State::ALL` is not what it should be.
    #[error("the states of kind `{kind}` are wrong: {what}")]
    States {
        /// The kind.
        kind: &'static str,
        /// What is wrong.
        what: &'static str,
    },
    /// The policy contradicts itself.
    #[error("the policy of kind `{kind}` contradicts itself")]
    Policy {
        /// The kind.
        kind: &'static str,
        /// Where.
        source: PolicyError,
    },
    /// A kind without observation must have `Observed = ()`.
    #[error("kind `{kind}` collects nothing, so its Observed must be `()`")]
    NothingToObserve {
        /// The kind.
        kind: &'static str,
    },
}

impl Registry {
    /// No kinds.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a kind under its own name and policy.
    ///
    /// # Errors
    /// [`RegisterError`] when the name is taken or the kind contradicts itself.
    pub fn register<W: Worker>(&mut self, worker: W) -> Result<&mut Self, RegisterError> {
        self.register_as(W::KIND, W::POLICY, worker)
    }

    /// Adds a kind under a name and policy that are known at run time only.
    ///
    /// # Errors
    /// As [`register`](Self::register).
    pub fn register_as<W: Worker>(
        &mut self,
        kind: &'static str,
        policy: Policy,
        worker: W,
    ) -> Result<&mut Self, RegisterError> {
        self.add::<W, W>(kind, policy, worker)
    }

    /// Adds a kind with its pure half as it is, under its own name and policy, and this in the place of its I/O half.
    ///
    /// # Errors
    /// As [`register`](Self::register).
    pub fn register_io<W: Worker, I: IoHalf<W>>(&mut self, io: I) -> Result<&mut Self, RegisterError> {
        self.add::<W, I>(W::KIND, W::POLICY, io)
    }

    fn add<W: Worker, I: IoHalf<W>>(
        &mut self,
        kind: &'static str,
        policy: Policy,
        io: I,
    ) -> Result<&mut Self, RegisterError> {
        if self.get(kind).is_some() {
            return Err(RegisterError::Taken { kind });
        }
        check_states::<W>().map_err(|what| RegisterError::States { kind, what })?;
        policy.check().map_err(|source| RegisterError::Policy { kind, source })?;
        let cells = Cells::<W, I>::new(kind, policy, io);
        if !cells.can_be_shown_nothing() {
            return Err(RegisterError::NothingToObserve { kind });
        }
        self.kinds.insert(kind, Box::new(cells));
        Ok(self)
    }

    /// Adds another name for a kind.
    ///
    /// # Errors
    /// [`RegisterError`] when the name is taken or the kind isn't there.
    pub fn alias(&mut self, alias: &'static str, kind: &'static str) -> Result<&mut Self, RegisterError> {
        if self.get(alias).is_some() {
            return Err(RegisterError::Taken { kind: alias });
        }
        if !self.kinds.contains_key(kind) {
            return Err(RegisterError::NoSuchKind { alias, kind });
        }
        self.aliases.insert(alias, kind);
        Ok(self)
    }

    /// The kind with this name or alias.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&dyn DynWorker> {
        let name = self.aliases.get(name).copied().unwrap_or(name);
        self.kinds.get(name).map(|kind| &**kind)
    }

    /// All kinds in order of registration.
    pub fn kinds(&self) -> impl Iterator<Item = &dyn DynWorker> {
        self.kinds.values().map(|kind| &**kind)
    }

    /// All names that a spec may use: kinds, then aliases.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.kinds.keys().copied().chain(self.aliases.keys().copied())
    }

    /// For engines: the kinds in order of registration, and the aliases.
    #[must_use]
    pub fn into_parts(self) -> (Vec<Box<dyn DynWorker>>, BTreeMap<&'static str, &'static str>) {
        (self.kinds.into_values().collect(), self.aliases)
    }
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}

fn check_states<W: Worker>() -> Result<(), &'static str> {
    let all = W::State::ALL;
    if all.is_empty() || all.len() > 256 {
        return Err("State::ALL must hold 1 to 256 states");
    }
    if !all.contains(&W::State::default()) {
        return Err("State::ALL lacks the default state");
    }
    for (at, state) in all.iter().enumerate() {
        if state.name().is_empty() {
            return Err("a state has an empty name");
        }
        if all[..at].iter().any(|other| other == state || other.name() == state.name()) {
            return Err("State::ALL holds a state or a name twice");
        }
    }
    Ok(())
}
