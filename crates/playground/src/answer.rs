//! The answer, as the page shows it.

use std::convert::Infallible;

use api_guard_core::config::raw::{RawConfig, RawSecret};
use api_guard_core::effect::forward::{Edit, each_edit};
use api_guard_explain::check::finding::{Finding, Severity};
use api_guard_explain::explain::{Explained, report};
use api_guard_explain::limits::all;
use serde_json::{Value, json};

use crate::state::State;

/// More problems than these are only counted.
const MOST_PROBLEMS: usize = 200;

/// Problems with their lines and columns, counted from 1.
pub(crate) fn problems(findings: &[Finding]) -> Value {
    let shown = findings.iter().take(MOST_PROBLEMS).map(|finding| {
        let severity = match finding.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        json!({
            "severity": severity,
            "rule": finding.rule,
            "pointer": finding.pointer,
            "line": finding.mark.line,
            "column": finding.mark.column,
            "message": finding.text,
        })
    });
    let list: Vec<Value> = shown.collect();
    json!({ "list": list, "more": findings.len().saturating_sub(MOST_PROBLEMS) })
}

/// What the page has to know of the configuration.
pub(crate) fn facts(raw: &RawConfig) -> Value {
    json!({ "variable": first_variable(raw), "hasSecret": raw.tokens.keys.iter().any(|key| key.secret.is_some()) })
}

/// The variable of the first secret, if that has one.
pub(crate) fn first_variable(raw: &RawConfig) -> Option<&str> {
    match raw.tokens.keys.iter().find_map(|key| key.secret.as_ref())? {
        RawSecret::Env { env, .. } => Some(env),
        RawSecret::Value { .. } | RawSecret::Base64url { .. } => None,
    }
}

/// Everything about a request that was judged. `sent`: its headers, as they came.
pub(crate) fn explained(
    explained: &Explained<'_, '_>,
    sent: &[(String, String)],
    body: Option<&str>,
    answer: &mut Value,
) {
    let Some(members) = answer.as_object_mut() else { return };
    members.insert("explained".to_owned(), report::json(explained));
    members.insert("grpc".to_owned(), json!(explained.grpc()));
    members.insert("limits".to_owned(), limits(explained));
    members.insert("service".to_owned(), service(explained, sent, body));
}

/// The limits that were judged, with their figures.
fn limits(explained: &Explained<'_, '_>) -> Value {
    let names: Vec<&str> =
        all(explained.raw).map(|(_, limit)| limit.name.as_deref().unwrap_or_default()).collect();
    let judged = explained.trail.limits.iter().map(|judged| {
        json!({
            "name": names.get(judged.limit.get()),
            "used": judged.outcome.used,
            "most": judged.quota.max_requests,
            "seconds": judged.quota.window_seconds,
        })
    });
    judged.collect()
}

/// The request as the service sees it; null where it sees none.
fn service(explained: &Explained<'_, '_>, sent: &[(String, String)], body: Option<&str>) -> Value {
    let Some(grant) = explained.grant else { return Value::Null };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    // What came, and whether it is new.
    let mut seen: Vec<(String, String, bool)> =
        sent.iter().map(|(name, value)| (name.clone(), value.clone(), false)).collect();
    let mut removed = Vec::new();
    let Ok(()) = each_edit::<Infallible>(explained.policy, grant, explained.request, |edit| {
        match edit {
            Edit::Remove(name) => {
                let name = text(name);
                let before = seen.len();
                seen.retain(|(known, _, _)| *known != name);
                if seen.len() < before {
                    removed.push(name);
                }
            }
            Edit::Set(name, value) => {
                seen.retain(|(known, _, _)| known != name);
                seen.push((name.to_owned(), text(value), true));
            }
            Edit::Add(name, value) => seen.push((name.to_owned(), text(value), true)),
        }
        Ok(())
    });
    let headers: Vec<Value> = seen
        .iter()
        .map(|(name, value, is_new)| json!({ "name": name, "value": value, "new": is_new }))
        .collect();
    json!({ "headers": headers, "removed": removed, "body": body })
}

/// The state as the page writes it into a link.
pub(crate) fn link(state: &State) -> Value {
    serde_json::to_value(state).unwrap_or_default()
}
