//! Section `routes`, and the revocation endpoint, which is a route too.

use super::limits::Limits;
use super::tokens::claim_text;
use super::{Built, Parts, Problems, is_method, is_open_to_callers, media_types, methods};
use crate::config::raw::RawRoute;
use crate::index::{PermissionIndex, RouteIndex};
use crate::json::Pointer;
use crate::policy::{Access, FormPolicy, Mode, Route};
use crate::request::host::HostPattern;
use crate::route::template::Template;
use crate::route::{RouteSpec, RouteTable};

/// Largest body of a revocation request, bytes.
const LARGEST_REVOCATION: u64 = 16_384;

/// One route of the configuration.
pub(super) fn build(
    parts: &mut Parts<'_>,
    limits: &mut Limits,
    form: &FormPolicy,
    mode: Mode,
    raw: RawRoute,
    index: RouteIndex,
    at: &Pointer,
) -> Built {
    let mode = raw.mode.unwrap_or(mode);
    if raw
        .name
        .as_ref()
        .is_some_and(|name| name.is_empty() || name.len() > 128 || name.chars().any(char::is_control))
    {
        parts.problems.add(at.field("name"), "not a name", "write 1 to 128 characters, or remove it");
    }
    let template = template(&mut parts.problems, raw.path.as_deref(), &at.field("path"));
    let hosts = hosts(&mut parts.problems, raw.hosts, &at.field("hosts"));
    let route_methods = route_methods(&mut parts.problems, raw.methods, form, &at.field("methods"));
    if !is_open_to_callers(raw.access) {
        let demands = [
            ("required_permissions", raw.required_permissions.is_some()),
            ("any_permissions", raw.any_permissions.is_some()),
            ("bind", !raw.bind.is_empty()),
        ];
        for (field, _) in demands.iter().filter(|(_, demanded)| *demanded) {
            let problem = "contradicts access: this route asks nobody for a token";
            parts.problems.add(at.field(field), problem, r#"remove it, or write "access": "authenticated""#);
        }
    }
    let listed = |parts: &mut Parts<'_>, list: Option<Vec<String>>, field: &str| {
        let at = at.field(field);
        if list.as_ref().is_some_and(Vec::is_empty) {
            parts.problems.add(at.clone(), "empty list", "name at least one permission, or remove the field");
        }
        permissions(parts, &list.unwrap_or_default(), &at)
    };
    let required = listed(parts, raw.required_permissions, "required_permissions");
    let any = listed(parts, raw.any_permissions, "any_permissions");
    let mut bind = Vec::new();
    for (parameter, claim) in raw.bind {
        let at = at.field("bind").field(&parameter);
        if template.as_ref().is_some_and(|template| !template.parameters().any(|name| name == parameter)) {
            let instead = format!("write a parameter of the path, or add {{{parameter}}} to the path");
            parts.problems.add(at.clone(), "the path has no such parameter", instead);
        }
        bind.push((parameter, claim_text(parts, &claim, at)));
    }
    if let Some(types) = &raw.content_types {
        media_types(&mut parts.problems, types, &at.field("content_types"));
    }
    if let Some(size) = raw.max_request_size_bytes {
        parts.problems.within(at.field("max_request_size_bytes"), size, 1, u64::MAX, "bytes");
    }
    let limits = limits.add(parts, raw.rate_limits, &at.field("rate_limits"));
    Built {
        route: Route {
            label: raw.name.or(raw.path).unwrap_or_default(),
            access: raw.access,
            required,
            any,
            bind,
            content_types: raw.content_types,
            max_bytes: raw.max_request_size_bytes,
            limits,
            mode,
            revokes: false,
        },
        spec: template.map(|template| RouteSpec { hosts, template, methods: route_methods, index }),
    }
}

/// The revocation endpoint: a route for every host that takes small JSON bodies, and is always enforced.
pub(super) fn build_endpoint(
    parts: &mut Parts<'_>,
    form: &FormPolicy,
    path: String,
    index: RouteIndex,
    at: &Pointer,
) -> Built {
    let template = template(&mut parts.problems, Some(&path), &at.field("path"));
    if template.as_ref().is_some_and(|template| template.parameters().next().is_some()) {
        parts.problems.add(
            at.field("path"),
            "a path with parameters",
            r#"write literal segments, such as "/auth/revoke""#,
        );
    }
    if !form.allowed_methods.iter().any(|method| method == "POST") {
        let instead = r#"add "POST" to request.allowed_methods, or remove the endpoint"#;
        parts.problems.add(
            at.clone(),
            "the endpoint is for POST, which request.allowed_methods has not",
            instead,
        );
    }
    Built {
        route: Route {
            label: path,
            access: Access::Authenticated,
            required: Vec::new(),
            any: Vec::new(),
            bind: Vec::new(),
            content_types: Some(vec!["application/json".to_owned()]),
            max_bytes: Some(LARGEST_REVOCATION.min(form.max_bytes)),
            limits: Vec::new(),
            mode: Mode::Enforce,
            revokes: true,
        },
        spec: template.map(|template| RouteSpec {
            hosts: Vec::new(),
            template,
            methods: vec!["POST".to_owned()],
            index,
        }),
    }
}

/// The table of all routes; `None` with conflicts. `endpoint` is the revocation endpoint.
pub(super) fn table(
    problems: &mut Problems,
    specs: Vec<RouteSpec>,
    endpoint: Option<RouteIndex>,
    form: &FormPolicy,
) -> Option<RouteTable> {
    let head = form.allowed_methods.iter().any(|method| method == "HEAD");
    let pointer = |route: RouteIndex| {
        if Some(route) == endpoint {
            Pointer::root().field("revocation").field("endpoint").field("path")
        } else {
            Pointer::root().field("routes").index(route.get())
        }
    };
    match RouteTable::build(specs, head) {
        Ok(table) => Some(table),
        Err(conflicts) => {
            for conflict in conflicts {
                let host = conflict.host.map_or(String::new(), |host| format!(" on {}", host));
                let problem = format!(
                    "{}{host} is taken by {}, which has the same path",
                    conflict.method,
                    pointer(conflict.first)
                );
                problems.add(
                    pointer(conflict.second),
                    problem,
                    "give them different methods or hosts, or remove one",
                );
            }
            None
        }
    }
}

/// The indexes of these permissions.
pub(super) fn permissions(parts: &mut Parts<'_>, names: &[String], at: &Pointer) -> Vec<PermissionIndex> {
    parts.problems.unique(at, names);
    for (place, name) in names.iter().enumerate() {
        if !parts.format.accepts(name) {
            let instead = format!("write {}", parts.format.example());
            parts.problems.add(at.index(place), "not a permission of tokens.permission_format", instead);
        }
    }
    names.iter().map(|name| parts.book.enter(name)).collect()
}

fn template(problems: &mut Problems, path: Option<&str>, at: &Pointer) -> Option<Template> {
    let Some(path) = path else {
        problems.add(at.clone(), "missing", r#"write a path, such as "/orders/{id}""#);
        return None;
    };
    match Template::parse(path) {
        Ok(template) => Some(template),
        Err(error) => {
            problems.add(at.clone(), "not a path template", error.text());
            None
        }
    }
}

fn hosts(problems: &mut Problems, raw: Option<Vec<String>>, at: &Pointer) -> Vec<HostPattern> {
    let Some(raw) = raw else { return Vec::new() };
    if raw.is_empty() {
        problems.add(at.clone(), "empty list", "name at least one host, or remove the field");
    }
    problems.unique(at, &raw);
    let mut patterns = Vec::new();
    for (place, host) in raw.iter().enumerate() {
        match HostPattern::parse(host) {
            Ok(pattern) => patterns.push(pattern),
            Err(problem) => problems.add(at.index(place), "not a host", problem.text()),
        }
    }
    patterns
}

fn route_methods(
    problems: &mut Problems,
    raw: Option<Vec<String>>,
    form: &FormPolicy,
    at: &Pointer,
) -> Vec<String> {
    let Some(raw) = raw else {
        // HEAD follows GET by itself; naming it too would take it away from a route for HEAD alone.
        return form.allowed_methods.clone();
    };
    methods(problems, &raw, at);
    for (place, method) in raw.iter().enumerate() {
        if is_method(method) && !form.allowed_methods.contains(method) {
            let instead = format!(r#"add "{method}" to request.allowed_methods, or remove it here"#);
            problems.add(at.index(place), "a method that request.allowed_methods has not", instead);
        }
    }
    raw
}
