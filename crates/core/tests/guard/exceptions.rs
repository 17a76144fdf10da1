//! Where limits do not apply: routes that skip them, addresses that they except, and preflights, which are counted apart.

use api_guard_core::effect::rate_headers;
use api_guard_core::verdict::{Stage, State, Verdict};
use serde_json::{Value, json};

use super::{Guarded, HOUR, START, request, said, signed, token};
use api_guard_testkit::{SECRET, policy};

fn limit(name: &str, key: &str) -> Value {
    json!({ "name": name, "max_requests": 1, "window_seconds": 60, "key": [key] })
}

fn excepting(mut limit: Value, networks: &[&str]) -> Value {
    limit["except_addresses"] = json!(networks);
    limit
}

fn bearer() -> String {
    format!("Bearer {}", token(&json!({ "sub": "u1", "iat": START, "exp": START + HOUR })))
}

/// The names of the limits that were judged, and of those that except the address.
fn names(guarded: &Guarded, verdict: &Verdict) -> [Vec<String>; 2] {
    let names: Vec<&str> = guarded.guard.policy().limit_names().collect();
    let judged = verdict.trail.limits.iter().map(|judged| names[judged.limit.get()].to_owned()).collect();
    let excepted = &verdict.trail.excepted;
    [judged, excepted.iter().map(|excepted| names[excepted.limit.get()].to_owned()).collect()]
}

#[test]
fn a_route_skips_the_limits_that_it_names_and_no_others() {
    let own = json!([limit("own", "route")]);
    let rest = json!({
        "rate_limits": [limit("early", "client_ip"), limit("late", "subject")],
        "routes": [
            { "path": "/one", "skip_limits": ["early"] },
            { "path": "/two", "skip_limits": ["early", "late"] },
            { "path": "/all", "skip_limits": ["*"] },
            { "path": "/own", "skip_limits": ["*"], "rate_limits": own },
            { "path": "/none" },
        ],
    });
    for (path, expected) in [
        ("/one", &["late"][..]),
        ("/two", &[]),
        ("/all", &[]),
        ("/own", &["own"]),
        ("/none", &["early", "late"]),
        ("/elsewhere", &["early", "late"]),
    ] {
        let mut guarded = Guarded::new(json!({}), rest.clone());
        let bearer = bearer();
        let get = request("GET", path, &[("authorization", &bearer)]);
        let verdict = guarded.admit(&get, START);
        assert_eq!(names(&guarded, &verdict), [expected, &[]], "{path}");
        let told = rate_headers::tightest(guarded.guard.policy(), &verdict.trail);
        assert_eq!(
            told.is_some(),
            !expected.is_empty(),
            "{path}: no header tells of a limit that does not apply"
        );
        let again = said(&guarded.admit(&get, START));
        assert_eq!(again, if expected.is_empty() { "ok" } else { "rate_limited" }, "{path}");
    }
}

#[test]
fn a_skipped_limit_is_not_spent_for_other_routes() {
    let rest = json!({
        "unmatched_routes": "public",
        "rate_limits": [limit("default", "client_ip")],
        "routes": [{ "path": "/health", "access": "public", "skip_limits": ["default"] }],
    });
    let mut guarded = Guarded::new(json!({}), rest);
    let get = |guarded: &mut Guarded, path| said(&guarded.admit(&request("GET", path, &[]), START));
    assert!((0..5).all(|_| get(&mut guarded, "/health") == "ok"));
    assert_eq!(get(&mut guarded, "/"), "ok");
    assert_eq!(get(&mut guarded, "/"), "rate_limited");
    assert_eq!(get(&mut guarded, "/health"), "ok");
}

#[test]
fn an_address_that_a_limit_excepts_is_neither_counted_nor_refused() {
    let networks = ["10.0.0.0/8", "2001:db8:1:2::7"];
    let rest = json!({
        "unmatched_routes": "public",
        "rate_limits": [excepting(limit("early", "route"), &networks)],
    });
    let mut guarded = Guarded::new(json!({}), rest);
    for (address, expected) in [
        ("10.1.2.3:4", "ok"),
        ("10.1.2.3:4", "ok"),
        ("[::ffff:10.1.2.3]:4", "ok"),
        // The whole address decides, not the prefix by which limits count.
        ("[2001:db8:1:2::7]:4", "ok"),
        ("[2001:db8:1:2::8]:4", "ok"),
        ("[2001:db8:1:2::8]:4", "rate_limited"),
        ("[2001:db8:1:2::7]:4", "ok"),
        ("11.1.2.3:4", "rate_limited"),
        // A client without an address is in no network.
        ("@/tmp/socket", "rate_limited"),
        ("10.1.2.3:4", "ok"),
    ] {
        guarded.process.address = Some(address);
        let verdict = guarded.admit(&request("GET", "/", &[]), START);
        assert_eq!(said(&verdict), expected, "{address}");
    }
}

#[test]
fn each_limit_has_exceptions_of_its_own_before_and_after_the_token() {
    let rest = json!({
        "rate_limits": [
            excepting(limit("early", "client_ip"), &["10.0.0.0/8"]), excepting(limit("late", "subject"), &["10.1.0.0/16"]),
        ],
    });
    for (address, judged, excepted) in [
        ("10.1.0.1:1", &[][..], &["early", "late"][..]),
        ("10.2.0.1:1", &["late"], &["early"]),
        ("11.0.0.1:1", &["early", "late"], &[]),
    ] {
        let mut guarded = Guarded::new(json!({}), rest.clone());
        guarded.process.address = Some(address);
        let bearer = bearer();
        let get = request("GET", "/", &[("authorization", &bearer)]);
        let verdict = guarded.admit(&get, START);
        assert_eq!(names(&guarded, &verdict), [judged, excepted], "{address}");
        let early = if judged.contains(&"early") { State::Passed } else { State::Skipped };
        assert_eq!(verdict.trail.state(Stage::EarlyLimits), early, "{address}");
        let again = said(&guarded.admit(&get, START));
        assert_eq!(again, if judged.is_empty() { "ok" } else { "rate_limited" }, "{address}");
    }
}

#[test]
fn a_judgement_that_waited_still_knows_the_whole_address() {
    let mut late = excepting(limit("late", "subject"), &["2001:db8:1:2::7"]);
    late["mode"] = json!("enforce");
    let configuration = json!({
        "tokens": { "keys": [{ "secret": { "value": SECRET } }] },
        "mode": "report",
        "rate_limits": [limit("early", "client_ip"), late],
    });
    let mut guarded = Guarded::under(policy(&configuration).asking_for_keys());
    let claims = json!({ "sub": "u1", "iat": START, "exp": START + HOUR }).to_string();
    let unknown = format!("Bearer {}", signed(SECRET, r#"{"alg":"HS256","kid":"new"}"#, &claims));
    let get = request("GET", "/", &[("authorization", &unknown)]);
    guarded.process.address = Some("[2001:db8:1:2::7]:1");
    assert!((0..3).all(|_| said(&guarded.admit(&get, START)) == "ok"));
    guarded.process.address = Some("[2001:db8:1:2::8]:1");
    assert_eq!(["ok", "rate_limited"].map(|_| said(&guarded.admit(&get, START))), ["ok", "rate_limited"]);
}

const PREFLIGHT: [(&str, &str); 2] =
    [("origin", "https://a.example"), ("access-control-request-method", "GET")];

#[test]
fn forwarded_preflights_take_nothing_from_requests_of_the_same_key() {
    for key in ["client_ip", "subject", "route", "path"] {
        let rest = json!({
            "request": { "cors_preflight": "forward" },
            "unmatched_routes": "public",
            "rate_limits": [limit("one", key)],
        });
        let mut guarded = Guarded::new(json!({}), rest);
        let mut ask =
            |method, headers: &[(&str, &str)]| said(&guarded.admit(&request(method, "/", headers), START));
        assert_eq!(ask("OPTIONS", &PREFLIGHT), "ok", "{key}");
        assert_eq!(ask("OPTIONS", &PREFLIGHT), "rate_limited", "{key}: as many as requests");
        assert_eq!(ask("GET", &[]), "ok", "{key}");
        assert_eq!(ask("GET", &[]), "rate_limited", "{key}");
    }
}

#[test]
fn a_preflight_that_is_no_other_than_other_requests_is_counted_with_them() {
    let rest = |preflight: &str, access: &str| {
        json!({
            "request": { "cors_preflight": preflight, "allowed_methods": ["GET", "OPTIONS"] },
            "routes": [{ "path": "/", "access": access }],
            "rate_limits": [limit("one", "client_ip")],
        })
    };
    // It is not forwarded as one, or not at all.
    for (preflight, access, first) in [("reject", "public", "ok"), ("forward", "deny", "token_missing")] {
        let mut guarded = Guarded::new(json!({}), rest(preflight, access));
        let mut ask =
            |method, headers: &[(&str, &str)]| said(&guarded.admit(&request(method, "/", headers), START));
        assert_eq!(ask("OPTIONS", &PREFLIGHT), first, "{preflight}");
        assert_eq!(ask("GET", &[]), "rate_limited", "{preflight}");
    }
}
