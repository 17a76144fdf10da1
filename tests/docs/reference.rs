//! The tables of `docs/configuration.md` and the configuration's schema have the same fields with the same defaults.

use std::collections::BTreeMap;
use std::process::Command;

use api_guard_core::config::Policy;
use serde_json::{Value, json};

use crate::documents::{read, rows};

/// A field's row.
struct Row {
    default: String,
    meaning: String,
}

fn table() -> BTreeMap<String, Row> {
    let mut fields = BTreeMap::new();
    for cells in rows(&read("docs/configuration.md")) {
        let [name, default, meaning] = cells.try_into().expect("three cells");
        let name = name.trim_matches('`').to_owned();
        assert!(!meaning.is_empty(), "{name} has no meaning");
        assert!(fields.insert(name.clone(), Row { default, meaning }).is_none(), "{name} has two rows");
    }
    fields
}

/// What the schema says of a field.
#[derive(Debug)]
struct Field {
    schema: Value,
    required: bool,
    /// Of how many forms, each with other fields, this field is one; 1 for other fields.
    forms: usize,
}

fn schema() -> Value {
    let output = Command::new(env!("CARGO_BIN_EXE_api-guard")).arg("schema").output().unwrap();
    serde_json::from_slice(&output.stdout).unwrap()
}

/// What a schema refers to.
fn resolved<'a>(root: &'a Value, schema: &'a Value) -> &'a Value {
    schema["$ref"].as_str().map_or(schema, |name| root.pointer(name.trim_start_matches('#')).unwrap())
}

/// What a value may be: the schema itself, or each of its choices.
fn choices<'a>(root: &'a Value, schema: &'a Value) -> Vec<&'a Value> {
    let schema = resolved(root, schema);
    let listed = ["anyOf", "oneOf", "allOf"].iter().find_map(|choice| schema[choice].as_array());
    listed.map_or_else(|| vec![schema], |all| all.iter().flat_map(|one| choices(root, one)).collect())
}

/// Every field, objects and all that is in them; `[]` stands for the members of a list.
fn fields(root: &Value) -> BTreeMap<String, Field> {
    let mut found = BTreeMap::new();
    collect(root, root, "", &mut found);
    found
}

fn collect(root: &Value, schema: &Value, pointer: &str, found: &mut BTreeMap<String, Field>) {
    let choices = choices(root, schema);
    let forms = choices.iter().filter(|choice| choice["properties"].is_object()).count();
    for choice in choices {
        if choice["items"].is_object() {
            collect(root, &choice["items"], &format!("{pointer}[]"), found);
        }
        for (name, property) in choice["properties"].as_object().into_iter().flatten() {
            let dot = if pointer.is_empty() { "" } else { "." };
            let full = format!("{pointer}{dot}{name}");
            // A route's limits are limits like the others.
            if full.starts_with("routes[].rate_limits[]") {
                continue;
            }
            collect(root, property, &full, found);
            let required =
                choice["required"].as_array().is_some_and(|names| names.contains(&json!(name.as_str())));
            found.insert(full, Field { schema: property.clone(), required, forms });
        }
    }
}

/// Whether a field is only a name for what is in it: an object that may be left out, and has defaults throughout.
fn is_plain_object(root: &Value, field: &Field) -> bool {
    let choices = choices(root, &field.schema);
    !field.required && choices.len() == 1 && choices.iter().all(|choice| choice["properties"].is_object())
}

#[test]
fn every_field_of_the_configuration_is_explained_and_no_other() {
    let root = schema();
    let (fields, table) = (fields(&root), table());
    for name in ["tokens.keys[].secret.env", "rate_limits[].max_requests.values", "replies.detail"] {
        assert!(fields.contains_key(name), "{name}: {fields:?}");
    }
    for name in table.keys() {
        assert!(fields.contains_key(name), "{name} is explained and does not exist");
    }
    for (name, field) in &fields {
        assert!(table.contains_key(name) || is_plain_object(&root, field), "{name} is not explained");
    }
}

/// A default as its row writes it. `None` where there is none.
fn written(name: &str, row: &Row) -> Option<Value> {
    let code = row.default.strip_prefix('`')?.strip_suffix('`')?;
    Some(serde_json::from_str(code).unwrap_or_else(|error| panic!("{name}: {code}: {error}")))
}

#[test]
fn the_default_of_every_field_is_that_of_the_schema() {
    let fields = fields(&schema());
    for (name, row) in table() {
        let field = &fields[&name];
        let Some(written) = written(&name, &row) else {
            let expected = match (field.required, field.forms) {
                (true, 1 | 2) => "required",
                (true, 3) => "one of three",
                _ => panic!("{name} has a default"),
            };
            // Of two forms the other is a number, and has no fields.
            assert_eq!(row.default, expected, "{name}");
            continue;
        };
        assert!(!field.required, "{name} is required");
        let default = &field.schema["default"];
        if !default.is_null() {
            // The schema has no default that is null, nor one that is a name out of a list: the parser is asked below.
            assert_eq!(written, *default, "{name}");
        }
    }
}

/// A configuration with one of everything, so that each field has an object to stand in.
fn one_of_everything() -> Value {
    let limit = json!({ "name": "a", "max_requests": 1, "window_seconds": 1 });
    json!({
        "tokens": {
            "keys": [{ "secret": { "env": "A" } }],
            "key_sets": [{ "name": "a", "issuers": ["b"], "jwks": { "cluster": "c" } }],
            "sources": [{ "header": "a", "scheme": "b" }],
        },
        "request": {},
        "routes": [{ "path": "/a", "require": [{ "claim": "a", "is": [1] }] }],
        "roles": {},
        "rate_limits": [limit],
        "auth_failure_limit": { "max_failures": 1, "window_seconds": 1 },
        "client_ip": {},
        "revocation": { "denied": { "sub": [{ "iss": "a", "sub": "b" }] }, "endpoint": {} },
        "forward": {},
        "replies": {},
    })
}

/// The configuration with `field` set to `value`, or left out, as the module reads it.
fn read_with(field: &str, value: Option<&Value>) -> String {
    let mut document = one_of_everything();
    let (parents, name) = field.rsplit_once('.').unwrap_or(("", field));
    let mut object = &mut document;
    for parent in parents.split('.').filter(|parent| !parent.is_empty()) {
        object = &mut object[parent.trim_end_matches("[]")];
        if parent.ends_with("[]") {
            object = &mut object[0];
        }
    }
    let object = object.as_object_mut().unwrap_or_else(|| panic!("nowhere to put {field}"));
    object.remove(name);
    if let Some(value) = value {
        object.insert(name.to_owned(), value.clone());
    }
    match Policy::parse_shape(document.to_string().as_bytes()) {
        Ok(raw) => format!("{raw:?}"),
        Err(errors) => panic!("{field}: {errors}"),
    }
}

#[test]
fn a_default_that_is_written_out_changes_nothing() {
    let mut compared = 0;
    for (name, row) in table() {
        if let Some(default) = written(&name, &row) {
            assert_eq!(read_with(&name, Some(&default)), read_with(&name, None), "{name}");
            compared += 1;
        }
    }
    assert!(compared >= 50, "{compared} defaults");
    assert_ne!(read_with("mode", Some(&json!("report"))), read_with("mode", None));
    assert_ne!(read_with("routes[].access", Some(&json!("deny"))), read_with("routes[].access", None));
}

#[test]
fn every_value_and_every_bound_of_a_field_is_in_its_row() {
    let root = schema();
    let fields = fields(&root);
    let mut found = 0;
    for (name, row) in table() {
        let field = &fields[&name];
        // The modes of routes and limits are those of the whole.
        if name.ends_with("[].mode") {
            continue;
        }
        for choice in choices(&root, &field.schema) {
            if let Some(value) = choice["const"].as_str() {
                let shown = format!("`\"{value}\"`");
                let is_there = row.meaning.contains(&shown) || row.default == shown;
                assert!(is_there, "{name} may be {value}, which its row does not say");
                found += 1;
            }
            if let Some(most) = choice["maximum"].as_u64() {
                let least = &choice["minimum"];
                assert!(row.meaning.contains(&format!("{least} to {most}")), "{name}: {least} to {most}");
                found += 1;
            }
        }
    }
    assert!(found >= 20, "{found} values and bounds");
}
