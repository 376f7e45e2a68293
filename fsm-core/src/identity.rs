//! Who a node is: what a worker may know of its place in the tree.

use std::sync::Arc;

use crate::{ChildName, Internal, NodeId, NodePath};

/// A node's identity as its jobs see it. Made when a job starts, not kept per node.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Identity {
    /// Its path.
    pub path: NodePath,
    /// Its kind.
    pub kind: &'static str,
    /// Its place in the arena and its incarnation.
    pub node: NodeId,
    /// When this path was first known, in milliseconds since 1970 UTC.
    pub created_at: u64,
    /// How often this path was started in this process, this incarnation included.
    pub starts: u32,
}

impl Identity {
    /// The identity of a node at this path.
    #[must_use]
    pub const fn new(path: NodePath, kind: &'static str, node: NodeId, created_at: u64, starts: u32) -> Self {
        Self { path, kind, node, created_at, starts }
    }

    /// What templates see of it as `internal.*`.
    #[must_use]
    pub fn internal(&self) -> Internal {
        let parent_id = self.path.parent().map_or_else(|| Arc::from(""), |p| p.id());
        Internal {
            id: self.path.id(),
            name: Arc::from(self.path.name()),
            path: Arc::clone(self.path.shared()),
            parent_id,
            bridged_by: Arc::clone(self.path.shared()),
            created_at: self.created_at,
        }
    }
}

/// A node's name and how to find its path, borrowed from the tree; costs nothing until asked.
#[derive(Clone, Copy)]
pub struct Whoami<'a> {
    name: &'a ChildName,
    kind: &'static str,
    starts: u32,
    paths: &'a dyn PathOf,
    node: NodeId,
}

/// Finds the path of a node by walking up the tree.
pub trait PathOf {
    /// The node's path.
    fn path_of(&self, node: NodeId) -> NodePath;
}

impl<'a> Whoami<'a> {
    /// For engines: the identity of this node, with the tree to ask for its path.
    pub fn new(
        name: &'a ChildName,
        kind: &'static str,
        node: NodeId,
        starts: u32,
        paths: &'a dyn PathOf,
    ) -> Self {
        Self { name, kind, starts, paths, node }
    }
    /// The node's name among its siblings.
    #[must_use]
    pub fn name(&self) -> &'a ChildName {
        self.name
    }
    /// The node's kind.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        self.kind
    }
    /// The node's place and incarnation.
    #[must_use]
    pub fn node(&self) -> NodeId {
        self.node
    }
    /// How often this path was started, this incarnation included.
    #[must_use]
    pub fn starts(&self) -> u32 {
        self.starts
    }
    /// The node's path. Allocates: not for every decision.
    #[must_use]
    pub fn path(&self) -> NodePath {
        self.paths.path_of(self.node)
    }
}
