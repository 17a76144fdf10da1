//! Which configuration is in force, how full the tables are, and when keys end, as Prometheus and the log show it.

use std::collections::BTreeMap;

use api_guard_core::config::digest;
use serde_json::{Value, json};

use crate::ask::{Ask, Body, Protocol};
use crate::process::{Envoy, Pushed, eventually};
use crate::setup::{Setup, policy};
use crate::token::{now, token};

/// Name and labels of every series of a name, and its value.
fn shown(envoy: &Envoy, name: &str) -> BTreeMap<String, u64> {
    let page = envoy.prometheus();
    let of_name = page.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix('{'));
    of_name
        .filter_map(|rest| rest.rsplit_once("} "))
        .map(|(labels, value)| (labels.to_owned(), value.parse().unwrap()))
        .collect()
}

fn one(envoy: &Envoy, name: &str) -> Option<u64> {
    shown(envoy, name).into_values().next()
}

fn info(plugin: &str) -> String {
    format!(r#"version="{}",config="{}""#, env!("CARGO_PKG_VERSION"), digest(plugin.as_bytes()))
}

fn configured(envoy: &Envoy, plugin: &str) -> Vec<Value> {
    let digest = digest(plugin.as_bytes());
    envoy
        .events()
        .into_iter()
        .filter(|event| event["event"] == "configured" && event["config"] == digest)
        .collect()
}

fn plugin(key: Value) -> Value {
    policy(json!({
        "tokens": { "keys": [key, { "kid": "x", "secret": { "value": "the-second-secret-of-more-than-32-bytes" } }] },
        "routes": [{ "path": "/a" }, { "path": "/b", "rate_limits": [
            { "name": "b", "max_requests": 5, "window_seconds": 600, "key": ["header:x-caller"] },
        ] }],
        "rate_limits": [],
        "revocation": { "endpoint": {} },
    }))
}

#[test]
fn a_push_shows_the_new_configuration_and_sets_the_old_one_to_0() {
    let key = |end: &str| json!({ "kid": "a.b", "secret": { "env": "API_GUARD_SECRET" }, "not_after": end });
    let (first, second) = (plugin(key("2099-01-01T00:00:00Z")), plugin(key("2098-01-01T00:00:00Z")));
    let envoy = Envoy::start(Setup { replaceable: true, concurrency: 2, ..Setup::new(&first) });
    let [first, second] = [first, second].map(|plugin| plugin.to_string());
    let await_info = |expected: &[(&str, u64)]| {
        let expected: BTreeMap<_, _> =
            expected.iter().map(|(plugin, value)| (info(plugin), *value)).collect();
        eventually("another configuration is shown", || {
            (shown(&envoy, "api_guard_info") == expected).then_some(())
        });
    };
    let await_end = |end: u64| {
        let expected = BTreeMap::from([(r#"kid="a.b""#.to_owned(), end)]);
        eventually("the key has another end", || {
            (shown(&envoy, "api_guard_key_expires_timestamp_seconds") == expected).then_some(())
        });
    };
    await_info(&[(&first, 1)]);
    await_end(4_070_908_800);
    Ask::get("/a").token(&token(json!({}))).send(&envoy, Protocol::Http1).forwarded(&envoy);
    let lines = eventually("no line tells of it", || {
        Some(configured(&envoy, &first)).filter(|lines| !lines.is_empty())
    });
    for line in &lines {
        let wanted = json!({ "event": "configured", "version": env!("CARGO_PKG_VERSION"), "config": digest(first.as_bytes()),
            "routes": 2, "keys": 2, "key_sets": 0, "limits": 1 });
        assert_eq!(*line, wanted);
    }
    assert_eq!(envoy.push(&second), Pushed::Accepted);
    await_info(&[(&first, 0), (&second, 1)]);
    await_end(4_039_372_800);
    // One that is refused is in force nowhere.
    let bad = first.replace("\"/a\"", "\"a\"");
    assert_eq!(envoy.push(&bad), Pushed::Rejected);
    std::thread::sleep(std::time::Duration::from_secs(1));
    await_info(&[(&first, 0), (&second, 1)]);
    assert!(configured(&envoy, &bad).is_empty());
    for plugin in [&first, &second] {
        // Two workers and the main thread, each once.
        assert!((1..=3).contains(&configured(&envoy, plugin).len()), "{:?}", configured(&envoy, plugin));
    }
    envoy.assert_healthy();
}

#[test]
fn a_filter_that_is_replaced_by_itself_hides_what_it_was_and_loses_no_count() {
    let key = |kid: usize| json!({ "kid": format!("key-{kid}"), "secret": { "env": "API_GUARD_SECRET" }, "not_after": "2099-01-01T00:00:00Z" });
    let envoy = Envoy::start(Setup {
        replaceable: true,
        filter_alone: true,
        concurrency: 2,
        ..Setup::new(&plugin(key(0)))
    });
    let mut sent = 0;
    for number in 1..=8 {
        // The first of them are there long enough to be shown, the last ones are not always.
        for _ in 0..if number < 5 { 12 } else { 1 } {
            Ask::get("/a").send(&envoy, Protocol::Http1).refused(&envoy, 401, "token_missing");
            sent += 1;
            std::thread::sleep(std::time::Duration::from_millis(30));
        }
        assert_eq!(envoy.push(&plugin(key(number)).to_string()), Pushed::Accepted);
    }
    crate::observed::counts_to(&envoy, "refused", "token_missing", sent);
    let in_force = |name: &str| -> Vec<String> {
        shown(&envoy, name).into_iter().filter(|(_, value)| *value > 0).map(|(labels, _)| labels).collect()
    };
    eventually("what was replaced is still shown", || {
        let ends = in_force("api_guard_key_expires_timestamp_seconds");
        let is_last = in_force("api_guard_info") == [info(&plugin(key(8)).to_string())];
        (is_last && ends == [r#"kid="key-8""#]).then_some(())
    });
    envoy.assert_healthy();
}

#[test]
fn how_full_the_tables_are_is_shown_within_ten_seconds() {
    let envoy = Envoy::start(Setup {
        concurrency: 2,
        ..Setup::new(&plugin(json!({ "secret": { "env": "API_GUARD_SECRET" } })))
    });
    let good = token(json!({}));
    for caller in 0..40 {
        let ask = Ask::get("/b").header("x-caller", caller.to_string()).token(&good);
        ask.send(&envoy, Protocol::Http1).forwarded(&envoy);
    }
    let officer = token(json!({ "sub": "officer", "permissions": ["tokens:revoke"] }));
    for number in 0..7 {
        let body = json!({ "jti": number.to_string(), "expires_at": now() + 3000 });
        let body = Body::Sized(body.to_string().into_bytes());
        let reply = Ask::post("/auth/revoke").token(&officer).body(body).send(&envoy, Protocol::Http1);
        assert_eq!(reply.status, 200);
    }
    for (name, value) in [
        ("api_guard_limiter_identities", 40),
        ("api_guard_revocation_entries", 7),
        ("api_guard_limiter_capacity", 65_536),
        ("api_guard_revocation_capacity", 65_536),
    ] {
        eventually(&format!("{name} is {:?}", one(&envoy, name)), || {
            (one(&envoy, name) == Some(value)).then_some(())
        });
    }
    assert_eq!(
        shown(&envoy, "api_guard_limiter_identities").into_keys().collect::<Vec<_>>(),
        [r#"state="live""#]
    );
    envoy.assert_healthy();
}
