//! Sections `fleet` and `revocation.fleet`.

use std::num::NonZeroU32;

use super::problems::Problems;
use super::{Parts, Path, keys};
use crate::config::raw::{RawFleet, RawSecret, RawSharedRevocations};
use crate::fleet::{FleetRule, Names, Password, SharedRevocations};
use crate::policy::LONGEST_WINDOW_SECONDS;
use crate::token::algorithm::MacAlgorithm;
use crate::token::secret::Secret;

const SECRET_FORM: &str = r#"write {"env": "NAME"} with at least 32 random bytes, the same for all Envoys: api-guard keygen prints such a secret"#;
/// The longest prefix of a key, bytes.
const LONGEST_PREFIX: usize = 32;
const MOST_NODES: u32 = 100_000;

/// The store that many Envoys share. `None` is no problem where the environment does not have the secret.
pub(super) fn compile(parts: &mut Parts<'_>, raw: RawFleet, at: &Path<'_>) -> Option<FleetRule> {
    let cluster = raw.cluster.filter(|cluster| !cluster.is_empty());
    if cluster.is_none() {
        let instead = r#"write the name of the cluster that leads to the store, such as "api-guard-redis""#;
        parts.problems.add(&at.field("cluster"), "missing", instead);
    }
    let secret = secret(parts, raw.secret, &at.field("secret"));
    let is_known = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if !(1..=LONGEST_PREFIX).contains(&raw.prefix.len()) || !raw.prefix.bytes().all(is_known) {
        parts.problems.add(&at.field("prefix"), "not a prefix", "write 1 to 32 letters, digits, - or _");
    }
    let has_password = raw.password.is_some();
    let password = raw.password.and_then(|raw| {
        let at = &at.field("password");
        let (bytes, field) = keys::bytes(parts, raw, at)?;
        if bytes.is_empty() {
            parts.problems.add(
                &at.field(field),
                "empty",
                "write the password, or null where the store has none",
            );
        }
        Some(Password::new(bytes))
    });
    if let Some(username) = &raw.username {
        let at = &at.field("username");
        if username.is_empty() {
            parts.problems.add(at, "empty string", "write the user's name, or null for the default user");
        } else if !has_password {
            parts.problems.add(
                at,
                "a user without a password",
                "write fleet.password too, or remove the user",
            );
        }
    }
    let problems = &mut parts.problems;
    let at_timeout = &at.field("timeout_milliseconds");
    let timeout = problems.within(at_timeout, raw.timeout_milliseconds, 1, 1000, "milliseconds");
    let nodes =
        raw.nodes.and_then(|nodes| problems.positive(&at.field("nodes"), Some(nodes), MOST_NODES, "Envoys"));
    Some(FleetRule {
        cluster: cluster?,
        login: password.map(|password| (raw.username, password)),
        names: Names::new(secret?, raw.prefix),
        timeout_milliseconds: u32::try_from(timeout?).ok()?,
        nodes,
        longest_private_window_seconds: 0,
        revocations: None,
    })
}

fn secret(parts: &mut Parts<'_>, raw: Option<RawSecret>, at: &Path<'_>) -> Option<Secret> {
    let Some(raw) = raw else {
        parts.problems.add(at, "missing", SECRET_FORM);
        return None;
    };
    let (bytes, field) = keys::bytes(parts, raw, at)?;
    let secret = Secret::from_bytes(MacAlgorithm::Hs256, &bytes);
    if secret.is_none() {
        parts.problems.add(&at.field(field), "a secret of fewer than 32 bytes", SECRET_FORM);
    }
    secret
}

/// How revocations are shared. `has_fleet`: whether there is a section `fleet`.
pub(super) fn revocations(
    problems: &mut Problems,
    raw: &RawSharedRevocations,
    has_fleet: bool,
    at: &Path<'_>,
) -> Option<SharedRevocations> {
    if !has_fleet {
        without_fleet(problems, at, "write the section fleet too, or null");
    }
    let poll = problems.within(&at.field("poll_seconds"), raw.poll_seconds, 1, 3600, "seconds");
    let at_age = &at.field("max_age_seconds");
    let max_age = raw.max_age_seconds.and_then(|age| {
        let age = problems.positive(at_age, Some(age), LONGEST_WINDOW_SECONDS, "seconds")?;
        if u64::from(age.get()) <= poll? {
            problems.add(
                at_age,
                "not longer than poll_seconds",
                "write a larger number: a poll may come late",
            );
        }
        Some(age)
    });
    Some(SharedRevocations {
        poll_seconds: u32::try_from(poll?).ok()?,
        at_start: raw.at_start,
        max_age_seconds: max_age.map(NonZeroU32::get),
    })
}

/// Notes that a field needs a section that is not there.
pub(super) fn without_fleet(problems: &mut Problems, at: &Path<'_>, instead: &str) {
    problems.add(at, "needs the section fleet, which is null", instead);
}
