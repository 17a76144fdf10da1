//! The metrics page as Prometheus reads it: names and labels are the contract's, the values are the configuration's,
//! and the shipped dashboard and alert rules ask for nothing that is not there.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::ask::{Ask, BOTH, Body, Protocol};
use crate::issuer::remote_set;
use crate::kind::{self, Kind};
use crate::process::{Envoy, eventually};
use crate::setup::{Setup, policy};
use crate::store::Store;
use crate::token::{base64url, forged, now, payload, sign, sign_with, token};

const DASHBOARD: &str = include_str!("../../examples/grafana/dashboard.json");
const OPERATIONS: &str = include_str!("../../docs/operations.md");
/// The pages that name a metric beside the operations page.
const PAGES: [&str; 2] = [include_str!("../../docs/answers.md"), include_str!("../../docs/limits.md")];
const ALERTS: &str = include_str!("../../examples/prometheus/alerts.yaml");

/// A key's name with everything in it that could end a label too early.
const ODD_KID: &str = r#"https://keys.example/1.code.x.outcome.y?q="2"\{}:;,%25"#;

/// A set's name with everything in it that may be in one.
const ODD_SET: &str = "login-outcome_2";

/// Every counter with its labels.
const COUNTERS: [(&str, &[&str]); 7] = [
    ("api_guard_requests_total", &["code", "decision"]),
    ("api_guard_rate_limit_total", &["limit", "outcome"]),
    ("api_guard_token_cache_total", &["outcome"]),
    ("api_guard_key_used_total", &["kid"]),
    ("api_guard_key_set_fetches_total", &["outcome", "set"]),
    ("api_guard_revocations_total", &["outcome"]),
    ("api_guard_faults_total", &["kind"]),
];

/// Every gauge with its labels.
const GAUGES: [(&str, &[&str]); 9] = [
    ("api_guard_info", &["config", "version"]),
    ("api_guard_limiter_identities", &["state"]),
    ("api_guard_limiter_capacity", &[]),
    ("api_guard_revocation_entries", &[]),
    ("api_guard_revocation_capacity", &[]),
    ("api_guard_key_expires_timestamp_seconds", &["kid"]),
    ("api_guard_held_bytes", &[]),
    ("api_guard_key_set_keys", &["set"]),
    ("api_guard_key_set_age_seconds", &["set"]),
];

/// Every counter and gauge of a fleet, with its labels.
const OF_A_FLEET: [(&str, &[&str]); 9] = [
    ("api_guard_fleet_calls_total", &["result", "use"]),
    ("api_guard_fleet_leased_units_total", &[]),
    ("api_guard_fleet_returned_units_total", &[]),
    ("api_guard_fleet_waited_requests_total", &[]),
    ("api_guard_fleet_share_requests_total", &[]),
    ("api_guard_fleet_engine_resets_total", &[]),
    ("api_guard_fleet_reachable", &[]),
    ("api_guard_fleet_nodes", &[]),
    ("api_guard_fleet_revocation_age_seconds", &[]),
];

/// Whether a fleet is shown: a machine may have no store.
fn has_fleet() -> bool {
    Store::is_here()
}

/// Everything that is shown, with its labels.
fn metrics() -> impl Iterator<Item = &'static (&'static str, &'static [&'static str])> {
    let of_a_fleet = OF_A_FLEET.iter().filter(|_| has_fleet());
    COUNTERS.iter().chain(&GAUGES).chain(of_a_fleet)
}

/// Labels that are not Envoy's but of whoever scrapes it.
const OF_THE_SCRAPER: [&str; 3] = ["instance", "job", "namespace"];

/// Envoy's labels whose names look like a metric's.
const LABELS_OF_ENVOY: [&str; 2] = ["envoy_response_code_class", "envoy_http_conn_manager_prefix"];

pub(crate) type Labels = BTreeMap<String, String>;

/// Label, operator, value.
type Matcher = (String, String, String);

/// One line of the metrics page.
#[derive(Debug)]
pub(crate) struct Series {
    pub(crate) name: String,
    pub(crate) labels: Labels,
    value: f64,
}

pub(crate) fn series(envoy: &Envoy) -> Vec<Series> {
    let page = envoy.prometheus();
    let lines = page.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    lines
        .map(|line| {
            let (name, rest) = line.split_once('{').expect("every line has labels");
            let (labels, rest) = read_matchers(rest);
            let labels = labels.into_iter().map(|(label, _, value)| (label, value)).collect();
            Series { name: name.to_owned(), labels, value: rest.trim().parse().unwrap() }
        })
        .collect()
}

/// Reads `label="value",...}`, where `=` may be `!=`, `=~` or `!~`: label, operator, value; and what follows the brace.
fn read_matchers(mut text: &str) -> (Vec<Matcher>, &str) {
    let mut matchers = Vec::new();
    loop {
        text = text.trim_start_matches([',', ' ']);
        if let Some(rest) = text.strip_prefix('}') {
            return (matchers, rest);
        }
        let (head, rest) = text.split_once('"').unwrap();
        let label = head.trim_end_matches(['=', '!', '~']);
        let mut value = String::new();
        let mut letters = rest.char_indices();
        let end = loop {
            match letters.next().expect("the value ends") {
                (at, '"') => break at,
                (_, '\\') => match letters.next().unwrap().1 {
                    'n' => value.push('\n'),
                    letter => value.push(letter),
                },
                (_, letter) => value.push(letter),
            }
        };
        matchers.push((label.to_owned(), head[label.len()..].to_owned(), value));
        text = &rest[end + 1..];
    }
}

/// The value of one of the module's counters; 0 where there is no such series.
fn value(series: &[Series], name: &str, labels: &[(&str, &str)]) -> f64 {
    let labels: Labels = labels.iter().map(|(label, value)| ((*label).into(), (*value).into())).collect();
    series.iter().find(|one| one.name == name && one.labels == labels).map_or(0.0, |one| one.value)
}

/// An Envoy that has seen every kind of request that a client can send, and the store of its fleet.
pub(crate) struct Busy {
    envoy: Envoy,
    _store: Option<Store>,
}

impl std::ops::Deref for Busy {
    type Target = Envoy;

    fn deref(&self) -> &Envoy {
        &self.envoy
    }
}

pub(crate) fn busy() -> Busy {
    busy_with(|_| ())
}

/// The same under another setup.
pub(crate) fn busy_with(change: impl FnOnce(&mut Setup)) -> Busy {
    let limit = |name: &str, max_requests: u32, key: &[&str]| json!({ "name": name, "max_requests": max_requests, "window_seconds": 600, "key": key });
    let mut plugin = policy(json!({
        "tokens": { "keys": [
            { "kid": ODD_KID, "secret": { "env": "API_GUARD_SECRET" }, "not_after": "2099-01-01T00:00:00Z" },
            { "kid": "2026-11", "secret": { "value": "the-second-secret-of-more-than-32-bytes" } },
        ], "key_sets": [
            // Of a cluster that is not there: that they can be fetched is shown elsewhere.
            remote_set(ODD_SET, "https://login.example.com/", json!({})),
        ] },
        "routes": [
            { "path": "/orders/{id}", "methods": ["GET"], "required_permissions": ["orders:read"] },
            { "path": "/try", "required_permissions": ["try:it"], "mode": "report" },
            { "path": "/few", "rate_limits": [limit("a-few_2", 5, &["subject"])] },
            { "path": "/many", "rate_limits": [limit("many", 5, &["header:x-caller"])] },
        ],
        "rate_limits": [limit("all", 100_000, &["client_ip"])],
        "auth_failure_limit": { "max_failures": 60, "window_seconds": 600 },
        "limiter_capacity": 16,
        "revocation": { "capacity": 1, "endpoint": {} },
    }));
    let store = if has_fleet() { Store::up() } else { None };
    if store.is_some() {
        let secret = json!({ "value": "a-secret-of-the-fleet-of-more-than-32-bytes" });
        plugin["fleet"] = json!({ "cluster": "store", "secret": secret, "timeout_milliseconds": 1000 });
        plugin["revocation"]["fleet"] = json!({ "at_start": "serve" });
    }
    let mut setup = Setup { replaceable: true, ..Setup::new(&plugin) };
    setup.clusters.extend(store.as_ref().map(Store::cluster));
    change(&mut setup);
    let envoy = Envoy::start(setup);
    let good = token(json!({}));
    let revoke = |by: &str, body: &Value| {
        let body = Body::Sized(body.to_string().into_bytes());
        Ask::post("/auth/revoke").token(by).body(body).send(&envoy, Protocol::Http1).status
    };
    for protocol in BOTH {
        Ask::get("/x").token(&good).send(&envoy, protocol).forwarded(&envoy);
        Ask::get("/try").token(&good).send(&envoy, protocol).forwarded(&envoy);
        Ask::get("/x").send(&envoy, protocol).refused(&envoy, 401, "token_missing");
        Ask::get("/orders/1").token(&good).send(&envoy, protocol).refused(&envoy, 403, "permission_missing");
    }
    let second = sign_with(
        b"the-second-secret-of-more-than-32-bytes",
        r#"{"alg":"HS256","kid":"2026-11"}"#,
        payload(json!({})).to_string(),
    );
    Ask::get("/x").token(&second).send(&envoy, Protocol::Http1).forwarded(&envoy);
    for _ in 0..6 {
        Ask::get("/few").token(&good).send(&envoy, Protocol::Http1);
    }
    for caller in 0..100 {
        Ask::get("/many").header("x-caller", caller.to_string()).token(&good).send(&envoy, Protocol::Http1);
    }
    let officer = token(json!({ "sub": "officer", "permissions": ["tokens:revoke"] }));
    let gone = token(json!({ "jti": "gone" }));
    let by_jti = |jti: &str| json!({ "jti": jti, "expires_at": now() + 3000 });
    assert_eq!(revoke(&officer, &json!({ "token": gone })), 200);
    Ask::get("/x").token(&gone).send(&envoy, Protocol::Http1).refused(&envoy, 401, "token_revoked");
    assert_eq!(revoke(&officer, &json!({ "token": "a.b.c" })), 400);
    assert_eq!(revoke(&good, &by_jti("another")), 403);
    let full = (0..50).find(|number| revoke(&officer, &by_jti(&format!("j{number}"))) == 503);
    assert!(full.is_some(), "a table of one entry is never full");
    for _ in 0..61 {
        Ask::get("/x").token(&forged(json!({}))).send(&envoy, Protocol::Http2);
    }
    Busy { envoy, _store: store }
}

/// The module's series, once everything that `busy` did is handed over.
fn settled(envoy: &Envoy) -> Vec<Series> {
    eventually("not everything is counted", || {
        let series = series(envoy);
        (value(
            &series,
            "api_guard_requests_total",
            &[("decision", "refused"), ("code", "auth_failures_limited")],
        ) > 0.0)
            .then_some(series)
    })
}

#[test]
fn every_kind_of_request_is_counted_under_the_labels_of_the_contract() {
    let envoy = busy();
    let series = settled(&envoy);
    let ours: Vec<_> = series
        .iter()
        .filter(|one| one.name.contains("api_guard_") && !one.name.starts_with("envoy_"))
        .collect();
    for one in &ours {
        let (_, labels) = metrics().find(|(name, _)| *name == one.name).expect(&one.name);
        assert_eq!(one.labels.keys().collect::<Vec<_>>(), *labels, "{one:?}");
    }
    let names: BTreeSet<_> = ours.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names, metrics().map(|(name, _)| *name).collect());

    let at_least = |count: f64, name: &str, labels: &[(&str, &str)]| {
        let found = value(&series, name, labels);
        assert!(found >= count, "{name}{labels:?} is {found}");
    };
    let requests = "api_guard_requests_total";
    for (decision, code, count) in [
        ("allowed", "ok", 3.0),
        ("would_refuse", "permission_missing", 2.0),
        ("refused", "token_missing", 2.0),
        ("refused", "permission_missing", 3.0),
        ("refused", "token_revoked", 1.0),
        ("refused", "token_signature_invalid", 58.0),
        ("refused", "rate_limited", 1.0),
        ("refused", "revocation_full", 1.0),
    ] {
        at_least(count, requests, &[("decision", decision), ("code", code)]);
    }
    let limited = "api_guard_rate_limit_total";
    for (limit, outcome) in [
        ("all", "admitted"),
        ("a-few_2", "admitted"),
        ("a-few_2", "warned"),
        ("a-few_2", "refused"),
        ("many", "overflow"),
        ("auth-failures", "refused"),
    ] {
        at_least(1.0, limited, &[("limit", limit), ("outcome", outcome)]);
    }
    for outcome in ["hit", "miss"] {
        at_least(1.0, "api_guard_token_cache_total", &[("outcome", outcome)]);
    }
    for kid in [ODD_KID, "2026-11"] {
        at_least(1.0, "api_guard_key_used_total", &[("kid", kid)]);
    }
    for outcome in ["revoked", "invalid", "forbidden", "full"] {
        at_least(1.0, "api_guard_revocations_total", &[("outcome", outcome)]);
    }
    envoy.assert_healthy();
}

#[test]
fn no_series_is_made_by_what_clients_send() {
    let envoy = busy();
    let ours = || -> BTreeSet<(String, Labels)> {
        let all = series(&envoy).into_iter();
        all.filter(|one| one.name.starts_with("api_guard_")).map(|one| (one.name, one.labels)).collect()
    };
    let before = ours();
    for number in 0..20 {
        let mark = format!("mark{number}.code.x");
        let header = json!({ "alg": "HS256", "kid": mark }).to_string();
        let claims = json!({ "sub": mark, "jti": mark, "iss": mark, "plan": mark });
        for ask in [
            Ask::get(format!("/{mark}")).token(&sign(header, payload(claims.clone()).to_string())),
            Ask::get("/many").header("x-caller", &mark).token(&token(claims.clone())),
            Ask::new(format!("M{number}"), "/x").host(&mark).header("x-request-id", &mark),
            Ask::post("/x").header("content-type", &mark).token(&token(json!({ "permissions": [mark] }))),
            Ask::get("/x").token(&format!(
                "{}.{}.",
                base64url(format!("{{\"alg\":\"{mark}\"}}")),
                base64url("{}")
            )),
        ] {
            let _ = ask.try_send(&envoy, Protocol::Http2);
        }
    }
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert_eq!(ours(), before);
}

/// Every series that a PromQL text selects: name, matchers.
fn selectors(text: &str) -> Vec<(String, Vec<Matcher>)> {
    let is_word = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let mut found = Vec::new();
    for start in ["api_guard_", "envoy_"] {
        for (at, _) in text.match_indices(start) {
            let inside_a_word = text[..at].chars().next_back().is_some_and(is_word);
            let end = text[at..].find(|letter| !is_word(letter)).map_or(text.len(), |length| at + length);
            if inside_a_word || LABELS_OF_ENVOY.contains(&&text[at..end]) {
                continue;
            }
            let matchers = text[end..].strip_prefix('{').map(|rest| read_matchers(rest).0);
            found.push((text[at..end].to_owned(), matchers.unwrap_or_default()));
        }
    }
    found
}

/// The labels that a PromQL text groups by.
fn groupings(text: &str) -> Vec<String> {
    let lists = text.split("by (").skip(1).map(|rest| rest.split(')').next().unwrap());
    lists.flat_map(|list| list.split(',').map(|label| label.trim().to_owned())).collect()
}

/// Fails unless everything that `text` asks for is among `series`.
#[track_caller]
fn assert_answerable(series: &[Series], text: &str) -> BTreeSet<String> {
    let mut known: BTreeSet<&str> = OF_THE_SCRAPER.into();
    let mut asked = BTreeSet::new();
    for (name, matchers) in selectors(text) {
        let of_name: Vec<_> = series.iter().filter(|one| one.name == name).collect();
        let is_left_out = Kind::under_test() == Kind::Native && name.starts_with(kind::OF_VMS)
            || !has_fleet() && name.starts_with("api_guard_fleet_");
        if is_left_out {
            asked.insert(name);
            continue;
        }
        assert!(!of_name.is_empty(), "no metric {name}, asked for in {text}");
        known.extend(of_name.iter().flat_map(|one| one.labels.keys().map(String::as_str)));
        for (label, operator, value) in matchers {
            if OF_THE_SCRAPER.contains(&label.as_str()) {
                continue;
            }
            let alternatives =
                if operator.contains('~') { value.split('|').collect() } else { vec![value.as_str()] };
            for wanted in alternatives {
                let there =
                    of_name.iter().any(|one| one.labels.get(&label).is_some_and(|found| found == wanted));
                // What is excluded need not be there, but its label must.
                let excluded =
                    operator.starts_with('!') && of_name.iter().any(|one| one.labels.contains_key(&label));
                assert!(there || excluded, "no {name}{{{label}=\"{wanted}\"}}, asked for in {text}");
            }
        }
        asked.insert(name);
    }
    for label in groupings(text) {
        assert!(known.contains(label.as_str()), "no label {label}, grouped by in {text}");
    }
    asked
}

#[test]
fn dashboard_and_alerts_ask_for_what_envoy_shows() {
    let envoy = busy();
    let series = settled(&envoy);
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    let mut shown = BTreeSet::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().into_iter().flatten() {
            let query = target["expr"].as_str().unwrap();
            let asked = assert_answerable(&series, query);
            assert!(!asked.is_empty(), "{panel}");
            shown.extend(asked);
            let legend = target["legendFormat"].as_str().unwrap();
            for label in legend.split("{{").skip(1).map(|rest| rest.split("}}").next().unwrap()) {
                assert!(
                    groupings(query).contains(&label.to_owned()),
                    "{label} of the legend is lost in {query}"
                );
            }
        }
    }
    for (name, _) in metrics() {
        assert!(shown.contains(*name), "the dashboard does not show {name}");
    }
    let expression = |rule: &'static str| rule.split("expr: ").nth(1)?.split("labels: ").next();
    let rules: Vec<_> = ALERTS.split("- alert: ").skip(1).filter_map(expression).collect();
    assert_eq!(rules.len(), ALERTS.matches("- alert: ").count());
    for query in rules {
        assert!(!assert_answerable(&series, query).is_empty(), "{query}");
    }
}

#[test]
fn the_operations_page_names_what_envoy_shows() {
    let envoy = busy();
    let settled = settled(&envoy);
    for page in PAGES {
        assert!(!assert_answerable(&settled, page).is_empty());
    }
    let asked = assert_answerable(&settled, OPERATIONS);
    for (name, _) in metrics() {
        assert!(asked.contains(*name), "{name}: {asked:?}");
    }
    // Envoy's own names, which are the connection manager's in part.
    let names: BTreeSet<String> = envoy.stats().into_iter().map(|(name, _)| name).collect();
    let quoted = OPERATIONS.split('`').skip(1).step_by(2);
    let of_envoy =
        |name: &&str| ["listener_manager.", "http.", "server."].iter().any(|start| name.starts_with(start));
    let dotted: Vec<_> = quoted.filter(of_envoy).collect();
    assert!(dotted.len() >= 4, "{dotted:?}");
    for name in dotted {
        let name = name.replace("http.api.", "http.ingress.");
        assert!(names.contains(&name), "Envoy has no {name}");
    }
}

/// The values of the labels that the contract lists, or that the configuration of `busy` has.
#[test]
fn no_label_has_a_value_that_is_not_in_the_contract() {
    let envoy = busy();
    let series = settled(&envoy);
    let values = |name: &str, label: &str| -> BTreeSet<String> {
        let of_name = series.iter().filter(|one| one.name == name);
        of_name.map(|one| one.labels[label].clone()).collect()
    };
    let set = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect::<BTreeSet<_>>();
    let requests = "api_guard_requests_total";
    assert_eq!(values(requests, "decision"), set(&["allowed", "refused", "would_refuse"]));
    let codes: Vec<_> =
        api_guard_core::code::Code::ALL.iter().map(|code| code.as_str()).chain(["ok"]).collect();
    assert_eq!(values(requests, "code"), set(&codes));
    let limits = "api_guard_rate_limit_total";
    assert_eq!(values(limits, "outcome"), set(&["admitted", "warned", "refused", "overflow", "contended"]));
    assert_eq!(values(limits, "limit"), set(&["all", "a-few_2", "many", "auth-failures"]));
    assert_eq!(values("api_guard_token_cache_total", "outcome"), set(&["hit", "miss"]));
    assert_eq!(values("api_guard_key_used_total", "kid"), set(&[ODD_KID, "2026-11"]));
    assert_eq!(values("api_guard_key_expires_timestamp_seconds", "kid"), set(&[ODD_KID]));
    assert_eq!(values("api_guard_limiter_identities", "state"), set(&["live"]));
    assert_eq!(values("api_guard_info", "version"), set(&[env!("CARGO_PKG_VERSION")]));
    let fetches = "api_guard_key_set_fetches_total";
    for name in [fetches, "api_guard_key_set_keys", "api_guard_key_set_age_seconds"] {
        assert_eq!(values(name, "set"), set(&[ODD_SET]));
    }
    let outcomes = ["ok", "status", "timeout", "reset", "malformed", "too_large", "unusable"];
    assert_eq!(values(fetches, "outcome"), set(&outcomes));
    let revocations = ["revoked", "full", "invalid", "forbidden", "fault", "unshared"];
    assert_eq!(values("api_guard_revocations_total", "outcome"), set(&revocations));
    if has_fleet() {
        let calls = "api_guard_fleet_calls_total";
        assert_eq!(values(calls, "use"), set(&["limit", "revocation", "heartbeat"]));
        let results = [
            "ok",
            "timeout",
            "reset",
            "malformed",
            "denied",
            "readonly",
            "full",
            "loading",
            "moved",
            "error",
        ];
        assert_eq!(values(calls, "result"), set(&results));
    }
    let faults: Vec<_> = api_guard_core::fault::Fault::ALL.iter().map(|fault| fault.kind()).collect();
    assert_eq!(values("api_guard_faults_total", "kind"), set(&faults));
}

#[test]
fn every_answer_of_the_contract_is_in_the_alert_of_its_status() {
    for (status, alert) in
        [(401, "ApiGuardManyUnauthorized"), (403, "ApiGuardManyForbidden"), (429, "ApiGuardManyLimited")]
    {
        let after = ALERTS.split(&format!("alert: {alert}\n")).nth(1).unwrap();
        let (_, matchers) = selectors(after.lines().next().unwrap()).swap_remove(0);
        let (_, _, value) = matchers.iter().find(|(label, _, _)| label == "code").unwrap();
        let named: BTreeSet<_> = value.split('|').collect();
        let codes = api_guard_core::code::Code::ALL.iter().filter(|code| code.status() == status);
        assert_eq!(named, codes.map(|code| code.as_str()).collect(), "{alert}");
    }
}
