//! From [`RawConfig`] to [`Policy`]: checks every value and notes every problem, without stopping at the first.
//!
//! Each section has its module. [`Parts`] holds what several of them add to.

mod conditions;
mod denied;
mod fleet;
mod form;
mod forward;
mod grammar;
mod keys;
mod limits;
mod problems;
mod public_keys;
mod replies;
mod routes;
mod sources;
mod tokens;

use std::num::NonZeroU32;

use super::Environment;
use super::raw::{RawConfig, RawTokens};
use crate::cells::MAX_TABLE_CAPACITY;
use crate::json::Path;
use crate::permission::{PermissionBook, PermissionFormat};
use crate::policy::{AddressFrom, Policy};
use crate::request::plan::HeaderPlan;
use crate::token::claims::ClaimsReader;
use crate::token::condition::Condition;
use limits::Limits;
pub(super) use problems::Problem;
use problems::Problems;
use routes::Routes;

/// What several sections add to or read.
struct Parts<'e> {
    problems: Problems,
    reader: ClaimsReader,
    plan: HeaderPlan,
    book: PermissionBook,
    environment: &'e Environment<'e>,
    /// The form of every permission that the configuration names.
    format: PermissionFormat,
    /// The conditions of all routes.
    conditions: Vec<Condition>,
    /// Whether there is a section `fleet`.
    has_fleet: bool,
}

/// The policy that `raw` describes, and its problems. The policy may be used only if there are none.
pub(super) fn compile(mut raw: RawConfig, environment: &Environment<'_>) -> (Option<Policy>, Vec<Problem>) {
    let root = Path::Root;
    let mut parts = Parts {
        problems: Problems::default(),
        reader: ClaimsReader::default(),
        plan: HeaderPlan::default(),
        book: PermissionBook::default(),
        environment,
        format: widest_format(&raw.tokens),
        conditions: Vec::new(),
        has_fleet: raw.fleet.is_some(),
    };
    let raw_sources = std::mem::take(&mut raw.tokens.sources);
    let sources = sources::compile(&mut parts, raw_sources, &root.field("tokens").field("sources"));
    let form = form::compile(&mut parts, raw.request, &root.field("request"));

    let mut fleet = raw.fleet.and_then(|raw| fleet::compile(&mut parts, raw, &root.field("fleet")));
    let mut limits = Limits::default();
    let limits_for_all = limits.add_for_all(&mut parts, raw.rate_limits);
    let at = &root.field("auth_failure_limit");
    let auth_failures =
        raw.auth_failure_limit.and_then(|raw| limits::auth_failures(&mut parts.problems, raw, at));
    let client_ip = limits::client_ip(&mut parts.problems, raw.client_ip, &root.field("client_ip"));
    if client_ip.from == AddressFrom::ExternalAddress {
        parts.plan.external_address();
    }

    let mut routes = Routes::new(&form, raw.mode);
    let at = &root.field("routes");
    for (index, route) in raw.routes.into_iter().enumerate() {
        routes.add(&mut parts, &mut limits, route, &at.index(index));
    }
    let at = &root.field("revocation");
    let endpoint = raw
        .revocation
        .endpoint
        .map(|endpoint| routes.add_endpoint(&mut parts, endpoint, &at.field("endpoint")));
    let found = routes.finish(&mut parts.problems);
    let has_fleet = parts.has_fleet;
    let shared = raw.revocation.fleet.as_ref();
    let shared =
        shared.and_then(|raw| fleet::revocations(&mut parts.problems, raw, has_fleet, &at.field("fleet")));
    if let Some(fleet) = &mut fleet {
        fleet.revocations = shared;
        fleet.longest_private_window_seconds = limits.longest_private_window_seconds();
    }

    let denied = denied::compile(&mut parts.problems, raw.revocation.denied, &at.field("denied"));
    let revocation_capacity =
        capacity(&mut parts.problems, raw.revocation.capacity, MAX_TABLE_CAPACITY, &at.field("capacity"));
    let limiter_capacity = capacity(
        &mut parts.problems,
        raw.limiter_capacity,
        MAX_TABLE_CAPACITY,
        &root.field("limiter_capacity"),
    );
    let forward = forward::compile(&mut parts, raw.forward, &sources, &root.field("forward"));
    let replies = replies::compile(&mut parts.problems, raw.replies, &root.field("replies"));
    let tokens = tokens::compile(&mut parts, raw.tokens, raw.roles, forward.subject_header.is_some(), &root);

    let Parts { problems, plan, book, .. } = parts;
    let policy = found.map(|(routes, table)| Policy {
        // Only who has the text can tell.
        digest: String::new(),
        mode: raw.mode,
        tokens,
        sources,
        asks_for_keys: false,
        plan,
        form,
        lifts_in_path: routes.iter().any(|route| !route.allowed_in_path.is_none()),
        routes,
        table,
        unmatched: raw.unmatched_routes.into(),
        book,
        limits: limits.rules,
        limits_for_all,
        fleet,
        auth_failures,
        client_ip,
        limiter_capacity,
        denied,
        endpoint,
        revocation_capacity,
        forward,
        replies,
    });
    (policy, problems.0)
}

/// The form that permissions of all tokens have: a permission of the one form is one of the other.
fn widest_format(tokens: &RawTokens) -> PermissionFormat {
    let of_sets = tokens.key_sets.iter().filter_map(|set| set.permission_format);
    let mut all = of_sets.chain([tokens.permission_format]);
    if all.any(|format| format == PermissionFormat::ScopeToken) {
        PermissionFormat::ScopeToken
    } else {
        PermissionFormat::ResourceAction
    }
}

/// The capacity of a shared table, in entries.
fn capacity(problems: &mut Problems, value: u64, most: u32, at: &Path<'_>) -> u32 {
    problems.positive(at, Some(value), most, "entries").map_or(1, NonZeroU32::get)
}
