//! Policy tests: requests, and what is expected of each. They are judged by the code that explains.

mod read;

use std::convert::Infallible;
use std::net::IpAddr;

use api_guard_core::config::raw::{RawConfig, RawFleet, RawSecret};
use api_guard_core::effect::{self, forward};
use api_guard_core::policy::Policy;
use api_guard_core::request::Request;
use api_guard_core::time::UnixNanos;
use api_guard_explain::explain::request::{Parts, pairs};
use serde_json::{Map, Value, json};

use crate::issue::Issuer;
use crate::keygen::{base64url, random};
use crate::outcome::Failure;
use crate::source::Written;
use crate::{clock, explain};

pub(crate) use api_guard_explain::rfc3339::moment;
pub(crate) use read::cases;

/// One policy test.
pub(crate) struct Case {
    pub(crate) name: String,
    /// Where it is: `FILE:LINE:COLUMN`.
    pub(crate) at: String,
    time: Option<UnixNanos>,
    request: Sent,
    pub(crate) expect: Vec<(Aspect, Value)>,
}

/// A request as a case writes it.
struct Sent {
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    client_ip: IpAddr,
    body: Option<String>,
    token: Option<Token>,
}

/// The token of a case.
enum Token {
    /// It is sent as it is.
    Text(String),
    /// It is JSON, which is signed as it stands with the configuration's own key.
    Claims(String),
}

/// What can be expected of a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Aspect {
    Status,
    Code,
    Route,
    Subject,
    UpstreamHeaders,
}

impl Aspect {
    const ALL: [Self; 5] = [Self::Status, Self::Code, Self::Route, Self::Subject, Self::UpstreamHeaders];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Code => "code",
            Self::Route => "route",
            Self::Subject => "subject",
            Self::UpstreamHeaders => "upstream_headers",
        }
    }
}

/// What became of a request.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Found {
    status: u16,
    code: Option<&'static str>,
    route: Option<String>,
    subject: Option<String>,
    /// The headers that the service sees; none where it sees no request.
    headers: Map<String, Value>,
    /// Why it was refused, or would have been.
    reasons: Vec<String>,
}

impl Found {
    /// How this differs from what was expected, in words.
    pub(crate) fn differences(&self, expected: &[(Aspect, Value)]) -> Vec<String> {
        let mut differences = Vec::new();
        let mut compare = |what: &str, expected: &Value, found: &Value| {
            if expected != found {
                let (expected, found) = (without_tokens(expected), without_tokens(found));
                differences.push(format!("{what}: {expected} expected, {found} found"));
            }
        };
        for (aspect, value) in expected {
            let found = match aspect {
                Aspect::Status => json!(self.status),
                Aspect::Code => json!(self.code),
                Aspect::Route => json!(self.route),
                Aspect::Subject => json!(self.subject),
                Aspect::UpstreamHeaders => {
                    for (name, value) in value.as_object().into_iter().flatten() {
                        let found = self.headers.get(&name.to_ascii_lowercase()).unwrap_or(&Value::Null);
                        compare(&format!("upstream_headers {name}"), value, found);
                    }
                    continue;
                }
            };
            compare(aspect.name(), value, &found);
        }
        if !differences.is_empty() && !self.reasons.is_empty() {
            differences.push(format!("because: {}", self.reasons.join("; ")));
        }
        differences
    }

    /// How another configuration decides otherwise, in words.
    pub(crate) fn changes(&self, new: &Self) -> Vec<String> {
        let mut changes = Vec::new();
        let mut compare = |what: &str, old: Value, new: Value| {
            if old != new {
                changes.push(format!("{what}: {} -> {}", without_tokens(&old), without_tokens(&new)));
            }
        };
        compare("status", json!(self.status), json!(new.status));
        compare("code", json!(self.code), json!(new.code));
        compare("route", json!(self.route), json!(new.route));
        compare("subject", json!(self.subject), json!(new.subject));
        if self.status == new.status {
            let names: std::collections::BTreeSet<&String> =
                self.headers.keys().chain(new.headers.keys()).collect();
            for name in names {
                let of = |found: &Self| found.headers.get(name).cloned().unwrap_or_default();
                compare(&format!("upstream_headers {name}"), of(self), of(new));
            }
        }
        changes
    }
}

/// A configuration that cases are tried with. Secrets whose variables are not set are made for the occasion.
pub(crate) struct Court {
    written: Written,
    pub(crate) raw: RawConfig,
    made: Vec<(String, String)>,
}

impl Court {
    pub(crate) fn new(written: Written) -> Result<Self, Failure> {
        let raw = written.raw()?;
        let mut made = Vec::new();
        let of_keys = raw.tokens.keys.iter().flat_map(|key| &key.secret).filter_map(RawSecret::variable);
        for name in of_keys.chain(raw.fleet.iter().flat_map(RawFleet::variables)) {
            if std::env::var_os(name).is_none() {
                made.push((name.to_owned(), base64url(&random::<64>()?)));
            }
        }
        let court = Self { written, raw, made };
        court.policy()?;
        Ok(court)
    }

    fn lookup(&self, name: &str) -> Option<Vec<u8>> {
        let set = std::env::var_os(name).map(std::ffi::OsString::into_encoded_bytes);
        set.or_else(|| {
            self.made.iter().find(|(known, _)| known == name).map(|(_, secret)| secret.clone().into_bytes())
        })
    }

    fn policy(&self) -> Result<Policy, Failure> {
        self.written.policy(&|name| self.lookup(name), true)
    }

    /// What becomes of a case's request, with nothing counted or revoked before.
    pub(crate) fn judge(&self, case: &Case) -> Result<Found, Failure> {
        let now = case.time.unwrap_or_else(clock::now);
        let mut bench = explain::bench(self.policy()?, case.request.client_ip)?;
        let token = match &case.request.token {
            None => None,
            Some(Token::Text(text)) => Some(text.clone()),
            Some(Token::Claims(claims)) => Some(self.sign(claims, case)?),
        };
        let Sent { method, path, headers, body, .. } = &case.request;
        let sent = pairs(
            Parts { method, path, headers, token: token.as_deref(), body: body.as_deref() },
            self.raw.tokens.sources.first(),
        );
        let bytes = sent.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
        let request = Request::read(bench.policy().header_plan(), bytes, body.is_some());
        let judged = bench.judge(&request, body.as_deref(), now);
        let refusal = judged.denial().or(judged.verdict.reported.as_ref());
        let trail = &judged.verdict.trail;
        let grant = judged.verdict.grant();
        let caller = trail.token.as_ref().and_then(|facts| facts.caller.as_ref());
        let subject = caller.and_then(|caller| caller.token.subject().map(str::to_owned));
        let mut seen = Map::new();
        if let (Some(grant), None) = (grant, judged.reply(bench.policy(), &request)) {
            for (name, value) in sent.iter().filter(|(name, _)| !name.starts_with(':')) {
                add(&mut seen, name, value);
            }
            let Ok(()) = forward::each_edit::<Infallible>(bench.policy(), grant, &request, |edit| {
                let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                match edit {
                    forward::Edit::Remove(name) => drop(seen.remove(&text(name))),
                    forward::Edit::Set(name, value) => drop(seen.insert(name.to_owned(), json!(text(value)))),
                    forward::Edit::Add(name, value) => add(&mut seen, name, &text(value)),
                }
                Ok(())
            });
        }
        Ok(Found {
            status: judged.denial().map_or(200, |denial| denial.code().status()),
            code: refusal.map(|denial| denial.code().as_str()),
            route: bench.policy().route_label(trail.form.route).map(str::to_owned),
            subject,
            headers: seen,
            reasons: refusal.map(effect::reasons).unwrap_or_default(),
        })
    }

    fn sign(&self, claims: &str, case: &Case) -> Result<String, Failure> {
        let issuer = Issuer::of(&self.raw, &|name| self.lookup(name)).ok_or_else(|| {
            Failure::failed(format!(
                "{}: the configuration has no secret to sign claims with; write the token as a text",
                case.at
            ))
        })?;
        Ok(issuer.sign(claims))
    }
}

/// A value as JSON, without tokens: reports are kept and shown to others, and the service would accept what is in them.
fn without_tokens(value: &Value) -> String {
    let is_between = |letter: char| !letter.is_ascii_alphanumeric() && !"-_.".contains(letter);
    let text = value.to_string();
    let pieces = text.split_inclusive(is_between).map(|piece| {
        let word = piece.trim_end_matches(is_between);
        // A header of JOSE is an object, which begins so in base64url.
        let is_token = word.starts_with("ey") && word.matches('.').count() == 2;
        if is_token { piece.replace(word, "<token>") } else { piece.to_owned() }
    });
    pieces.collect()
}

/// Adds a header; of one that is there already, a list.
fn add(headers: &mut Map<String, Value>, name: &str, value: &str) {
    match headers.get_mut(name) {
        None => drop(headers.insert(name.to_owned(), json!(value))),
        Some(Value::Array(values)) => values.push(json!(value)),
        Some(one) => *one = json!([one.take(), value]),
    }
}
