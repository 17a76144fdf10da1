//! What `check` says of a plugin configuration.

use api_guard_testkit::lay_over;
use serde_json::{Value, json};

use super::{Told, assert_silent, assert_told, check, rules, told};
use crate::files::config;

#[test]
fn an_error_s_consequences_are_not_told_beside_it() {
    let route = json!([{ "path": "/a", "methods": ["PATCH", "HEAD"], "required_permissions": ["a.b"], "skip_limits": ["x"] }]);
    let of_fleet = json!({
        "rate_limits": [{ "name": "x", "max_requests": 5, "window_seconds": 5, "scope": "fleet" }],
        "revocation": { "fleet": {} },
    });
    let with = |mut all: Value, more: Value| {
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        all
    };
    let limits = json!({ "rate_limits": [{ "name": "x", "max_requests": 5, "window_seconds": 5 }] });
    let read = json!({ "request": { "allowed_methods": ["PATCH", "HEAD"] }, "tokens": { "permission_format": "scope_token" } });
    for (change, pointers) in [
        (json!({ "request": { "allowed_method": ["PATCH"] } }), vec!["/request/allowed_method"]),
        (json!({ "request": { "allowed_methods": "PATCH" } }), vec!["/request/allowed_methods"]),
        (json!({ "request": { "allowed_methods": ["P A"] } }), vec!["/request/allowed_methods/0"]),
        (json!({ "requests": { "allowed_methods": ["PATCH"] } }), vec!["/requests"]),
        (json!({ "request": [] }), vec!["/request"]),
        // What is wrong beside it explains nothing.
        (
            json!({ "request": { "https_onl": true } }),
            vec!["/request/https_onl", "/routes/0/methods/0", "/routes/0/methods/1"],
        ),
    ] {
        let own = json!({ "routes": [{ "path": "/a", "methods": ["PATCH", "HEAD"] }] });
        assert_eq!(errors(with(own, change.clone())), pointers, "{change}");
    }
    for (tokens, pointers) in [
        (json!({ "permission_fromat": "scope_token" }), vec!["/tokens/permission_fromat"]),
        (json!({ "permission_format": "scope" }), vec!["/tokens/permission_format"]),
        (json!({}), vec!["/routes/0/required_permissions/0"]),
    ] {
        let own = json!({ "routes": [{ "path": "/a", "required_permissions": ["a.b"] }], "tokens": tokens });
        assert_eq!(errors(own), pointers);
    }
    for (fleet, pointers) in [
        (json!({ "fleets": { "cluster": "x" } }), vec!["/fleets"]),
        (json!({ "fleet": "x" }), vec!["/fleet"]),
        (json!({}), vec!["/rate_limits/0/scope", "/revocation/fleet"]),
    ] {
        assert_eq!(errors(with(of_fleet.clone(), fleet)), pointers);
    }
    for (change, pointers) in [
        (json!({ "rate_limit": [] }), vec!["/rate_limit"]),
        (json!({ "rate_limits": {} }), vec!["/rate_limits"]),
        (
            json!({ "rate_limits": [{ "name": "y", "max_requests": 0, "window_seconds": 5 }] }),
            vec!["/rate_limits/0/max_requests", "/routes/0/skip_limits/0"],
        ),
        (limits, vec![]),
    ] {
        assert_eq!(errors(with(with(read.clone(), json!({ "routes": route })), change)), pointers);
    }
}

/// The pointers of all errors.
fn errors(changes: Value) -> Vec<String> {
    let all = told(config(changes).to_string());
    let mut pointers: Vec<String> =
        all.into_iter().filter(|told| told.severity == "error").map(|told| told.pointer).collect();
    pointers.sort();
    pointers
}

#[test]
fn a_route_that_another_one_covers_is_told_once() {
    let route = |hosts: Value| json!({ "path": "/a", "methods": ["GET", "PUT"], "hosts": hosts });
    let of = |hosts: Value| {
        let all = told(config(json!({ "routes": [route(hosts.clone()), route(hosts)] })).to_string());
        let mut errors: Vec<Told> = all.into_iter().filter(|told| told.severity == "error").collect();
        assert_eq!(errors.len(), 1, "{errors:?}");
        errors.remove(0).message
    };
    let one = of(json!(["a.example"]));
    assert!(
        one.starts_with(
            "GET on a.example is taken by /routes/0, which has the same path, and so is PUT on a.example;"
        ),
        "{one}"
    );
    assert!(
        of(json!(["a.example", "b.example"]))
            .contains(", and so are PUT on a.example, GET on b.example, PUT on b.example;")
    );
    let many = of(json!(["a.example", "b.example", "c.example", "d.example", "e.example"]));
    assert!(many.contains(", and so are 9 others;"), "{many}");
}

#[test]
fn what_is_legal_but_dangerous_in_a_configuration_is_warned_of() {
    let limit = |name: &str, max: u64, window: u64, key: &[&str]| json!({ "name": name, "max_requests": max, "window_seconds": window, "key": key });
    let routes = |routes: Value| json!({ "routes": routes });
    let secret = |secret: Value| json!({ "tokens": { "keys": [{ "secret": secret }] } });
    let strong = "dQ8kRz1vYw5mXc7nBt3hJp9fLs2gKa4e";
    for (changes, rule, pointer) in [
        (json!({ "mode": "report" }), "report-mode", "/mode"),
        (routes(json!([{ "path": "/a", "mode": "report" }])), "report-mode", "/routes/0/mode"),
        (json!({ "unmatched_routes": "public" }), "unmatched-public", "/unmatched_routes"),
        (json!({ "request": { "method_override": "keep" } }), "method-override", "/request/method_override"),
        (json!({ "request": { "rewrite_headers": "keep" } }), "rewrite-headers", "/request/rewrite_headers"),
        (json!({ "client_ip": { "ipv6_prefix": 128 } }), "ipv6-prefix", "/client_ip/ipv6_prefix"),
        (json!({ "rate_limits": [] }), "no-limits", "/rate_limits"),
        (
            json!({ "tokens": { "sources": [{ "query": "access_token" }] } }),
            "query-token",
            "/tokens/sources/0/query",
        ),
        (json!({ "tokens": { "required_claims": ["sub"] } }), "no-expiry", "/tokens/required_claims"),
        (json!({ "tokens": { "clock_skew_seconds": 3600 } }), "large-skew", "/tokens/clock_skew_seconds"),
        (secret(json!({ "value": strong })), "inline-secret", "/tokens/keys/0/secret/value"),
        (
            json!({ "tokens": { "keys": [
                { "kid": "a", "secret": { "value": strong } }, { "kid": "b", "secret": { "value": strong } } ] } }),
            "repeated-secret",
            "/tokens/keys/1/secret/value",
        ),
        (
            json!({ "tokens": { "keys": [
                { "kid": "a", "secret": { "env": "A" } }, { "kid": "b", "secret": { "env": "A" } } ] } }),
            "repeated-secret",
            "/tokens/keys/1/secret/env",
        ),
        (
            secret(json!({ "value": "your-256-bit-secret-your-256-bit-secret" })),
            "weak-secret",
            "/tokens/keys/0/secret/value",
        ),
        (
            secret(json!({ "base64url": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" })),
            "weak-secret",
            "/tokens/keys/0/secret/base64url",
        ),
        (
            json!({ "rate_limits": [limit("a", 9, 9, &["header:x-tenant"])] }),
            "header-key",
            "/rate_limits/0/key/0",
        ),
        // In any 60 seconds at most 50 come: 100 are never reached.
        (
            json!({ "rate_limits": [limit("burst", 100, 60, &["subject"]), limit("hour", 50, 3600, &["subject"])] }),
            "longer-window-lower-limit",
            "/rate_limits/0/max_requests",
        ),
        // 10 a second are 600 a minute.
        (
            json!({ "rate_limits": [limit("second", 10, 1, &["subject"]), limit("minute", 600, 60, &["subject"])] }),
            "useless-limit",
            "/rate_limits/1/max_requests",
        ),
        // One address sends at least as many requests as any single subject at that address.
        (
            json!({ "rate_limits": [limit("both", 9, 9, &["subject", "client_ip"]), limit("one", 9, 9, &["client_ip"])] }),
            "useless-limit",
            "/rate_limits/0/max_requests",
        ),
        (
            json!({ "routes": [{ "path": "/a", "rate_limits": [limit("own", 200, 60, &["client_ip", "subject"])] }] }),
            "useless-limit",
            "/routes/0/rate_limits/0/max_requests",
        ),
        (
            routes(json!([{ "path": "/a/{*rest}" }, { "path": "/a/{x}" }, { "path": "/a/{x}/{*more}" }])),
            "route-hidden",
            "/routes/0/path",
        ),
        (
            routes(json!([{ "path": "/admin/{*rest}", "required_permissions": ["admin:all"] },
                          { "path": "/admin/{page}" }])),
            "route-hidden",
            "/routes/0/path",
        ),
        (
            routes(json!([{ "path": "/admin/{*rest}", "required_permissions": ["admin:all"] },
                          { "path": "/admin/{page}", "access": "public" }])),
            "route-hidden",
            "/routes/0/path",
        ),
        (
            routes(
                json!([{ "path": "/a/{*rest}", "methods": ["GET", "POST"] }, { "path": "/a/{x}", "methods": ["GET"] }]),
            ),
            "route-hidden",
            "/routes/0/path",
        ),
    ] {
        let text = config(changes.clone()).to_string();
        let rules = rules(&text);
        assert!(
            rules.iter().any(|(found, at)| found == rule && at == pointer),
            "{changes} should give {rule} at {pointer}: {rules:?}"
        );
        assert_eq!(check(&text, &[]).code, 0, "{changes}");
        assert_eq!(check(&text, &["--strict"]).code, 1, "{changes}");
    }
}

#[test]
fn what_is_as_it_should_be_is_not_warned_of() {
    let limit = |name: &str, max: u64, window: u64, key: &[&str]| json!({ "name": name, "max_requests": max, "window_seconds": window, "key": key });
    for changes in [
        json!({}),
        json!({ "auth_failure_limit": null, "rate_limits": [limit("address", 1000, 60, &["client_ip", "method"])] }),
        json!({ "routes": [{ "path": "/orders/{id}" }, { "path": "/orders/search", "methods": ["POST"] },
                           { "path": "/orders/{id}/items" }, { "path": "/{*rest}", "access": "deny" }] }),
        json!({ "routes": [{ "path": "/a", "methods": ["GET"] }, { "path": "/a", "methods": ["POST"] },
                           { "path": "/a", "methods": ["GET"], "hosts": ["*.example.org"] }] }),
        json!({ "rate_limits": [limit("burst", 10, 1, &["subject"]), limit("hour", 1000, 3600, &["subject"])] }),
        json!({ "rate_limits": [limit("address", 1000, 60, &["client_ip"]), limit("caller", 100, 60, &["subject"])] }),
        json!({ "rate_limits": [limit("all", 1000, 60, &["client_ip"])],
                "routes": [{ "path": "/a", "rate_limits": [limit("own", 10, 60, &["client_ip"])] }] }),
    ] {
        assert_eq!(rules(guarded(&changes)), [], "{changes}");
    }
}

/// A configuration that nothing is said of, with changes, one value on each line.
fn guarded(changes: &Value) -> String {
    let mut all = json!({ "auth_failure_limit": { "max_failures": 20, "window_seconds": 60 } });
    lay_over(&mut all, changes);
    serde_json::to_string_pretty(&config(all)).expect("JSON")
}

fn limited(key: &[&str]) -> Value {
    json!([{ "name": "own", "max_requests": 9, "window_seconds": 9, "key": key }])
}

#[test]
fn a_key_that_signs_for_every_issuer_is_warned_of() {
    let keys = json!([{ "kid": "a", "secret": { "env": "A" } }, { "kid": "b", "secret": { "env": "B" } }]);
    let tokens = |issuers: Value| json!({ "tokens": { "keys": keys, "issuers": issuers } });
    let text = guarded(&tokens(json!(["https://a", "https://b"])));
    let expected = ("warning", "/tokens/issuers", "\"issuers\"", "name the issuers of each key");
    assert_told(&text, "unbound-keys", expected);
    assert_silent(&guarded(&tokens(json!(["https://a"]))), "unbound-keys");
    assert_silent(&guarded(&tokens(json!([]))), "unbound-keys");
    let one_key = json!({ "tokens": { "issuers": ["https://a", "https://b"] } });
    assert_silent(&guarded(&one_key), "unbound-keys");
    let mut bound = tokens(json!(["https://a", "https://b"]));
    bound["tokens"]["keys"][1]["issuers"] = json!(["https://b"]);
    assert_silent(&guarded(&bound), "unbound-keys");
}

#[test]
fn a_subject_that_several_issuers_may_have_is_warned_of_without_its_issuer() {
    let keys = json!([
        { "kid": "a", "secret": { "env": "A" }, "issuers": ["https://a"] },
        { "kid": "b", "secret": { "env": "B" }, "issuers": ["https://b"] },
    ]);
    let with = |tokens: Value, more: Value| {
        let mut changes = more;
        changes["tokens"] = tokens;
        guarded(&changes)
    };
    let several = json!({ "keys": keys });
    let told = ("warning", "/forward/issuer_header", "{", "such as \"x-auth-issuer\"");
    assert_told(&with(several.clone(), json!({})), "issuer-not-forwarded", told);
    let shared = json!({ "issuers": ["https://a", "https://b"] });
    assert_told(&with(shared, json!({})), "issuer-not-forwarded", told);
    for (tokens, forward) in [
        (several.clone(), json!({ "issuer_header": "x-auth-issuer" })),
        (several.clone(), json!({ "claims": { "iss": "x-issuer" } })),
        (json!({ "issuers": ["https://a"] }), json!({})),
        (json!({}), json!({})),
    ] {
        assert_silent(&with(tokens, json!({ "forward": forward })), "issuer-not-forwarded");
    }
    let is = |issuers: Value| json!([{ "claim": "iss", "is": issuers }]);
    let route = |require: Value, bind: Value| json!([{ "path": "/{iss}/users/{id}", "bind": bind, "require": require }]);
    let told = ("warning", "/routes/0/bind", "\"bind\"", "bind iss too");
    for require in
        [json!(null), is(json!(["https://a", "https://b"])), json!([{ "claim": "tenant", "is": ["a"] }])]
    {
        let routes = json!({ "routes": route(require, json!({ "id": "sub" })) });
        assert_told(&with(several.clone(), routes), "issuer-not-bound", told);
    }
    let mut other = several.clone();
    other["subject_claim"] = json!("user_id");
    let by_user = json!({ "routes": route(json!(null), json!({ "id": "user_id" })) });
    assert_told(&with(other, by_user), "issuer-not-bound", told);
    for (tokens, require, bind) in [
        (several.clone(), is(json!(["https://a"])), json!({ "id": "sub" })),
        (several.clone(), json!(null), json!({ "id": "sub", "iss": "iss" })),
        (several.clone(), json!([{ "claim": "iss", "equals_header": "x-issuer" }]), json!({ "id": "sub" })),
        (several.clone(), json!(null), json!({ "id": "account" })),
        (json!({}), json!(null), json!({ "id": "sub" })),
    ] {
        assert_silent(&with(tokens, json!({ "routes": route(require, bind) })), "issuer-not-bound");
    }
}

#[test]
fn what_a_token_alone_opens_beside_routes_that_ask_for_more_is_warned_of() {
    let expected = ("warning", "/unmatched_routes", "{", "write \"deny\"");
    for asks in [
        json!({ "path": "/a", "required_permissions": ["a:read"] }),
        json!({ "path": "/a", "any_permissions": ["a:read"] }),
        json!({ "path": "/users/{id}", "bind": { "id": "sub" } }),
        json!({ "path": "/internal", "access": "deny" }),
    ] {
        assert_told(&guarded(&json!({ "routes": [asks] })), "unmatched-authenticated", expected);
        let text = guarded(&json!({ "routes": [asks], "unmatched_routes": "authenticated" }));
        let written = ("warning", "/unmatched_routes", "\"unmatched_routes\"", "write \"deny\"");
        assert_told(&text, "unmatched-authenticated", written);
        for closed in [
            json!({ "routes": [asks], "unmatched_routes": "deny" }),
            json!({ "routes": [asks, { "path": "/{*rest}", "access": "deny" }] }),
        ] {
            assert_silent(&guarded(&closed), "unmatched-authenticated");
        }
    }
    for equal in [json!([]), json!([{ "path": "/a" }]), json!([{ "path": "/health", "access": "public" }])] {
        assert_silent(&guarded(&json!({ "routes": equal })), "unmatched-authenticated");
    }
    // The rest covers its root, which is therefore no example of an open path.
    let rest = guarded(&json!({ "routes": [{ "path": "/admin/{*rest}", "required_permissions": ["a:b"] }] }));
    assert!(!check(&rest, &[]).out.contains("(/admin"), "{rest}");
    // One segment is not all paths.
    let shallow =
        json!([{ "path": "/a/b", "required_permissions": ["a:b"] }, { "path": "/{x}", "access": "deny" }]);
    assert_told(&guarded(&json!({ "routes": shallow })), "unmatched-authenticated", expected);
}

#[test]
fn a_route_that_is_opened_at_its_root_or_at_a_host_is_warned_of() {
    let asks = json!({ "path": "/admin/{*rest}", "required_permissions": ["a:b"] });
    let closed = |others: Value| {
        let mut routes = vec![asks.clone()];
        routes.extend(others.as_array().expect("a list").iter().cloned());
        guarded(&json!({ "routes": routes, "unmatched_routes": "deny" }))
    };
    for (other, words) in [
        (json!([{ "path": "/{x}" }]), "hides this route for /admin"),
        (
            json!([{ "path": "/{*all}", "hosts": ["a.example.com"] }]),
            "at a.example.com /routes/1 comes first",
        ),
        (
            json!([{ "path": "/{*all}", "hosts": ["*.example.com"] }]),
            "at *.example.com /routes/1 comes first",
        ),
    ] {
        assert_told(&closed(other), "route-hidden", ("warning", "/routes/0/path", "\"path\"", words));
    }
    for meant in [
        json!([{ "path": "/admin", "access": "public" }]),
        json!([{ "path": "/{x}", "access": "deny" }]),
        json!([{ "path": "/{*all}", "hosts": ["a.example.com"], "access": "deny" }]),
    ] {
        assert_silent(&closed(meant), "route-hidden");
    }
}

#[test]
fn a_demand_that_another_host_does_not_make_is_warned_of() {
    let route = |more: Value| {
        let mut route = json!({ "path": "/acct/{id}", "hosts": ["api.example.com"] });
        lay_over(&mut route, &more);
        route
    };
    let told = ("warning", "/routes/0/hosts", "\"hosts\"", "any other host reaches /acct/...");
    for asks in [
        json!({ "required_permissions": ["acct:read"] }),
        json!({ "any_permissions": ["acct:read"] }),
        json!({ "bind": { "id": "sub" } }),
        json!({ "access": "deny" }),
    ] {
        let route = route(asks);
        for open in ["authenticated", "public"] {
            let text = guarded(&json!({ "routes": [route], "unmatched_routes": open }));
            assert_told(&text, "other-hosts", told);
        }
        let mut everywhere = route.clone();
        everywhere.as_object_mut().expect("an object").remove("hosts");
        for closed in [
            json!({ "routes": [route], "unmatched_routes": "deny" }),
            json!({ "routes": [route, everywhere] }),
            json!({ "routes": [route, { "path": "/{*rest}" }] }),
        ] {
            assert_silent(&guarded(&closed), "other-hosts");
        }
    }
    assert_silent(&guarded(&json!({ "routes": [route(json!({}))] })), "other-hosts");
    // A host that is shut is shut; nothing is said of the paths of others.
    let shut = json!({ "routes": [{ "path": "/{*all}", "hosts": ["shut.example.com"], "access": "deny" }] });
    assert_silent(&guarded(&shut), "other-hosts");
}

#[test]
fn callers_without_a_subject_who_share_one_counter_are_warned_of() {
    let told = ("warning", "/rate_limits/0/key/0", "\"subject\"", "add client_ip to the key");
    let public = json!([{ "path": "/health", "access": "public" }]);
    let optional =
        json!({ "keys": [{ "secret": { "env": "API_GUARD_SECRET" } }], "required_claims": ["exp"] });
    for shared in [
        json!({ "routes": public }),
        json!({ "unmatched_routes": "public" }),
        json!({ "tokens": optional }),
        json!({ "request": { "cors_preflight": "forward" } }),
    ] {
        let mut changes = shared.clone();
        for (key, is_told) in [
            (&["subject"][..], true),
            (&["subject", "route"], true),
            (&["subject", "client_ip"], false),
            (&["client_ip"], false),
        ] {
            changes["rate_limits"] = limited(key);
            let text = guarded(&changes);
            if is_told {
                assert_told(&text, "subject-key", told)
            } else {
                assert_silent(&text, "subject-key")
            }
        }
    }
    assert_silent(&guarded(&json!({ "rate_limits": limited(&["subject"]) })), "subject-key");
    // A route's own limit counts the callers of that route.
    let of_routes = json!([
        { "path": "/a", "rate_limits": limited(&["subject"]) },
        { "path": "/b", "access": "public", "rate_limits": limited(&["client_ip"]) },
    ]);
    assert_silent(&guarded(&json!({ "routes": of_routes })), "subject-key");
    let of_public = json!([{ "path": "/b", "access": "public", "rate_limits": limited(&["subject"]) }]);
    let told = ("warning", "/routes/0/rate_limits/0/key/0", "\"subject\"", "routes that need a token");
    assert_told(&guarded(&json!({ "routes": of_public })), "subject-key", told);
}

#[test]
fn tokens_that_are_verified_without_end_are_warned_of() {
    let none = |mut changes: Value| {
        changes["auth_failure_limit"] = Value::Null;
        guarded(&changes)
    };
    let told = ("warning", "/auth_failure_limit", "\"auth_failure_limit\"", "\"max_failures\": 20");
    let by_plan = json!([{ "name": "own", "window_seconds": 9, "key": ["client_ip"],
        "max_requests": { "claim": "plan", "values": { "free": 1 }, "default": 1 } }]);
    for open in [
        json!({}),
        json!({ "rate_limits": limited(&["client_ip", "subject"]) }),
        json!({ "rate_limits": limited(&["client_ip", "claim:plan"]) }),
        json!({ "rate_limits": limited(&["client_ip", "path"]) }),
        json!({ "rate_limits": limited(&["client_ip", "header:x-tenant"]) }),
        json!({ "rate_limits": by_plan }),
        // Only this route has a limit.
        json!({ "routes": [{ "path": "/a", "rate_limits": limited(&["client_ip"]) }] }),
        json!({ "unmatched_routes": "public", "routes": [{ "path": "/a" }] }),
    ] {
        assert_told(&none(open), "no-early-limit", told);
    }
    for ended in [
        json!({ "rate_limits": limited(&["client_ip"]) }),
        json!({ "rate_limits": limited(&["route"]) }),
        json!({ "unmatched_routes": "public" }),
    ] {
        assert_silent(&none(ended), "no-early-limit");
    }
    assert_silent(&guarded(&json!({})), "no-early-limit");
    // Left out, it has no line of its own.
    let smallest = config(json!({})).to_string();
    assert_told(&smallest, "no-early-limit", ("warning", "/auth_failure_limit", "{", "client_ip alone"));
}

#[test]
fn a_limit_is_judged_where_it_applies_and_for_whom() {
    let of = |name: &str, max: u64, key: &[&str]| json!({ "name": name, "max_requests": max, "window_seconds": 60, "key": key });
    let strict = of("strict", 10, &["client_ip"]);
    let wide = of("wide", 100, &["client_ip"]);
    let health = |skipped: Value| json!({ "path": "/health", "access": "public", "skip_limits": skipped });
    let excepting = |limit: &Value, networks: Value| {
        let mut limit = limit.clone();
        limit["except_addresses"] = networks;
        limit
    };
    let own = json!([of("own", 100, &["client_ip"])]);
    let told =
        ("warning", "/rate_limits/1/max_requests", "\"max_requests\"", "wide (100 in 60 s) never refuses");
    assert_told(&guarded(&json!({ "rate_limits": [strict, wide] })), "useless-limit", told);
    for (limits, routes) in [
        // Where the stricter limit does not apply, the other one may refuse.
        (json!([strict, wide]), json!([health(json!(["strict"]))])),
        (json!([excepting(&strict, json!(["10.0.0.0/8"])), wide]), json!([])),
        (json!([strict]), json!([{ "path": "/a", "skip_limits": ["*"], "rate_limits": own }])),
    ] {
        let text = guarded(&json!({ "rate_limits": limits, "routes": routes }));
        assert_silent(&text, "useless-limit");
    }
    for (limits, routes) in [
        (json!([strict, wide]), json!([health(json!(["wide"]))])),
        (json!([strict, wide]), json!([health(json!(["*"]))])),
        (json!([strict, excepting(&wide, json!(["10.0.0.0/8"]))]), json!([])),
    ] {
        let text = guarded(&json!({ "rate_limits": limits, "routes": routes }));
        assert_told(&text, "useless-limit", told);
    }
    // Callers of a route that skips a limit share no counter of it, and vary none.
    let subject = json!({ "rate_limits": limited(&["subject"]), "routes": [health(json!(["own"]))] });
    assert_silent(&guarded(&subject), "subject-key");
    let varied = json!([{ "path": "/files/{id}", "access": "public", "skip_limits": ["*"] }]);
    let varied = json!({ "rate_limits": limited(&["client_ip", "path", "subject"]), "routes": varied });
    assert_silent(&guarded(&varied), "path-key");
}

#[test]
fn a_route_that_skips_what_ends_forged_tokens_is_warned_of() {
    let text = |access: &str, own: Value| {
        let mut route = json!({ "path": "/a", "access": access, "skip_limits": ["own"] });
        if own.is_array() {
            route["rate_limits"] = own;
        }
        let limits = limited(&["client_ip"]);
        guarded(&json!({ "auth_failure_limit": null, "rate_limits": limits, "routes": [route] }))
    };
    let told = ("warning", "/routes/0/skip_limits", "\"skip_limits\"", "add auth_failure_limit");
    for access in ["authenticated", "optional"] {
        assert_told(&text(access, json!(null)), "no-early-limit", told);
    }
    assert_silent(&text("public", json!(null)), "no-early-limit");
    let mut early = limited(&["client_ip"]);
    early[0]["name"] = json!("early");
    assert_silent(&text("authenticated", early), "no-early-limit");
}

#[test]
fn a_limit_that_excepts_everybody_is_warned_of() {
    let text = |networks: Value| {
        let mut limits = limited(&["client_ip"]);
        limits[0]["except_addresses"] = networks;
        guarded(&json!({ "rate_limits": limits }))
    };
    let pointer = "/rate_limits/0/except_addresses/1";
    for (network, line) in [("0.0.0.0/0", "\"0.0.0.0/0\""), ("::/0", "\"::/0\"")] {
        let told = ("warning", pointer, line, "counts none of these clients");
        assert_told(&text(json!(["10.0.0.0/8", network])), "wide-exception", told);
    }
    assert_silent(&text(json!(["10.0.0.0/8", "fc00::/7"])), "wide-exception");
}

#[test]
fn a_path_that_an_anonymous_client_can_vary_in_a_key_is_warned_of() {
    let told = ("warning", "/rate_limits/0/key/1", "\"path\"", "count route instead");
    let early = json!({ "rate_limits": limited(&["client_ip", "path"]) });
    assert_told(&guarded(&early), "path-key", told);
    let late = |more: Value| {
        let mut changes = more;
        changes["rate_limits"] = limited(&["client_ip", "path", "subject"]);
        guarded(&changes)
    };
    assert_silent(&late(json!({})), "path-key");
    assert_silent(&late(json!({ "routes": [{ "path": "/health", "access": "public" }] })), "path-key");
    // Nobody needs a token there.
    assert_told(&late(json!({ "routes": [{ "path": "/a/{x}", "access": "public" }] })), "path-key", told);
    assert_told(&late(json!({ "unmatched_routes": "public" })), "path-key", told);
    assert_told(&late(json!({ "request": { "cors_preflight": "forward" } })), "path-key", told);
    assert_silent(&guarded(&json!({ "rate_limits": limited(&["client_ip", "route"]) })), "path-key");
    let of_route = |path: &str| {
        guarded(&json!({ "routes": [{ "path": path, "rate_limits": limited(&["client_ip", "path"]) }] }))
    };
    assert_silent(&of_route("/login"), "path-key");
    let told = ("warning", "/routes/0/rate_limits/0/key/1", "\"path\"", "count route instead");
    assert_told(&of_route("/users/{id}"), "path-key", told);
}

#[test]
fn routes_that_a_limit_counts_as_one_are_told() {
    let counting =
        |key: &[&str], routes: Value| guarded(&json!({ "rate_limits": limited(key), "routes": routes }));
    let told = |part: &'static str| ("warning", "/rate_limits/0/key/1", "\"route\"", part);
    let by_method = json!([{ "path": "/a", "methods": ["GET"] }, { "path": "/a", "methods": ["POST"] }]);
    let by_host = json!([{ "path": "/b" }, { "path": "/a", "hosts": ["a.example"] }, { "path": "/a" }]);
    let by_name = json!([{ "path": "/a" }, { "path": "/b", "name": "/a" }]);
    let key = ["client_ip", "route"];
    assert_told(
        &counting(&key, by_method.clone()),
        "route-key",
        told("/routes/0 and /routes/1 share one counter"),
    );
    assert_told(&counting(&key, by_name), "route-key", told("give each a name of its own"));
    let with_method = ["client_ip", "route", "method"];
    for key in [&key[..], &with_method] {
        assert_told(&counting(key, by_host.clone()), "route-key", told("/routes/1 and /routes/2"));
    }
    let named =
        json!([{ "path": "/a", "methods": ["GET"], "name": "read" }, { "path": "/a", "methods": ["POST"] }]);
    let skipping = json!([{ "path": "/a", "methods": ["GET"], "skip_limits": ["*"] }, { "path": "/a", "methods": ["POST"] }]);
    for (key, routes) in [
        (&key[..], named),
        (&key, skipping),
        (&with_method, by_method.clone()),
        (&["client_ip", "subject"], by_method),
    ] {
        assert_silent(&counting(key, routes), "route-key");
    }
}

#[test]
fn a_route_that_only_reports_passes_other_methods_too_and_that_is_said() {
    let route =
        |methods: Value| json!({ "routes": [{ "path": "/a", "mode": "report", "methods": methods }] });
    let told = ("warning", "/routes/0/mode", "\"mode\"", "whatever their method");
    assert_told(&guarded(&route(json!(["GET"]))), "report-mode", told);
}
