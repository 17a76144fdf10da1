//! Sections `tokens` (without its sources and keys) and `roles`.

use super::{Parts, Pointer, keys, routes};
use crate::config::raw::{RawRoles, RawTokens};
use crate::token::claims::{Slot, TextSlot};
use crate::token::{Roles, TokenPolicy};

/// The largest `max_token_bytes`. Tokens travel in headers, of which Envoy accepts 60 KiB by default.
const LARGEST_TOKEN: u64 = 1_048_576;
/// The largest `clock_skew_seconds`: a day.
const LARGEST_SKEW: u64 = 86_400;
/// The largest `max_token_age_hours`: about a century.
const LARGEST_AGE_HOURS: u64 = 876_000;

/// Compiles what a token must be like. Runs after all other sections, because the policy takes the claims reader, which
/// must know every claim that any section asks about.
pub(super) fn compile(
    parts: &mut Parts<'_>,
    raw: RawTokens,
    roles: Option<RawRoles>,
    root: &Pointer,
) -> TokenPolicy {
    let at = root.field("tokens");
    let keys = keys::compile(parts, raw.keys, &at.field("keys"));
    let required = required_claims(parts, raw.required_claims, &at.field("required_claims"));
    for (name, list) in [("issuers", &raw.issuers), ("audiences", &raw.audiences)] {
        parts.problems.claim_values(&at.field(name), list);
    }
    let mut within = |field: &str, value: u64, least: u64, most: u64, unit: &str| {
        parts.problems.within(at.field(field), value, least, most, unit).unwrap_or(least)
    };
    let clock_skew_seconds = within("clock_skew_seconds", raw.clock_skew_seconds, 0, LARGEST_SKEW, "seconds");
    let max_age_hours = within("max_token_age_hours", raw.max_token_age_hours, 1, LARGEST_AGE_HOURS, "hours");
    let max_token_bytes = within("max_token_bytes", raw.max_token_bytes, 1, LARGEST_TOKEN, "bytes");
    let permissions = claim_slot(parts, &raw.permissions_claim, at.field("permissions_claim"));
    let roles = roles.map(|roles| compile_roles(parts, roles, &root.field("roles")));
    TokenPolicy {
        keys,
        reader: std::mem::take(&mut parts.reader),
        required,
        issuers: raw.issuers,
        audiences: raw.audiences,
        clock_skew_seconds,
        max_age_seconds: max_age_hours.saturating_mul(3600),
        too_old: raw.token_too_old,
        max_token_bytes: usize::try_from(max_token_bytes).unwrap_or(0),
        permissions,
        permission_format: raw.permission_format,
        roles,
        conditions: std::mem::take(&mut parts.conditions),
    }
}

fn required_claims(parts: &mut Parts<'_>, claims: Vec<String>, at: &Pointer) -> Vec<(String, Slot)> {
    parts.problems.unique(at, &claims);
    let with_slot = claims.into_iter().enumerate().map(|(index, claim)| {
        let slot = claim_slot(parts, &claim, at.index(index));
        (claim, slot)
    });
    with_slot.collect()
}

/// The slot of a claim named in the configuration.
pub(super) fn claim_slot(parts: &mut Parts<'_>, claim: &str, at: Pointer) -> Slot {
    // Names appear in reply texts, so they are limited to the characters of an error_description (RFC 6750 section 3).
    let readable = claim.bytes().all(|byte| matches!(byte, 0x20 | 0x21 | 0x23..=0x5b | 0x5d..=0x7e));
    if claim.split('.').any(str::is_empty) || !readable {
        let instead = r#"write the claim's name; a dot leads into an object, as in "realm_access.roles""#;
        parts.problems.add(at, "not a claim name", instead);
    }
    parts.reader.slot(claim)
}

/// The slot for the text of a claim named in the configuration.
pub(super) fn claim_text(parts: &mut Parts<'_>, claim: &str, at: Pointer) -> TextSlot {
    let slot = claim_slot(parts, claim, at);
    parts.reader.text(slot)
}

fn compile_roles(parts: &mut Parts<'_>, raw: RawRoles, at: &Pointer) -> Roles {
    let slot = claim_slot(parts, &raw.claim, at.field("claim"));
    if raw.grants.is_empty() {
        let instead = r#"grant something, such as {"clerk": ["orders:read"]}, or remove "roles""#;
        parts.problems.add(at.field("grants"), "no roles", instead);
    }
    for (role, permissions) in &raw.grants {
        let at = at.field("grants").field(role);
        if role.is_empty() || role.contains(' ') {
            parts.problems.add(at.clone(), "not a role name", "write a name without spaces");
        }
        if permissions.is_empty() {
            parts.problems.add(at.clone(), "empty list", "grant at least one permission, or remove the role");
        }
        routes::permissions(parts, permissions, &at);
    }
    let grants = raw.grants.iter().map(|(role, _)| role.as_str()).collect();
    let granted = raw.grants.into_iter().map(|(_, permissions)| permissions).collect();
    Roles { slot, claim: raw.claim, grants, granted }
}
