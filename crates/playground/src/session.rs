//! What a page keeps while it is open, and how it answers.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use api_guard_core::cells::MemoryCells;
use api_guard_core::config::Policy;
use api_guard_core::config::raw::{RawConfig, RawSecret};
use api_guard_core::request::Request;
use api_guard_core::time::UnixNanos;
use api_guard_explain::check::Loaded;
use api_guard_explain::check::finding::{Finding, Findings, Severity};
use api_guard_explain::explain::Explained;
use api_guard_explain::explain::judge::Bench;
use api_guard_explain::source::plugin::Plugin;
use api_guard_explain::source::tree::Malformed;
use api_guard_explain::source::{self, Host, Source};
use serde_json::{Value, json};

use crate::answer;
use crate::keys::{self, Fetched};
use crate::link;
use crate::request::{self, Wrong};
use crate::state::{Act, Question, State};

/// What one page has counted and revoked, as one Envoy would.
#[derive(Default)]
pub struct Session {
    /// The guard that judged last, under the configuration that it judged by.
    bench: Option<(Inputs, Bench)>,
    /// How many requests were sent since the page began anew.
    sent: u64,
}

/// What a guard is made of.
#[derive(Clone, PartialEq, Eq)]
struct Inputs {
    text: String,
    secret: String,
    key_set: String,
    signs: bool,
}

/// A configuration that can be judged by.
struct Ready {
    raw: RawConfig,
    policy: Policy,
    fetched: Fetched,
    inputs: Inputs,
}

impl Session {
    /// The answer to a question, both JSON.
    pub fn ask(&mut self, question: &[u8]) -> String {
        match serde_json::from_slice::<Question>(question) {
            Ok(question) => self.answer(&question).to_string(),
            Err(error) => json!({ "fault": error.to_string() }).to_string(),
        }
    }

    fn answer(&mut self, question: &Question) -> Value {
        let Question { act, state, .. } = question;
        if *act == Act::Link {
            return json!({ "link": link::without_secrets(state) });
        }
        if *act == Act::Reset {
            *self = Self::default();
        }
        let Written { plugin, host, malformed } = written(source::of_text(state.configuration.clone()));
        let lookup = |raw: Option<&RawConfig>, name: &str| variable(raw, state, &question.random, name);
        let raw = plugin.as_ref().and_then(|plugin| Policy::parse_shape(plugin.text.as_bytes()).ok());
        let environment = |name: &str| lookup(raw.as_ref(), name);
        let (findings, policy) = findings(malformed, plugin.as_ref(), host, &environment);
        let mut answer = json!({
            "problems": answer::problems(&findings),
            "configuration": raw.as_ref().map(answer::facts),
            "sent": self.sent,
        });
        let (Some(plugin), Some(raw), Some(policy)) = (plugin, raw, policy) else { return answer };
        let mut wrong = Wrong::new();
        if let Some(ready) = ready(plugin, raw, policy, state, &mut wrong) {
            let now = UnixNanos::from_nanos(question.now.saturating_mul(1_000_000));
            self.judge(ready, question, now, &mut wrong, &mut answer);
        }
        put(&mut answer, "wrong", Value::Object(wrong));
        answer
    }

    /// Judges the request, if it can be read, and tells everything about it.
    fn judge(
        &mut self,
        ready: Ready,
        question: &Question,
        now: UnixNanos,
        wrong: &mut Wrong,
        answer: &mut Value,
    ) {
        let Question { act, state, random, .. } = question;
        let Ready { raw, policy, fetched, inputs } = ready;
        put(answer, "fetches", json!(fetched.names));
        let lookup = |name: &str| variable(Some(&raw), state, random, name);
        let sent = match request::read(state, &raw, fetched.has_own, &lookup, now) {
            Ok(sent) => sent,
            Err(more) => {
                wrong.extend(more);
                return;
            }
        };
        let unknown = fetched.unknown.clone();
        let Some(mut bench) = self.bench(policy, fetched, &inputs, *act, bytes(random)) else {
            put(answer, "fault", json!("the counters cannot be opened: Reset begins anew"));
            return;
        };
        bench.set_client(sent.client);
        let block = sent.pairs.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
        let plan = bench.policy().header_plan();
        let request = Request::read(plan, block, sent.body.is_some());
        let body = sent.body.as_deref();
        let judged = match act {
            Act::Send => Some(bench.judge(&request, body, sent.now)),
            Act::Try | Act::Reset | Act::Link => bench.try_out(&request, body, sent.now).ok(),
        };
        if let Some(judged) = judged {
            let explained = Explained::new(&raw, &bench, &request, &judged, &unknown, sent.now);
            answer::explained(&explained, &sent.pairs, body, answer);
        }
        put(answer, "made", json!(sent.made));
        if *act == Act::Send {
            self.sent = self.sent.saturating_add(1);
            put(answer, "sent", json!(self.sent));
        }
        if *act == Act::Send || self.bench.is_none() {
            self.bench = Some((inputs, bench));
        }
    }

    /// The guard that judges. One under another configuration goes on with what was counted; on trial with a copy of it.
    fn bench(
        &mut self,
        policy: Policy,
        fetched: Fetched,
        inputs: &Inputs,
        act: Act,
        random: [u8; 16],
    ) -> Option<Bench> {
        let cells = match self.bench.take() {
            Some((known, bench)) if known == *inputs => return Some(bench),
            Some((_, bench)) if act == Act::Send => bench.into_cells(),
            Some((known, bench)) => {
                let cells = bench.cells().clone();
                self.bench = Some((known, bench));
                cells
            }
            None => MemoryCells::new(),
        };
        let client = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let mut bench = Bench::new(policy, client, cells, random).ok()?;
        bench.put_key_sets(fetched.sets);
        Some(bench)
    }
}

/// A configuration as it is typed.
pub(crate) struct Written {
    pub(crate) plugin: Option<Plugin>,
    /// Who loads it.
    host: Host,
    malformed: Option<Malformed>,
}

/// The plugin configuration of a text: the text itself, or the first one in a manifest.
pub(crate) fn written(source: Source) -> Written {
    let mut written = Written { plugin: None, host: Host::Envoy, malformed: None };
    match source {
        Source::Malformed(malformed) => written.malformed = Some(malformed),
        Source::Plugin(plugin) => written.plugin = Some(plugin),
        Source::Manifest(documents, file) => {
            if let Some(site) = source::sites(&documents).first() {
                written.host = site.host;
                written.plugin = site.configuration().map(|(_, node)| Plugin::of_node(node, &file));
            }
        }
    }
    written
}

/// Everything that is wrong or dangerous, and the policy if there is no error.
fn findings(
    malformed: Option<Malformed>,
    plugin: Option<&Plugin>,
    host: Host,
    environment: &dyn Fn(&str) -> Option<Vec<u8>>,
) -> (Vec<Finding>, Option<Policy>) {
    let mut findings = Findings::default();
    let mut policy = None;
    let whole = |mark, text: &str| Finding {
        severity: Severity::Error,
        rule: "syntax",
        pointer: String::new(),
        within: None,
        mark,
        text: text.to_owned(),
    };
    match (malformed, plugin) {
        (Some(Malformed { mark, problem }), _) => findings.0.push(whole(mark, &problem)),
        (None, Some(plugin)) => {
            let variables = BTreeMap::new();
            let loaded = Loaded { host, within: None, variables: &variables, domains: None, environment };
            policy = findings.plugin(plugin, &loaded);
        }
        (None, None) => findings.0.push(whole(source::NOWHERE, "it has no configuration of api-guard")),
    }
    findings.0.sort_by_key(|finding| finding.mark);
    findings.0.dedup();
    (findings.0, policy)
}

/// What is needed to judge. `wrong`: what is wrong with other textboxes.
fn ready(plugin: Plugin, raw: RawConfig, policy: Policy, state: &State, wrong: &mut Wrong) -> Option<Ready> {
    // Without a token no secret is needed.
    let lacks_secret = answer::first_variable(&raw).is_some() && state.secret.is_empty();
    if lacks_secret && !state.token.trim().is_empty() {
        wrong.insert("secret".to_owned(), json!("write the secret with which the token is to be verified"));
        return None;
    }
    let signs = request::signs(state) && raw.tokens.keys.iter().all(|key| key.secret.is_none());
    let fetched = match keys::fetched(&policy, &raw, &state.key_set, signs) {
        Ok(fetched) => fetched,
        Err(problem) => {
            wrong.insert("keySet".to_owned(), json!(problem));
            return None;
        }
    };
    let inputs =
        Inputs { text: plugin.text, secret: state.secret.clone(), key_set: state.key_set.clone(), signs };
    Some(Ready { raw, policy, fetched, inputs })
}

/// The value of a variable: of the first secret, what is typed; of any other, one made for the occasion.
fn variable(raw: Option<&RawConfig>, state: &State, random: &str, name: &str) -> Option<Vec<u8>> {
    let raw = raw?;
    if answer::first_variable(raw) == Some(name) {
        return Some(state.secret.clone().into_bytes()).filter(|secret| !secret.is_empty());
    }
    let is_secret = raw
        .tokens
        .keys
        .iter()
        .any(|key| matches!(&key.secret, Some(RawSecret::Env { env, .. }) if env == name));
    // Hexadecimal digits are base64 too, should the configuration want that: 32 digits three times are 72 bytes.
    is_secret.then(|| random.repeat(3).into_bytes())
}

/// Sixteen bytes of hexadecimal digits.
fn bytes(random: &str) -> [u8; 16] {
    u128::from_str_radix(random, 16).unwrap_or_default().to_be_bytes()
}

fn put(answer: &mut Value, name: &str, value: Value) {
    if let Some(members) = answer.as_object_mut() {
        members.insert(name.to_owned(), value);
    }
}
