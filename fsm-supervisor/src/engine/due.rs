//! Which nodes are to be visited, by depth; a pass takes them in (depth, declared order).

use super::arena::Arena;

/// Due nodes, one list per depth. A node is in it at most once: its flag says so.
#[derive(Debug, Default)]
pub(crate) struct Due {
    levels: Vec<Vec<u32>>,
    len: usize,
    keyed: Vec<(u64, u32)>,
    /// Buffers for ranking parents, one set per level of recursion.
    spare: Vec<Vec<u32>>,
}

impl Due {
    /// Adds a node that is not in it.
    pub(crate) fn push(&mut self, depth: usize, index: u32) {
        if self.levels.len() <= depth {
            self.levels.resize_with(depth + 1, Vec::new);
        }
        self.levels[depth].push(index);
        self.len += 1;
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(crate) fn depth(&self) -> usize {
        self.levels.len()
    }

    /// Takes the nodes of one depth, in declared order. Give the buffer back with [`recycle`](Self::recycle).
    pub(crate) fn take(&mut self, depth: usize, arena: &Arena) -> Vec<u32> {
        let mut nodes = std::mem::take(&mut self.levels[depth]);
        self.len -= nodes.len();
        if nodes.len() > 1 {
            self.order(&mut nodes, arena);
        }
        nodes
    }

    pub(crate) fn recycle(&mut self, depth: usize, mut buffer: Vec<u32>) {
        buffer.clear();
        if self.levels[depth].capacity() == 0 {
            self.levels[depth] = buffer;
        } else if self.levels[depth].capacity() < buffer.capacity() {
            buffer.append(&mut self.levels[depth]);
            self.levels[depth] = buffer;
        }
    }

    /// Sorts nodes of one depth into declared order: first by the order of their parents, then by position. Most often they
    /// are in order already, and one look at each is enough.
    fn order(&mut self, nodes: &mut [u32], arena: &Arena) {
        if nodes.len() < 2 {
            return;
        }
        let mut families = self.spare.pop().unwrap_or_default();
        let (mut in_order, mut before) = (true, 0);
        for node in nodes.iter() {
            let hot = arena.hot(*node);
            if families.last() == Some(&hot.parent) {
                in_order &= before < hot.position;
            } else {
                families.push(hot.parent);
            }
            before = hot.position;
        }
        let mut parents = self.spare.pop().unwrap_or_default();
        parents.extend_from_slice(&families);
        parents.sort_unstable();
        parents.dedup();
        let mut ranked = self.spare.pop().unwrap_or_default();
        ranked.extend_from_slice(&parents);
        self.order(&mut ranked, arena);
        if !in_order || ranked != families {
            let mut rank = self.spare.pop().unwrap_or_default();
            rank.resize(parents.len(), 0);
            let place = |parent| parents.binary_search(&parent).expect("every parent was collected");
            for (at, parent) in ranked.iter().enumerate() {
                rank[place(*parent)] = at as u32;
            }
            let (mut last, mut last_rank) = (families[0], rank[place(families[0])]);
            self.keyed.clear();
            for node in nodes.iter() {
                let hot = arena.hot(*node);
                if hot.parent != last {
                    last = hot.parent;
                    last_rank = rank[place(last)];
                }
                self.keyed.push(((u64::from(last_rank) << 32) | u64::from(hot.position), *node));
            }
            self.keyed.sort_unstable();
            for (place, (_, node)) in nodes.iter_mut().zip(&self.keyed) {
                *place = *node;
            }
            self.give_back(rank);
        }
        for buffer in [families, parents, ranked] {
            self.give_back(buffer);
        }
    }

    fn give_back(&mut self, mut buffer: Vec<u32>) {
        buffer.clear();
        self.spare.push(buffer);
    }
}
