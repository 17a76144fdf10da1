//! Limits that enforce beside a rest that only reports, and the other way round.

use serde_json::{Value, json};

use super::{get, limit, limited, over};
use crate::{Guarded, HOUR, START, request, said, token};

#[test]
fn a_limit_of_another_mode_than_the_rest_does_as_its_own_says() {
    let route = |path: &str, mode: &str| json!({ "path": path, "access": "public", "mode": mode });
    let mut with_modes = vec![];
    for (name, mode) in [("reports", "report"), ("enforces", "enforce")] {
        let mut limit = limit(name, json!(1), json!(["path"]));
        limit["mode"] = json!(mode);
        with_modes.push(limit);
    }
    for (limit, path, code) in [
        (&with_modes[0], "/enforcing", "ok"),
        (&with_modes[0], "/reporting", "ok"),
        (&with_modes[1], "/enforcing", "rate_limited"),
        (&with_modes[1], "/reporting", "rate_limited"),
        (&limit("neither", json!(1), json!(["path"])), "/enforcing", "rate_limited"),
        (&limit("neither", json!(1), json!(["path"])), "/reporting", "ok"),
    ] {
        let mut guarded = Guarded::new(
            json!({}),
            json!({ "routes": [route("/enforcing", "enforce"), route("/reporting", "report")], "rate_limits": [limit] }),
        );
        assert_eq!(get(&mut guarded, path, &[]), "ok");
        let verdict = guarded.admit(&request("GET", path, &[]), START);
        assert_eq!(said(&verdict), code, "{limit} {path}");
        assert_eq!(over(&verdict).name, limit["name"].as_str().unwrap(), "told in any case");
        assert_eq!(verdict.trail.limits.len(), 1, "judged once");
    }
}

/// Where everything reports, a limit that enforces, and others.
fn reporting(limits: Value) -> Guarded {
    Guarded::new(json!({}), json!({ "mode": "report", "rate_limits": limits }))
}

fn enforcing(name: &str, max_requests: u64, key: &str) -> Value {
    let mut limit = limit(name, json!(max_requests), json!([key]));
    limit["mode"] = json!("enforce");
    limit
}

#[test]
fn a_limit_that_enforces_counts_what_passes_only_because_the_rest_reports_once() {
    let token = token(&json!({ "sub": "u1", "iat": START, "exp": START + HOUR }));
    let bearer = format!("Bearer {token}");
    for (key, method, headers, reported) in [
        // What would have been refused before any limit was asked, and what after that.
        ("client_ip", "PATCH", vec![], "method_not_allowed"),
        ("client_ip", "GET", vec![], "token_missing"),
        ("client_ip", "GET", vec![("authorization", "Bearer a.b.c")], "token_malformed"),
        ("subject", "PATCH", vec![("authorization", bearer.as_str())], "method_not_allowed"),
        ("subject", "PATCH", vec![], "method_not_allowed"),
    ] {
        let mut guarded = reporting(json!([enforcing("own", 2, key)]));
        for code in ["ok", "ok", "rate_limited"] {
            let verdict = guarded.admit(&request(method, "/", &headers), START);
            let case = format!("{key} {method} {headers:?}");
            assert_eq!(said(&verdict), code, "{case}");
            if code == "ok" {
                let told = verdict.refusal().map(|denial| denial.code().as_str());
                assert_eq!(told, Some(reported), "{case}");
            }
            assert_eq!(verdict.trail.limits.len(), 1, "{case}");
        }
    }
    // A refusal would have spent nothing of the others.
    let mut guarded = reporting(json!([limit("other", json!(2), json!(["client_ip"]))]));
    for _ in 0..5 {
        assert_eq!(guarded.admit(&request("PATCH", "/", &[]), START).trail.limits.len(), 0);
    }
}

#[test]
fn who_passes_only_because_all_reports_is_still_told_to_the_upstream() {
    let good = token(&json!({ "sub": "u1", "iat": START, "exp": START + HOUR }));
    let denied = token(&json!({ "sub": "u2", "iat": START, "exp": START + HOUR }));
    let mut guarded = Guarded::new(
        json!({}),
        json!({
            "mode": "report",
            "revocation": { "denied": { "sub": ["u2"] } },
            "routes": [{ "path": "/public", "access": "public" }],
        }),
    );
    for (path, token, subject) in [
        ("/", good.as_str(), Some("u1")),
        ("/", &denied, None),
        ("/", "a.b.c", None),
        ("/public", &good, None),
    ] {
        let bearer = format!("Bearer {token}");
        let headers = [("content-length", "x"), ("authorization", bearer.as_str())];
        let verdict = guarded.admit(&request("GET", path, &headers), START);
        assert_eq!(said(&verdict), "ok");
        assert_eq!(
            verdict.trail.identity().and_then(|caller| caller.token.subject()),
            subject,
            "{path} {token}"
        );
    }
}

#[test]
fn a_refusal_spends_nothing_of_the_other_limits_whatever_their_modes_unless_it_is_only_reported() {
    let limits = json!([enforcing("own", 3, "client_ip"), limit("scarce", json!(1), json!(["client_ip"]))]);
    // Enforced, "scarce" keeps all but one from spending of "own".
    let mut guarded = limited(limits.clone());
    for (code, used) in [("ok", 1), ("rate_limited", 1), ("rate_limited", 1)] {
        let verdict = guarded.admit(&request("GET", "/", &[]), START);
        assert_eq!((said(&verdict).as_str(), verdict.trail.limits[0].outcome.used), (code, used));
    }
    // Reported, it keeps none.
    let mut guarded = Guarded::new(
        json!({}),
        json!({ "mode": "report", "unmatched_routes": "public", "rate_limits": limits }),
    );
    for (code, used) in [("ok", 1), ("ok", 2), ("ok", 3), ("rate_limited", 3)] {
        let verdict = guarded.admit(&request("GET", "/", &[]), START);
        assert_eq!((said(&verdict).as_str(), verdict.trail.limits[0].outcome.used), (code, used));
    }
}
