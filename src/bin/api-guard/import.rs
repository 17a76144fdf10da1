//! `api-guard import openapi`: a description of an API becomes a configuration that admits what it describes.

mod operation;
pub(crate) mod path;
mod security;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::{Map, Value, json};

use crate::diff;
use crate::outcome::{self, Failure, Outcome, print, say};
use crate::source::tree::{Mark, Node};
use crate::source::{self, Written};
use operation::Operation;

/// Make a configuration from the description of an API.
///
/// FILE is an OpenAPI 3.0 or 3.1 document, JSON or YAML. Its paths, methods, scopes and content types become routes, and
/// every other path is refused. A field x-api-guard of an operation holds fields of its route. What cannot be mapped is
/// told with its line on standard error, and is never made wider. A document that says nothing of security asks for a
/// token everywhere. The output is sorted. With --check nothing is printed but how a configuration has drifted from the
/// document. Exit code 0: done, or no drift, 1: not an OpenAPI document, or drift.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  api-guard import openapi openapi.yaml > api-guard.json
  api-guard import openapi openapi.yaml --check api-guard.json")]
pub(crate) struct Import {
    /// What is imported
    #[arg(value_enum)]
    kind: Kind,
    /// The document
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Tell how this configuration has drifted from the document
    #[arg(long, value_name = "C")]
    check: Option<PathBuf>,
}

/// What can be imported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Kind {
    Openapi,
}

/// What cannot be mapped, by where it is.
#[derive(Default)]
pub(super) struct Notes(Vec<(Mark, String)>);

impl Notes {
    fn add(&mut self, mark: Mark, text: impl Into<String>) {
        let note = (mark, text.into());
        if !self.0.contains(&note) {
            self.0.push(note);
        }
    }
}

impl Import {
    /// Prints the configuration, or the drift.
    pub(crate) fn run(&self) -> outcome::Result {
        let Kind::Openapi = self.kind;
        let root = source::document(&self.file)?.root;
        let file = self.file.display();
        judge_version(&root).map_err(|what| Failure::failed(format!("{file}: {what}")))?;
        let mut notes = Notes::default();
        let mut routes = routes(&root, &mut notes);
        let configuration = self.accepted(&mut routes, &mut notes)?;
        notes.0.sort();
        for (mark, text) in &notes.0 {
            say(&format!("{file}:{}:{}: warning: {text}", mark.line, mark.column));
        }
        match &self.check {
            None => {
                print(&pretty(&configuration));
                Ok(Outcome::Done)
            }
            Some(path) => {
                let drift = diff::drift(&configuration, &Written::read(path)?)?;
                if drift.is_empty() {
                    print(&format!("{} asks what the document says", path.display()));
                    return Ok(Outcome::Done);
                }
                print(&drift.join("\n"));
                Ok(Outcome::Refused)
            }
        }
    }

    /// The configuration, without the routes that the guard would refuse. What an author has written for the guard must
    /// be right.
    fn accepted(&self, routes: &mut Vec<Operation>, notes: &mut Notes) -> Result<Value, Failure> {
        loop {
            let configuration = configuration(routes);
            let Err(errors) = source::errors(&pretty(&configuration)) else { return Ok(configuration) };
            let mut bad: BTreeMap<usize, String> = BTreeMap::new();
            for error in &errors.0 {
                let pointer = error.at.to_string();
                let index =
                    pointer.strip_prefix("/routes/").and_then(|rest| rest.split('/').next()?.parse().ok());
                let Some(index) = index else {
                    return Err(Failure::failed(format!("{}: {error}", self.file.display())));
                };
                bad.entry(index).or_insert_with(|| format!("{}; {}", error.problem, error.instead));
            }
            for (index, what) in bad.into_iter().rev() {
                if index >= routes.len() {
                    return Err(Failure::failed(format!("{}: {what}", self.file.display())));
                }
                let route = routes.remove(index);
                if let Some(mark) = route.extended {
                    let position = format!("{}:{}:{}", self.file.display(), mark.line, mark.column);
                    return Err(Failure::failed(format!(
                        "{position}: x-api-guard of {}: {what}",
                        route.label()
                    )));
                }
                notes.add(route.mark, format!("{} is left out, and so refused: {what}", route.label()));
            }
        }
    }
}

fn judge_version(root: &Node) -> Result<(), String> {
    match root.field("openapi").and_then(Node::text) {
        Some(version) if version.starts_with("3.0") || version.starts_with("3.1") => Ok(()),
        Some(version) => Err(format!("OpenAPI {version}; only 3.0 and 3.1 can be read")),
        None if root.field("swagger").is_some() => {
            Err("Swagger 2.0; only OpenAPI 3.0 and 3.1 can be read: convert it first".to_owned())
        }
        None => Err("no OpenAPI document: it has no field \"openapi\"".to_owned()),
    }
}

/// The routes, sorted by path and method.
fn routes(root: &Node, notes: &mut Notes) -> Vec<Operation> {
    let security = security::Schemes::of(root, notes);
    let prefix = path::prefix(root, notes);
    let mut operations: Vec<Operation> = Vec::new();
    let mut shapes: BTreeMap<String, String> = BTreeMap::new();
    for (key, item) in root.field("paths").map(Node::members).unwrap_or_default() {
        if key.name.starts_with("x-") {
            continue;
        }
        let Some(path) = path::template(&prefix, &key.name, key.mark, notes) else { continue };
        let Some(item) = resolve(root, item) else {
            notes.add(
                key.mark,
                format!("{} is left out, and so refused: its $ref is not in this file", key.name),
            );
            continue;
        };
        // Two spellings of one path are one, by the names of the first.
        let path = shapes.entry(path::shape(&path)).or_insert(path).clone();
        for (method, node) in item.members() {
            let Some(operation) =
                Operation::read(root, &path, &method.name, method.mark, node, &security, notes)
            else {
                continue;
            };
            let known =
                operations.iter_mut().find(|known| known.path == path && known.method == operation.method);
            match known {
                None => operations.push(operation),
                Some(known) if known.fields == operation.fields => {}
                Some(known) => {
                    let text =
                        format!("{} stands twice and asks for two things: it is refused", known.label());
                    notes.add(operation.mark, text);
                    known.refuse();
                }
            }
        }
    }
    operations.sort_by(|one, other| (&one.path, &one.method).cmp(&(&other.path, &other.method)));
    operations
}

/// The value itself, or what its local reference leads to. `None` for a reference to another file, or to nothing.
pub(super) fn resolve<'n>(root: &'n Node, node: &'n Node) -> Option<&'n Node> {
    let mut node = node;
    // A reference may lead to another one, but not in a circle.
    for _ in 0..8 {
        let Some(reference) = node.field("$ref").and_then(Node::text) else { return Some(node) };
        node = root.at(reference.strip_prefix('#')?)?;
    }
    None
}

fn configuration(operations: &[Operation]) -> Value {
    let mut methods: Vec<&str> = operations.iter().map(|operation| operation.method.as_str()).collect();
    methods.sort_unstable();
    methods.dedup();
    if methods.is_empty() {
        methods.push("GET");
    }
    let keys = json!([{ "secret": { "env": "API_GUARD_SECRET" } }]);
    let mut tokens = Map::from_iter([("keys".to_owned(), keys)]);
    let permissions: Vec<&str> = operations.iter().flat_map(Operation::permissions).collect();
    if !permissions.is_empty() {
        // OAuth has its scopes in the claim scope.
        tokens.insert("permissions_claim".to_owned(), json!(["permissions", "scope"]));
    }
    if !permissions.iter().all(|permission| security::is_resource_action(permission)) {
        tokens.insert("permission_format".to_owned(), json!("scope_token"));
    }
    let mut all = Map::new();
    all.insert("tokens".to_owned(), Value::Object(tokens));
    all.insert("request".to_owned(), json!({ "allowed_methods": methods }));
    let routes: Vec<Value> = operations.iter().map(Operation::route).collect();
    if !routes.is_empty() {
        all.insert("routes".to_owned(), Value::Array(routes));
    }
    all.insert("unmatched_routes".to_owned(), json!("deny"));
    Value::Object(all)
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}
