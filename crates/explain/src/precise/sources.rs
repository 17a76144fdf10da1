//! Entries of `tokens.sources` that are none, or the same as another.

use api_guard_core::config::error::ConfigError;
use serde_json::Value;

const KINDS: [&str; 4] = ["header", "cookie", "query", "websocket_protocol"];

/// What is wrong with the source at a pointer, and what to write instead.
pub(super) fn more(error: &ConfigError, at: &str, configuration: &Value) -> Option<(String, String)> {
    let value = configuration.pointer(at)?;
    match error.problem.as_str() {
        "not an authentication scheme" if value.as_str() == Some("") => {
            let instead =
                "write one word, such as \"Bearer\", or remove it, where the token is all of the header";
            Some(("an empty scheme".to_owned(), instead.to_owned()))
        }
        "not exactly one source of tokens" => mixed(value),
        "the same as another source" => twice(at, value, configuration.pointer("/tokens/sources")?),
        _ => None,
    }
}

/// Of an entry that has too much.
fn mixed(source: &Value) -> Option<(String, String)> {
    let is_set = |name: &&&str| source.get(**name).is_some_and(|value| !value.is_null());
    let kinds: Vec<&str> = KINDS.iter().filter(is_set).copied().collect();
    match kinds.as_slice() {
        [] => None,
        [kind] => {
            let problem = format!("\"scheme\" beside {kind:?}");
            Some((problem, "remove \"scheme\": only the token of a header stands behind one".to_owned()))
        }
        several => {
            let names: Vec<String> = several.iter().map(|kind| format!("{kind:?}")).collect();
            let each: Vec<String> = several.iter().map(|kind| format!("{{{kind:?}: ...}}")).collect();
            let instead = format!("write a source for each: {}", each.join(", "));
            Some((format!("{} in one source", names.join(" and ")), instead))
        }
    }
}

/// Of an entry that reads what an earlier one reads.
fn twice(at: &str, source: &Value, sources: &Value) -> Option<(String, String)> {
    let index: usize = at.rsplit('/').next()?.parse().ok()?;
    let earlier = sources.as_array()?.iter().take(index);
    let (first, other) = earlier.enumerate().find(|(_, other)| is_same(other, source))?;
    let scheme = |source: &Value| match source.get("scheme").and_then(Value::as_str) {
        Some(scheme) => format!("the scheme {scheme:?}"),
        None => "no scheme".to_owned(),
    };
    let reads = match source.get("header").and_then(Value::as_str) {
        _ if is_websocket(source) => "the header sec-websocket-protocol".to_owned(),
        Some(name) if scheme(other) != scheme(source) => {
            let problem = format!(
                "the header {name:?} is read by /tokens/sources/{first} with {}, and here with {}",
                scheme(other),
                scheme(source)
            );
            let instead = "remove one of them: a header is read with one scheme, or with none";
            return Some((problem, instead.to_owned()));
        }
        Some(name) => format!("the header {name:?}"),
        None => "the same".to_owned(),
    };
    let problem = format!("/tokens/sources/{first} reads {reads} already");
    Some((problem, "remove one of them".to_owned()))
}

/// Whether two entries read one place, as the core judges it.
fn is_same(one: &Value, other: &Value) -> bool {
    if is_websocket(one) || is_websocket(other) {
        return is_websocket(one) && is_websocket(other);
    }
    KINDS.iter().any(|kind| match (one.get(*kind), other.get(*kind)) {
        (Some(Value::String(one)), Some(Value::String(other))) => {
            one == other || (*kind == "header" && one.eq_ignore_ascii_case(other))
        }
        _ => false,
    })
}

fn is_websocket(source: &Value) -> bool {
    let text = |name: &str| source.get(name).and_then(Value::as_str);
    text("websocket_protocol").is_some()
        || text("header").is_some_and(|name| name.eq_ignore_ascii_case("sec-websocket-protocol"))
}
