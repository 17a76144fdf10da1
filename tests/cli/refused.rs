//! A refused token, which `inspect` and `explain` lay beside what the configuration takes.

use serde_json::{Value, json};

use crate::command::{SECRET, api_guard};
use crate::files::{File, project};
use api_guard_testkit::sign_with;

const ISSUER: &str = "https://login.example.com/";

fn signed(header: &Value, claims: &Value) -> String {
    let mut all = json!({ "sub": "user-7", "iat": 1_500_000_000, "exp": 4_000_000_000_u64 });
    all.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
    sign_with(SECRET.as_bytes(), header.to_string().as_bytes(), all.to_string().as_bytes())
}

/// A key of the tests' secret.
fn key(more: Value) -> Value {
    let mut key = json!({ "secret": { "env": "API_GUARD_SECRET" } });
    key.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    key
}

/// Both commands say this of a token, and the client hears nothing of it.
fn assert_said(tokens: &Value, more: &[&str], token: &str, code: &str, said: &[&str]) {
    let file = File::new(json!({ "tokens": tokens }).to_string());
    let inspect = api_guard([&["inspect", token, "--json", "--config", file.path()], more].concat());
    let told = inspect.json();
    assert_eq!((inspect.code, &told["code"]), (1, &json!(code)), "{inspect:?}");
    let notes = told["notes"].as_array().cloned().unwrap_or_default();
    assert_eq!(notes, said, "{inspect:?}");
    let explain = ["explain", "--path", "/", "--json", "--config", file.path(), "--token", token];
    let explain = api_guard([&explain[..], more].concat());
    let told = explain.json();
    assert_eq!(told["code"], code, "{explain:?}");
    let steps = told["steps"].as_array().expect("the steps");
    let refused = steps.iter().find(|step| step["state"] == "refused").expect("a refusal");
    // What comes first is what the client hears.
    let notes = refused["notes"].as_array().expect("the notes");
    assert_eq!(notes[1..], *said, "{explain:?}");
    let (reply, lines) = (told["reply"].to_string(), said.iter());
    assert!(lines.into_iter().all(|line| !reply.contains(&line.replace('"', "\\\""))), "{reply}");
    assert!(!reply.contains("login.example.com") && !reply.contains("/tokens"), "{reply}");
}

#[test]
fn an_issuer_or_an_audience_that_is_refused_stands_beside_those_that_are_taken() {
    let hs256 = json!({ "alg": "HS256" });
    let plain =
        json!({ "keys": [key(json!({}))], "issuers": [ISSUER, "https://b"], "audiences": ["orders"] });
    let bound = json!({ "keys": [key(json!({ "issuers": [ISSUER], "audiences": ["orders"] }))] });
    let two = json!({ "keys": [
        key(json!({ "kid": "a", "issuers": [ISSUER] })),
        key(json!({ "kid": "b", "issuers": ["https://b"] })),
    ] });
    let beside =
        json!({ "keys": [key(json!({ "kid": "a" })), key(json!({ "kid": "b", "issuers": ["https://b"] }))] });
    let taken = "/tokens/issuers takes \"https://login.example.com/\" or \"https://b\"";
    let issuer = |iss: &str| json!({ "iss": iss });
    let audience = |aud: Value| json!({ "iss": ISSUER, "aud": aud });
    for (tokens, header, claims, code, said) in [
        (
            &plain,
            &hs256,
            issuer("https://login.example.com"),
            "issuer_refused",
            &format!("the token's iss is \"https://login.example.com\"; {taken}"),
        ),
        (&plain, &hs256, json!({}), "issuer_refused", &format!("the token has no iss; {taken}")),
        (
            &bound,
            &hs256,
            issuer("https://a\u{202e}"),
            "issuer_refused",
            &"the token's iss is \"https://a\\u{202e}\"; /tokens/keys/0/issuers takes \"https://login.example.com/\"".to_owned(),
        ),
        (
            &two,
            &hs256,
            issuer("https://c"),
            "issuer_refused",
            &"the token's iss is \"https://c\"; the keys and key sets take \"https://login.example.com/\" or \"https://b\"".to_owned(),
        ),
        (
            &beside,
            &json!({ "alg": "HS256", "kid": "a" }),
            issuer("https://b"),
            "issuer_refused",
            &"the token's iss is \"https://b\"; another key or key set names this issuer, and /tokens/keys/0 does not".to_owned(),
        ),
        (
            &plain,
            &hs256,
            audience(json!("order")),
            "audience_refused",
            &"the token's aud is \"order\"; /tokens/audiences takes \"orders\"".to_owned(),
        ),
        (
            &bound,
            &hs256,
            audience(json!(["a", "b"])),
            "audience_refused",
            &"the token's aud is \"a\" and \"b\"; /tokens/keys/0/audiences takes \"orders\"".to_owned(),
        ),
        (
            &plain,
            &hs256,
            issuer(ISSUER),
            "audience_refused",
            &"the token has no aud; /tokens/audiences takes \"orders\"".to_owned(),
        ),
    ] {
        assert_said(tokens, &[], &signed(header, &claims), code, &[said]);
    }
}

#[test]
fn of_one_key_in_several_places_the_audiences_of_each_are_told() {
    let of = |audience: &str| key(json!({ "audiences": [audience] }));
    let stranger = json!({ "secret": { "value": "e".repeat(64) }, "audiences": ["d"] });
    let old = key(json!({ "audiences": ["e"], "not_after": "2025-01-01T00:00:00Z" }));
    let tokens =
        json!({ "keys": [of("a"), of("b"), stranger, old, key(json!({}))], "audiences": ["orders"] });
    let said = "the token's aud is \"c\"; /tokens/keys/0/audiences takes \"a\", and /tokens/keys/1/audiences takes \"b\", and \
                /tokens/audiences takes \"orders\"";
    let token = signed(&json!({ "alg": "HS256" }), &json!({ "aud": "c" }));
    assert_said(&tokens, &[], &token, "audience_refused", &[said]);

    let jwks = project("tests/issuer_keys/jwks.json");
    let set = |name: &str, issuer: &str, audience: &str| {
        json!({
            "name": name,
            "issuers": [issuer],
            "audiences": [audience],
            "jwks": { "cluster": "idp", "path": "/jwks.json", "authority": "login.example.com" },
        })
    };
    let sets = [set("one", ISSUER, "a"), set("two", ISSUER, "b"), set("other", "https://b", "d")];
    let (key, iss) = (project("tests/issuer_keys/rsa.pem"), format!("iss={ISSUER}"));
    let mint = ["mint", "--sub", "user-7", "--claim", &iss, "--claim", "aud=c", "--kid", "r", "--key"];
    let token = api_guard([&mint[..], &[key.to_str().expect("a path")]].concat());
    let said = "the token's aud is \"c\"; /tokens/key_sets/0/audiences takes \"a\", and /tokens/key_sets/1/audiences takes \"b\"";
    let file = ["--jwks", jwks.to_str().expect("a path")];
    assert_said(&json!({ "key_sets": sets }), &file, token.line(), "audience_refused", &[said]);
}

#[test]
fn values_that_differ_only_at_their_end_are_shown_to_differ() {
    let tenant = "https://login.microsoftonline.com/11111111-2222-3333-4444-555555555555";
    let (v1, v2, slash) = (format!("{tenant}/"), format!("{tenant}/v2.0"), format!("{tenant}/v2.0/"));
    let header = json!({ "alg": "HS256" });
    for taken in [&[&v2][..], &[&v2, &v1]] {
        let tokens = json!({ "keys": [key(json!({}))], "issuers": taken });
        let quoted: Vec<String> = taken.iter().map(|issuer| format!("{issuer:?}")).collect();
        let said = format!("the token's iss is {slash:?}; /tokens/issuers takes {}", quoted.join(" or "));
        assert_said(&tokens, &[], &signed(&header, &json!({ "iss": slash })), "issuer_refused", &[&said]);
    }
    let kid = |last: &str| format!("{}{last}", "k".repeat(80));
    let tokens = json!({ "keys": [key(json!({ "kid": kid("1") })), key(json!({ "kid": kid("2") }))] });
    let said = format!("the token's kid is {:?}; the keys have {:?} and {:?}", kid("3"), kid("1"), kid("2"));
    let token = signed(&json!({ "alg": "HS256", "kid": kid("3") }), &json!({}));
    assert_said(&tokens, &[], &token, "token_key_unknown", &[&said]);
}

#[test]
fn an_unknown_kid_and_a_foreign_algorithm_stand_beside_those_of_the_keys() {
    let header = |alg: &str, kid: Option<&str>| match kid {
        Some(kid) => json!({ "alg": alg, "kid": kid }),
        None => json!({ "alg": alg }),
    };
    let one = json!({ "keys": [key(json!({ "kid": "2026-11" }))] });
    let bare = json!({ "keys": [key(json!({}))] });
    let secret = "e".repeat(64);
    let several = json!({ "keys": [
        key(json!({ "kid": "a" })),
        { "kid": "b", "algorithm": "HS384", "secret": { "value": secret } },
    ] });
    let old = json!({ "keys": [key(json!({ "kid": "a", "not_before": "2024-01-01T00:00:00Z", "not_after": "2025-01-01T00:00:00Z" }))] });
    let (unknown, refused) = ("token_key_unknown", "token_algorithm_refused");
    for (tokens, header, code, said) in [
        (
            &one,
            header("HS256", Some("2026-1")),
            unknown,
            "the token's kid is \"2026-1\"; the keys have \"2026-11\"",
        ),
        (
            &several,
            header("HS256", Some("c")),
            unknown,
            "the token's kid is \"c\"; the keys have \"a\" and \"b\"",
        ),
        (&bare, header("HS256", Some("c")), unknown, "the token's kid is \"c\"; no key has one"),
        (
            &old,
            header("HS256", Some("a")),
            unknown,
            "/tokens/keys/0 is not valid at that time (not_before 2024-01-01T00:00:00Z, not_after 2025-01-01T00:00:00Z)",
        ),
        (
            &old,
            header("HS256", None),
            unknown,
            "/tokens/keys/0 is not valid at that time (not_before 2024-01-01T00:00:00Z, not_after 2025-01-01T00:00:00Z)",
        ),
        (&one, header("none", None), refused, "the token's alg is \"none\"; /tokens/keys/0 takes \"HS256\""),
        (
            &several,
            header("RS256", None),
            refused,
            "the token's alg is \"RS256\"; the keys take \"HS256\" or \"HS384\"",
        ),
        (
            &several,
            header("HS256", Some("b")),
            refused,
            "the token's alg is \"HS256\"; /tokens/keys/1 takes \"HS384\"",
        ),
    ] {
        assert_said(tokens, &[], &signed(&header, &json!({})), code, &[said]);
    }
    // Without a kid nobody knows which key is meant.
    let both = signed(&header("HS512", None), &json!({}));
    assert_said(
        &several,
        &[],
        &both,
        refused,
        &["the token's alg is \"HS512\"; the keys take \"HS256\" or \"HS384\""],
    );
}

#[test]
fn the_keys_of_a_set_are_those_of_its_file() {
    let jwks = project("tests/issuer_keys/jwks.json");
    let jwks = jwks.to_str().expect("a path");
    let set = |name: &str, issuer: &str| {
        json!({
            "name": name,
            "issuers": [issuer],
            "audiences": ["orders"],
            "jwks": { "cluster": "idp", "path": "/jwks.json", "authority": "login.example.com" },
        })
    };
    let tokens = json!({ "keys": [key(json!({ "kid": "own" }))], "key_sets": [set("login", ISSUER), set("other", "https://b")] });
    let minted = |more: &[&str]| {
        let (key, iss) = (project("tests/issuer_keys/rsa.pem"), format!("iss={ISSUER}"));
        let all = ["mint", "--sub", "user-7", "--claim", &iss, "--key", key.to_str().expect("a path")];
        api_guard([&all[..], more].concat()).line().to_owned()
    };
    let file = ["--jwks", jwks];
    for (more, code, said) in [
        (
            &["--kid", "x"][..],
            "token_key_unknown",
            "the token's kid is \"x\"; the keys for its issuer have \"r\" and \"e\" and \"r2\"",
        ),
        (
            &["--kid", "e"],
            "token_algorithm_refused",
            "the token's alg is \"RS256\"; /tokens/key_sets/0 takes \"ES256\"",
        ),
        (
            &["--alg", "PS256"],
            "token_algorithm_refused",
            "the token's alg is \"PS256\"; the keys take \"RS256\" or \"ES256\"",
        ),
        (
            &["--kid", "r"],
            "audience_refused",
            "the token has no aud; /tokens/key_sets/0/audiences takes \"orders\"",
        ),
    ] {
        assert_said(&tokens, &file, &minted(more), code, &[said]);
    }
}
