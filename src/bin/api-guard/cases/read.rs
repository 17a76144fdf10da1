//! Reads files of cases, JSON or YAML. Whatever is misspelt or missing is an error with its place.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use api_guard_core::code::Code;
use api_guard_core::time::UnixNanos;
use serde_json::{Map, Value};

use super::{Aspect, Case, Sent, Token, moment};
use crate::outcome::Failure;
use crate::source::tree::{Content, Mark, Node};
use crate::source::{self, Document};

/// The status of an allowed request.
const ALLOWED: u64 = 200;

/// The cases of a file, at least one. `needs_expectations`: whether a case without any is an error.
pub(crate) fn cases(path: &Path, needs_expectations: bool) -> Result<Vec<Case>, Failure> {
    let Document { root, .. } = source::document(path)?;
    let reader = Reader { file: path.display().to_string(), needs_expectations };
    reader.file(&root)
}

struct Reader {
    file: String,
    needs_expectations: bool,
}

/// The members of an object, by name.
type Members<'n> = Vec<(&'n str, &'n Node)>;

impl Reader {
    fn wrong(&self, mark: Mark, what: &str) -> Failure {
        Failure::failed(format!("{}: {what}", self.at(mark)))
    }

    fn at(&self, mark: Mark) -> String {
        format!("{}:{}:{}", self.file, mark.line, mark.column)
    }

    fn file(&self, root: &Node) -> Result<Vec<Case>, Failure> {
        let members = self.members(root, "the file", &["time", "cases"])?;
        let time = member(&members, "time").map(|node| self.time(node)).transpose()?;
        let list = member(&members, "cases").map(Node::items).unwrap_or_default();
        if list.is_empty() {
            return Err(self.wrong(root.mark, "no cases; write a list of them in \"cases\""));
        }
        list.iter().enumerate().map(|(index, node)| self.case(node, index, time)).collect()
    }

    fn case(&self, node: &Node, index: usize, time: Option<UnixNanos>) -> Result<Case, Failure> {
        let members = self.members(node, "a case", &["name", "time", "request", "expect"])?;
        let own = member(&members, "time").map(|node| self.time(node)).transpose()?;
        let name = member(&members, "name").map(|node| self.text(node)).transpose()?;
        let Some(request) = member(&members, "request") else {
            return Err(self.wrong(node.mark, "a case without \"request\"; write one"));
        };
        let request = self.request(request)?;
        let expect = match member(&members, "expect") {
            Some(expect) => self.expect(expect)?,
            None => Vec::new(),
        };
        if expect.is_empty() && self.needs_expectations {
            return Err(
                self.wrong(node.mark, "a case that expects nothing; write \"expect\": {\"status\": 200}")
            );
        }
        let number = index.saturating_add(1);
        let name = name.unwrap_or_else(|| format!("{number}: {} {}", request.method, request.path));
        Ok(Case { name, at: self.at(node.mark), time: own.or(time), request, expect })
    }

    fn request(&self, node: &Node) -> Result<Sent, Failure> {
        let known = ["method", "path", "headers", "client_ip", "body", "token"];
        let members = self.members(node, "a request", &known)?;
        let text = |name: &str| member(&members, name).map(|node| self.text(node)).transpose();
        let Some(path) = text("path")? else {
            return Err(
                self.wrong(node.mark, "a request without \"path\"; write one, such as \"/orders/42\"")
            );
        };
        let client_ip = match member(&members, "client_ip") {
            None => IpAddr::V4(Ipv4Addr::LOCALHOST),
            Some(node) => {
                let address = self.text(node)?.parse();
                address.map_err(|_| self.wrong(node.mark, "not an address; write one such as 203.0.113.7"))?
            }
        };
        let mut headers = Vec::new();
        for (name, value) in
            member(&members, "headers").map(|node| self.any_members(node)).transpose()?.unwrap_or_default()
        {
            let values = if value.items().is_empty() { std::slice::from_ref(value) } else { value.items() };
            for value in values {
                headers.push((name.to_ascii_lowercase(), self.text(value)?));
            }
        }
        let token = match member(&members, "token") {
            None => None,
            Some(node) => match &node.content {
                Content::Map(_) => Some(Token::Claims(node.to_json())),
                Content::Scalar { .. } if value(node).is_null() => None,
                Content::Scalar { .. } => Some(Token::Text(self.text(node)?)),
                Content::List(_) => {
                    return Err(self.wrong(node.mark, "a token is an object of claims, or a text"));
                }
            },
        };
        let body = match member(&members, "body") {
            None => None,
            // A body that is written as an object is sent as JSON.
            Some(node) => Some(match &node.content {
                Content::Scalar { .. } => self.text(node)?,
                Content::List(_) | Content::Map(_) => node.to_json(),
            }),
        };
        let method = text("method")?.unwrap_or_else(|| "GET".to_owned());
        Ok(Sent { method, path, headers, client_ip, body, token })
    }

    fn expect(&self, node: &Node) -> Result<Vec<(Aspect, Value)>, Failure> {
        let names = Aspect::ALL.map(Aspect::name);
        let members = self.members(node, "what is expected", &names)?;
        let mut expect = Vec::new();
        for (name, node) in members {
            let Some(aspect) = Aspect::ALL.into_iter().find(|aspect| aspect.name() == name) else { continue };
            let value = value(node);
            let fits = match aspect {
                Aspect::Status => value.is_u64(),
                Aspect::Code | Aspect::Route | Aspect::Subject => value.is_string() || value.is_null(),
                Aspect::UpstreamHeaders => value.as_object().is_some_and(|all| !all.is_empty()),
            };
            if !fits {
                let form = match aspect {
                    Aspect::Status => "a number such as 200",
                    Aspect::Code | Aspect::Route | Aspect::Subject => "a text, or null for none",
                    Aspect::UpstreamHeaders => {
                        "an object of headers, with null for one that must not be there"
                    }
                };
                return Err(self.wrong(node.mark, &format!("{name} is {form}")));
            }
            if let Some(problem) = never_found(aspect, &value) {
                return Err(self.wrong(node.mark, &problem));
            }
            expect.push((aspect, value));
        }
        Ok(expect)
    }

    fn time(&self, node: &Node) -> Result<UnixNanos, Failure> {
        moment(&self.text(node)?).map_err(|instead| self.wrong(node.mark, &instead))
    }

    fn text(&self, node: &Node) -> Result<String, Failure> {
        let text = node.text().filter(|_| !value(node).is_null());
        text.map(str::to_owned).ok_or_else(|| self.wrong(node.mark, "this must be a text"))
    }

    /// The members of an object, each of which must be known and stand once.
    fn members<'n>(&self, node: &'n Node, what: &str, known: &[&str]) -> Result<Members<'n>, Failure> {
        let members = self.any_members(node)?;
        for (key, _) in node.members() {
            if !known.contains(&key.name.as_str()) {
                let near = nearest(known, &key.name);
                let all = known.join("\", \"");
                let text = format!("{:?} is no field of {what}; {near}write one of \"{all}\"", key.name);
                return Err(self.wrong(key.mark, &text));
            }
        }
        Ok(members)
    }

    fn any_members<'n>(&self, node: &'n Node) -> Result<Members<'n>, Failure> {
        let Content::Map(members) = &node.content else {
            return Err(self.wrong(node.mark, "this must be an object"));
        };
        let mut seen: Vec<&str> = Vec::new();
        for (key, _) in members {
            if seen.contains(&key.name.as_str()) {
                return Err(
                    self.wrong(key.mark, &format!("{:?} appears more than once; keep one of them", key.name))
                );
            }
            seen.push(&key.name);
        }
        Ok(members.iter().map(|(key, node)| (key.name.as_str(), node)).collect())
    }
}

/// What is wrong with a status or a code that no decision has: the case could never hold.
fn never_found(aspect: Aspect, value: &Value) -> Option<String> {
    match aspect {
        Aspect::Status => {
            let statuses: BTreeSet<u64> =
                Code::ALL.iter().map(|code| code.status().into()).chain([ALLOWED]).collect();
            let status = value.as_u64().filter(|status| !statuses.contains(status))?;
            let near = statuses.iter().min_by_key(|known| known.abs_diff(status))?;
            let all: Vec<String> = statuses.iter().map(u64::to_string).collect();
            Some(format!(
                "{status} is no status of a decision; did you mean {near}? write one of {}",
                all.join(", ")
            ))
        }
        Aspect::Code => {
            let codes: Vec<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
            let code = value.as_str().filter(|code| !codes.contains(code))?;
            let near = nearest(&codes, code);
            Some(format!(
                "{code:?} is no code of a decision; {near}write a code, or null where nothing is refused"
            ))
        }
        Aspect::Route | Aspect::Subject | Aspect::UpstreamHeaders => None,
    }
}

/// Asks for the known word that is nearest to one that is unknown.
fn nearest(known: &[&str], unknown: &str) -> String {
    let near = known.iter().max_by(|one, other| {
        strsim::jaro_winkler(one, unknown).total_cmp(&strsim::jaro_winkler(other, unknown))
    });
    near.map(|near| format!("did you mean {near:?}? ")).unwrap_or_default()
}

fn member<'n>(members: &Members<'n>, name: &str) -> Option<&'n Node> {
    members.iter().find(|(known, _)| *known == name).map(|(_, node)| *node)
}

fn value(node: &Node) -> Value {
    serde_json::from_str(&node.to_json()).unwrap_or_else(|_| Value::Object(Map::new()))
}
