//! One operation of OpenAPI as a route.

use serde_json::{Map, Value, json};

use super::Notes;
use super::reference::References;
use super::security::Schemes;
use crate::source::tree::{Mark, Node};

/// The fields of a path item that are operations.
const METHODS: [&str; 8] = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];

/// An operation.
pub(super) struct Operation {
    pub(super) path: String,
    pub(super) method: String,
    pub(super) mark: Mark,
    /// The route's fields but path and method.
    pub(super) fields: Map<String, Value>,
    /// Where fields for the guard are, if there are some.
    pub(super) extended: Option<Mark>,
}

impl Operation {
    /// Reads a member of a path item; `None` where it is no operation, or none that can be a route.
    pub(super) fn read<'n>(
        references: &References<'n>,
        path: &str,
        name: &str,
        mark: Mark,
        node: &'n Node,
        security: &Schemes<'n>,
        notes: &mut Notes,
    ) -> Option<Self> {
        if !METHODS.contains(&name) {
            return None;
        }
        let method = name.to_ascii_uppercase();
        let label = format!("{method} {path}");
        if method == "TRACE" {
            notes.add(mark, format!("{label} is left out, and so refused: TRACE shows what it was sent"));
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
        let extended = extension.map(|node| node.mark);
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
