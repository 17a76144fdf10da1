//! Which of many templates is the most specific one for a path?
//!
//! A tree of segments. At each node a literal precedes `{name}`, and `{name}` precedes `{*name}`; if the better branch
//! leads nowhere, the next one is tried. Parameter names do not matter: templates that differ only in them have the
//! same shape and share one leaf.
//!
//! Cost: every node has one parent, so no request visits a node twice. At each depth a request visits at most one node
//! for each arrangement of literals and parameters that leads there, because the path determines the literals. The work
//! therefore grows with the number of arrangements in the table, not with the number of routes: 10,000 routes like
//! `/a/{id}/b` have three arrangements and cost as much as one. [`Tree::most_steps`] gives the bound. Depth is bounded
//! by [`MAX_SEGMENTS`](super::template::MAX_SEGMENTS), so recursion is safe.

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
    parameter: Option<Box<Node<T>>>,
    /// The leaf of templates that end here.
    end: Option<T>,
    /// The leaf of templates that continue with `{*name}`.
    rest: Option<T>,
}

impl<T: Default> Tree<T> {
    /// A tree without leaves.
    pub(crate) fn new() -> Self {
        Self { root: Node::new() }
    }

    /// The leaf of `template`'s shape, created if it is new.
    pub(crate) fn leaf(&mut self, template: &Template) -> &mut T {
        let mut node = &mut self.root;
        for segment in template.segments() {
            node = match segment {
                Segment::Literal(text) => {
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
                Segment::Parameter(_) => node.parameter.get_or_insert_with(|| Box::new(Node::new())),
                // The last segment, by the template's invariant.
                Segment::Rest(_) => return node.rest.get_or_insert_with(T::default),
            };
        }
        node.end.get_or_insert_with(T::default)
    }
}

impl<T> Tree<T> {
    /// The leaf of the most specific shape that matches `path` and that `accepts` accepts. `path` is canonical:
    /// [`Target::path`](crate::request::target::Target::path).
    pub(crate) fn find(&self, path: &str, accepts: &impl Fn(&T) -> bool) -> Option<&T> {
        self.root.find(path.strip_prefix('/')?, accepts)
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
            parameter: None,
            end: None,
            rest: None,
        }
    }

    fn find(&self, path: &str, accepts: &impl Fn(&T) -> bool) -> Option<&T> {
        // A canonical path has no empty segment, so an empty rest is the end.
        if path.is_empty() {
            return self.end.as_ref().filter(|leaf| accepts(leaf));
        }
        let end = path.bytes().position(|byte| byte == b'/');
        let (segment, behind) = match end.and_then(|end| path.split_at_checked(end)) {
            Some((segment, behind)) => (segment, behind.get(1..).unwrap_or_default()),
            None => (path, ""),
        };
        let literal = if segment.len() <= self.longest { self.literals.get(segment) } else { None };
        let literal = literal.and_then(|index| self.children.get(index));
        literal
            .and_then(|node| node.find(behind, accepts))
            .or_else(|| self.parameter.as_ref().and_then(|node| node.find(behind, accepts)))
            .or_else(|| self.rest.as_ref().filter(|leaf| accepts(leaf)))
    }

    fn most_steps(&self) -> usize {
        let literal = self.children.iter().map(Self::most_steps).max().unwrap_or(0);
        let parameter = self.parameter.as_ref().map_or(0, |node| node.most_steps());
        1_usize.saturating_add(literal).saturating_add(parameter)
    }
}
