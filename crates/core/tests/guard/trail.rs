//! What each step notes: an entry for every step, in order, whatever becomes of the request.

use api_guard_core::verdict::{Stage, State, Verdict};
use serde_json::{Value, json};

use super::{Guarded, HOUR, START, request, token};

/// The states of the steps, in order, a letter each: passed, refused, would have refused (`w`), skipped, not reached.
fn states(verdict: &Verdict) -> String {
    let letter = |state: State| match state {
        State::Passed => 'p',
        State::Refused => 'r',
        State::Reported => 'w',
        State::Skipped => 's',
        State::NotReached => '-',
    };
    let entries: Vec<_> = verdict.trail.entries().collect();
    assert_eq!(entries.iter().map(|entry| entry.stage).collect::<Vec<_>>(), Stage::ALL);
    for entry in &entries {
        assert_eq!(entry.state, verdict.trail.state(entry.stage), "{entry:?}");
    }
    entries.into_iter().map(|entry| letter(entry.state)).collect()
}

/// A limit that admits one request in an hour.
fn limit(name: &str, key: &str, mode: &str) -> Value {
    json!({ "name": name, "max_requests": 1, "window_seconds": 3600, "key": [key], "mode": mode })
}

#[test]
fn a_step_has_a_name_of_its_own() {
    let names: Vec<&str> = Stage::ALL.iter().map(|stage| stage.name()).collect();
    let expected = [
        "form",
        "addresses",
        "limits before the token",
        "token",
        "revocation",
        "limits after the token",
        "permission",
    ];
    assert_eq!(names, expected);
}

#[test]
fn each_step_says_what_came_of_it_and_those_after_a_refusal_were_not_reached() {
    let owner = token(&json!({ "sub": "u1", "iat": START, "exp": START + HOUR, "permissions": ["a:b"] }));
    let other = token(&json!({ "sub": "u2", "iat": START, "exp": START + HOUR }));
    let expired = token(&json!({ "sub": "u1", "iat": START, "exp": START }));
    let routes = json!([
        { "path": "/open", "access": "public" },
        { "path": "/asks", "required_permissions": ["a:b"] },
    ]);
    let plain = json!({ "routes": routes });
    let fenced = json!({ "routes": [{ "path": "/asks", "deny_from": ["10.0.0.0/8"] }, { "path": "/open", "access": "optional", "allow_from": ["10.0.0.0/8"] }] });
    let optional = json!({ "routes": [{ "path": "/open", "access": "optional" }, { "path": "/asks", "access": "optional", "required_permissions": ["a:b"] }] });
    let denied = json!({ "routes": routes, "revocation": { "denied": { "sub": ["u1"] } } });
    let limited = |mode: &str| json!({ "routes": routes, "rate_limits": [limit("early", "client_ip", mode), limit("late", "subject", mode)] });
    for (configuration, path, token, times, expected) in [
        (&plain, "/open", None, 1, "pssssss"),
        (&plain, "//", None, 1, "r------"),
        (&plain, "/asks", None, 1, "pssr---"),
        (&plain, "/asks", Some(&expired), 1, "pssr---"),
        (&plain, "/asks", Some(&owner), 1, "pssppsp"),
        (&plain, "/asks", Some(&other), 1, "pssppsr"),
        (&fenced, "/asks", Some(&owner), 1, "ppsppsp"),
        (&fenced, "/open", Some(&owner), 1, "pr-----"),
        (&optional, "/open", None, 1, "psssssp"),
        (&optional, "/open", Some(&owner), 1, "pssppsp"),
        (&optional, "/asks", None, 1, "psssssr"),
        (&denied, "/asks", Some(&owner), 1, "psspr--"),
        (&limited("enforce"), "/asks", Some(&owner), 1, "psppppp"),
        (&limited("enforce"), "/asks", Some(&owner), 2, "psr----"),
        (&limited("enforce"), "/open", None, 1, "pspssps"),
        (&limited("report"), "/asks", Some(&owner), 2, "pswppwp"),
    ] {
        let mut guarded = Guarded::new(json!({}), configuration.clone());
        let bearer = token.map(|token| format!("Bearer {token}"));
        let credential: Vec<(&str, &str)> =
            bearer.iter().map(|bearer| ("authorization", bearer.as_str())).collect();
        let ask = |guarded: &mut Guarded| guarded.admit(&request("GET", path, &credential), START);
        for _ in 1..times {
            ask(&mut guarded);
        }
        let verdict = ask(&mut guarded);
        assert_eq!(states(&verdict), expected, "{path} {configuration} {times}");
        let [early, late] = [Stage::EarlyLimits, Stage::LateLimits]
            .map(|stage| verdict.trail.limits_of(stage).map(|judged| judged.limit.get()).collect::<Vec<_>>());
        let judged = |stage: Stage| {
            let is_judged = !matches!(verdict.trail.state(stage), State::Skipped | State::NotReached);
            is_judged && configuration.get("rate_limits").is_some()
        };
        assert_eq!(early, if judged(Stage::EarlyLimits) { vec![0] } else { vec![] }, "{path}");
        assert_eq!(late, if judged(Stage::LateLimits) { vec![1] } else { vec![] }, "{path}");
    }
}

#[test]
fn in_report_mode_the_step_that_would_have_refused_is_marked_and_what_follows_is_looked_after() {
    let owner = token(&json!({ "sub": "u1", "iat": START, "exp": START + HOUR }));
    let bearer = format!("Bearer {owner}");
    let routes = json!([{ "path": "/asks", "required_permissions": ["a:b"] }]);
    let rest = json!({ "mode": "report", "routes": routes, "auth_failure_limit": { "max_failures": 1, "window_seconds": 60 } });
    let mut guarded = Guarded::new(json!({}), rest);
    let verdict = guarded.admit(&request("GET", "/asks", &[("authorization", &bearer)]), START);
    assert_eq!(states(&verdict), "pspppsw");
    assert!(verdict.trail.failures_judged);
    // Its form is wrong; who sent it is found out all the same.
    let verdict = guarded.admit(&request("GET", "//", &[("authorization", &bearer)]), START);
    assert_eq!(states(&verdict), "w--pp--");
    assert_eq!(verdict.trail.identity().and_then(|caller| caller.token.subject()), Some("u1"));
}

#[test]
fn what_the_revocation_endpoint_refuses_is_a_refusal_of_the_last_step() {
    let mut guarded = Guarded::new(json!({}), json!({ "routes": [{ "path": "/a", "access": "public" }] }));
    let mut verdict = guarded.admit(&request("GET", "/a", &[]), START);
    verdict.trail.revocation_refused();
    assert_eq!(states(&verdict), "psssssr");
}

#[test]
fn what_was_reported_stays_on_record_when_its_step_goes_on() {
    let mut wide = limit("wide", "client_ip", "report");
    wide["max_requests"] = json!(100);
    wide.as_object_mut().unwrap().remove("mode");
    let rest = json!({ "mode": "report", "rate_limits": [limit("shy", "client_ip", "report"), wide] });
    let mut guarded = Guarded::new(json!({}), rest);
    // The limit with a mode of its own comes first, and the one that passes after it.
    for expected in ["pspw---", "psww---"] {
        let verdict = guarded.admit(&request("GET", "/", &[]), START);
        assert_eq!(states(&verdict), expected);
    }
}

#[test]
fn a_step_that_refuses_has_refused_whatever_it_has_reported() {
    let mut strict = limit("strict", "client_ip", "enforce");
    strict["max_requests"] = json!(2);
    let rest = json!({ "rate_limits": [limit("shy", "client_ip", "report"), strict] });
    let mut guarded = Guarded::new(json!({}), rest);
    for expected in ["pspr---", "pswr---", "psr----"] {
        let verdict = guarded.admit(&request("GET", "/", &[]), START);
        assert_eq!(states(&verdict), expected);
    }
}
