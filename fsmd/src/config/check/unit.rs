//! The entries of the config in the order of the tree: which node came from where.

use fsm_templating::{Node, Place};

/// One entry of `bridges`, `dataflows` or `workers`.
#[derive(Clone, Copy)]
pub(super) struct Unit<'a> {
    pub(super) section: &'static str,
    pub(super) index: usize,
    pub(super) node: &'a Node,
}

/// The sections whose entries become children of the root, in this order.
const SECTIONS: [&str; 3] = ["bridges", "dataflows", "workers"];

impl<'a> Unit<'a> {
    /// All entries of a document.
    pub(super) fn all(document: &'a Node) -> Vec<Self> {
        let of_section = |section: &'static str| {
            let entries = document.get(section).and_then(Node::as_sequence).unwrap_or_default();
            entries.iter().enumerate().map(move |(index, node)| Unit { section, index, node })
        };
        SECTIONS.into_iter().flat_map(of_section).collect()
    }

    /// Its name as written.
    pub(super) fn name(&self) -> Option<&'a Node> {
        self.node.get("name").filter(|name| name.as_str().is_some())
    }

    /// The rows of a `for_each`.
    pub(super) fn rows(&self) -> Option<&'a [Node]> {
        self.node.get("for_each")?.get("rows")?.as_sequence()
    }

    /// Whether it stands for its rows, however many there are: they may not have been read.
    pub(super) fn is_repeated(&self) -> bool {
        self.node.get("for_each").is_some()
    }

    /// How many nodes it makes.
    pub(super) fn len(&self) -> usize {
        self.rows().map_or(1, <[Node]>::len)
    }

    /// Where the node of this row is declared.
    pub(super) fn place(&self, row: usize) -> Place {
        match self.rows().and_then(|rows| rows.get(row)) {
            Some(row) => row.place().clone(),
            None => self.name().unwrap_or(self.node).place().clone(),
        }
    }

    /// `bridges[3] press-7`
    pub(super) fn subject(&self, name: &str) -> String {
        format!("{}[{}] {name}", self.section, self.index)
    }
}
