//! What the sections of a fleet may say.

use api_guard_testkit::lay_over;
use serde_json::{Value, json};

use super::{errors, places, with};

fn fleet(changes: &Value) -> Value {
    let mut fleet = json!({ "cluster": "redis", "secret": { "env": "SECRET" } });
    lay_over(&mut fleet, changes);
    json!({ "fleet": fleet })
}

fn limit(changes: &Value, has_fleet: bool) -> Value {
    let mut limit = json!({ "name": "a", "max_requests": 1, "window_seconds": 1 });
    lay_over(&mut limit, changes);
    let mut document = if has_fleet { fleet(&json!({})) } else { json!({}) };
    document["rate_limits"] = json!([limit]);
    document
}

fn revocation(shared: &Value) -> Value {
    let mut document = fleet(&json!({}));
    document["revocation"] = json!({ "fleet": shared });
    document
}

#[test]
fn each_fault_of_a_fleet_is_reported_at_its_place_and_nowhere_else() {
    for (changes, at) in [
        (json!({ "fleet": {} }), vec!["/fleet/cluster", "/fleet/secret"]),
        (fleet(&json!({ "cluster": "" })), vec!["/fleet/cluster"]),
        (fleet(&json!({ "secret": null })), vec!["/fleet/secret"]),
        (fleet(&json!({ "secret": { "env": "SHORT" } })), vec!["/fleet/secret/env"]),
        (fleet(&json!({ "secret": { "env": "UNSET" } })), vec!["/fleet/secret/env"]),
        (fleet(&json!({ "secret": "text" })), vec!["/fleet/secret"]),
        (fleet(&json!({ "password": { "value": "" } })), vec!["/fleet/password/value"]),
        (fleet(&json!({ "password": { "env": "UNSET" } })), vec!["/fleet/password/env"]),
        (fleet(&json!({ "password": "hunter2" })), vec!["/fleet/password"]),
        (fleet(&json!({ "username": "guard" })), vec!["/fleet/username"]),
        (fleet(&json!({ "username": "", "password": { "value": "a" } })), vec!["/fleet/username"]),
        (fleet(&json!({ "prefix": "" })), vec!["/fleet/prefix"]),
        (fleet(&json!({ "prefix": "a:b" })), vec!["/fleet/prefix"]),
        (fleet(&json!({ "prefix": "x".repeat(33) })), vec!["/fleet/prefix"]),
        (fleet(&json!({ "timeout_milliseconds": 0 })), vec!["/fleet/timeout_milliseconds"]),
        (fleet(&json!({ "timeout_milliseconds": 1001 })), vec!["/fleet/timeout_milliseconds"]),
        (fleet(&json!({ "nodes": 0 })), vec!["/fleet/nodes"]),
        (fleet(&json!({ "nodes": 100_001 })), vec!["/fleet/nodes"]),
        (fleet(&json!({ "redis": "a" })), vec!["/fleet/redis"]),
        (limit(&json!({ "scope": "fleet" }), false), vec!["/rate_limits/0/scope"]),
        (limit(&json!({ "scope": "all" }), true), vec!["/rate_limits/0/scope"]),
        (limit(&json!({ "when_unreachable": "refuse" }), true), vec!["/rate_limits/0/when_unreachable"]),
        (limit(&json!({ "private_percent": 1 }), true), vec!["/rate_limits/0/private_percent"]),
        (
            limit(&json!({ "scope": "fleet", "private_percent": 91 }), true),
            vec!["/rate_limits/0/private_percent"],
        ),
        (json!({ "revocation": { "fleet": {} } }), vec!["/revocation/fleet"]),
        (revocation(&json!({ "poll_seconds": 0 })), vec!["/revocation/fleet/poll_seconds"]),
        (revocation(&json!({ "poll_seconds": 3601 })), vec!["/revocation/fleet/poll_seconds"]),
        (revocation(&json!({ "at_start": "wait" })), vec!["/revocation/fleet/at_start"]),
        (revocation(&json!({ "max_age_seconds": 1 })), vec!["/revocation/fleet/max_age_seconds"]),
        (revocation(&json!({ "max_age_seconds": 31_622_401 })), vec!["/revocation/fleet/max_age_seconds"]),
    ] {
        assert_eq!(places(&with(changes.clone())), at, "{changes}");
    }
}

#[test]
fn a_fleet_may_say_all_that_there_is_to_say() {
    for changes in [
        fleet(&json!({})),
        fleet(
            &json!({ "username": "guard", "password": { "value": "hunter2" }, "nodes": 3, "prefix": "shop_1" }),
        ),
        limit(&json!({ "scope": "fleet", "when_unreachable": "refuse", "private_percent": 90 }), true),
        limit(&json!({ "scope": "envoy", "when_unreachable": "share", "private_percent": 0 }), false),
        revocation(&json!({ "poll_seconds": 2, "at_start": "serve", "max_age_seconds": 3 })),
    ] {
        assert_eq!(places(&with(changes.clone())), Vec::<String>::new(), "{changes}");
    }
}

#[test]
fn no_error_shows_a_secret_of_the_fleet() {
    for changes in [
        fleet(&json!({ "password": "hunter2" })),
        fleet(&json!({ "secret": "hunter2" })),
        fleet(&json!({ "secret": { "value": "hunter2" } })),
        fleet(&json!({ "secret": { "env": "SECRET", "encoding": "hunter2" } })),
        fleet(&json!({ "pasword": "hunter2" })),
        json!({ "fleet": "hunter2" }),
    ] {
        let errors = errors(&with(changes));
        assert!(!errors.is_empty());
        for (_, error) in errors {
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
