//! Section `routes`, and `revocation.endpoint`, which is also a route.

mod path;

use smallvec::SmallVec;

use super::form::{media_types, methods};
use super::grammar::is_method;
use super::limits::Limits;
use super::problems::Problems;
use super::tokens::claim_text;
use super::{Parts, Path, conditions};
use crate::config::raw::{BodyHandling, RawEndpoint, RawRoute};
use crate::index::{PermissionIndex, RouteIndex};
use crate::policy::{Access, Endpoint, FormPolicy, Mode, Route};
use crate::request::host::HostPattern;
use crate::request::target::Lifts;
use crate::revocation::request::MAX_BODY_BYTES;
use crate::route::template::Template;
use crate::route::{RouteSpec, RouteTable};
use crate::token::claims::TextSlot;
use path::{hosts, lifts, template};

/// The longest name of a route, bytes.
const LONGEST_NAME: usize = 128;

/// Collects the routes of a configuration; the revocation endpoint comes last.
pub(super) struct Routes<'f> {
    /// The form of requests, unless a route says otherwise.
    form: &'f FormPolicy,
    /// The mode of routes without their own.
    mode: Mode,
    routes: Vec<Route>,
    specs: Vec<RouteSpec>,
    endpoint: Option<RouteIndex>,
}

impl<'f> Routes<'f> {
    pub(super) fn new(form: &'f FormPolicy, mode: Mode) -> Self {
        Self { form, mode, routes: Vec::new(), specs: Vec::new(), endpoint: None }
    }

    /// Adds one route, and its limits to `limits`.
    pub(super) fn add(&mut self, parts: &mut Parts<'_>, limits: &mut Limits, raw: RawRoute, at: &Path<'_>) {
        if raw.name.as_deref().is_some_and(|name| !is_name(name)) {
            let instead = format!(
                "write 1 to {LONGEST_NAME} characters, none of them control characters, or remove it"
            );
            parts.problems.add(&at.field("name"), "not a route name", instead);
        }
        let template = template(&mut parts.problems, raw.path.as_deref(), &at.field("path"));
        let hosts = hosts(&mut parts.problems, raw.hosts.as_deref(), &at.field("hosts"));
        let methods =
            route_methods(&mut parts.problems, raw.methods.as_deref(), self.form, &at.field("methods"));
        note_contradictions(&mut parts.problems, &raw, at);
        let required =
            listed_permissions(parts, raw.required_permissions.as_deref(), &at.field("required_permissions"));
        let any = listed_permissions(parts, raw.any_permissions.as_deref(), &at.field("any_permissions"));
        let bind_unless = listed_permissions(parts, raw.bind_unless.as_deref(), &at.field("bind_unless"));
        let networks = conditions::networks(parts, &raw, at);
        let bind = bindings(parts, raw.bind, template.as_ref(), &at.field("bind"));
        let demands = conditions::demands(parts, raw.require, &at.field("require"));
        let allowed_in_path = lifts(
            &mut parts.problems,
            raw.allow_in_path.as_deref(),
            template.as_ref(),
            &at.field("allow_in_path"),
        );
        if let Some(types) = &raw.content_types {
            media_types(&mut parts.problems, types, &at.field("content_types"));
        }
        if let Some(size) = raw.max_request_size_bytes {
            parts.problems.within(&at.field("max_request_size_bytes"), size, 1, u64::MAX, "bytes");
        }
        let skipped_limits =
            limits.skipped(&mut parts.problems, raw.skip_limits.as_deref(), &at.field("skip_limits"));
        let limits = limits.add_of_route(parts, raw.rate_limits, &at.field("rate_limits"));
        let route = Route {
            label: raw.name.or(raw.path).unwrap_or_default(),
            access: raw.access,
            required: SmallVec::from_slice(&required),
            any,
            bind,
            bind_unless,
            demands,
            networks,
            allowed_in_path,
            content_types: raw.content_types,
            max_bytes: raw.max_request_size_bytes,
            streams: raw.body == BodyHandling::Stream,
            limits,
            skipped_limits,
            mode: raw.mode.unwrap_or(self.mode),
            revokes: false,
        };
        self.push(route, template, hosts, methods);
    }

    /// Adds the revocation endpoint: an always enforced route for every host that accepts small JSON bodies.
    pub(super) fn add_endpoint(
        &mut self,
        parts: &mut Parts<'_>,
        raw: RawEndpoint,
        at: &Path<'_>,
    ) -> Endpoint {
        if raw.required_permissions.is_empty() {
            let at = &at.field("required_permissions");
            parts.problems.add(at, "empty list", "name at least one permission");
        }
        let required = permissions(parts, &raw.required_permissions, &at.field("required_permissions"));
        let problems = &mut parts.problems;
        let template = template(problems, Some(&raw.path), &at.field("path"));
        if template.as_ref().is_some_and(|template| template.parameters().next().is_some()) {
            let instead = r#"write literal segments, such as "/auth/revoke""#;
            problems.add(&at.field("path"), "the endpoint's path cannot have parameters", instead);
        }
        if !self.form.allowed_methods.iter().any(|method| method == "POST") {
            let problem = "the endpoint needs POST, which request.allowed_methods does not list";
            let instead = r#"add "POST" to request.allowed_methods, or remove the endpoint"#;
            problems.add(at, problem, instead);
        }
        let max_bytes = u64::try_from(MAX_BODY_BYTES).unwrap_or(u64::MAX).min(self.form.max_bytes);
        let route = Route {
            label: raw.path,
            access: Access::Authenticated,
            required: SmallVec::new(),
            any: Vec::new(),
            bind: Vec::new(),
            bind_unless: Vec::new(),
            demands: Vec::new(),
            networks: None,
            allowed_in_path: Lifts::default(),
            content_types: Some(vec!["application/json".to_owned()]),
            max_bytes: Some(max_bytes),
            streams: false,
            limits: Vec::new(),
            skipped_limits: Vec::new(),
            mode: Mode::Enforce,
            revokes: true,
        };
        self.endpoint = Some(self.push(route, template, Vec::new(), vec!["POST".to_owned()]));
        Endpoint { required }
    }

    /// Adds a route. One without a template stays out of the table: its path is a problem, so the policy is never used.
    fn push(
        &mut self,
        route: Route,
        template: Option<Template>,
        hosts: Vec<HostPattern>,
        methods: Vec<String>,
    ) -> RouteIndex {
        let index = RouteIndex::new(self.routes.len());
        self.routes.push(route);
        self.specs.extend(template.map(|template| RouteSpec { hosts, template, methods, index }));
        index
    }

    /// The routes and the table that finds them; `None` if routes conflict.
    pub(super) fn finish(self, problems: &mut Problems) -> Option<(Vec<Route>, RouteTable)> {
        let Self { form, routes, specs, endpoint, .. } = self;
        let list_head = form.allowed_methods.iter().any(|method| method == "HEAD");
        let revocation = &Path::Root.field("revocation");
        let of_endpoint = revocation.field("endpoint");
        let of_routes = &Path::Root.field("routes");
        let path = |route: RouteIndex| {
            if Some(route) == endpoint { of_endpoint.field("path") } else { of_routes.index(route.get()) }
        };
        // A route that denies the endpoint's path on its hosts does so on purpose.
        let denies = |route: RouteIndex| {
            routes.get(route.get()).filter(|it| it.access == Access::Deny).map(|it| it.mode)
        };
        let built = RouteTable::build(specs, list_head, form.path_case).and_then(|mut table| {
            if let Some(route) = endpoint {
                table.spread(route, denies)?;
            }
            Ok(table)
        });
        let conflicts = match built {
            Ok(table) => return Some((routes, table)),
            Err(conflicts) => conflicts,
        };
        for conflict in conflicts {
            let host = conflict.host.map_or(String::new(), |host| format!(" on {host}"));
            let first = path(conflict.first).pointer();
            let problem = format!("{}{host} is taken by {first}, which has the same path", conflict.method);
            let instead = if Some(conflict.second) == endpoint {
                "write another path, or give that route other methods"
            } else {
                "give them different methods or hosts, or remove one"
            };
            problems.add(&path(conflict.second), problem, instead);
        }
        None
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.len() <= LONGEST_NAME && !text.chars().any(char::is_control)
}

fn route_methods(
    problems: &mut Problems,
    raw: Option<&[String]>,
    form: &FormPolicy,
    at: &Path<'_>,
) -> Vec<String> {
    let Some(raw) = raw else {
        // RouteTable lets HEAD follow GET; to name it here would conflict with a route for HEAD alone.
        return form.allowed_methods.clone();
    };
    methods(problems, raw, at);
    for (index, method) in raw.iter().enumerate() {
        if is_method(method) && !form.allowed_methods.contains(method) {
            let instead = format!(r#"add "{method}" to request.allowed_methods, or remove it here"#);
            problems.add(&at.index(index), "a method that request.allowed_methods does not list", instead);
        }
    }
    raw.to_vec()
}

/// Notes what a route demands of callers although it does not ask for a token.
fn note_contradictions(problems: &mut Problems, raw: &RawRoute, at: &Path<'_>) {
    if raw.bind_unless.is_some() && raw.bind.is_empty() {
        let instead = r#"add bind, such as {"id": "sub"}, or remove it"#;
        problems.add(&at.field("bind_unless"), "there is no bind that it could lift", instead);
    }
    match raw.access {
        Access::Authenticated | Access::Optional => return,
        Access::Public | Access::Deny => {}
    }
    let demands = [
        ("required_permissions", raw.required_permissions.is_some()),
        ("any_permissions", raw.any_permissions.is_some()),
        ("bind", !raw.bind.is_empty()),
        ("require", raw.require.is_some()),
    ];
    for (field, _) in demands.iter().filter(|(_, demanded)| *demanded) {
        let problem = "contradicts access: this route does not ask for a token";
        problems.add(&at.field(field), problem, r#"remove it, or write "access": "authenticated""#);
    }
}

fn listed_permissions(
    parts: &mut Parts<'_>,
    names: Option<&[String]>,
    at: &Path<'_>,
) -> Vec<PermissionIndex> {
    if names.is_some_and(<[String]>::is_empty) {
        let instead = "name at least one permission, or remove the field";
        parts.problems.add(at, "empty list", instead);
    }
    permissions(parts, names.unwrap_or_default(), at)
}

/// The indexes of these permissions.
pub(super) fn permissions(parts: &mut Parts<'_>, names: &[String], at: &Path<'_>) -> Vec<PermissionIndex> {
    parts.problems.unique(at, names);
    for (index, name) in names.iter().enumerate() {
        if !parts.format.accepts(name) {
            let instead = format!("write {}", parts.format.example());
            parts.problems.add(&at.index(index), "does not have tokens.permission_format", instead);
        }
    }
    names.iter().map(|name| parts.book.enter(name)).collect()
}

/// The claims that path parameters must equal.
fn bindings(
    parts: &mut Parts<'_>,
    raw: Vec<(String, String)>,
    template: Option<&Template>,
    at: &Path<'_>,
) -> Vec<(String, TextSlot)> {
    let mut bound = Vec::new();
    for (parameter, claim) in raw {
        let at = &at.field(&parameter);
        if template.is_some_and(|template| !template.parameters().any(|name| name == parameter)) {
            let instead = format!("write a parameter of the path, or add {{{parameter}}} to the path");
            parts.problems.add(at, "the path has no such parameter", instead);
        }
        let slot = claim_text(parts, &claim, at);
        bound.push((parameter, slot));
    }
    bound
}
