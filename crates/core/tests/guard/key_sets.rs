//! Public keys and key sets: which key verifies which token, and what is said where none does.

use api_guard_testkit::{IssuerKey, key_set};
use serde_json::{Value, json};

use super::{Guarded, HOUR, SECRET, START, sign_with};

const ISSUER: &str = "https://login.example.com/";

fn claims(iss: &str) -> Value {
    json!({ "sub": "u1", "iss": iss, "iat": START, "exp": START + HOUR })
}

fn inline(name: &str, issuer: &str, keys: &[Value]) -> Value {
    json!({ "name": name, "issuers": [issuer], "algorithms": ["ES256", "EdDSA"], "jwks": { "inline": key_set(keys) } })
}

fn under(tokens: Value) -> Guarded {
    Guarded::new(tokens, json!({}))
}

#[test]
fn a_public_key_of_the_configuration_verifies_as_a_secret_does() {
    let (ec, ed) = (IssuerKey::es256(1), IssuerKey::eddsa(2));
    let keys = json!([
        { "kid": "e", "algorithm": "ES256", "public_key": { "jwk": ec.jwk(None) } },
        { "kid": "d", "public_key": { "jwk": ed.jwk(Some("another name")) } },
        { "kid": "s", "secret": { "value": SECRET } },
    ]);
    let mut guarded = under(json!({ "keys": keys }));
    let claims = claims("anybody");
    for (token, code) in [
        (ec.token(Some("e"), &claims), "ok"),
        (ed.token(Some("d"), &claims), "ok"),
        (ec.token(None, &claims), "ok"),
        (ed.token(None, &claims), "ok"),
        (ec.token(Some("d"), &claims), "token_algorithm_refused"),
        (ed.token(Some("another name"), &claims), "token_key_unknown"),
        (IssuerKey::es256(3).token(Some("e"), &claims), "token_signature_invalid"),
        (sign_with(SECRET.as_bytes(), br#"{"alg":"HS256","kid":"s"}"#, claims.to_string().as_bytes()), "ok"),
        (
            sign_with(SECRET.as_bytes(), br#"{"alg":"HS256","kid":"e"}"#, claims.to_string().as_bytes()),
            "token_algorithm_refused",
        ),
        (
            sign_with(SECRET.as_bytes(), br#"{"alg":"ES256","kid":"e"}"#, claims.to_string().as_bytes()),
            "token_signature_invalid",
        ),
    ] {
        for _ in 0..2 {
            assert_eq!(guarded.get(&token, START), code, "{token}");
        }
    }
}

#[test]
fn a_public_key_is_no_secret() {
    let ec = IssuerKey::es256(1);
    let jwk = ec.jwk(None);
    let mut guarded =
        under(json!({ "keys": [{ "public_key": { "jwk": jwk } }, { "secret": { "value": SECRET } }] }));
    for secret in [jwk.to_string(), jwk["x"].as_str().unwrap().repeat(2)] {
        let token = sign_with(secret.as_bytes(), br#"{"alg":"HS256"}"#, claims("a").to_string().as_bytes());
        assert_eq!(guarded.get(&token, START), "token_signature_invalid");
    }
}

#[test]
fn the_issuer_chooses_the_set_and_the_kid_the_key() {
    let (a, b, c) = (IssuerKey::es256(1), IssuerKey::es256(2), IssuerKey::eddsa(3));
    let sets = json!([
        inline("one", ISSUER, &[a.jwk(Some("k")), c.jwk(Some("d"))]),
        inline("two", "https://other/", &[b.jwk(Some("k"))]),
    ]);
    let mut guarded = under(json!({ "keys": [], "key_sets": sets }));
    let (one, two) = (claims(ISSUER), claims("https://other/"));
    for (token, code) in [
        (a.token(Some("k"), &one), "ok"),
        (b.token(Some("k"), &two), "ok"),
        (c.token(Some("d"), &one), "ok"),
        (a.token(None, &one), "ok"),
        (c.token(None, &one), "ok"),
        // The key of one issuer in the name of another.
        (b.token(Some("k"), &one), "token_signature_invalid"),
        (a.token(Some("k"), &two), "token_signature_invalid"),
        (b.token(None, &one), "token_signature_invalid"),
        (c.token(Some("d"), &two), "token_key_unknown"),
        (a.token(Some("x"), &one), "token_key_unknown"),
        (a.token(Some("d"), &one), "token_algorithm_refused"),
        (c.token(Some("k"), &one), "token_algorithm_refused"),
        (c.token(None, &two), "token_algorithm_refused"),
        (a.token(Some("k"), &claims("https://third/")), "issuer_refused"),
        (a.token(Some("k"), &claims("")), "issuer_refused"),
        (a.token(Some("k"), &json!({ "sub": "u1", "iat": START, "exp": START + HOUR })), "issuer_refused"),
        (
            a.token(Some("k"), &json!({ "sub": "u1", "iss": 7, "iat": START, "exp": START + HOUR })),
            "issuer_refused",
        ),
        (
            sign_with(SECRET.as_bytes(), br#"{"alg":"HS256","kid":"k"}"#, one.to_string().as_bytes()),
            "token_algorithm_refused",
        ),
        (
            sign_with(SECRET.as_bytes(), br#"{"alg":"none"}"#, one.to_string().as_bytes()),
            "token_algorithm_refused",
        ),
        (
            sign_with(SECRET.as_bytes(), br#"{"alg":"RS256","kid":"k"}"#, one.to_string().as_bytes()),
            "token_algorithm_refused",
        ),
    ] {
        for _ in 0..2 {
            assert_eq!(guarded.get(&token, START), code, "{token}");
        }
    }
}

#[test]
fn an_issuer_moves_from_a_secret_to_a_set_without_a_refused_request() {
    let key = IssuerKey::es256(1);
    let keys = json!([{ "kid": "s", "secret": { "value": SECRET }, "issuers": [ISSUER] }]);
    let mut guarded =
        under(json!({ "keys": keys, "key_sets": [inline("one", ISSUER, &[key.jwk(Some("k"))])] }));
    let claims = claims(ISSUER);
    let by_secret = |header: &[u8]| sign_with(SECRET.as_bytes(), header, claims.to_string().as_bytes());
    for (token, code) in [
        (by_secret(br#"{"alg":"HS256","kid":"s"}"#), "ok"),
        (by_secret(br#"{"alg":"HS256"}"#), "ok"),
        (key.token(Some("k"), &claims), "ok"),
        (key.token(None, &claims), "ok"),
        (by_secret(br#"{"alg":"HS256","kid":"k"}"#), "token_algorithm_refused"),
        (key.token(Some("s"), &claims), "token_algorithm_refused"),
        (by_secret(br#"{"alg":"HS256","kid":"x"}"#), "token_key_unknown"),
    ] {
        assert_eq!(guarded.get(&token, START), code, "{token}");
    }
}

#[test]
fn the_audiences_of_a_set_stand_in_place_of_those_of_tokens() {
    let key = IssuerKey::es256(1);
    let mut set = inline("one", ISSUER, &[key.jwk(Some("k"))]);
    let token = |aud: &str| {
        let mut claims = claims(ISSUER);
        claims["aud"] = json!(aud);
        key.token(Some("k"), &claims)
    };
    let issuers = json!(["https://unused/"]);
    let mut inherits =
        under(json!({ "keys": [], "key_sets": [set], "audiences": ["all"], "issuers": issuers }));
    assert_eq!(inherits.get(&token("all"), START), "ok");
    assert_eq!(inherits.get(&token("own"), START), "audience_refused");
    set["audiences"] = json!(["own"]);
    let mut has_own =
        under(json!({ "keys": [], "key_sets": [set], "audiences": ["all"], "issuers": issuers }));
    assert_eq!(has_own.get(&token("own"), START), "ok");
    assert_eq!(has_own.get(&token("all"), START), "audience_refused");
}

#[test]
fn one_key_in_two_sets_vouches_for_the_audiences_of_both() {
    let key = IssuerKey::es256(1);
    let set = |name: &str, audience: &str, permissions: &str| {
        let mut set = inline(name, ISSUER, &[key.jwk(Some("k"))]);
        set["audiences"] = json!([audience]);
        set["permissions_claim"] = json!(permissions);
        set
    };
    let sets = json!([set("web", "web", "permissions"), set("mobile", "mobile", "scp")]);
    let mut guarded = Guarded::new(
        json!({ "keys": [], "key_sets": sets }),
        json!({ "routes": [{ "path": "/", "required_permissions": ["a:read"] }] }),
    );
    for (aud, claim, code) in [
        ("web", "permissions", "ok"),
        ("mobile", "scp", "ok"),
        ("web", "scp", "permission_missing"),
        ("mobile", "permissions", "permission_missing"),
        ("other", "scp", "audience_refused"),
    ] {
        let mut claims = claims(ISSUER);
        claims["aud"] = json!([aud]);
        claims[claim] = json!(["a:read"]);
        assert_eq!(guarded.get(&key.token(Some("k"), &claims), START), code, "{aud} {claim}");
    }
    let by_secret = |audience: &str| json!({ "secret": { "value": SECRET }, "audiences": [audience] });
    let mut guarded = under(json!({ "keys": [by_secret("web"), by_secret("mobile")] }));
    for (aud, code) in [("web", "ok"), ("mobile", "ok"), ("other", "audience_refused")] {
        let mut claims = claims(ISSUER);
        claims["aud"] = json!(aud);
        let token = sign_with(SECRET.as_bytes(), br#"{"alg":"HS256"}"#, claims.to_string().as_bytes());
        assert_eq!(guarded.get(&token, START), code, "{aud}");
    }
}

#[test]
fn a_token_without_kid_is_tried_with_the_first_four_keys_of_its_algorithm() {
    let keys: Vec<Value> = (1..=5)
        .flat_map(|number| {
            let kid = number.to_string();
            [IssuerKey::eddsa(number).jwk(Some(&kid)), IssuerKey::es256(number).jwk(Some(&kid))]
        })
        .collect();
    let mut guarded = under(json!({ "keys": [], "key_sets": [inline("one", ISSUER, &keys)] }));
    for number in 1..=5 {
        let key = IssuerKey::es256(number);
        let code = if number < 5 { "ok" } else { "token_signature_invalid" };
        assert_eq!(guarded.get(&key.token(None, &claims(ISSUER)), START), code, "{number}");
        assert_eq!(guarded.get(&key.token(Some(&number.to_string()), &claims(ISSUER)), START), "ok");
    }
}

#[test]
fn a_set_has_permissions_of_its_own_kind() {
    let key = IssuerKey::es256(1);
    let mut set = inline("one", ISSUER, &[key.jwk(Some("k"))]);
    set["permissions_claim"] = json!("scope");
    set["permission_format"] = json!("scope_token");
    let keys = json!([{ "secret": { "value": SECRET } }]);
    let routes = json!([{ "path": "/", "any_permissions": ["read.all", "orders:read"] }]);
    let mut guarded = Guarded::new(json!({ "keys": keys, "key_sets": [set] }), json!({ "routes": routes }));
    let with = |name: &str, value: Value, iss: &str| {
        let mut claims = claims(iss);
        claims[name] = value;
        claims
    };
    let by_set = |claims: Value| key.token(Some("k"), &claims);
    let by_secret =
        |claims: Value| sign_with(SECRET.as_bytes(), br#"{"alg":"HS256"}"#, claims.to_string().as_bytes());
    for (token, code) in [
        (by_set(with("scope", json!("openid read.all"), ISSUER)), "ok"),
        (by_set(with("permissions", json!(["read.all"]), ISSUER)), "permission_missing"),
        (by_secret(with("permissions", json!(["orders:read"]), "a")), "ok"),
        (by_secret(with("scope", json!("orders:read"), "a")), "permission_missing"),
        (by_secret(with("permissions", json!(["read.all"]), "a")), "permissions_malformed"),
    ] {
        assert_eq!(guarded.get(&token, START), code, "{token}");
    }
}

#[test]
fn a_host_that_cannot_verify_is_a_fault_and_lets_nobody_pass() {
    let (ec, ed) = (IssuerKey::es256(1), IssuerKey::eddsa(2));
    let keys = [ec.jwk(Some("e")), ed.jwk(Some("d"))];
    let mut guarded = under(json!({ "keys": [], "key_sets": [inline("one", ISSUER, &keys)] }));
    guarded.process.has_no_signatures.set(true);
    assert_eq!(guarded.get(&ec.token(Some("e"), &claims(ISSUER)), START), "internal_fault");
    assert_eq!(guarded.get(&ed.token(Some("d"), &claims(ISSUER)), START), "ok");
}

#[test]
fn either_form_of_an_ecdsa_signature_is_revoked_with_the_other() {
    let key = IssuerKey::es256(1);
    let sets = json!([inline("one", ISSUER, &[key.jwk(Some("k"))])]);
    let revocation = json!({ "revocation": { "endpoint": {} } });
    let mut guarded = Guarded::new(json!({ "keys": [], "key_sets": sets }), revocation);
    let token = key.token(Some("k"), &claims(ISSUER));
    let other = other_form(&token);
    assert_eq!(guarded.get(&other, START), "ok");
    assert!(guarded.revoke(&token, "", START).is_ok());
    assert_eq!(guarded.get(&token, START), "token_revoked");
    assert_eq!(guarded.get(&other, START), "token_revoked");
}

/// The token with the other signature that is as good, of n - s.
fn other_form(token: &str) -> String {
    use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
    const ORDER: [u8; 32] = *b"\xff\xff\xff\xff\x00\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff\xbc\xe6\xfa\xad\xa7\x17\x9e\x84\xf3\xb9\xca\xc2\xfc\x63\x25\x51";
    let (input, signature) = token.rsplit_once('.').unwrap();
    let mut bytes = BASE64_URL_SAFE_NO_PAD.decode(signature).unwrap();
    let mut borrow = false;
    for index in (0..32).rev() {
        (bytes[32 + index], borrow) = ORDER[index].borrowing_sub(bytes[32 + index], borrow);
    }
    format!("{input}.{}", BASE64_URL_SAFE_NO_PAD.encode(bytes))
}
