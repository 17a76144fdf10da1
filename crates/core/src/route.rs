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
mod spread;
pub mod template;
mod tree;

use std::borrow::Cow;

#[cfg(feature = "schema")]
use schemars::JsonSchema;
use smallvec::SmallVec;

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
    /// The methods that routes have, each once.
    methods: Vec<String>,
    /// One for each route.
    templates: Vec<Template>,
    list_head: bool,
    case: PathCase,
    /// Whether any route has a parameter with literals beside it.
    has_affixes: bool,
}

/// The routes of one path shape on one host. Of thousands of routes each is found cold, so the usual one stands in the
/// tree's node itself, and refers to nothing that has to be read to choose it.
// INVARIANT: no two entries agree in the method.
#[derive(Debug, Default)]
struct Leaf(SmallVec<[MethodRoute; 1]>);

/// One method of one route.
#[derive(Debug, Clone, Copy)]
struct MethodRoute {
    /// The index in [`RouteTable::methods`].
    method: usize,
    route: RouteIndex,
    /// The index in [`RouteTable::templates`].
    template: usize,
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
        let mut methods: Vec<String> = Vec::new();
        let mut templates: Vec<Template> = Vec::with_capacity(specs.len());
        let mut conflicts = Vec::new();
        let has_affixes = specs.iter().any(|spec| spec.template.has_affixes());
        for spec in specs {
            let entry = |name: &String| {
                let known = methods.iter().position(|known| known == name);
                let method = known.unwrap_or_else(|| {
                    methods.push(name.clone());
                    methods.len().saturating_sub(1)
                });
                MethodRoute { method, route: spec.index, template: templates.len() }
            };
            let entries: Vec<MethodRoute> = spec.methods.iter().map(entry).collect();
            let mut patterns: Vec<_> = spec.hosts.into_iter().map(Some).collect();
            if patterns.is_empty() {
                patterns.push(None);
            }
            for pattern in patterns {
                let host = pattern.as_ref().and_then(|pattern| hosts.id(pattern)).unwrap_or(ANY);
                // Every id has a tree.
                let Some(tree) = trees.get_mut(host.get()) else { continue };
                let leaf = tree.leaf(&spec.template, case);
                for (method, &entry) in spec.methods.iter().zip(&entries) {
                    match leaf.claim(entry) {
                        None => {}
                        // A route that names a method or a host twice does not conflict with itself.
                        Some(taken) if taken.template == entry.template => {}
                        Some(taken) => conflicts.push(Conflict {
                            first: taken.route,
                            second: spec.index,
                            method: method.clone(),
                            host: pattern.clone(),
                        }),
                    }
                }
            }
            templates.push(spec.template);
        }
        if conflicts.is_empty() {
            Ok(Self { trees, hosts, methods, templates, list_head, case, has_affixes })
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
        let of_method = |method: &str| {
            let method = self.methods.iter().position(|known| known == method)?;
            leaf.0.iter().find(|entry| entry.method == method)
        };
        let follower = || if method == "HEAD" { of_method("GET") } else { None };
        let chosen = of_method(method).or_else(follower);
        match chosen.and_then(|entry| Some((entry.route, self.templates.get(entry.template)?))) {
            Some((index, template)) => Found::Route { index, template },
            None => self.other_methods(leaf),
        }
    }

    /// Whether the path as sent has a literal of the leaf's shape percent-encoded.
    fn is_misspelt(&self, leaf: &Leaf, sent: &str) -> bool {
        let first = leaf.0.first().and_then(|entry| self.templates.get(entry.template));
        first.is_some_and(|template| template.is_misspelt(sent))
    }

    #[cold]
    #[inline(never)]
    fn other_methods(&self, leaf: &Leaf) -> Found<'_> {
        let methods = || leaf.0.iter().filter_map(|entry| self.methods.get(entry.method).map(String::as_str));
        let head = self.list_head && methods().any(|method| method == "GET");
        Found::MethodNotAllowed { allowed: sorted(methods().chain(head.then_some("HEAD"))) }
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
    /// Enters a method of a route. If a route has it already, changes nothing and returns that route's entry.
    fn claim(&mut self, entry: MethodRoute) -> Option<MethodRoute> {
        let taken = self.0.iter().find(|taken| taken.method == entry.method).copied();
        if taken.is_none() {
            self.0.push(entry);
        }
        taken
    }
}

#[cfg(test)]
mod tests;
