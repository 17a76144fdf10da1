//! Sections `tokens` and `roles`.

use ct_codecs::{Base64UrlSafeNoPadding, Decoder};

use super::{Parts, Problems, is_token};
use crate::config::raw::{PermissionFormat, RawKey, RawRoles, RawSecret, RawSource, RawTokens, TooOld};
use crate::config::rfc3339;
use crate::json::Pointer;
use crate::lookup::Lookup;
use crate::request::credential::Source;
use crate::time::UnixNanos;
use crate::token::claims::{ClaimsReader, Slot, TextSlot};
use crate::token::keys::{Key, KeyRing, KeySetRevision, LEAST_SECRET_BYTES, Secret};
use crate::token::{Roles, TokenPolicy};

/// Tokens travel in headers, and Envoy takes no more than 60 KiB of those unless told to.
const LARGEST_TOKEN: u64 = 1_048_576;
const MOST_SKEW: u64 = 86_400;
const MOST_AGE_HOURS: u64 = 876_000;
const SECRET_FORMS: &str = r#"write {"env": "NAME"}, {"value": "..."} or {"base64url": "..."}"#;

/// Everything about tokens but the claims reader, to which later sections still add.
pub(super) struct BuiltTokens {
    keys: KeyRing,
    required: Vec<(String, Slot)>,
    issuers: Vec<String>,
    audiences: Vec<String>,
    clock_skew_seconds: u64,
    max_age_seconds: u64,
    too_old: TooOld,
    max_token_bytes: usize,
    permissions: Slot,
    permission_format: PermissionFormat,
    roles: Option<Roles>,
}

impl BuiltTokens {
    pub(super) fn policy(self, reader: ClaimsReader) -> TokenPolicy {
        TokenPolicy {
            keys: self.keys,
            reader,
            required: self.required,
            issuers: self.issuers,
            audiences: self.audiences,
            clock_skew_seconds: self.clock_skew_seconds,
            max_age_seconds: self.max_age_seconds,
            too_old: self.too_old,
            max_token_bytes: self.max_token_bytes,
            permissions: self.permissions,
            permission_format: self.permission_format,
            roles: self.roles,
        }
    }
}

/// Where tokens stand, and what they must be like.
pub(super) fn build(
    parts: &mut Parts<'_>,
    raw: RawTokens,
    roles: Option<RawRoles>,
    root: &Pointer,
) -> (Vec<Source>, BuiltTokens) {
    let at = root.field("tokens");
    let keys = build_keys(parts, raw.keys, &at.field("keys"));
    let sources = build_sources(parts, raw.sources, &at.field("sources"));
    parts.problems.unique(&at.field("required_claims"), &raw.required_claims);
    let required = raw.required_claims.into_iter().enumerate().map(|(place, claim)| {
        let slot = claim_slot(parts, &claim, at.field("required_claims").index(place));
        (claim, slot)
    });
    let required = required.collect();
    for (name, list) in [("issuers", &raw.issuers), ("audiences", &raw.audiences)] {
        parts.problems.unique(&at.field(name), list);
        for (place, value) in list.iter().enumerate() {
            if value.is_empty() {
                parts.problems.add(
                    at.field(name).index(place),
                    "empty text",
                    "write the claim's value, or remove it",
                );
            }
        }
    }
    let problems = &mut parts.problems;
    problems.within(at.field("clock_skew_seconds"), raw.clock_skew_seconds, 0, MOST_SKEW, "seconds");
    problems.within(at.field("max_token_age_hours"), raw.max_token_age_hours, 1, MOST_AGE_HOURS, "hours");
    let max_token_bytes = problems
        .within(at.field("max_token_bytes"), raw.max_token_bytes, 1, LARGEST_TOKEN, "bytes")
        .unwrap_or(0);
    let permissions = claim_slot(parts, &raw.permissions_claim, at.field("permissions_claim"));
    let roles = roles.map(|roles| build_roles(parts, roles, raw.permission_format, &root.field("roles")));
    let built = BuiltTokens {
        keys,
        required,
        issuers: raw.issuers,
        audiences: raw.audiences,
        clock_skew_seconds: raw.clock_skew_seconds,
        max_age_seconds: raw.max_token_age_hours.saturating_mul(3600),
        too_old: raw.token_too_old,
        max_token_bytes: usize::try_from(max_token_bytes).unwrap_or(0),
        permissions,
        permission_format: raw.permission_format,
        roles,
    };
    (sources, built)
}

/// The slot of a claim named in the configuration.
fn claim_slot(parts: &mut Parts<'_>, claim: &str, at: Pointer) -> Slot {
    // Names end up in texts of replies: they have the characters of an error_description (RFC 6750 section 3).
    let readable = claim.bytes().all(|byte| matches!(byte, 0x20 | 0x21 | 0x23..=0x5b | 0x5d..=0x7e));
    if claim.split('.').any(str::is_empty) || !readable {
        let instead = r#"write the claim's name; dots go into objects, such as "realm_access.roles""#;
        parts.problems.add(at, "not a claim name", instead);
    }
    parts.reader.slot(claim)
}

/// The place of the text of a claim named in the configuration.
pub(super) fn claim_text(parts: &mut Parts<'_>, claim: &str, at: Pointer) -> TextSlot {
    let slot = claim_slot(parts, claim, at);
    parts.reader.text(slot)
}

fn build_keys(parts: &mut Parts<'_>, raw: Vec<RawKey>, at: &Pointer) -> KeyRing {
    if raw.is_empty() {
        let instead = r#"write at least one, such as {"secret": {"env": "API_GUARD_SECRET"}}"#;
        parts.problems.add(at.clone(), "no key", instead);
    }
    let mut kids = Lookup::default();
    let mut keys = Vec::new();
    for (place, key) in raw.into_iter().enumerate() {
        let at = at.index(place);
        if let Some(kid) = &key.kid {
            let printable = kid.bytes().all(|byte| (0x21..=0x7e).contains(&byte));
            if kid.is_empty() || kid.len() > 128 || !printable {
                parts.problems.add(
                    at.field("kid"),
                    "not a key identifier",
                    "write 1 to 128 visible ASCII characters",
                );
            }
            if let Some(first) = kids.enter(kid, place) {
                let problem = format!("the same kid as /tokens/keys/{first}");
                parts.problems.add(at.field("kid"), problem, "give each key a kid of its own");
            }
        }
        let not_before =
            date(&mut parts.problems, key.not_before, at.field("not_before"), UnixNanos::from_nanos(0));
        let not_after =
            date(&mut parts.problems, key.not_after, at.field("not_after"), UnixNanos::from_nanos(u64::MAX));
        if not_after <= not_before {
            parts.problems.add(at.field("not_after"), "not later than not_before", "write a later date");
        }
        let secret = build_secret(parts, key.secret, &at.field("secret"));
        keys.push(Key { kid: key.kid, secret, not_before, not_after });
    }
    KeyRing::new(KeySetRevision::CONFIGURED, keys)
}

fn build_secret(parts: &mut Parts<'_>, raw: Option<RawSecret>, at: &Pointer) -> Option<Secret> {
    let (bytes, at) = match raw {
        None => {
            parts.problems.add(at.clone(), "missing", SECRET_FORMS);
            return None;
        }
        Some(RawSecret::Value(text)) => (text.into_bytes(), at.field("value")),
        Some(RawSecret::Base64url(text)) => match Base64UrlSafeNoPadding::decode_to_vec(&text, None) {
            Ok(bytes) => (bytes, at.field("base64url")),
            Err(_) => {
                let instead =
                    "write base64url without padding (RFC 4648 section 5), as api-guard keygen prints it";
                parts.problems.add(at.field("base64url"), "not base64url", instead);
                return None;
            }
        },
        Some(RawSecret::Env(name)) => {
            let at = at.field("env");
            let well_formed = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
            if name.is_empty() || !well_formed {
                parts.problems.add(
                    at,
                    "not a variable's name",
                    "write letters, digits and _, such as API_GUARD_SECRET",
                );
                return None;
            }
            match (parts.environment.lookup)(&name) {
                Some(bytes) => (bytes, at),
                None => {
                    if parts.environment.must_be_set {
                        let instead =
                            "set it for Envoy and name it in vm_config.environment_variables.host_env_keys";
                        parts.problems.add(
                            at,
                            format!("the variable {name} is not set in the VM's environment"),
                            instead,
                        );
                    }
                    return None;
                }
            }
        }
    };
    let secret = Secret::from_bytes(&bytes);
    if secret.is_none() {
        let instead = format!(
            "use at least {LEAST_SECRET_BYTES} random bytes (RFC 7518 section 3.2): api-guard keygen"
        );
        parts.problems.add(at, format!("a secret of {} bytes", bytes.len()), instead);
    }
    secret
}

fn date(problems: &mut Problems, text: Option<String>, at: Pointer, absent: UnixNanos) -> UnixNanos {
    let Some(text) = text else { return absent };
    rfc3339::parse(&text).unwrap_or_else(|| {
        problems.add(at, "not a date", r#"write it as in RFC 3339, such as "2026-11-01T00:00:00Z""#);
        absent
    })
}

fn build_sources(parts: &mut Parts<'_>, raw: Vec<RawSource>, at: &Pointer) -> Vec<Source> {
    if raw.is_empty() {
        let instead = r#"write at least one, such as {"header": "authorization", "scheme": "Bearer"}"#;
        parts.problems.add(at.clone(), "empty list", instead);
    }
    let mut sources: Vec<Source> = Vec::new();
    for (place, source) in raw.into_iter().enumerate() {
        let at = at.index(place);
        let source = match (source.header, source.cookie, source.query) {
            (Some(header), None, None) => {
                let name = header.to_ascii_lowercase();
                if !is_token(&name) {
                    parts.problems.add(
                        at.field("header"),
                        "not a header name",
                        r#"write a name such as "authorization""#,
                    );
                } else if name == "cookie" {
                    parts.problems.add(
                        at.field("header"),
                        "cookies are a source of their own",
                        r#"write {"cookie": "NAME"}"#,
                    );
                }
                if source.scheme.as_ref().is_some_and(|scheme| !is_token(scheme)) {
                    parts.problems.add(
                        at.field("scheme"),
                        "not an authentication scheme",
                        r#"write one word, such as "Bearer""#,
                    );
                }
                Source::Header { name, scheme: source.scheme }
            }
            (None, Some(cookie), None) if source.scheme.is_none() => {
                if !is_token(&cookie) {
                    parts.problems.add(
                        at.field("cookie"),
                        "not a cookie name",
                        r#"write a name such as "session""#,
                    );
                }
                Source::Cookie(cookie)
            }
            (None, None, Some(query)) if source.scheme.is_none() => {
                if query.is_empty()
                    || !query.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte))
                {
                    parts.problems.add(
                        at.field("query"),
                        "not a parameter name",
                        r#"write a name such as "access_token""#,
                    );
                }
                Source::Query(query)
            }
            _ => {
                let instead =
                    r#"write one of {"header": ..., "scheme": ...}, {"cookie": ...}, {"query": ...}"#;
                parts.problems.add(at, "not one place of a token", instead);
                continue;
            }
        };
        let same = |known: &Source| match (known, &source) {
            (Source::Header { name: known, .. }, Source::Header { name, .. }) => known == name,
            _ => *known == source,
        };
        if sources.iter().any(same) {
            parts.problems.add(at, "the same place as another source", "remove one of them");
        }
        match &source {
            Source::Header { name, .. } => parts.plan.token(name, sources.len()),
            Source::Cookie(_) => parts.plan.cookies(),
            Source::Query(_) => {}
        }
        sources.push(source);
    }
    sources
}

fn build_roles(parts: &mut Parts<'_>, raw: RawRoles, format: PermissionFormat, at: &Pointer) -> Roles {
    let slot = claim_slot(parts, &raw.claim, at.field("claim"));
    if raw.grants.is_empty() {
        let instead = r#"grant something, such as {"clerk": ["orders:read"]}, or remove "roles""#;
        parts.problems.add(at.field("grants"), "no role", instead);
    }
    for (role, permissions) in &raw.grants {
        let at = at.field("grants").field(role);
        if role.is_empty() || role.contains(' ') {
            parts.problems.add(at.clone(), "not a role", "write a name without spaces");
        }
        if permissions.is_empty() {
            parts.problems.add(at.clone(), "empty list", "grant at least one permission, or remove the role");
        }
        super::routes::permissions(parts, format, permissions, &at);
    }
    let grants = raw.grants.iter().map(|(role, _)| role.as_str()).collect();
    let granted = raw.grants.into_iter().map(|(_, permissions)| permissions).collect();
    Roles { slot, claim: raw.claim, grants, granted }
}
