//! Keys that only the issuer has, without a server: in the configuration, and the examples and vectors of others. Envoy and
//! the core alone give the same verdicts.

use std::collections::BTreeMap;

use api_guard_testkit::vectors::{EXAMPLES, PUBLIC_EXAMPLES, foreign};
use api_guard_testkit::{IssuerKey, key_set, sha256};
use ct_codecs::{Base64, Decoder as _, Encoder as _};
use serde_json::{Value, json};

use crate::ask::{Ask, BOTH, Protocol};
use crate::process::Envoy;
use crate::setup::{Setup, policy};
use crate::token::{base64url, now, payload, with_another_signature};

/// A configuration with these keys alone.
fn keys(keys: &[Value]) -> Value {
    json!({ "tokens": { "keys": keys }, "rate_limits": [] })
}

fn of_jwk(jwk: &Value) -> Value {
    json!({ "public_key": { "jwk": jwk } })
}

/// A point of P-256 in PEM (RFC 5480 section 2).
fn pem(jwk: &Value) -> String {
    let head = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE";
    let point = ["x", "y"].map(|name| {
        ct_codecs::Base64UrlSafeNoPadding::decode_to_vec(jwk[name].as_str().unwrap(), None).unwrap()
    });
    let spki = [Base64::decode_to_vec(head, None).unwrap(), point.concat()].concat();
    let text = Base64::encode_to_string(spki).unwrap();
    format!("-----BEGIN PUBLIC KEY-----\n{}\n{}\n-----END PUBLIC KEY-----\n", &text[..64], &text[64..])
}

#[test]
fn keys_of_the_configuration_verify_wherever_they_are_written() {
    let [in_jwk, in_pem, in_variable] = [1, 2, 3].map(IssuerKey::es256);
    let (edwards, rsa) = (IssuerKey::eddsa(4), IssuerKey::rs256());
    let with = |kid: &str, public_key: Value| json!({ "kid": kid, "public_key": public_key });
    let plugin = policy(json!({ "tokens": { "keys": [
        { "kid": "secret", "secret": { "env": "API_GUARD_SECRET" } },
        with("jwk", json!({ "jwk": in_jwk.jwk(None) })),
        with("pem", json!({ "pem": pem(&in_pem.jwk(None)) })),
        with("env", json!({ "env": "PARTNER_KEY" })),
        with("edwards", json!({ "jwk": edwards.jwk(None) })),
        with("rsa", json!({ "jwk": rsa.jwk(None) })),
    ], "key_sets": [{
        "name": "inline", "issuers": ["https://inline.example.com/"],
        "jwks": { "inline": key_set(&[in_jwk.jwk(Some("a"))]) },
    }] } }));
    let mut setup = Setup { concurrency: 2, ..Setup::new(&plugin) };
    setup.environment.push(("PARTNER_KEY", pem(&in_variable.jwk(None))));
    let envoy = Envoy::start(setup);
    let all =
        [("jwk", &in_jwk), ("pem", &in_pem), ("env", &in_variable), ("edwards", &edwards), ("rsa", &rsa)];
    for protocol in BOTH {
        for (kid, key) in all {
            for token in [key.token(Some(kid), &payload(json!({}))), key.token(None, &payload(json!({})))] {
                for _ in 0..2 {
                    Ask::get("/x").token(&token).send(&envoy, protocol).forwarded(&envoy);
                }
                let changed = with_another_signature(&token);
                let reply = Ask::get("/x").token(&changed).send(&envoy, protocol);
                reply.refused(&envoy, 401, "token_signature_invalid");
            }
            for (other, _) in all.iter().filter(|(other, _)| *other != kid) {
                let token = key.token(Some(other), &payload(json!({})));
                assert_eq!(
                    Ask::get("/x").token(&token).send(&envoy, protocol).status,
                    401,
                    "{kid} as {other}"
                );
            }
        }
        let of_set = in_jwk.token(Some("a"), &payload(json!({ "iss": "https://inline.example.com/" })));
        Ask::get("/x").token(&of_set).send(&envoy, protocol).forwarded(&envoy);
        let of_none = in_jwk.token(Some("a"), &payload(json!({})));
        Ask::get("/x").token(&of_none).send(&envoy, protocol).refused(&envoy, 401, "token_key_unknown");
    }
    envoy.assert_healthy();
}

/// What Envoy says to each of these tokens with a configuration, and what the core says to them: the same.
fn assert_same_verdicts(plugin: &Value, tokens: &[String], changes: impl FnOnce(&mut Setup)) -> Vec<String> {
    let mut setup = Setup::new(plugin);
    changes(&mut setup);
    let envoy = Envoy::start(setup);
    let policy = api_guard_testkit::policy(plugin);
    let second = u64::try_from(now()).unwrap();
    let verdicts = tokens
        .iter()
        .map(|token| {
            let reply = Ask::get("/x").token(token).send(&envoy, Protocol::Http1);
            let natively = api_guard_testkit::verify(&policy, token.as_bytes(), second);
            let verdict = reply.verdict();
            assert_eq!(verdict == "200", natively.is_ok(), "{token}: {verdict}, and natively {natively:?}");
            verdict
        })
        .collect();
    envoy.assert_healthy();
    verdicts
}

#[test]
fn the_examples_of_the_rfcs_are_verified_through_envoy() {
    let examples: Vec<_> = PUBLIC_EXAMPLES.iter().collect();
    let keys_of: Vec<_> =
        examples.iter().map(|example| of_jwk(&serde_json::from_str(example.jwk).unwrap())).collect();
    let mut tokens = Vec::new();
    for example in &examples {
        tokens.push(example.token.to_owned());
        let (signed, signature) = example.token.rsplit_once('.').unwrap();
        let first = if signature.starts_with('A') { "B" } else { "A" };
        tokens.push(format!("{signed}.{first}{}", &signature[1..]));
    }
    let mut plugin = keys(&keys_of);
    plugin["tokens"]["required_claims"] = json!([]);
    let verdicts = assert_same_verdicts(&plugin, &tokens, |_| {});
    // Two have expired in 2011, and one is prose: their signatures are right, and one letter makes them wrong.
    let right = ["401 token_expired", "401 token_expired", "401 token_malformed"];
    for (pair, right) in verdicts.chunks(2).zip(right) {
        assert_eq!(pair, [right, "401 token_signature_invalid"]);
    }
    // No example with a secret passes for one with a public key, nor does that of an unsigned token.
    let tokens: Vec<_> = EXAMPLES.iter().map(|example| example.token.to_owned()).collect();
    assert!(assert_same_verdicts(&plugin, &tokens, |_| {}).iter().all(|verdict| verdict != "200"));
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

/// The vectors of Wycheproof about JOSE, by their kind.
fn wycheproof() -> Option<BTreeMap<String, Value>> {
    let path = foreign("wycheproof_jose.json")?;
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

#[test]
fn no_signature_for_es256_that_wycheproof_calls_invalid_is_accepted() {
    let Some(file) = wycheproof() else { return };
    let key = IssuerKey::es256(1);
    let good = key.token(None, &payload(json!({})));
    let (signed, _) = good.rsplit_once('.').unwrap();
    let cases = file["es256_signature"].as_array().unwrap();
    let signatures = cases.iter().map(|case| hex(case[2].as_str().unwrap()));
    let mut tokens: Vec<_> =
        signatures.map(|signature| format!("{signed}.{}", base64url(signature))).collect();
    tokens.push(good.clone());
    let verdicts = assert_same_verdicts(&keys(&[of_jwk(&key.jwk(None))]), &tokens, |_| {});
    let (last, others) = verdicts.split_last().unwrap();
    assert_eq!((last.as_str(), others.len()), ("200", 23));
    for (verdict, case) in others.iter().zip(cases) {
        assert!(verdict.starts_with("401"), "{case}: {verdict}");
    }
}

#[test]
fn no_padding_for_rs256_that_wycheproof_calls_invalid_is_accepted() {
    let Some(file) = wycheproof() else { return };
    let key = IssuerKey::rs256();
    let good = key.token(None, &payload(json!({})));
    let (signed, signature) = good.rsplit_once('.').unwrap();
    // The hash of what was signed stands at the end of what the signature says.
    let hash: String = sha256(signed.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    let sign = |encoded: &str| {
        let encoded = hex(&encoded.replace('H', &hash));
        let padding = vec![0xff; 254_usize.saturating_sub(encoded.len())];
        let padded = [&[0, 1][..], &padding, &encoded].concat();
        format!("{signed}.{}", base64url(key.sign_padded(&padded[..256])))
    };
    let right = sign("003031300d060960864801650304020105000420H");
    assert!(right.ends_with(signature), "the padding of the test itself");
    let cases = file["rs256_padding"].as_array().unwrap();
    let mut tokens: Vec<_> = cases.iter().map(|case| sign(case[2].as_str().unwrap())).collect();
    tokens.push(right);
    let verdicts = assert_same_verdicts(&keys(&[of_jwk(&key.jwk(None))]), &tokens, |_| {});
    let (last, others) = verdicts.split_last().unwrap();
    assert_eq!((last.as_str(), others.len()), ("200", 213));
    for (verdict, case) in others.iter().zip(cases) {
        assert_eq!(verdict, "401 token_signature_invalid", "{case}");
    }
}

#[test]
fn envoy_does_not_start_with_a_key_that_wycheproof_calls_invalid() {
    let Some(file) = wycheproof() else { return };
    let cases = file["keys"].as_array().unwrap();
    let all: Vec<_> = cases.iter().map(|case| of_jwk(&case[1])).collect();
    let log = Envoy::refuses(&Setup::new(&keys(&all)));
    for (index, case) in cases.iter().enumerate() {
        assert!(log.contains(&format!("/tokens/keys/{index}/public_key/jwk")), "{case}: {log}");
    }
    assert_eq!(cases.len(), 8);
}

#[test]
fn a_signature_with_the_other_of_two_numbers_is_the_same_token_and_stays_revoked() {
    let key = IssuerKey::es256(1);
    let mut plugin = keys(&[of_jwk(&key.jwk(None))]);
    plugin["revocation"] = json!({ "endpoint": {} });
    let envoy = Envoy::start(Setup::new(&plugin));
    let token = key.token(None, &payload(json!({})));
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let both = ct_codecs::Base64UrlSafeNoPadding::decode_to_vec(signature, None).unwrap();
    let twin = format!("{signed}.{}", base64url([&both[..32], &order_minus(&both[32..])].concat()));
    // BoringSSL takes both.
    for token in [&token, &twin] {
        Ask::get("/x").token(token).send(&envoy, Protocol::Http1).forwarded(&envoy);
    }
    assert_eq!(Ask::new("POST", "/auth/revoke").token(&token).send(&envoy, Protocol::Http1).status, 200);
    for token in [&token, &twin] {
        Ask::get("/x").token(token).send(&envoy, Protocol::Http1).refused(&envoy, 401, "token_revoked");
    }
    envoy.assert_healthy();
}

/// The order of P-256 (SEC 2 section 2.4.2) minus this number, both big-endian.
fn order_minus(number: &[u8]) -> Vec<u8> {
    let order = hex("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551");
    let mut borrow = 0;
    let mut difference: Vec<u8> = order
        .iter()
        .zip(number)
        .rev()
        .map(|(a, b)| {
            let value = i32::from(*a) - i32::from(*b) - borrow;
            borrow = i32::from(value < 0);
            u8::try_from(value.rem_euclid(256)).unwrap()
        })
        .collect();
    difference.reverse();
    difference
}
