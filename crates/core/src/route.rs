//! Which route does a request belong to?
//!
//! The host comes first: the routes of the most specific configured host that has any for the path decide, and those
//! without hosts come last. Among them the most specific path wins, whatever the order in the file. The table knows
//! nothing about tokens or permissions: it answers with the route's index.
//!
//! Each configured host has a tree of its own routes. (The `matchit` crate was tried for the tree; it refuses `/{a}/b`
//! next to `/{*rest}`.)

mod affixes;
mod hosts;
pub mod template;
mod tree;

use std::borrow::Cow;

#[cfg(feature = "schema")]
use schemars::JsonSchema;

use crate::index::RouteIndex;
use crate::request::host::{Host, HostPattern};
use crate::request::target::Target;
use hosts::{ANY, HostId, Hosts};
pub use hosts::{Covering, LastHost};
use template::Template;
use tree::Tree;

/// One route, as the table needs it.
#[derive(Debug, Clone)]
pub struct RouteSpec {
    /// The hosts of the route; if empty, any host.
    pub hosts: Vec<HostPattern>,
    /// Its path.
    pub template: Template,
    /// Its methods, which are case-sensitive (RFC 9110 section 9.1). Never empty.
    pub methods: Vec<String>,
    /// The route's index in the configuration.
    pub index: RouteIndex,
}

/// Two routes that claim the same method on the same path shape and host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// The route that comes first.
    pub first: RouteIndex,
    /// The other one.
    pub second: RouteIndex,
    /// The method that both name.
    pub method: String,
    /// The host that both name; `None` if neither names any.
    pub host: Option<HostPattern>,
}

/// The table's answer for a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found<'t> {
    /// The route of the request.
    Route {
        /// The route's index.
        index: RouteIndex,
        /// The route's path, which gives the values of its parameters ([`Template::parameter`]).
        template: &'t Template,
    },
    /// The path has routes, but none for the method (405).
    MethodNotAllowed {
        /// The methods that have a route, sorted and without duplicates, for `Allow` (RFC 9110 section 15.5.6).
        allowed: Vec<&'t str>,
    },
    /// No route has this path.
    NoRoute,
    /// Only the decoded path has a route, because a literal beside a parameter was sent percent-encoded: who takes the
    /// segment apart before decoding it finds another route.
    Ambiguous,
}

/// Whether the letters of literals match in either case.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename_all = "lowercase"))]
pub enum PathCase {
    /// `/admin` is another path than `/Admin`.
    #[default]
    Sensitive,
    /// ASCII letters of literals match in either case; parameters keep theirs.
    Insensitive,
}

/// All routes.
#[derive(Debug)]
pub struct RouteTable {
    /// By [`HostId`].
    trees: Vec<Tree<Leaf>>,
    hosts: Hosts,
    routes: Vec<(RouteIndex, Template)>,
    list_head: bool,
    case: PathCase,
    /// Whether any route has a parameter with literals beside it.
    has_affixes: bool,
}

/// The routes of one path shape on one host.
// INVARIANT: sorted by method; no two entries agree in it.
#[derive(Debug, Default)]
struct Leaf(Vec<MethodRoute>);

/// One method of one route.
#[derive(Debug)]
struct MethodRoute {
    method: String,
    /// The index in [`RouteTable::routes`].
    route: usize,
}

impl RouteTable {
    /// Builds the table. `list_head`: whether the configuration allows HEAD, so that [`Found::MethodNotAllowed`] lists
    /// it wherever it lists GET. [`RouteTable::find`] lets HEAD follow GET in any case. `case`: how literals match.
    ///
    /// # Errors
    ///
    /// Every pair of routes that claim one method on the same path shape and host.
    pub fn build(specs: Vec<RouteSpec>, list_head: bool, case: PathCase) -> Result<Self, Vec<Conflict>> {
        let hosts = Hosts::new(specs.iter().flat_map(|spec| &spec.hosts));
        let mut trees: Vec<Tree<Leaf>> = std::iter::repeat_with(Tree::new).take(hosts.count()).collect();
        let mut routes: Vec<(RouteIndex, Template)> = Vec::with_capacity(specs.len());
        let mut conflicts = Vec::new();
        let has_affixes = specs.iter().any(|spec| spec.template.has_affixes());
        for spec in specs {
            let mut patterns: Vec<_> = spec.hosts.into_iter().map(Some).collect();
            if patterns.is_empty() {
                patterns.push(None);
            }
            for pattern in patterns {
                let host = pattern.as_ref().and_then(|pattern| hosts.id(pattern)).unwrap_or(ANY);
                // Every id has a tree.
                let Some(tree) = trees.get_mut(host.get()) else { continue };
                let leaf = tree.leaf(&spec.template, |literal| case.spelled(literal).into_owned());
                for method in &spec.methods {
                    match leaf.claim(method, routes.len()) {
                        None => {}
                        // A route that names a method or a host twice does not conflict with itself.
                        Some(taken) if taken == routes.len() => {}
                        Some(taken) => conflicts.push(Conflict {
                            first: routes.get(taken).map_or(spec.index, |(index, _)| *index),
                            second: spec.index,
                            method: method.clone(),
                            host: pattern.clone(),
                        }),
                    }
                }
            }
            routes.push((spec.index, spec.template));
        }
        if conflicts.is_empty() {
            Ok(Self { trees, hosts, routes, list_head, case, has_affixes })
        } else {
            Err(conflicts)
        }
    }

    /// Finds the route of a request.
    ///
    /// The most specific host that has routes for the path decides, its most specific path and the methods of that. HEAD
    /// follows GET, because it reveals what GET reveals.
    pub fn find(&self, host: &Host<'_>, target: &Target<'_>, method: &str) -> Found<'_> {
        self.find_covered(self.hosts.covering(host), target, method)
    }

    /// The same as [`RouteTable::find`], for a host that has been looked up already.
    pub(crate) fn find_covered(&self, covering: Covering, target: &Target<'_>, method: &str) -> Found<'_> {
        let Some(leaf) = self.leaf(covering, target.path()) else { return Found::NoRoute };
        if self.has_affixes && target.is_encoded() && self.is_misspelt(leaf, target.raw_path()) {
            return Found::Ambiguous;
        }
        self.named(leaf, method)
    }

    /// Finds the route of one reading of a path.
    pub(crate) fn find_reading(&self, covering: Covering, path: &str, method: &str) -> Found<'_> {
        self.leaf(covering, path).map_or(Found::NoRoute, |leaf| self.named(leaf, method))
    }

    /// The routes of the first host that has the path.
    fn leaf(&self, covering: Covering, path: &str) -> Option<&Leaf> {
        let path = self.case.spelled(path);
        let mut trees = self.hosts.patterns(covering).iter().filter_map(|host| self.trees.get(host.get()));
        trees.find_map(|tree| tree.find(&path))
    }

    fn named<'t>(&'t self, leaf: &'t Leaf, method: &str) -> Found<'t> {
        let follower = || if method == "HEAD" { leaf.named("GET") } else { None };
        let chosen = leaf.named(method).or_else(follower);
        if let Some((index, template)) = chosen.and_then(|entry| self.routes.get(entry.route)) {
            return Found::Route { index: *index, template };
        }
        self.other_methods(leaf)
    }

    /// Whether the path as sent has a literal of the leaf's shape percent-encoded.
    fn is_misspelt(&self, leaf: &Leaf, sent: &str) -> bool {
        let first = leaf.0.first().and_then(|entry| self.routes.get(entry.route));
        first.is_some_and(|(_, template)| template.is_misspelt(sent))
    }

    #[cold]
    #[inline(never)]
    fn other_methods<'t>(&self, leaf: &'t Leaf) -> Found<'t> {
        let mut allowed: Vec<&str> = leaf.0.iter().map(|entry| entry.method.as_str()).collect();
        if self.list_head && allowed.contains(&"GET") {
            allowed = sorted(allowed.into_iter().chain(["HEAD"]));
        }
        Found::MethodNotAllowed { allowed }
    }

    /// The largest number of tree nodes that any path visits: a handful for usual routes, and never more than the tree
    /// has. Thousands mean that literals and parameters alternate in the same segments of many routes.
    pub fn most_steps(&self) -> usize {
        let steps = |host: &HostId| self.trees.get(host.get()).map_or(0, Tree::most_steps);
        let of_host = |list: &[HostId]| list.iter().map(steps).fold(0, usize::saturating_add);
        self.hosts.lists().map(of_host).max().unwrap_or(0)
    }
}

/// A few methods, sorted and without duplicates.
pub(crate) fn sorted<'m>(methods: impl Iterator<Item = &'m str>) -> Vec<&'m str> {
    let mut sorted = Vec::new();
    for method in methods {
        if let Err(position) = sorted.binary_search(&method) {
            sorted.insert(position, method);
        }
    }
    sorted
}

impl PathCase {
    /// A path or a literal as the trees spell it. ASCII letters change, and no length does.
    pub(crate) fn spelled(self, text: &str) -> Cow<'_, str> {
        match self {
            Self::Insensitive if text.bytes().any(|byte| byte.is_ascii_uppercase()) => {
                Cow::Owned(text.to_ascii_lowercase())
            }
            Self::Insensitive | Self::Sensitive => Cow::Borrowed(text),
        }
    }
}

impl Leaf {
    fn named(&self, method: &str) -> Option<&MethodRoute> {
        // There are only a few, so a linear search beats a binary one.
        self.0.iter().find(|entry| entry.method == method)
    }

    /// Enters a method of a route. If a route has it already, changes nothing and returns the index of that route.
    fn claim(&mut self, method: &str, route: usize) -> Option<usize> {
        match self.0.binary_search_by(|entry| entry.method.as_str().cmp(method)) {
            Ok(position) => self.0.get(position).map(|entry| entry.route),
            Err(position) => {
                self.0.insert(position, MethodRoute { method: method.to_owned(), route });
                None
            }
        }
    }
}

#[cfg(test)]
mod tests;
