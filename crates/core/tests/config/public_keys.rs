//! Public keys and key sets in a configuration.

use api_guard_testkit::{IssuerKey, key_set, lay_over};
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD, Engine};
use serde_json::{Value, json};

use super::{errors, parse_with, places};

fn jwk() -> Value {
    IssuerKey::es256(1).jwk(None)
}

/// A key of Ed25519 in PEM.
fn pem() -> String {
    let jwk = IssuerKey::eddsa(1).jwk(None);
    let mut spki = b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00".to_vec();
    spki.extend(BASE64_URL_SAFE_NO_PAD.decode(jwk["x"].as_str().unwrap()).unwrap());
    format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", BASE64_STANDARD.encode(spki))
}

fn key(key: Value) -> Value {
    json!({ "tokens": { "keys": [key] } })
}

fn set(changes: Value) -> Value {
    let mut set = json!({
        "name": "login",
        "issuers": ["https://login.example.com/"],
        "jwks": { "cluster": "idp", "path": "/.well-known/jwks.json?v=1", "authority": "login.example.com:8443" },
    });
    lay_over(&mut set, &changes);
    json!({ "tokens": { "key_sets": [set] } })
}

#[test]
fn what_is_right_is_taken() {
    for good in [
        key(json!({ "public_key": { "jwk": jwk() } })),
        key(json!({ "public_key": { "jwk": jwk() }, "algorithm": "ES256", "kid": "a", "issuers": ["b"] })),
        key(json!({ "public_key": { "pem": pem() } })),
        key(json!({ "public_key": { "pem": pem() }, "algorithm": "EdDSA" })),
        set(json!({})),
        set(
            json!({ "audiences": ["a"], "algorithms": ["EdDSA", "ES384", "RS512"], "permissions_claim": ["scope", "scp"], "permission_format": "scope_token" }),
        ),
        set(
            json!({ "refresh_seconds": 1, "min_refetch_seconds": 1, "timeout_milliseconds": 10, "max_stale_seconds": 1 }),
        ),
        set(
            json!({ "refresh_seconds": 86_400, "min_refetch_seconds": 3600, "timeout_milliseconds": 60_000 }),
        ),
        set(json!({ "jwks": { "inline": key_set(&[jwk()]) } })),
    ] {
        assert_eq!(places(&good), Vec::<String>::new(), "{good}");
    }
}

#[test]
fn a_variable_holds_a_jwk_or_pem() {
    let parse = |text: &'static str| {
        let config = key(json!({ "public_key": { "env": "KEY" } })).to_string();
        parse_with(config.as_bytes(), |name| (name == "KEY").then_some(text)).map(drop)
    };
    let (jwk, pem) = (jwk().to_string(), pem());
    assert!(parse(Box::leak(format!(" {jwk}\n").into_boxed_str())).is_ok());
    assert!(parse(Box::leak(pem.into_boxed_str())).is_ok());
    for bad in ["", "{}", "{", "MCow", "a-secret-of-the-tests-that-is-long-enough"] {
        let errors = parse(bad).unwrap_err();
        assert_eq!(errors.0[0].at.to_string(), "/tokens/keys/0/public_key/env", "{bad}");
    }
    let unset = key(json!({ "public_key": { "env": "NOWHERE" } }));
    assert!(errors(&unset)[0].1.contains("NOWHERE is not set"));
    // No public key has it, whatever the variable holds.
    let of_secrets = key(json!({ "public_key": { "env": "NOWHERE" }, "algorithm": "HS256" }));
    let pointers: Vec<String> = errors(&of_secrets).into_iter().map(|(pointer, _)| pointer).collect();
    assert_eq!(pointers, ["/tokens/keys/0/algorithm", "/tokens/keys/0/public_key/env"]);
}

#[test]
fn each_fault_is_reported_at_its_pointer() {
    let changed = |name: &str, value: Value| {
        let mut jwk = jwk();
        jwk[name] = value;
        json!({ "jwk": jwk })
    };
    let of_key = "/tokens/keys/0";
    for (bad, at) in [
        (json!({ "public_key": changed("y", json!("AAAA")) }), "/public_key/jwk"),
        (json!({ "public_key": changed("use", json!("enc")) }), "/public_key/jwk"),
        (json!({ "public_key": changed("crv", json!("P-521")) }), "/public_key/jwk"),
        (json!({ "public_key": { "jwk": { "kty": "oct", "k": "AQ" } } }), "/public_key/jwk"),
        (json!({ "public_key": { "jwk": [] } }), "/public_key/jwk"),
        (json!({ "public_key": { "jwk": jwk(), "pem": "" } }), "/public_key"),
        (json!({ "public_key": {} }), "/public_key"),
        (json!({ "public_key": "abc" }), "/public_key"),
        (json!({ "public_key": { "x5c": "" } }), "/public_key"),
        (json!({ "public_key": { "pem": "-----BEGIN CERTIFICATE-----" } }), "/public_key/pem"),
        (json!({ "public_key": { "env": "no name" } }), "/public_key/env"),
        (json!({ "public_key": { "jwk": jwk() }, "algorithm": "HS256" }), "/algorithm"),
        (json!({ "public_key": { "jwk": jwk() }, "algorithm": "ES384" }), "/algorithm"),
        (json!({ "public_key": { "jwk": jwk() }, "algorithm": "RS256" }), "/algorithm"),
        (json!({ "public_key": { "jwk": jwk() }, "secret": { "env": "SECRET" } }), "/public_key"),
        (json!({ "secret": { "env": "SECRET" }, "algorithm": "RS256" }), "/algorithm"),
        (json!({ "algorithm": "ES256" }), "/algorithm"),
        (json!({}), "/secret"),
    ] {
        assert_eq!(places(&key(bad.clone())), [[of_key, at].concat()], "{bad}");
    }
    let of_set = "/tokens/key_sets/0";
    for (bad, at) in [
        (json!({ "name": null }), "/name"),
        (json!({ "name": "" }), "/name"),
        (json!({ "name": "a.b" }), "/name"),
        (json!({ "name": "a".repeat(65) }), "/name"),
        (json!({ "issuers": [] }), "/issuers"),
        (json!({ "issuers": [""] }), "/issuers/0"),
        (json!({ "issuers": ["a", "a"] }), "/issuers/1"),
        (json!({ "audiences": ["a", "a"] }), "/audiences/1"),
        (json!({ "algorithms": [] }), "/algorithms"),
        (json!({ "algorithms": ["HS256"] }), "/algorithms/0"),
        (json!({ "algorithms": ["ES256", "PS257"] }), "/algorithms/1"),
        (json!({ "algorithms": ["ES256", "ES256"] }), "/algorithms/1"),
        (json!({ "refresh_seconds": 0 }), "/refresh_seconds"),
        (json!({ "refresh_seconds": 86_401 }), "/refresh_seconds"),
        (json!({ "min_refetch_seconds": 0 }), "/min_refetch_seconds"),
        (json!({ "min_refetch_seconds": 3601 }), "/min_refetch_seconds"),
        (json!({ "timeout_milliseconds": 9 }), "/timeout_milliseconds"),
        (json!({ "timeout_milliseconds": 60_001 }), "/timeout_milliseconds"),
        (json!({ "max_stale_seconds": 0 }), "/max_stale_seconds"),
        (json!({ "permissions_claim": [] }), "/permissions_claim"),
        (json!({ "permission_format": "any" }), "/permission_format"),
        (json!({ "jwks": null }), "/jwks"),
        (json!({ "jwks": { "cluster": "idp", "path": "/a" } }), "/jwks/authority"),
        (json!({ "jwks": { "cluster": "", "path": "/a", "authority": "b" } }), "/jwks/cluster"),
        (json!({ "jwks": { "cluster": "idp", "path": "a", "authority": "b" } }), "/jwks/path"),
        (json!({ "jwks": { "cluster": "idp", "path": "/a b", "authority": "b" } }), "/jwks/path"),
        (json!({ "jwks": { "cluster": "idp", "path": "/a", "authority": "https://b" } }), "/jwks/authority"),
        (json!({ "jwks": { "cluster": "idp", "inline": key_set(&[jwk()]) } }), "/jwks"),
        (json!({ "jwks": { "inline": [] } }), "/jwks/inline"),
        (json!({ "jwks": { "inline": {} } }), "/jwks/inline"),
        (json!({ "jwks": { "inline": { "keys": [] } } }), "/jwks/inline/keys"),
        (json!({ "jwks": { "inline": key_set(&[jwk(), json!({ "kty": "oct" })]) } }), "/jwks/inline/keys/1"),
        (json!({ "jwks": { "inline": key_set(&[IssuerKey::eddsa(1).jwk(None)]) } }), "/jwks/inline/keys/0"),
        (json!({ "jwks": { "inline": key_set(&vec![jwk(); 101]) } }), "/jwks/inline"),
        (json!({ "refresh": 1 }), "/refresh"),
    ] {
        assert_eq!(places(&set(bad.clone())), [[of_set, at].concat()], "{bad}");
    }
    let twice = set(json!({}))["tokens"]["key_sets"][0].clone();
    let config = json!({ "tokens": { "key_sets": [twice, twice] } });
    assert_eq!(places(&config), ["/tokens/key_sets/1/name"]);
    assert_eq!(places(&json!({ "tokens": {} })), ["/tokens/keys"]);
    assert_eq!(places(&json!({ "tokens": { "keys": [], "key_sets": [] } })), ["/tokens/keys"]);
}

#[test]
fn two_keys_of_one_kid_in_an_inline_set_are_both_told() {
    let keys = [IssuerKey::es256(1).jwk(Some("a")), IssuerKey::es256(2).jwk(Some("a"))];
    let config = set(json!({ "jwks": { "inline": key_set(&keys) } }));
    let of = "/tokens/key_sets/0/jwks/inline/keys";
    assert_eq!(places(&config), [format!("{of}/0"), format!("{of}/1")]);
}

#[test]
fn an_algorithm_that_envoy_does_not_verify_is_one_only_where_this_process_verifies() {
    // These tests are built with native signatures. The module is not: tests/envoy has its answer.
    for algorithm in ["PS256", "PS384", "PS512"] {
        assert_eq!(places(&set(json!({ "algorithms": [algorithm] }))), Vec::<String>::new());
        let of_ec = key(json!({ "public_key": { "jwk": jwk() }, "algorithm": algorithm }));
        assert_eq!(places(&of_ec), ["/tokens/keys/0/algorithm"]);
    }
}

#[test]
fn no_part_of_a_key_is_in_an_error() {
    let mut private = jwk();
    private["d"] = json!("very-secret");
    for config in [
        key(json!({ "public_key": { "jwk": private } })),
        key(json!({ "public_key": { "pem": "very-secret" } })),
        key(json!({ "public_key": "very-secret" })),
        set(json!({ "jwks": { "inline": key_set(&[private]) } })),
        set(json!({ "jwks": { "inline": "very-secret" } })),
        set(json!({ "jwks": "very-secret" })),
    ] {
        let errors = errors(&config);
        assert!(!errors.is_empty());
        for (_, text) in errors {
            assert!(!text.contains("very-secret"), "{text}");
        }
    }
}
