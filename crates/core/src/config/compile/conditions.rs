//! What a route asks beside permissions: conditions on claims, and addresses.

use super::grammar::is_token;
use super::problems::Problems;
use super::tokens::{claim_slot, claim_text};
use super::{Parts, Path};
use crate::config::raw::{RawCondition, RawRoute, RawScalar};
use crate::index::ConditionIndex;
use crate::policy::{Demand, Network, NetworkProblem, Networks};
use crate::token::condition::{Condition, Scalar, Test};

/// The conditions of a route.
pub(super) fn demands(parts: &mut Parts<'_>, raw: Option<Vec<RawCondition>>, at: &Path<'_>) -> Vec<Demand> {
    let Some(raw) = raw else { return Vec::new() };
    if raw.is_empty() {
        parts.problems.add(at, "empty list", "write at least one condition, or remove the field");
    }
    raw.into_iter().enumerate().filter_map(|(index, raw)| demand(parts, raw, &at.index(index))).collect()
}

fn demand(parts: &mut Parts<'_>, raw: RawCondition, at: &Path<'_>) -> Option<Demand> {
    let RawCondition { claim, is, any, all, equals_header } = raw;
    let Some(claim) = claim else {
        let instead = r#"name the claim, such as {"claim": "email_verified", "is": [true]}"#;
        parts.problems.add(&at.field("claim"), "missing", instead);
        return None;
    };
    let given = [is.is_some(), any.is_some(), all.is_some(), equals_header.is_some()];
    if given.iter().filter(|given| **given).count() != 1 {
        let instead = "write exactly one of is, any, all and equals_header beside the claim";
        parts.problems.add(at, "not one condition", instead);
        return None;
    }
    let named = &at.field("claim");
    if let Some(header) = equals_header {
        if !is_token(&header) {
            let at = &at.field("equals_header");
            parts.problems.add(at, "not a header name", r#"write a name such as "x-tenant""#);
        }
        let slot = claim_text(parts, &claim, named);
        return Some(Demand::EqualsHeader { claim, slot, header: parts.plan.compared(&header) });
    }
    let slot = claim_slot(parts, &claim, named);
    let (field, test, values): (_, fn(Vec<Scalar>) -> Test, _) = match (is, any, all) {
        (Some(values), _, _) => ("is", Test::Is, values),
        (_, Some(values), _) => ("any", Test::Any, values),
        (_, _, values) => ("all", Test::All, values.unwrap_or_default()),
    };
    let test = test(scalars(parts, values, &at.field(field)));
    Some(Demand::Condition { claim, condition: entered(parts, Condition { slot, test }) })
}

/// The index of a condition, which several routes may share.
fn entered(parts: &mut Parts<'_>, condition: Condition) -> ConditionIndex {
    let known = parts.conditions.iter().position(|known| *known == condition);
    ConditionIndex::new(known.unwrap_or_else(|| {
        parts.conditions.push(condition);
        parts.conditions.len().saturating_sub(1)
    }))
}

fn scalars(parts: &mut Parts<'_>, values: Vec<RawScalar>, at: &Path<'_>) -> Vec<Scalar> {
    if values.is_empty() {
        parts.problems.add(at, "empty list", "write at least one value");
    }
    distinct(&mut parts.problems, values, at)
}

/// The values of a list, none of which may stand there twice.
pub(super) fn distinct(
    problems: &mut Problems,
    values: impl IntoIterator<Item = RawScalar>,
    at: &Path<'_>,
) -> Vec<Scalar> {
    let mut scalars: Vec<Scalar> = Vec::new();
    for (index, value) in values.into_iter().enumerate() {
        let scalar = match value {
            RawScalar::Text(text) => Scalar::Text(text),
            RawScalar::Integer(digits) => Scalar::Integer(digits),
            RawScalar::Bool(value) => Scalar::Bool(value),
        };
        if scalars.contains(&scalar) {
            problems.repeated(&at.index(index));
        }
        scalars.push(scalar);
    }
    scalars
}

/// The addresses that may use a route.
pub(super) fn networks(parts: &mut Parts<'_>, raw: &RawRoute, at: &Path<'_>) -> Option<Box<Networks>> {
    let allowed = network_list(parts, raw.allow_from.as_deref(), &at.field("allow_from"));
    let denied = network_list(parts, raw.deny_from.as_deref(), &at.field("deny_from"));
    let networks = Networks { allowed, denied };
    (!networks.is_empty()).then(|| Box::new(networks))
}

/// The networks of a list, which has at least one if it is there.
pub(super) fn network_list(parts: &mut Parts<'_>, texts: Option<&[String]>, at: &Path<'_>) -> Vec<Network> {
    let Some(texts) = texts else { return Vec::new() };
    if texts.is_empty() {
        let instead = r#"write at least one network, such as "10.0.0.0/8", or remove the field"#;
        parts.problems.add(at, "empty list", instead);
    }
    parts.problems.unique(at, texts);
    let parsed = texts.iter().enumerate().filter_map(|(index, text)| {
        Network::parse(text).map_err(|problem| told(parts, &at.index(index), problem)).ok()
    });
    parsed.collect()
}

fn told(parts: &mut Parts<'_>, at: &Path<'_>, problem: NetworkProblem) {
    match problem {
        NetworkProblem::NotANetwork => {
            let instead = r#"write an address and a number of bits, such as "10.0.0.0/8" or "2001:db8::/32""#;
            parts.problems.add(at, "not a network", instead);
        }
        NetworkProblem::HostBits(network) => {
            parts.problems.add(at, "has bits behind its prefix", format!(r#"write "{network}""#));
        }
        NetworkProblem::Mapped => {
            let instead = r#"write the IPv4 network, such as "10.0.0.0/8""#;
            parts.problems.add(at, "IPv4 addresses in IPv6 form, which count as IPv4", instead);
        }
    }
}
