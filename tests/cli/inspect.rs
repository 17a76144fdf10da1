//! `api-guard inspect`.

use std::io::Write;
use std::process::Stdio;

use api_guard_testkit::sign_with;
use serde_json::{Value, json};

use crate::command::{SECRET, api_guard, command, run};
use crate::files::{File, config, project};

/// A token with these claims, signed with the tests' secret.
pub(crate) fn signed(claims: &Value) -> String {
    sign_with(SECRET.as_bytes(), br#"{"alg":"HS256"}"#, claims.to_string().as_bytes())
}

fn minted() -> String {
    api_guard(["mint", "--sub", "user-7", "--permission", "orders:read"]).line().to_owned()
}

#[test]
fn header_claims_and_times_are_shown_in_words() {
    let claims =
        json!({ "sub": "user-7", "iat": 1_500_000_000, "exp": 4_000_000_000_u64, "nbf": 1_500_000_000.5 });
    let run = api_guard(["inspect", &signed(&claims)]);
    assert_eq!(run.code, 0, "{run:?}");
    for part in [
        "\"alg\": \"HS256\"",
        "\"sub\": \"user-7\"",
        "iat 2017-07-14T02:40:00Z (",
        " years ago)",
        "nbf 2017-07-14T02:40:00Z (",
        "exp 2096-10-02T07:06:40Z (in ",
        "not verified",
    ] {
        assert!(run.out.contains(part), "{part}: {}", run.out);
    }
}

#[test]
fn with_a_configuration_it_is_verified() {
    let envoy = project("envoy.yaml");
    let envoy = envoy.to_str().expect("a path");
    let run = api_guard(["inspect", &minted(), "--config", envoy]);
    assert_eq!(run.code, 0, "{run:?}");
    assert!(run.out.contains("verified by /tokens/keys/0"), "{run:?}");
    let run = api_guard(["inspect", &format!("Bearer {}", minted()), "--config", envoy, "--json"]);
    assert_eq!((run.code, &run.json()["verified"]), (0, &json!(true)));
}

#[test]
fn a_token_that_does_not_verify_says_why() {
    let denied = config(json!({ "revocation": { "denied": { "sub": ["mallory"] } } }));
    let file = File::new(denied.to_string());
    let good = json!({ "sub": "user-7", "iat": 1_500_000_000, "exp": 4_000_000_000_u64 });
    let with = |name: &str, value: Value| {
        let mut claims = good.clone();
        claims[name] = value;
        signed(&claims)
    };
    let without =
        |token: &str| token.rsplit_once('.').map(|(rest, _)| format!("{rest}.AAAA")).expect("three parts");
    for (token, code, reason) in [
        (with("exp", json!(1_600_000_000)), "token_expired", "Token has expired"),
        (
            with("iat", json!(3_900_000_000_u64)),
            "token_issued_in_future",
            "Invalid token: issued in the future",
        ),
        (with("sub", json!("mallory")), "token_revoked", "Token has been revoked"),
        (signed(&json!({ "iat": 1 })), "claim_missing", "Token missing required claims: sub, exp"),
        (with("permissions", json!(["Bad"])), "permissions_malformed", "Invalid permission format: Bad"),
        (without(&signed(&good)), "token_signature_invalid", "Invalid token: signature does not verify"),
    ] {
        let run = api_guard(["inspect", &token, "--config", file.path()]);
        assert_eq!(run.code, 1, "{run:?}");
        assert!(run.out.contains(&format!("refused {code}: {reason}")), "{code}: {}", run.out);
        let run = api_guard(["inspect", &token, "--config", file.path(), "--json"]);
        assert_eq!((run.code, &run.json()["code"], &run.json()["reason"]), (1, &json!(code), &json!(reason)));
    }
}

#[test]
fn what_is_no_token_is_refused() {
    for (text, reason) in [
        ("a.b", "Invalid token: not three parts"),
        ("", "Invalid token: not three parts"),
        ("YQ.YQ.YQ", "Invalid token: header is not a JSON object of the right form"),
        ("a b.c.d", "Invalid token: a character that no token has"),
    ] {
        let run = api_guard(["inspect", text]);
        assert_eq!(run.code, 1, "{run:?}");
        assert_eq!(run.err, format!("error: {reason}\n"));
    }
    assert_eq!(api_guard(["inspect", "YQ.YQ.YQ", "--json"]).json()["readable"], false);
    assert_eq!(api_guard(["inspect"]).code, 2);
    assert_eq!(api_guard(["inspect", &minted(), "--config", "/nowhere"]).code, 2);
}

#[test]
fn a_token_is_read_from_standard_input_too() {
    let mut child = command()
        .args(["inspect", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the command");
    child.stdin.take().expect("a pipe").write_all(minted().as_bytes()).expect("written");
    let output = child.wait_with_output().expect("its end");
    assert!(output.status.success() && String::from_utf8_lossy(&output.stdout).contains("user-7"));
}

#[test]
fn no_secret_is_shown_and_one_that_is_not_set_is_told() {
    let file = File::new(config(json!({})).to_string());
    let run_with = api_guard(["inspect", &minted(), "--config", file.path()]);
    assert!(!format!("{run_with:?}").contains(SECRET));
    let unset =
        run(command().env_remove("API_GUARD_SECRET").args(["inspect", &minted(), "--config", file.path()]));
    assert_eq!(unset.code, 1);
    assert!(unset.err.contains("/tokens/keys/0/secret/env"), "{unset:?}");
}
