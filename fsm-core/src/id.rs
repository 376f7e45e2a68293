//! Every id of the engine, one newtype each, in one place.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! counter {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(u64);

        impl $name {
            /// The id with this number.
            #[must_use]
            pub const fn new(number: u64) -> Self {
                Self(number)
            }
            /// The number.
            #[must_use]
            pub const fn get(self) -> u64 {
                self.0
            }
            /// The id after this one.
            #[must_use]
            pub const fn next(self) -> Self {
                Self(self.0 + 1)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

counter! {
    /// A counter on one input of a node: it grows when that input changes.
    Generation
}
counter! {
    /// One request of an action; unique in an engine, so a late result can be told from the present one.
    ActionId
}
counter! {
    /// What made something happen; carried along every link from config to effect.
    CauseId
}

/// Which life of a path a node is: grows with every node the engine creates, so it is unique in an engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Incarnation(u32);

impl Incarnation {
    /// The incarnation with this number.
    #[must_use]
    pub const fn new(number: u32) -> Self {
        Self(number)
    }
    /// The number.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl fmt::Display for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A node's place in the arena and which life it is: a late message for an earlier life finds nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct NodeId {
    index: u32,
    incarnation: Incarnation,
}

impl NodeId {
    /// The id of the node at `index` in this life.
    #[must_use]
    pub const fn new(index: u32, incarnation: Incarnation) -> Self {
        Self { index, incarnation }
    }
    /// The place in the arena.
    #[must_use]
    pub const fn index(self) -> usize {
        self.index as usize
    }
    /// Which life.
    #[must_use]
    pub const fn incarnation(self) -> Incarnation {
        self.incarnation
    }
}
