//! A configuration with its defaults written out and its secrets taken out, so that two can be compared.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::Named;
use crate::keygen::base64url;
use crate::outcome::Failure;
use crate::schema;
use crate::source::Written;

/// The whole configuration with defaults. What is null is left out.
pub(super) fn configuration(written: &Written) -> Result<Value, Failure> {
    written.policy(&|_| None, false)?;
    let mut value: Value = serde_json::from_str(written.text()).unwrap_or(Value::Null);
    let schema = schema::schema();
    complete(&mut value, &schema, &schema);
    if let Some(members) = value.as_object_mut() {
        members.remove("$schema");
    }
    require_subject(&mut value, written);
    Ok(value)
}

/// Writes defaults into objects.
fn complete(value: &mut Value, schema: &Value, root: &Value) {
    let schema = resolved(schema, root);
    if let Some(choices) = schema.get("anyOf").and_then(Value::as_array) {
        let has_fields = |choice: &&Value| {
            let choice = resolved(choice, root);
            let fits = if value.is_array() { "items" } else { "properties" };
            choice.get(fits).is_some()
        };
        // Where several forms have fields, none of them has defaults worth comparing.
        if let [choice] = choices.iter().filter(has_fields).collect::<Vec<_>>().as_slice() {
            complete(value, choice, root);
        }
        return;
    }
    match value {
        Value::Object(members) => {
            members.retain(|_, member| !member.is_null());
            let fields = schema.get("properties").and_then(Value::as_object);
            for (name, field) in fields.into_iter().flatten() {
                if let Some(default) = field.get("default").filter(|_| !members.contains_key(name)) {
                    members.insert(name.clone(), default.clone());
                }
                if let Some(member) = members.get_mut(name) {
                    complete(member, field, root);
                }
            }
        }
        Value::Array(items) => {
            if let Some(item) = schema.get("items") {
                items.iter_mut().for_each(|value| complete(value, item, root));
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn resolved<'s>(schema: &'s Value, root: &'s Value) -> &'s Value {
    let name = schema.get("$ref").and_then(Value::as_str);
    name.and_then(|name| root.pointer(name.trim_start_matches('#'))).unwrap_or(schema)
}

/// The one default that depends on another field: a token must have its subject, whichever claim that is.
fn require_subject(value: &mut Value, written: &Written) {
    let own: Value = serde_json::from_str(written.text()).unwrap_or(Value::Null);
    if own.pointer("/tokens/required_claims").is_some() {
        return;
    }
    let subject = value.pointer("/tokens/subject_claim").cloned().unwrap_or_default();
    if let Some(claims) = value.pointer_mut("/tokens/required_claims") {
        *claims = json!([subject, "exp", "iat"]);
    }
}

fn fields(value: &Value) -> BTreeMap<String, Value> {
    value.as_object().into_iter().flatten().map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// The keys by their kid. Of a secret it is told where it comes from, or that it is another one.
pub(super) fn keys(configuration: &Value) -> Named {
    let mut named = Named::new();
    let keys = configuration.pointer("/tokens/keys").and_then(Value::as_array);
    for (index, key) in keys.into_iter().flatten().enumerate() {
        let name = match key.get("kid").and_then(Value::as_str) {
            Some(kid) => format!("kid {kid:?}"),
            None => format!("key {index} without a kid"),
        };
        let mut settings = fields(key);
        settings.remove("kid");
        settings.retain(|_, value| !value.is_null());
        if settings.contains_key("secret") {
            settings.entry("algorithm".to_owned()).or_insert_with(|| json!("HS256"));
        }
        // Somebody may have written a private key where the public one belongs.
        for (field, what) in [("secret", "secret"), ("public_key", "key")] {
            settings.get_mut(field).into_iter().for_each(|value| hide(value, what));
        }
        named.insert(name, settings);
    }
    named
}

/// Puts a mark in the place of what is not taken from a variable.
fn hide(value: &mut Value, what: &str) {
    if !value.is_null() && value.get("env").is_none() {
        *value = json!(format!("<{what} {}>", mark(value)));
    }
}

/// Tells two secrets apart, and says nothing of either.
fn mark(secret: &Value) -> String {
    use std::hash::{BuildHasher, RandomState};
    use std::sync::OnceLock;
    static SEED: OnceLock<RandomState> = OnceLock::new();
    let digest = SEED.get_or_init(RandomState::new).hash_one(secret.to_string());
    base64url(&digest.to_le_bytes()).chars().take(6).collect()
}

/// The limits by where they apply and their name.
pub(super) fn limits(configuration: &Value) -> Named {
    let mut named = Named::new();
    let mut take = |place: &str, limits: Option<&Value>| {
        for limit in limits.and_then(Value::as_array).into_iter().flatten() {
            let name = limit.get("name").and_then(Value::as_str).unwrap_or_default();
            let mut settings = fields(limit);
            settings.remove("name");
            named.insert(format!("{name}{place}"), settings);
        }
    };
    take("", configuration.get("rate_limits"));
    for route in configuration.get("routes").and_then(Value::as_array).into_iter().flatten() {
        let path = route.get("path").and_then(Value::as_str).unwrap_or_default();
        take(&format!(" of {path}"), route.get("rate_limits"));
    }
    if let Some(limit) = configuration.get("auth_failure_limit") {
        named.insert("auth_failure_limit".to_owned(), fields(limit));
    }
    named
}

/// Every other setting by its JSON pointer.
pub(super) fn settings(configuration: &Value) -> Named {
    let mut rest: Map<String, Value> = configuration.as_object().cloned().unwrap_or_default();
    for name in ["routes", "rate_limits", "auth_failure_limit"] {
        rest.remove(name);
    }
    if let Some(tokens) = rest.get_mut("tokens").and_then(Value::as_object_mut) {
        tokens.remove("keys");
    }
    let mut rest = Value::Object(rest);
    for (pointer, what) in [("/fleet/secret", "secret"), ("/fleet/password", "password")] {
        rest.pointer_mut(pointer).into_iter().for_each(|value| hide(value, what));
    }
    let mut named = Named::new();
    leaves(&rest, "", &mut named);
    named
}

fn leaves(value: &Value, pointer: &str, named: &mut Named) {
    match value {
        Value::Object(members) if !members.is_empty() => {
            for (name, member) in members {
                leaves(member, &format!("{pointer}/{}", crate::source::tree::step(name)), named);
            }
        }
        Value::Object(_) => {}
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            named.insert(pointer.to_owned(), BTreeMap::from([("value".to_owned(), value.clone())]));
        }
    }
}
