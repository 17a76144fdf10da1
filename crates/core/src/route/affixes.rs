//! The branches of a tree's node for parameters with literals beside them.
//!
//! Longer literals precede shorter ones, and of equally long ones that with more before the parameter. Among the
//! branches that one segment fits this is a total order: literals of equal lengths that fit the same segment are equal.
//! There is one look-up for each pair of lengths, not for each branch.

use crate::lookup::Lookup;

/// Branches of type `N`.
#[derive(Debug)]
pub(super) struct Affixes<N> {
    /// The lengths, bytes, of the literals before and behind the parameter; the most specific come first.
    lengths: Vec<(usize, usize)>,
    /// By the two literals with a `/` between them, an index into `nodes`.
    names: Lookup,
    nodes: Vec<N>,
}

impl<N> Default for Affixes<N> {
    fn default() -> Self {
        Self { lengths: Vec::new(), names: Lookup::default(), nodes: Vec::new() }
    }
}

impl<N> Affixes<N> {
    /// The branch for these literals, made by `new` if there is none yet.
    pub(super) fn enter(&mut self, before: &str, behind: &str, new: impl FnOnce() -> N) -> &mut N {
        let index = self.names.enter(&key(before, behind), self.nodes.len()).unwrap_or(self.nodes.len());
        if index == self.nodes.len() {
            self.nodes.push(new());
            let lengths = (before.len(), behind.len());
            let rank = |&(before, behind): &(usize, usize)| {
                std::cmp::Reverse((before.saturating_add(behind), before))
            };
            if let Err(position) = self.lengths.binary_search_by_key(&rank(&lengths), rank) {
                self.lengths.insert(position, lengths);
            }
        }
        #[expect(
            clippy::expect_used,
            reason = "every index has a node, and this runs only while a configuration is compiled"
        )]
        self.nodes.get_mut(index).expect("the literals' node")
    }

    /// The branches that `segment` fits, the most specific first.
    pub(super) fn fitting(&self, segment: &str) -> impl Iterator<Item = &N> {
        self.lengths.iter().filter_map(move |&(before, behind)| {
            let from = segment.len().checked_sub(behind).filter(|from| *from > before)?;
            let index = self.names.get(&key(segment.get(..before)?, segment.get(from..)?))?;
            self.nodes.get(index)
        })
    }

    /// The sum, over the pairs of lengths, of the largest `value` of a branch: one segment fits one branch of each pair.
    pub(super) fn sum_of_largest(&self, value: impl Fn(&N) -> usize) -> usize {
        let largest = self.nodes.iter().map(value).max().unwrap_or(0);
        largest.saturating_mul(self.lengths.len())
    }
}

/// No literal contains a `/`.
fn key(before: &str, behind: &str) -> String {
    [before, "/", behind].concat()
}
