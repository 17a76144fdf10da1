//! What an operation's security asks, as fields of a route.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::Notes;
use super::reference::References;
use crate::source::tree::{Content, Mark, Node};

/// The security of a whole document.
pub(super) struct Schemes<'n> {
    /// Whether tokens of a scheme are what the guard verifies.
    known: BTreeMap<&'n str, bool>,
    /// What is asked where an operation says nothing itself.
    general: Option<&'n Node>,
    /// Whether anything is said of security anywhere.
    is_said: bool,
}

impl<'n> Schemes<'n> {
    pub(super) fn of(root: &'n Node, references: &References<'n>, notes: &mut Notes) -> Self {
        let mut known = BTreeMap::new();
        let schemes = root.path(&["components", "securitySchemes"]).map(Node::members).unwrap_or_default();
        for (key, node) in schemes {
            let text = |name: &str| references.resolve(node)?.field(name)?.text();
            let is_bearer = text("scheme").is_some_and(|scheme| scheme.eq_ignore_ascii_case("bearer"));
            let is_token = match text("type") {
                Some("oauth2" | "openIdConnect") => true,
                Some("http") => is_bearer,
                Some(_) | None => false,
            };
            known.insert(key.name.as_str(), is_token);
        }
        let general = root.field("security");
        if let Some(general) = general {
            judge(general, "the document", notes);
        }
        let operations = root.field("paths").map(Node::members).unwrap_or_default();
        let items = operations.iter().filter_map(|(_, item)| references.resolve(item));
        let said = items.flat_map(Node::members).any(|(_, operation)| operation.field("security").is_some());
        let is_said = general.is_some() || said;
        if !is_said {
            let text = "the document says nothing of security: every path asks for a token";
            notes.add(root.field("paths").map_or(Mark::START, |paths| paths.mark), text);
        }
        Self { known, general, is_said }
    }

    /// Fields of the route. `label`: the operation's name in notes.
    pub(super) fn fields(
        &self,
        operation: &'n Node,
        label: &str,
        mark: Mark,
        notes: &mut Notes,
    ) -> Map<String, Value> {
        if !self.is_said {
            return Map::new();
        }
        let own = operation.field("security");
        if let Some(own) = own {
            judge(own, label, notes);
        }
        let alternatives = own.or(self.general).map(Node::items).unwrap_or_default();
        if alternatives.is_empty() {
            return Map::from_iter([("access".to_owned(), json!("public"))]);
        }
        let mark = own.map_or(mark, |node| node.mark);
        // Nobody needs anything where nothing is one of the alternatives.
        if alternatives.iter().any(|alternative| alternative.members().is_empty()) {
            return Map::from_iter([("access".to_owned(), json!("optional"))]);
        }
        let mut sets: Vec<BTreeSet<&str>> = Vec::new();
        for alternative in alternatives {
            if let Some(scopes) = self.scopes(alternative, label, notes) {
                sets.push(scopes);
            }
        }
        permissions(&sets, label, mark, notes)
    }

    /// The scopes of one alternative; `None`, which is noted, where it is not by token alone or has none at all of those.
    fn scopes(&self, alternative: &'n Node, label: &str, notes: &mut Notes) -> Option<BTreeSet<&'n str>> {
        let mut scopes = BTreeSet::new();
        let mut is_by_token = false;
        for (key, list) in alternative.members() {
            if self.known.get(key.name.as_str()) == Some(&true) {
                is_by_token = true;
                scopes.extend(list.items().iter().filter_map(Node::text));
            } else {
                let what = if self.known.contains_key(key.name.as_str()) {
                    "is not by a bearer token"
                } else {
                    "is not among the securitySchemes"
                };
                notes.add(key.mark, format!("{label}: {:?} {what}: a token is asked for", key.name));
            }
        }
        is_by_token.then_some(scopes)
    }
}

/// Rejects a security of another form than a list of objects of lists of texts. Read as an empty one, it would open what
/// it is to close.
fn judge(security: &Node, label: &str, notes: &mut Notes) {
    let Content::List(alternatives) = &security.content else {
        let text = format!(
            "security of {label} is {}; write a list of alternatives such as [{{\"oauth\": [\"orders:read\"]}}], or [] for none",
            security.to_json()
        );
        return notes.reject(security.mark, text);
    };
    for alternative in alternatives {
        let Content::Map(schemes) = &alternative.content else {
            let text = format!(
                "security of {label} has the alternative {}; write an object such as {{\"oauth\": [\"orders:read\"]}}, or {{}} for none",
                alternative.to_json()
            );
            notes.reject(alternative.mark, text);
            continue;
        };
        for (scheme, scopes) in schemes {
            let are_texts = scopes.items().iter().all(|scope| scope.text().is_some());
            if !matches!(scopes.content, Content::List(_)) || !are_texts {
                let text = format!(
                    "security of {label} has the scopes {} of {:?}; write a list of texts such as [\"orders:read\"], or [] for none",
                    scopes.to_json(),
                    scheme.name
                );
                notes.reject(scheme.mark, text);
            }
        }
    }
}

/// What is asked where one of the sets of scopes is enough. Never less than the least of them.
fn permissions(sets: &[BTreeSet<&str>], label: &str, mark: Mark, notes: &mut Notes) -> Map<String, Value> {
    let bad = sets.iter().flatten().find(|scope| !is_scope(scope));
    if let Some(bad) = bad {
        notes.add(mark, format!("{label} is refused: {bad:?} cannot be a permission (RFC 6749 section 3.3)"));
        return Map::from_iter([("access".to_owned(), json!("deny"))]);
    }
    // Tokens of two schemes cannot be told apart: the one without scopes must not open what the other closes.
    let mut with_scopes: Vec<&BTreeSet<&str>> = sets.iter().filter(|set| !set.is_empty()).collect();
    if !with_scopes.is_empty() && with_scopes.len() < sets.len() {
        notes.add(
            mark,
            format!("{label}: one alternative asks for no scopes and another does: the scopes are asked for"),
        );
    }
    // Who has more than another alternative asks has that one too.
    let all = with_scopes.clone();
    with_scopes.retain(|set| !all.iter().any(|other| other.len() < set.len() && other.is_subset(set)));
    with_scopes.sort();
    with_scopes.dedup();
    match with_scopes.as_slice() {
        [] => Map::new(),
        [only] => Map::from_iter([("required_permissions".to_owned(), json!(only))]),
        several if several.iter().all(|set| set.len() == 1) => {
            let any: BTreeSet<&&str> = several.iter().flat_map(|set| set.iter()).collect();
            Map::from_iter([("any_permissions".to_owned(), json!(any))])
        }
        _ => {
            let text = format!(
                "{label} is refused: a route cannot ask for one of several groups of scopes; write what it is to ask in x-api-guard"
            );
            notes.add(mark, text);
            Map::from_iter([("access".to_owned(), json!("deny"))])
        }
    }
}

/// `^[a-z_]+:[a-z_]+$`
pub(super) fn is_resource_action(scope: &str) -> bool {
    let part = |text: &str| {
        !text.is_empty() && text.bytes().all(|letter| letter.is_ascii_lowercase() || letter == b'_')
    };
    scope.split_once(':').is_some_and(|(resource, action)| part(resource) && part(action))
}

/// A scope-token (RFC 6749 section 3.3).
fn is_scope(scope: &str) -> bool {
    !scope.is_empty()
        && scope.bytes().all(|letter| letter.is_ascii_graphic() && letter != b'"' && letter != b'\\')
}
