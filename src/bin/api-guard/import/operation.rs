//! One operation of OpenAPI as a route.

use serde_json::{Map, Value, json};

use super::path::is_below;
use super::reference::References;
use super::security::Schemes;
use super::{Notes, is_object};
use crate::source::tree::{Key, Mark, Node};

/// The fields of a path item that are operations.
const METHODS: [&str; 8] = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];

/// The other fields of a path item. Only those of an operation itself become fields of a route.
const OTHERS: [&str; 5] = ["$ref", "summary", "description", "servers", "parameters"];

/// An operation.
pub(super) struct Operation {
    pub(super) path: String,
    pub(super) method: String,
    pub(super) mark: Mark,
    /// The route's fields but path and method.
    pub(super) fields: Map<String, Value>,
    /// Where fields for the guard are, if there are some.
    pub(super) extended: Option<Extension>,
}

/// The fields that an author has written for the guard.
pub(super) struct Extension {
    pub(super) mark: Mark,
    fields: Vec<String>,
}

impl Extension {
    /// Whether what is wrong with a field of the route, or with the route if it is none, may be the author's doing.
    pub(super) fn answers_for(&self, field: Option<&str>) -> bool {
        field.is_none_or(|field| self.fields.iter().any(|own| own == field))
    }
}

impl Operation {
    /// Reads a member of a path item; `None` where it is no operation, or none that can be a route.
    pub(super) fn read<'n>(
        references: &References<'n>,
        prefix: &str,
        path: &str,
        key: &Key,
        node: &'n Node,
        security: &Schemes<'n>,
        notes: &mut Notes,
    ) -> Option<Self> {
        let Key { name, mark } = key;
        let (name, mark) = (name.as_str(), *mark);
        if !METHODS.contains(&name) {
            note_unknown(path, name, mark, notes);
            return None;
        }
        let method = name.to_ascii_uppercase();
        let label = format!("{method} {path}");
        if method == "TRACE" {
            notes.add(mark, format!("{label} is left out, and so refused: TRACE shows what it was sent"));
            return None;
        }
        if !is_object(node) {
            notes
                .reject(mark, format!("{label} is {}; write an object, or {{}} for nothing", node.to_json()));
        }
        if !is_below(prefix, node, &label, notes) {
            return None;
        }
        let mut fields = Map::new();
        if let Some(id) = node.field("operationId").and_then(Node::text) {
            fields.insert("name".to_owned(), json!(id));
        }
        fields.extend(security.fields(node, &label, mark, notes));
        if ["POST", "PUT", "PATCH"].contains(&method.as_str())
            && let Some(types) = content_types(references, node, &label, notes)
        {
            fields.insert("content_types".to_owned(), types);
        }
        let extension = node.field("x-api-guard");
        if let Some(extension) = extension {
            match serde_json::from_str(&extension.to_json()) {
                Ok(Value::Object(own)) => replace(&mut fields, own),
                Ok(_) | Err(_) => {
                    notes.add(extension.mark, format!("{label}: x-api-guard is no object, and is left out"))
                }
            }
        }
        let extended = extension.map(|node| Extension {
            mark: node.mark,
            fields: node.members().iter().map(|(key, _)| key.name.clone()).collect(),
        });
        Some(Self { path: path.to_owned(), method, mark, fields, extended })
    }

    /// What tells it from all others.
    pub(super) fn name(&self) -> (&str, &str) {
        (&self.path, &self.method)
    }

    pub(super) fn label(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    /// Nobody may use it.
    pub(super) fn refuse(&mut self) {
        self.fields.retain(|name, _| name == "name");
        self.fields.insert("access".to_owned(), json!("deny"));
    }

    /// The permissions that it asks for.
    pub(super) fn permissions(&self) -> impl Iterator<Item = &str> {
        let lists =
            ["required_permissions", "any_permissions"].into_iter().filter_map(|name| self.fields.get(name));
        lists.filter_map(Value::as_array).flatten().filter_map(Value::as_str)
    }

    /// The route, its fields in their usual order.
    pub(super) fn route(&self) -> Value {
        let mut route = Map::new();
        route.insert("path".to_owned(), json!(self.path));
        route.insert("methods".to_owned(), json!([self.method]));
        for (name, value) in &self.fields {
            route.insert(name.clone(), value.clone());
        }
        Value::Object(route)
    }
}

/// Tells a member of a path item that is no operation, unless OpenAPI knows it.
fn note_unknown(path: &str, name: &str, mark: Mark, notes: &mut Notes) {
    if name == "x-api-guard" {
        notes.add(mark, format!("{path}: x-api-guard of a path is left out: write it in each operation"));
    } else if METHODS.contains(&name.to_ascii_lowercase().as_str()) {
        let lower = name.to_ascii_lowercase();
        notes.add(
            mark,
            format!("{name} {path} is left out, and so refused: write {lower:?} in place of {name:?}"),
        );
    } else if !OTHERS.contains(&name) && !name.starts_with("x-") {
        let known = METHODS.join(", ");
        notes.add(
            mark,
            format!("{path}: {name:?} is left out, and so refused: the methods of OpenAPI are {known}"),
        );
    }
}

/// What an author says of the guard takes the place of what was found out: of the whole of access and permissions, lest
/// half of each remain.
fn replace(fields: &mut Map<String, Value>, own: Map<String, Value>) {
    let of_access = ["access", "required_permissions", "any_permissions"];
    if own.keys().any(|name| of_access.contains(&name.as_str())) {
        fields.retain(|name, _| !of_access.contains(&name.as_str()));
    }
    fields.extend(own);
}

/// The types of an operation's body; `None` where it has none of its own, so that the general ones hold.
fn content_types<'n>(
    references: &References<'n>,
    operation: &'n Node,
    label: &str,
    notes: &mut Notes,
) -> Option<Value> {
    let body = operation.field("requestBody")?;
    let Some(content) = references.resolve(body).and_then(|body| body.field("content")) else {
        notes.add(body.mark, format!("{label}: the body cannot be found: it must be application/json"));
        return None;
    };
    let mut types = Vec::new();
    for (key, _) in content.members() {
        let name = key.name.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        if name == "*/*" {
            return Some(json!([]));
        }
        if name.contains('*') {
            notes.add(key.mark, format!("{label}: {name} is left out: a route names each type"));
        } else {
            types.push(name);
        }
    }
    types.sort();
    types.dedup();
    // An empty list would allow every type.
    (!types.is_empty()).then(|| json!(types))
}
