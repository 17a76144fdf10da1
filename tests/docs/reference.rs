//! The README's configuration reference and the types of the configuration name the same fields.

use std::collections::{BTreeMap, BTreeSet};

use api_guard_core::config::raw::RawConfig;
use serde_json::Value;

use crate::README;

/// Field to the text of its row. A row may stand for several: the later ones may leave out what they share.
fn rows() -> BTreeMap<String, String> {
    let section =
        README.split("\n## Configuration reference\n").nth(1).unwrap().split("\n## ").next().unwrap();
    let mut rows = BTreeMap::new();
    for line in section.lines().filter(|line| line.starts_with("| `")) {
        let names = line.split(" | ").next().unwrap();
        let mut parent = "";
        for name in names.split('`').skip(1).step_by(2) {
            let full = if name.contains('.') { name.to_owned() } else { format!("{parent}{name}") };
            parent = name.rfind('.').map_or(parent, |dot| &name[..=dot]);
            assert!(rows.insert(full, line.to_owned()).is_none(), "{name} has two rows");
        }
    }
    rows
}

/// Every field of the schema, objects and all that is in them; `[]` stands for the members of a list.
fn fields(schema: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    collect(schema, schema, "", &mut found);
    found
}

fn collect(root: &Value, schema: &Value, place: &str, found: &mut BTreeSet<String>) {
    if let Some(name) = schema["$ref"].as_str() {
        let target = root.pointer(name.trim_start_matches('#')).unwrap();
        return collect(root, target, place, found);
    }
    for choice in ["anyOf", "oneOf", "allOf"] {
        for one in schema[choice].as_array().into_iter().flatten() {
            collect(root, one, place, found);
        }
    }
    if schema["items"].is_object() {
        collect(root, &schema["items"], &format!("{place}[]"), found);
    }
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let dot = if place.is_empty() { "" } else { "." };
        let full = format!("{place}{dot}{name}");
        // A route's limits are limits like the others.
        if !full.starts_with("routes[].rate_limits[]") {
            collect(root, property, &full, found);
            found.insert(full);
        }
    }
}

/// The place of which `field` is a part: the object, or the list of such objects.
fn parent(field: &str) -> Option<&str> {
    field.rsplit_once('.').map(|(parent, _)| parent.trim_end_matches("[]"))
}

#[test]
fn every_field_of_the_configuration_is_explained_and_no_other() {
    let schema = serde_json::to_value(schemars::schema_for!(RawConfig)).unwrap();
    let (fields, rows) = (fields(&schema), rows());
    assert!(
        fields.contains("tokens.keys[].secret.env") && fields.contains("rate_limits[].max_requests.values")
    );
    for row in rows.keys() {
        assert!(fields.contains(row), "{row} is explained and does not exist");
    }
    for field in &fields {
        let has_parts = fields.iter().any(|other| parent(other) == Some(field));
        // A small object is explained in one row, which names all that may stand in it.
        let name = format!("\"{}\"", field.rsplit('.').next().unwrap());
        let bare = name.replace('"', "`");
        let in_parents_row = std::iter::successors(parent(field), |field| parent(field))
            .filter_map(|parent| rows.get(parent))
            .any(|row| row.contains(&name) || row.contains(&bare));
        assert!(rows.contains_key(field) || has_parts || in_parents_row, "{field} is not explained");
    }
}

#[test]
fn every_answer_has_a_cause_and_a_cure() {
    let section = README.split("\n## Answers\n").nth(1).unwrap().split("\n## ").next().unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| ") && line.contains('`'));
    for row in rows {
        let cells: Vec<_> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        assert!(cells.len() == 4 && cells.iter().all(|cell| cell.len() >= 3), "{row}");
    }
}
