//! What each route and method asks, whichever way it is written: one entry for each method, host and path.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::Named;

/// Routes by host, method and path, and the paths without a route.
pub(super) fn asked(configuration: &Value) -> Named {
    let mut named = Named::new();
    let texts = |value: Option<&Value>| -> Vec<String> {
        let list = value.and_then(Value::as_array).into_iter().flatten();
        list.filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let allowed = texts(configuration.pointer("/request/allowed_methods"));
    for route in configuration.get("routes").and_then(Value::as_array).into_iter().flatten() {
        let Some(fields) = route.as_object() else { continue };
        let path = fields.get("path").and_then(Value::as_str).unwrap_or_default();
        let methods =
            if fields.contains_key("methods") { texts(fields.get("methods")) } else { allowed.clone() };
        let hosts = texts(fields.get("hosts"));
        let hosts: Vec<String> = if hosts.is_empty() {
            vec![String::new()]
        } else {
            hosts.iter().map(|host| format!(" at {host}")).collect()
        };
        let mut asks: BTreeMap<String, Value> = BTreeMap::new();
        for (name, value) in fields {
            match name.as_str() {
                "path" | "methods" | "hosts" => {}
                // Limits are told as limits; here only which of them apply.
                "rate_limits" => {
                    let own = value.as_array().into_iter().flatten();
                    let names: Vec<&str> = own.filter_map(|limit| limit.get("name")?.as_str()).collect();
                    asks.insert("limits".to_owned(), json!(names));
                }
                _ => {
                    asks.insert(name.clone(), ordered(name, value));
                }
            }
        }
        for method in methods {
            for host in &hosts {
                named.insert(format!("{method} {path}{host}"), without_defaults(&asks));
            }
        }
    }
    named
}

/// Lists whose order says nothing, in order.
fn ordered(name: &str, value: &Value) -> Value {
    let is_set = [
        "required_permissions",
        "any_permissions",
        "bind_unless",
        "content_types",
        "allow_from",
        "deny_from",
        "allow_in_path",
        "skip_limits",
    ]
    .contains(&name);
    let mut value = value.clone();
    if let (true, Some(list)) = (is_set, value.as_array_mut()) {
        list.sort_by_key(Value::to_string);
    }
    value
}

/// What says nothing new about a route is not told.
fn without_defaults(asks: &BTreeMap<String, Value>) -> BTreeMap<String, Value> {
    let mut asks = asks.clone();
    asks.retain(|name, value| match name.as_str() {
        "bind" => value.as_object().is_some_and(|bind| !bind.is_empty()),
        "body" => value != "hold",
        _ => true,
    });
    asks
}
