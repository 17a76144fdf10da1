//! From [`RawConfig`] to [`Policy`]: every value judged, every problem noted, none of them stopping the others.

mod limits;
mod routes;
mod tokens;

use std::num::NonZeroU32;

use super::raw::{AddressFrom, RawConfig, RawForward, RawRequest};
use super::{ClientIp, Endpoint, Environment, FormPolicy, Forward, Policy, Route};
use crate::cells::MAX_TABLE_CAPACITY;
use crate::config::raw::{Access, MethodOverride};
use crate::json::Pointer;
use crate::limit::Quota;
use crate::lookup::Lookup;
use crate::permission::PermissionBook;
use crate::request::credential::Source;
use crate::request::plan::HeaderPlan;
use crate::revocation::denied::Denied;
use crate::token::claims::{ClaimsReader, LATEST_SECOND};

/// Nothing that a limit looks back on is longer ago than a leap year, seconds.
const LONGEST_WINDOW: u64 = 31_622_400;

/// What is wrong, as (place, problem, what to write instead).
#[derive(Default)]
pub(super) struct Problems(Vec<(Pointer, String, String)>);

impl Problems {
    fn add(&mut self, at: Pointer, problem: impl AsRef<str>, instead: impl AsRef<str>) {
        self.note(at, problem.as_ref(), instead.as_ref());
    }

    // Apart, because there are a hundred places that call it.
    #[inline(never)]
    fn note(&mut self, at: Pointer, problem: &str, instead: &str) {
        self.0.push((at, problem.to_owned(), instead.to_owned()));
    }

    /// `value` if it is within `least..=most`.
    fn within(&mut self, at: Pointer, value: u64, least: u64, most: u64, unit: &str) -> Option<u64> {
        if (least..=most).contains(&value) {
            return Some(value);
        }
        self.add(at, "out of range", format!("write a number of {unit} from {least} to {most}"));
        None
    }

    /// As [`Self::within`] for numbers from 1 that fit 32 bits.
    fn positive(&mut self, at: Pointer, value: Option<u64>, most: u64, unit: &str) -> Option<NonZeroU32> {
        let Some(value) = value else {
            self.add(at, "missing", format!("write a number of {unit} from 1 to {most}"));
            return None;
        };
        self.within(at, value, 1, most, unit).and_then(|value| NonZeroU32::new(u32::try_from(value).ok()?))
    }

    /// Notes repetitions in a list that must not have any.
    fn unique<'a>(&mut self, at: &Pointer, values: impl IntoIterator<Item = &'a String>) {
        let mut seen = Lookup::default();
        for (place, value) in values.into_iter().enumerate() {
            if seen.enter(value, place).is_some() {
                self.add(at.index(place), "stands more than once in this list", "remove the repetition");
            }
        }
    }
}

/// What several sections add to while they are built.
struct Parts<'e> {
    problems: Problems,
    reader: ClaimsReader,
    plan: HeaderPlan,
    book: PermissionBook,
    environment: &'e Environment<'e>,
}

/// The policy that `raw` describes, with its problems. Only without problems may the policy be used.
pub(super) fn compile(
    raw: RawConfig,
    environment: &Environment<'_>,
) -> (Option<Policy>, Vec<(Pointer, String, String)>) {
    let root = Pointer::root();
    let mut parts = Parts {
        problems: Problems::default(),
        reader: ClaimsReader::default(),
        plan: HeaderPlan::default(),
        book: PermissionBook::default(),
        environment,
    };
    let mode = raw.mode;
    let format = raw.tokens.permission_format;
    let (sources, tokens) = tokens::build(&mut parts, raw.tokens, raw.roles, &root);
    let form = build_form(&mut parts, raw.request, &root.field("request"));
    let mut limits = limits::Limits::default();
    let at = root.field("rate_limits");
    let limits_for_all = limits.add(&mut parts, raw.rate_limits, &at);
    let mut routes = Vec::new();
    let mut specs = Vec::new();
    for (place, route) in raw.routes.into_iter().enumerate() {
        let at = root.field("routes").index(place);
        routes::build(&mut parts, &mut limits, &form, format, mode, route, &at).push(
            place,
            &mut routes,
            &mut specs,
        );
    }
    let endpoint = raw.revocation.endpoint.map(|endpoint| {
        let at = root.field("revocation").field("endpoint");
        if endpoint.required_permissions.is_empty() {
            parts.problems.add(
                at.field("required_permissions"),
                "empty list",
                "name at least one permission",
            );
        }
        let required = routes::permissions(
            &mut parts,
            format,
            &endpoint.required_permissions,
            &at.field("required_permissions"),
        );
        routes::build_endpoint(&mut parts, &form, endpoint.path, &at).push(
            routes.len(),
            &mut routes,
            &mut specs,
        );
        Endpoint { required }
    });
    let table = routes::table(
        &mut parts.problems,
        specs,
        endpoint.is_some().then(|| routes.len().saturating_sub(1)),
        &form,
    );
    let auth_failures = raw.auth_failure_limit.and_then(|limit| {
        let at = root.field("auth_failure_limit");
        let most = u64::from(u32::MAX);
        let max_requests =
            parts.problems.positive(at.field("max_failures"), limit.max_failures, most, "failures");
        let window = parts.problems.positive(
            at.field("window_seconds"),
            limit.window_seconds,
            LONGEST_WINDOW,
            "seconds",
        );
        Some(Quota { max_requests: max_requests?, window_seconds: window?, warn_at_percent: None })
    });
    let at = root.field("client_ip").field("ipv6_prefix");
    let ipv6_prefix = parts.problems.within(at, raw.client_ip.ipv6_prefix, 1, 128, "bits");
    let client_ip = client_ip(ipv6_prefix, raw.client_ip.from);
    let capacity = |problems: &mut Problems, at: Pointer, value: u64| {
        problems.positive(at, Some(value), MAX_TABLE_CAPACITY.into(), "entries").map_or(0, NonZeroU32::get)
    };
    let limiter_capacity =
        capacity(&mut parts.problems, root.field("limiter_capacity"), raw.limiter_capacity);
    let at = root.field("revocation").field("capacity");
    let revocation_capacity = capacity(&mut parts.problems, at, raw.revocation.capacity);
    let denied =
        build_denied(&mut parts.problems, raw.revocation.denied, &root.field("revocation").field("denied"));
    let forward = build_forward(&mut parts, raw.forward, &sources, &root.field("forward"));
    let Parts { problems, reader, plan, book, .. } = parts;
    let policy = table.map(|table| Policy {
        mode,
        tokens: tokens.policy(reader),
        sources,
        plan,
        form,
        routes,
        table,
        unmatched: raw.unmatched_routes,
        book,
        limits: limits.rules,
        limits_for_all,
        auth_failures,
        client_ip,
        limiter_capacity,
        denied,
        endpoint,
        revocation_capacity,
        forward,
        replies: raw.replies,
    });
    (policy, problems.0)
}

fn client_ip(prefix: Option<u64>, from: AddressFrom) -> ClientIp {
    ClientIp { ipv6_prefix: prefix.and_then(|bits| u8::try_from(bits).ok()).unwrap_or(64), from }
}

fn build_form(parts: &mut Parts<'_>, raw: RawRequest, at: &Pointer) -> FormPolicy {
    methods(&mut parts.problems, &raw.allowed_methods, &at.field("allowed_methods"));
    media_types(&mut parts.problems, &raw.content_types, &at.field("content_types"));
    let size = raw.max_request_size_bytes;
    parts.problems.within(at.field("max_request_size_bytes"), size, 1, u64::MAX, "bytes");
    if raw.method_override == MethodOverride::Strip {
        for name in ["x-http-method-override", "x-http-method", "x-method-override"] {
            parts.plan.removed(name);
        }
    }
    FormPolicy {
        allowed_methods: raw.allowed_methods,
        content_types: raw.content_types,
        max_bytes: size,
        https_only: raw.https_only,
        cors_preflight: raw.cors_preflight,
    }
}

/// A token of RFC 9110 section 5.6.2: methods and header names.
fn is_token(text: &str) -> bool {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(known)
}

/// Methods are compared with letter case (RFC 9110 section 9.1), and all that are in use are in capitals.
fn is_method(text: &str) -> bool {
    is_token(text) && !text.bytes().any(|byte| byte.is_ascii_lowercase())
}

fn methods(problems: &mut Problems, methods: &[String], at: &Pointer) {
    if methods.is_empty() {
        problems.add(at.clone(), "empty list", r#"name at least one method, such as "GET""#);
    }
    problems.unique(at, methods);
    for (place, method) in methods.iter().enumerate() {
        if !is_method(method) {
            problems.add(at.index(place), "not a method", r#"write it in capitals, such as "GET""#);
        } else if method == "CONNECT" || method == "TRACE" {
            problems.add(at.index(place), "a method that has no place in an API", "remove it");
        }
    }
}

fn media_types(problems: &mut Problems, types: &[String], at: &Pointer) {
    problems.unique(at, types);
    for (place, media_type) in types.iter().enumerate() {
        let well_formed =
            media_type.split_once('/').is_some_and(|(kind, sub)| is_token(kind) && is_token(sub));
        if !well_formed
            || media_type.contains('*')
            || media_type.bytes().any(|byte| byte.is_ascii_uppercase())
        {
            let instead =
                r#"write type/subtype in lower case without parameters, such as "application/json""#;
            problems.add(at.index(place), "not a media type", instead);
        }
    }
}

fn build_denied(problems: &mut Problems, raw: super::raw::RawDenied, at: &Pointer) -> Denied {
    for (name, list) in [("jti", &raw.jti), ("sub", &raw.sub), ("kid", &raw.kid)] {
        problems.unique(&at.field(name), list);
        for (place, value) in list.iter().enumerate() {
            if value.is_empty() {
                problems.add(
                    at.field(name).index(place),
                    "empty text",
                    "write the claim's value, or remove it",
                );
            }
        }
    }
    for (sub, second) in &raw.sub_issued_before {
        problems.within(
            at.field("sub_issued_before").field(sub),
            *second,
            0,
            LATEST_SECOND,
            "seconds since 1970",
        );
    }
    Denied {
        jti: raw.jti.iter().map(String::as_str).collect(),
        sub: raw.sub.iter().map(String::as_str).collect(),
        kid: raw.kid.iter().map(String::as_str).collect(),
        sub_issued_before: raw.sub_issued_before.iter().map(|(sub, _)| sub.as_str()).collect(),
        moments: raw.sub_issued_before.iter().map(|(_, second)| *second).collect(),
    }
}

/// Headers that steer the proxy or the message and must not be written from claims.
const NOT_FORWARDED: [&str; 14] = [
    "host",
    "connection",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "content-length",
    "content-type",
    "content-encoding",
    "expect",
    "x-request-id",
    "cookie",
];

fn build_forward(parts: &mut Parts<'_>, raw: RawForward, sources: &[Source], at: &Pointer) -> Forward {
    let mut seen = Lookup::default();
    let mut header = |parts: &mut Parts<'_>, name: Option<String>, at: Pointer| -> Option<String> {
        let name = name?.to_ascii_lowercase();
        let is_source =
            |source: &Source| matches!(source, Source::Header { name: carrier, .. } if *carrier == name);
        if !is_token(&name) {
            parts.problems.add(at, "not a header name", r#"write a name such as "x-auth-subject""#);
        } else if NOT_FORWARDED.contains(&name.as_str())
            || name.starts_with("x-envoy-")
            || name.starts_with("x-forwarded-")
        {
            parts.problems.add(
                at,
                "a header that the proxy itself goes by",
                r#"choose another name, such as "x-auth-subject""#,
            );
        } else if sources.iter().any(is_source) {
            parts.problems.add(at, "the header that carries the token", "choose another name");
        } else if seen.enter(&name.replace('_', "-"), 0).is_some() {
            parts.problems.add(at, "a header that is set already", "choose another name");
        } else {
            parts.plan.removed(&name);
        }
        Some(name)
    };
    let subject_header = header(parts, raw.subject_header, at.field("subject_header"));
    let permissions_header = header(parts, raw.permissions_header, at.field("permissions_header"));
    let mut claims = Vec::new();
    for (claim, name) in raw.claims {
        let at = at.field("claims").field(&claim);
        if claim.is_empty() {
            parts.problems.add(at.clone(), "empty claim name", "write the claim's name");
        }
        let slot = parts.reader.slot(&claim);
        let slot = parts.reader.text(slot);
        if let Some(name) = header(parts, name, at) {
            claims.push((slot, name));
        }
    }
    let token = raw.token;
    Forward { subject_header, permissions_header, claims, token }
}

/// A route built as far as it could be.
struct Built {
    route: Route,
    spec: Option<crate::route::RouteSpec>,
}

impl Built {
    fn push(self, place: usize, routes: &mut Vec<Route>, specs: &mut Vec<crate::route::RouteSpec>) {
        routes.push(self.route);
        specs.extend(self.spec.map(|spec| crate::route::RouteSpec { id: place, ..spec }));
    }
}

/// Whether a route lets anybody in who has a token.
fn is_open_to_callers(access: Access) -> bool {
    match access {
        Access::Authenticated => true,
        Access::Public | Access::Deny => false,
    }
}
