//! Sections `tokens` (without its sources and keys) and `roles`.

use super::conditions::distinct;
use super::{Parts, Path, keys, public_keys, routes};
use crate::config::raw::{RawClaimValue, RawClaims, RawRoles, RawTokens};
use crate::json::text::write_text;
use crate::token::claim_path::{ClaimPath, ClaimPathFault};
use crate::token::claims::{SUB, Slot, TextSlot};
use crate::token::keys::KeyRing;
use crate::token::{Claim, RequiredValue, Roles, TokenPolicy};

/// The largest `max_token_bytes`. Tokens travel in headers, of which Envoy accepts 60 KiB by default.
const LARGEST_TOKEN: u64 = 1_048_576;
/// The largest `clock_skew_seconds`: a day.
const LARGEST_SKEW: u64 = 86_400;
/// The largest `max_token_age_hours`: about a century.
const LARGEST_AGE_HOURS: u64 = 876_000;

/// Compiles what a token must be like. Runs after all other sections, because the policy takes the claims reader, which
/// must know every claim that any section asks about. `subject_is_forwarded`: whether a header carries the subject.
pub(super) fn compile(
    parts: &mut Parts<'_>,
    raw: RawTokens,
    roles: Option<RawRoles>,
    subject_is_forwarded: bool,
    root: &Path<'_>,
) -> TokenPolicy {
    let at = &root.field("tokens");
    if raw.keys.is_empty() && raw.key_sets.is_empty() {
        let instead = r#"write at least one, such as {"secret": {"env": "API_GUARD_SECRET"}}, or a key set in key_sets"#;
        parts.problems.add(&at.field("keys"), "no keys", instead);
    }
    let keys = keys::compile(parts, raw.keys, &at.field("keys"));
    let key_sets = public_keys::key_sets(parts, raw.key_sets, &at.field("key_sets"));
    let keys = KeyRing::new(keys, key_sets);
    let subject = claim(parts, &raw.subject_claim, &at.field("subject_claim"));
    let required = required_claims(parts, raw.required_claims, &subject, &at.field("required_claims"));
    let required_values = required_values(parts, raw.required_values, &at.field("required_values"));
    let has_several_issuers = keys.vouches_for_several(&raw.issuers);
    for (name, list) in [("issuers", &raw.issuers), ("audiences", &raw.audiences)] {
        parts.problems.claim_values(&at.field(name), list);
    }
    let mut within = |field: &str, value: u64, least: u64, most: u64, unit: &str| {
        parts.problems.within(&at.field(field), value, least, most, unit).unwrap_or(least)
    };
    let clock_skew_seconds = within("clock_skew_seconds", raw.clock_skew_seconds, 0, LARGEST_SKEW, "seconds");
    let max_age_hours = within("max_token_age_hours", raw.max_token_age_hours, 1, LARGEST_AGE_HOURS, "hours");
    let max_token_bytes = within("max_token_bytes", raw.max_token_bytes, 1, LARGEST_TOKEN, "bytes");
    let permissions = claims(parts, raw.permissions_claim, &at.field("permissions_claim"));
    let permissions = permissions.into_iter().map(|claim| claim.slot).collect();
    let roles = roles.map(|roles| compile_roles(parts, roles, &root.field("roles")));
    TokenPolicy {
        keys,
        reader: std::mem::take(&mut parts.reader),
        required,
        required_values,
        subject,
        subject_is_forwarded,
        issuers: raw.issuers,
        audiences: raw.audiences,
        has_several_issuers,
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

/// The claims that every token must have. The default names the subject's claim, so whatever is wrong with that name is
/// told where it was written.
fn required_claims(parts: &mut Parts<'_>, names: Vec<String>, subject: &Claim, at: &Path<'_>) -> Vec<Claim> {
    parts.problems.unique(at, &names);
    let named = names.into_iter().enumerate().map(|(index, name)| {
        if name == subject.name {
            Claim { name, slot: subject.slot }
        } else {
            claim(parts, &name, &at.index(index))
        }
    });
    named.collect()
}

fn required_values(
    parts: &mut Parts<'_>,
    raw: Vec<(String, Vec<RawClaimValue>)>,
    at: &Path<'_>,
) -> Vec<RequiredValue> {
    let mut required = Vec::new();
    for (name, values) in raw {
        let at = &at.field(&name);
        if values.is_empty() {
            let instead = r#"name at least one accepted value, such as ["access"], or remove the claim"#;
            parts.problems.add(at, "empty list", instead);
        }
        let values = values.into_iter().map(|RawClaimValue(value)| value);
        let accepted = distinct(&mut parts.problems, values, at);
        required.push(RequiredValue { claim: claim(parts, &name, at), accepted });
    }
    required
}

/// One claim, or all of a list that must not be empty.
pub(super) fn claims(parts: &mut Parts<'_>, raw: RawClaims, at: &Path<'_>) -> Vec<Claim> {
    match raw {
        RawClaims::One(name) => vec![claim(parts, &name, at)],
        RawClaims::Several(names) => {
            if names.is_empty() {
                parts.problems.add(at, "empty list", "name at least one claim");
            }
            parts.problems.unique(at, &names);
            let named = names.iter().enumerate();
            named.map(|(index, name)| claim(parts, name, &at.index(index))).collect()
        }
    }
}

fn claim(parts: &mut Parts<'_>, name: &str, at: &Path<'_>) -> Claim {
    Claim { slot: claim_slot(parts, name, at), name: name.to_owned() }
}

/// The slot of a claim named in the configuration.
pub(super) fn claim_slot(parts: &mut Parts<'_>, claim: &str, at: &Path<'_>) -> Slot {
    let fault = match ClaimPath::parse(claim) {
        Ok(path) => return parts.reader.slot(&path),
        Err(fault) => fault,
    };
    let (problem, instead) = match fault {
        ClaimPathFault::EmptyName | ClaimPathFault::HasControls => (
            "not a claim name",
            r#"write the claim's name; a dot leads into an object, as in "realm_access.roles""#.to_owned(),
        ),
        ClaimPathFault::UnknownEscape => (
            "a backslash that escapes nothing",
            r#"write \. for a dot of the name itself and \\ for a backslash (in JSON "\\." and "\\\\")"#
                .to_owned(),
        ),
        ClaimPathFault::UnescapedUrl(escaped) => {
            let mut json = String::new();
            write_text(&mut json, &escaped);
            (
                "an unescaped dot in a URL, where it would lead into an object",
                format!("write {escaped}, in JSON {json}"),
            )
        }
    };
    parts.problems.add(at, problem, instead);
    SUB
}

/// The slot for the text of a claim named in the configuration.
pub(super) fn claim_text(parts: &mut Parts<'_>, claim: &str, at: &Path<'_>) -> TextSlot {
    let slot = claim_slot(parts, claim, at);
    parts.reader.text(slot)
}

fn compile_roles(parts: &mut Parts<'_>, raw: RawRoles, at: &Path<'_>) -> Roles {
    let claims = claims(parts, raw.claim, &at.field("claim"));
    if raw.grants.is_empty() {
        let instead = r#"grant something, such as {"clerk": ["orders:read"]}, or remove "roles""#;
        parts.problems.add(&at.field("grants"), "no roles", instead);
    }
    let at = &at.field("grants");
    for (role, permissions) in &raw.grants {
        let at = &at.field(role);
        if role.is_empty() || role.contains(' ') {
            parts.problems.add(at, "not a role name", "write a name without spaces");
        }
        if permissions.is_empty() {
            parts.problems.add(at, "empty list", "grant at least one permission, or remove the role");
        }
        routes::permissions(parts, permissions, at);
    }
    let grants = raw.grants.iter().map(|(role, _)| role.as_str()).collect();
    let granted = raw.grants.into_iter().map(|(_, permissions)| permissions).collect();
    Roles { claims, grants, granted }
}
