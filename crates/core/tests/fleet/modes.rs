//! Limits of the fleet that enforce beside a rest that only reports, and the other way round, while the store is not reached.

use api_guard_core::code::Code;
use api_guard_core::engine::Engine;
use api_guard_testkit::{Decided, Process, SECRET, Watched, policy, request};
use serde_json::{Value, json};

use super::model::ModelStore;
use super::requests::{Envoy, UNAVAILABLE, at};

/// An Envoy all of which has this mode, with limits that admit nobody without the store.
fn envoy(mode: &str, limits: &[(&str, Value)]) -> Envoy {
    let limits: Vec<Value> = limits
        .iter()
        .enumerate()
        .map(|(index, (key, mode))| {
            let mut limit = json!({
                "name": format!("limit-{index}"), "key": [key], "max_requests": 20, "window_seconds": 60,
                "scope": "fleet", "when_unreachable": "refuse",
            });
            if !mode.is_null() {
                limit["mode"] = mode.clone();
            }
            limit
        })
        .collect();
    let configuration = json!({
        "mode": mode,
        "tokens": { "keys": [{ "secret": { "value": SECRET } }] },
        "fleet": { "cluster": "store", "secret": { "value": SECRET } },
        "rate_limits": limits,
    });
    Envoy { engine: Engine::new(policy(&configuration)), process: Process::default() }
}

#[test]
fn a_limit_that_cannot_be_judged_does_as_its_own_mode_says_and_else_as_the_route_s() {
    let (enforces, reports) = (json!("enforce"), json!("report"));
    for key in ["client_ip", "subject"] {
        for (mode, limits, refuses) in [
            ("report", &[(key, enforces.clone())][..], true),
            ("report", &[(key, Value::Null), (key, enforces.clone())], true),
            ("report", &[(key, reports.clone()), (key, enforces.clone())], true),
            ("report", &[(key, Value::Null)], false),
            ("report", &[(key, reports.clone())], false),
            ("enforce", &[(key, reports.clone())], false),
            ("enforce", &[(key, Value::Null)], true),
        ] {
            let envoy = envoy(mode, limits);
            for number in 0..5 {
                let decided = envoy.ask("u", &mut |_| None, at(number));
                assert_eq!(decided == UNAVAILABLE, refuses, "{mode} {limits:?}: {decided:?}");
            }
        }
    }
}

#[test]
fn a_limit_that_enforces_refuses_what_passes_only_because_the_rest_reports() {
    // The token is missing, which is only reported.
    let envoy = envoy("report", &[("subject", json!("enforce"))]);
    // Nothing is known of the store before it was called.
    assert_eq!(envoy.ask("u", &mut |_| None, at(0)), UNAVAILABLE);
    let mut stream = Watched::new(&envoy.engine, &envoy.process);
    stream.headers(&request("GET", "/x", &[]), true, at(1));
    assert_eq!(stream.decided, [UNAVAILABLE]);
}

#[test]
fn a_limit_that_enforces_is_asked_for_by_what_passes_only_because_the_rest_reports() {
    // The token is missing, or the path has two meanings, and the store is reached all the time.
    for (key, path, reported) in [
        ("client_ip", "/x", Code::TokenMissing),
        ("subject", "/x", Code::TokenMissing),
        ("header:x", "/x//y", Code::PathAmbiguous),
    ] {
        let envoy = envoy("report", &[(key, json!("enforce"))]);
        let mut store = ModelStore::default();
        envoy.tick(&mut |body| Some(store.call(body, at(0))), at(0));
        let mut admitted = 0;
        for number in 1..40 {
            let now = at(number * 100);
            let mut stream = Watched::new(&envoy.engine, &envoy.process);
            stream.headers(&request("GET", path, &[("x", "1")]), true, now);
            envoy.answer_calls(&stream, &mut |body| Some(store.call(body, now)), now);
            if stream.decided.is_empty() {
                stream.tick(now);
            }
            match stream.decided.as_slice() {
                [Decided::WouldRefuse(code)] if *code == reported => admitted += 1,
                decided => assert_eq!(decided, [Decided::Refused(Code::RateLimited)], "{key}: {number}"),
            }
            envoy.tick(&mut |body| Some(store.call(body, now)), now);
        }
        assert_eq!(admitted, 20, "{key}");
    }
}
