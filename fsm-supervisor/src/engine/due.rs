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

    /// Sorts nodes of one depth into declared order: first by the order of their parents, then by position.
    fn order(&mut self, nodes: &mut [u32], arena: &Arena) {
        let first = arena.hot(nodes[0]).parent;
        if nodes.iter().all(|n| arena.hot(*n).parent == first) {
            if !nodes.is_sorted_by_key(|n| arena.hot(*n).position) {
                nodes.sort_unstable_by_key(|n| arena.hot(*n).position);
            }
            return;
        }
        // Rank the distinct parents, then sort by (rank of parent, position).
        let mut parents = self.spare.pop().unwrap_or_default();
        for node in nodes.iter() {
            let parent = arena.hot(*node).parent;
            if parents.last() != Some(&parent) {
                parents.push(parent);
            }
        }
        parents.sort_unstable();
        parents.dedup();
        let mut ranked = self.spare.pop().unwrap_or_default();
        ranked.extend_from_slice(&parents);
        self.order(&mut ranked, arena);
        let mut rank = self.spare.pop().unwrap_or_default();
        rank.resize(parents.len(), 0);
        for (at, parent) in ranked.iter().enumerate() {
            let place = parents.binary_search(parent).expect("ranked holds the same parents");
            rank[place] = at as u32;
        }
        let (mut last, mut last_rank) = (u32::MAX, 0);
        self.keyed.clear();
        for node in nodes.iter() {
            let hot = arena.hot(*node);
            if hot.parent != last {
                last = hot.parent;
                last_rank = rank[parents.binary_search(&last).expect("every parent was collected")];
            }
            self.keyed.push(((u64::from(last_rank) << 32) | u64::from(hot.position), *node));
        }
        if !self.keyed.is_sorted() {
            self.keyed.sort_unstable();
        }
        for (place, (_, node)) in nodes.iter_mut().zip(&self.keyed) {
            *place = *node;
        }
        for mut buffer in [parents, ranked, rank] {
            buffer.clear();
            self.spare.push(buffer);
        }
    }
}
