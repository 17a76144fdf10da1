//! `api-guard import openapi`: a description of an API becomes a configuration that admits what it describes.

mod operation;
pub(crate) mod path;
mod reference;
mod security;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use crate::diff;
use crate::input;
use crate::outcome::{self, Failure, Outcome, print, say};
use crate::source::tree::{Content, Mark, Node};
use crate::source::{self, Written};
use crate::wording::instead;
use operation::Operation;
use reference::References;

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
pub(super) struct Notes {
    warnings: BTreeSet<(Mark, String)>,
    errors: BTreeSet<(Mark, String)>,
}

impl Notes {
    /// The configuration lacks this, and is not wider for it.
    fn add(&mut self, mark: Mark, text: impl Into<String>) {
        self.warnings.insert((mark, text.into()));
    }

    /// The document is wrong: what it means could only be guessed.
    fn reject(&mut self, mark: Mark, text: impl Into<String>) {
        self.errors.insert((mark, text.into()));
    }

    /// All errors as one failure.
    fn failure(&self, file: &Path) -> Result<(), Failure> {
        let line = |(mark, text): &(Mark, String)| {
            format!("{}:{}:{}: {text}", file.display(), mark.line, mark.column)
        };
        let lines: Vec<String> = self.errors.iter().map(line).collect();
        if lines.is_empty() { Ok(()) } else { Err(Failure::failed(lines.join("\nerror: "))) }
    }
}

/// Routes that the guard is asked about at once, before it is asked about all. What is wrong with one of few is found
/// in a short text: the time grows with the number of routes, and not with its square.
const FEW: usize = 20;

impl Import {
    /// Prints the configuration, or the drift.
    pub(crate) fn run(&self) -> outcome::Result {
        let Kind::Openapi = self.kind;
        input::once(std::iter::once(&self.file).chain(&self.check).map(PathBuf::as_path))?;
        let root = source::document(&self.file)?.root;
        let file = self.file.display();
        judge_version(&root).map_err(|what| Failure::failed(format!("{file}: {what}")))?;
        let mut notes = Notes::default();
        let mut good = Vec::new();
        let mut routes = routes(&root, &mut notes).into_iter().peekable();
        notes.failure(&self.file)?;
        while routes.peek().is_some() {
            let mut few: Vec<Operation> = routes.by_ref().take(FEW).collect();
            self.accepted(&mut few, &mut notes)?;
            good.append(&mut few);
        }
        let configuration = self.accepted(&mut good, &mut notes)?;
        for (mark, text) in &notes.warnings {
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
            let Err(errors) = source::errors(&configuration.to_string()) else { return Ok(configuration) };
            // For each route the field that is wrong, unless it is the whole route, and what is.
            let mut bad: BTreeMap<usize, (Option<String>, String)> = BTreeMap::new();
            for error in &errors.0 {
                let pointer = error.at.to_string();
                let mut steps = pointer.strip_prefix("/routes/").unwrap_or_default().split('/');
                let index = steps.next().and_then(|index| index.parse().ok());
                let Some(index) = index.filter(|index| *index < routes.len()) else {
                    return Err(Failure::failed(format!("{}: {error}", self.file.display())));
                };
                let field = steps.next().map(str::to_owned);
                bad.entry(index).or_insert_with(|| (field, format!("{}; {}", error.problem, instead(error))));
            }
            let mut good = Vec::with_capacity(routes.len());
            for (index, route) in routes.drain(..).enumerate() {
                let Some((field, what)) = bad.get(&index) else {
                    good.push(route);
                    continue;
                };
                let label = route.label();
                if let Some(extension) = route.extended.filter(|own| own.answers_for(field.as_deref())) {
                    notes.reject(extension.mark, format!("x-api-guard of {label}: {what}"));
                } else {
                    let place = if field.as_deref() == Some("name") { "operationId: " } else { "" };
                    notes.add(route.mark, format!("{label} is left out, and so refused: {place}{what}"));
                }
            }
            notes.failure(&self.file)?;
            *routes = good;
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
    let references = References::of(root);
    let security = security::Schemes::of(root, &references, notes);
    let prefix = path::prefix(root, notes);
    let mut operations: Vec<Operation> = Vec::new();
    let mut shapes: BTreeMap<String, String> = BTreeMap::new();
    let paths = root.field("paths");
    if let Some(paths) = paths.filter(|paths| !is_object(paths)) {
        notes.reject(paths.mark, format!("paths is {}; write an object of paths", paths.to_json()));
    }
    for (key, item) in paths.map(Node::members).unwrap_or_default() {
        if key.name.starts_with("x-") {
            continue;
        }
        let Some(path) = path::template(&prefix, &key.name, key.mark, notes) else { continue };
        let Some(item) = references.resolve(item) else {
            notes.add(
                key.mark,
                format!("{} is left out, and so refused: its $ref is not in this file", key.name),
            );
            continue;
        };
        if !is_object(item) {
            let text =
                format!("the path {:?} is {}; write an object of operations", key.name, item.to_json());
            notes.reject(key.mark, text);
        }
        if !path::is_below(&prefix, item, &path, notes) {
            continue;
        }
        // Two spellings of one path are one, by the names of the first.
        let path = shapes.entry(path::shape(&path)).or_insert(path).clone();
        for (method, node) in item.members() {
            operations.extend(Operation::read(&references, &prefix, &path, method, node, &security, notes));
        }
    }
    // One that stands twice keeps the order of the document.
    operations.sort_by(|one, other| one.name().cmp(&other.name()));
    distinct(operations, notes)
}

fn is_object(node: &Node) -> bool {
    matches!(node.content, Content::Map(_))
}

/// Operations, sorted by name, without repetitions. Who asks for two things is refused.
fn distinct(operations: Vec<Operation>, notes: &mut Notes) -> Vec<Operation> {
    let mut distinct: Vec<Operation> = Vec::with_capacity(operations.len());
    for operation in operations {
        match distinct.last_mut().filter(|known| known.name() == operation.name()) {
            None => distinct.push(operation),
            Some(known) if known.fields == operation.fields => {}
            Some(known) => {
                let text = format!("{} stands twice and asks for two things: it is refused", known.label());
                notes.add(operation.mark, text);
                known.refuse();
            }
        }
    }
    distinct
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
