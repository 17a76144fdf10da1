//! Which of many templates is the most specific one for a path?
//!
//! A tree of segments. At each node a literal precedes a parameter with literals beside it, that precedes `{name}`, and
//! `{name}` precedes `{*name}`; if the better branch
//! leads nowhere, the next one is tried. `{*name}` also takes no segment at all: `/a/{*rest}` covers `/a`, behind all
//! templates that take the segment `a` as their last one. Parameter names do not matter: templates that differ only in them have the
//! same shape and share one leaf.
//!
//! Cost: every node has one parent, so no request visits a node twice. At each depth a request visits at most one node
//! for each arrangement of literals and parameters that leads there, because the path determines the literals. The work
//! therefore grows with the number of arrangements in the table, not with the number of routes: 10,000 routes like
//! `/a/{id}/b` have three arrangements and cost as much as one. [`Tree::most_steps`] gives the bound. Depth is bounded
//! by [`MAX_SEGMENTS`](super::template::MAX_SEGMENTS), so recursion is safe.

use super::PathCase;
use super::affixes::Affixes;
use super::template::{Segment, Template};
use crate::lookup::Lookup;

/// Leaves of type `T`, one for each shape of template.
#[derive(Debug)]
pub(crate) struct Tree<T> {
    root: Node<T>,
}

#[derive(Debug)]
struct Node<T> {
    /// By text, an index into `children`.
    literals: Lookup,
    children: Vec<Node<T>>,
    /// Length of the longest literal, bytes: longer segments, which may have 60 KiB, are not even hashed.
    longest: usize,
    affixes: Option<Box<Affixes<Node<T>>>>,
    parameter: Option<Box<Node<T>>>,
    /// The leaf of templates that end here.
    end: Option<T>,
    /// The leaf of templates that continue with `{*name}`, of which most trees have few.
    rest: Option<Box<T>>,
}

impl<T: Default> Tree<T> {
    /// A tree without leaves.
    pub(crate) fn new() -> Self {
        Self { root: Node::new() }
    }

    /// The leaf of `template`'s shape, created if it is new. `case`: how the tree spells a literal.
    pub(crate) fn leaf(&mut self, template: &Template, case: PathCase) -> &mut T {
        let mut node = &mut self.root;
        for segment in template.segments() {
            node = match segment {
                Segment::Literal(text) => {
                    let text = &*case.spelled(text);
                    node.longest = node.longest.max(text.len());
                    let new = node.children.len();
                    let index = node.literals.enter(text, new).unwrap_or_else(|| {
                        node.children.push(Node::new());
                        new
                    });
                    #[expect(
                        clippy::expect_used,
                        reason = "every index has a child, and this runs only while a configuration is compiled"
                    )]
                    node.children.get_mut(index).expect("a literal's child")
                }
                Segment::Affixed(affixed) => {
                    let [before, behind] =
                        [affixed.before(), affixed.behind()].map(|text| case.spelled(text));
                    node.affixes.get_or_insert_default().enter(&before, &behind, Node::new)
                }
                Segment::Parameter(_) => node.parameter.get_or_insert_with(|| Box::new(Node::new())),
                // The last segment, by the template's invariant.
                Segment::Rest(_) => return node.rest.get_or_insert_default(),
            };
        }
        node.end.get_or_insert_with(T::default)
    }
}

impl<T> Tree<T> {
    /// The leaf of the most specific shape that matches `path`, which is canonical:
    /// [`Target::path`](crate::request::target::Target::path).
    pub(crate) fn find(&self, path: &str) -> Option<&T> {
        match path.strip_prefix('/')? {
            "" => self.root.end.as_ref().or(self.root.rest.as_deref()),
            path => self.root.find(path),
        }
    }

    /// The largest number of nodes that [`Tree::find`] visits for any path.
    pub(crate) fn most_steps(&self) -> usize {
        self.root.most_steps()
    }
}

impl<T> Node<T> {
    fn new() -> Self {
        Self {
            literals: Lookup::default(),
            children: Vec::new(),
            longest: 0,
            affixes: None,
            parameter: None,
            end: None,
            rest: None,
        }
    }

    /// `path`: one segment or more.
    fn find(&self, path: &str) -> Option<&T> {
        let end = path.bytes().position(|byte| byte == b'/');
        let found = match end.and_then(|end| path.split_at_checked(end)) {
            Some((segment, behind)) => {
                let behind = behind.get(1..).unwrap_or_default();
                self.first(segment, |node| node.find(behind))
            }
            None => self
                .first(path, |node| node.end.as_ref())
                .or_else(|| self.first(path, |node| node.rest.as_deref())),
        };
        found.or(self.rest.as_deref())
    }

    /// The answer of the most specific branch for `segment` that has one.
    fn first<'n>(&'n self, segment: &str, ask: impl Fn(&'n Self) -> Option<&'n T>) -> Option<&'n T> {
        let literal = if segment.len() <= self.longest { self.literals.get(segment) } else { None };
        let literal = literal.and_then(|index| self.children.get(index));
        literal
            .and_then(&ask)
            .or_else(|| self.affixes.as_ref().and_then(|affixes| affixes.fitting(segment).find_map(&ask)))
            .or_else(|| self.parameter.as_deref().and_then(&ask))
    }

    fn most_steps(&self) -> usize {
        let literal = self.children.iter().map(Self::most_steps).max().unwrap_or(0);
        let parameter = self.parameter.as_ref().map_or(0, |node| node.most_steps());
        let affixes = self.affixes.as_ref().map_or(0, |affixes| affixes.sum_of_largest(Self::most_steps));
        [literal, affixes, parameter].into_iter().fold(1, usize::saturating_add)
    }
}
