//! What is said of routes that are wrong.

use serde_json::{Value, json};

use super::{errors, with};

/// The one error of a configuration with this route.
fn error_of(route: &Value) -> (String, String) {
    let mut errors = errors(&with(json!({ "routes": [route] })));
    assert_eq!(errors.len(), 1, "{route}: {errors:?}");
    errors.remove(0)
}

/// Asserts that each route has one error, at this field and with these words.
fn assert_told(cases: &[(Value, &str, &str)]) {
    for (route, field, words) in cases {
        let (at, text) = error_of(route);
        assert_eq!(at, format!("/routes/0/{field}"), "{route}: {text}");
        assert!(text.contains(words), "{route}: {text}");
    }
}

#[test]
fn the_patterns_of_other_programs_are_errors_that_say_what_to_write() {
    for (path, words) in [
        ("/admin/*", "`{*rest}`"),
        ("/admin/**", "`{*rest}`"),
        ("/files/*.json", "`%2A`"),
        ("/things/:id", "`{id}` instead of `:id`"),
        ("/orders/[0-9]+", "`{id}`"),
        ("/orders/(new|old)", "`%28`"),
        ("/^orders$", "regular expression"),
        ("/orders/{id:[0-9]+}", "the name alone"),
        ("/orders/{id:int}", "the name alone"),
        ("/orders/:id?", "a route for each form"),
    ] {
        assert_told(&[(json!({ "path": path }), "path", words)]);
    }
    let endpoint = with(json!({ "revocation": { "endpoint": { "path": "/auth/*" } } }));
    assert_eq!(errors(&endpoint).first().map(|(at, _)| at.as_str()), Some("/revocation/endpoint/path"));
}

#[test]
fn a_parameter_may_have_literals_beside_it_and_a_segment_one_parameter() {
    assert_eq!(errors(&with(json!({ "routes": [{ "path": "/v{n}/orders/{id}:cancel" }] }))), []);
    assert_told(&[
        (json!({ "path": "/{a}-{b}" }), "path", "write one"),
        (json!({ "path": "/{*rest}.json" }), "path", "write it alone"),
        (json!({ "path": "/a{b" }), "path", "`%7B`"),
    ]);
}

#[test]
fn the_same_path_in_another_case_is_taken_where_case_does_not_matter() {
    let routes = json!([{ "path": "/Admin" }, { "path": "/admin" }]);
    assert_eq!(errors(&with(json!({ "routes": routes }))), []);
    let insensitive = with(json!({ "routes": routes, "request": { "path_case": "insensitive" } }));
    let errors = errors(&insensitive);
    assert_eq!(errors.len(), 4, "one for each method: {errors:?}");
    assert!(errors.iter().all(|(at, text)| at == "/routes/1" && text.contains("taken by /routes/0")));
}

#[test]
fn access_is_one_of_four_words_and_that_of_unmatched_paths_one_of_three() {
    for access in ["public", "optional", "authenticated", "deny"] {
        assert_eq!(errors(&with(json!({ "routes": [{ "path": "/a", "access": access }] }))), []);
        let unmatched = errors(&with(json!({ "unmatched_routes": access })));
        assert_eq!(unmatched.len(), usize::from(access == "optional"), "{unmatched:?}");
    }
}

#[test]
fn what_lifts_a_binding_needs_one() {
    let bound = json!({ "path": "/users/{id}", "bind": { "id": "sub" }, "bind_unless": ["users:admin"] });
    assert_eq!(errors(&with(json!({ "routes": [bound] }))), []);
    assert_told(&[
        (json!({ "path": "/a", "bind_unless": ["users:admin"] }), "bind_unless", "add bind"),
        (
            json!({ "path": "/{id}", "bind": { "id": "sub" }, "bind_unless": [] }),
            "bind_unless",
            "at least one permission",
        ),
        (
            json!({ "path": "/{id}", "bind": { "id": "sub" }, "bind_unless": ["X"] }),
            "bind_unless/0",
            "lower-case letters",
        ),
    ]);
}

#[test]
fn a_condition_names_a_claim_and_one_thing_that_is_asked_of_it() {
    let good = json!([
        { "claim": "email_verified", "is": [true] },
        { "claim": "groups", "any": ["a", "b"] },
        { "claim": "realm_access.roles", "all": ["a", 7, -7] },
        { "claim": "tenant", "equals_header": "X-Tenant" },
    ]);
    for access in ["authenticated", "optional"] {
        let route = json!({ "path": "/a", "access": access, "require": good });
        assert_eq!(errors(&with(json!({ "routes": [route] }))), []);
    }
    let told = |require: Value, field: &str, words: &str| {
        assert_told(&[(json!({ "path": "/a", "require": require }), field, words)]);
    };
    told(json!([]), "require", "at least one condition");
    told(json!([{ "is": [true] }]), "require/0/claim", "email_verified");
    told(json!([{ "claim": "a..b", "is": [true] }]), "require/0/claim", "name");
    told(json!([{ "claim": "a" }]), "require/0", "exactly one of is, any, all and equals_header");
    told(json!([{ "claim": "a", "is": [1], "any": [1] }]), "require/0", "exactly one");
    told(json!([{ "claim": "a", "is": [] }]), "require/0/is", "at least one value");
    told(json!([{ "claim": "a", "any": ["x", "x"] }]), "require/0/any/1", "remove the duplicate");
    told(json!([{ "claim": "a", "is": [1.5] }]), "require/0/is/0", "a text, a whole number, true or false");
    told(json!([{ "claim": "a", "all": [null] }]), "require/0/all/0", "a text, a whole number");
    told(json!([{ "claim": "a", "equals_header": "x y" }]), "require/0/equals_header", "x-tenant");
    told(json!([{ "claim": "a", "equals": ["x"] }]), "require/0/equals", "equals_header");
    for access in ["public", "deny"] {
        let route = json!({ "path": "/a", "access": access, "require": good });
        assert_told(&[(route, "require", "\"access\": \"authenticated\"")]);
    }
}

#[test]
fn addresses_are_networks() {
    for field in ["allow_from", "deny_from"] {
        let route = |networks: Value| json!({ "path": "/a", "access": "public", field: networks });
        let good = json!(["10.0.0.0/8", "192.0.2.7", "2001:db8::/32", "::1"]);
        assert_eq!(errors(&with(json!({ "routes": [route(good)] }))), []);
        for (networks, at, words) in [
            (json!([]), "", "10.0.0.0/8"),
            (json!(["10.0.0.0/8", "10.0.0.0/8"]), "/1", "remove the duplicate"),
            (json!(["localhost"]), "/0", "10.0.0.0/8"),
            (json!(["10.0.0.0/33"]), "/0", "not a network"),
            (json!(["10.0.0.1/8"]), "/0", "write \"10.0.0.0/8\""),
            (json!(["2001:db8::1/32"]), "/0", "write \"2001:db8::/32\""),
            (json!(["::ffff:10.0.0.0/104"]), "/0", "count as IPv4"),
        ] {
            assert_told(&[(route(networks), &format!("{field}{at}"), words)]);
        }
    }
}

#[test]
fn the_addresses_that_a_limit_excepts_are_networks() {
    let excepting = |networks: Value| {
        let limit =
            json!({ "name": "a", "max_requests": 1, "window_seconds": 1, "except_addresses": networks });
        errors(&with(json!({ "rate_limits": [limit] })))
    };
    assert_eq!(excepting(json!(["10.0.0.0/8", "::1"])), []);
    for (networks, at, words) in [
        (json!([]), "", "10.0.0.0/8"),
        (json!(["10.0.0.0/8", "10.0.0.0/8"]), "/1", "remove the duplicate"),
        (json!(["all"]), "/0", "not a network"),
        (json!(["10.0.0.1/8"]), "/0", "write \"10.0.0.0/8\""),
    ] {
        let errors = excepting(networks);
        assert_eq!(errors.len(), 1, "{errors:?}");
        assert_eq!(errors[0].0, format!("/rate_limits/0/except_addresses{at}"));
        assert!(errors[0].1.contains(words), "{errors:?}");
    }
}

#[test]
fn a_route_skips_limits_that_exist_and_are_not_its_own() {
    let limit = |name: &str| json!({ "name": name, "max_requests": 1, "window_seconds": 1 });
    let of_route = |skipped: Value| {
        let routes = json!([
            { "path": "/a", "skip_limits": skipped, "rate_limits": [limit("own")] },
            { "path": "/b", "rate_limits": [limit("later")] },
        ]);
        errors(&with(json!({ "rate_limits": [limit("a"), limit("b")], "routes": routes })))
    };
    for good in [json!(["a"]), json!(["b", "a"]), json!(["*"]), json!(null)] {
        assert_eq!(of_route(good), []);
    }
    for (skipped, at, words) in [
        (json!([]), "", "[\"*\"] for all"),
        (json!(["c"]), "/0", "no limit of rate_limits has this name"),
        (json!(["own"]), "/0", "no limit of rate_limits has this name"),
        (json!(["later"]), "/0", "no limit of rate_limits has this name"),
        (json!(["auth-failures"]), "/0", "no limit of rate_limits has this name"),
        (json!(["a", "a"]), "/1", "remove the duplicate"),
        (json!(["*", "*"]), "/1", "remove the duplicate"),
        (json!(["a", "*"]), "/1", "write [\"*\"] alone"),
        (json!(["*", "a"]), "/0", "write [\"*\"] alone"),
    ] {
        let errors = of_route(skipped.clone());
        assert_eq!(errors.len(), 1, "{skipped}: {errors:?}");
        assert_eq!(errors[0].0, format!("/routes/0/skip_limits{at}"));
        assert!(errors[0].1.contains(words), "{errors:?}");
    }
    // The default limit has a name too, and a limit with another fault is there all the same.
    assert_eq!(errors(&with(json!({ "routes": [{ "path": "/a", "skip_limits": ["default"] }] }))), []);
    let broken = json!([{ "name": "a", "max_requests": 0, "window_seconds": 1 }]);
    let errors =
        errors(&with(json!({ "rate_limits": broken, "routes": [{ "path": "/a", "skip_limits": ["a"] }] })));
    assert_eq!(errors.len(), 1, "{errors:?}");
}

#[test]
fn an_empty_list_of_limits_takes_no_limit_from_a_route() {
    assert_told(&[(json!({ "path": "/a", "rate_limits": [] }), "rate_limits", "\"skip_limits\": [\"*\"]")]);
    assert_eq!(errors(&with(json!({ "rate_limits": [], "routes": [{ "path": "/a" }] }))), []);
}

#[test]
fn what_is_allowed_in_a_path_is_for_its_parameters() {
    let route = |path: &str, allowed: Value| json!({ "path": path, "allow_in_path": allowed });
    for path in ["/a/{id}", "/a/{*rest}", "/a/{id}.json"] {
        let all = json!(["encoded_slash", "semicolon", "encoded_unreserved"]);
        assert_eq!(errors(&with(json!({ "routes": [route(path, all)] }))), []);
    }
    assert_told(&[
        (route("/a", json!(["semicolon"])), "allow_in_path", "add a parameter"),
        (route("/{a}", json!([])), "allow_in_path", "at least one"),
        (route("/{a}", json!(["semicolon", "semicolon"])), "allow_in_path/1", "remove the duplicate"),
        (route("/{a}", json!(["backslash"])), "allow_in_path/0", "\"encoded_slash\""),
    ]);
}

#[test]
fn a_body_is_held_or_streams() {
    for body in ["hold", "stream"] {
        assert_eq!(errors(&with(json!({ "routes": [{ "path": "/a", "body": body }] }))), []);
    }
    for wrong in [json!("Stream"), json!("streaming"), json!(true), json!(null), json!(["stream"])] {
        assert_told(&[(json!({ "path": "/a", "body": wrong }), "body", "\"hold\"")]);
    }
}
