//! `api-guard mint`.

use std::time::{SystemTime, UNIX_EPOCH};

use api_guard_core::token::compact::Compact;
use api_guard_testkit::{parse_with, verify};
use ct_codecs::{Base64UrlSafeNoPadding, Decoder};
use serde_json::{Value, json};

use crate::command::{Run, SECRET, api_guard, command, run};
use crate::files::project;

fn mint(more: &[&str]) -> Run {
    api_guard(["mint", "--secret-env", "API_GUARD_SECRET"].iter().chain(more))
}

/// Header and claims.
fn parts(token: &str) -> (Value, Value) {
    let compact = Compact::read(token.as_bytes(), 8192).expect("a compact token");
    let read = |part: &[u8]| {
        let bytes = Base64UrlSafeNoPadding::decode_to_vec(part, None).expect("base64url");
        serde_json::from_slice(&bytes).expect("JSON")
    };
    (read(compact.header), read(compact.payload))
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").as_secs()
}

#[test]
fn a_minted_token_has_the_claims_of_the_contract() {
    let arguments =
        ["--sub", "user-7", "--permission", "orders:read", "--permission", "orders:write", "--ttl", "15m"];
    let run =
        mint(&[&arguments[..], &["--kid", "2026-11", "--claim", "plan=pro", "--claim", "n=7"]].concat());
    let (header, claims) = parts(run.line());
    assert_eq!(header, json!({ "alg": "HS256", "typ": "JWT", "kid": "2026-11" }));
    assert_eq!(claims["sub"], "user-7");
    assert_eq!(claims["permissions"], json!(["orders:read", "orders:write"]));
    assert_eq!(claims["plan"], "pro");
    assert_eq!(claims["n"], 7);
    let (iat, exp) = (claims["iat"].as_u64().expect("iat"), claims["exp"].as_u64().expect("exp"));
    assert_eq!(exp, iat + 900);
    assert!(now().abs_diff(iat) < 60);
    assert!(claims["jti"].as_str().expect("jti").len() >= 16);
    let again = mint(&["--sub", "user-7"]);
    let (_, again) = parts(again.line());
    assert_eq!(again["exp"].as_u64().expect("exp") - again["iat"].as_u64().expect("iat"), 86_400);
    assert_eq!(again["permissions"], json!([]));
    assert_ne!(again["jti"], claims["jti"]);
}

#[test]
fn a_token_is_signed_by_the_algorithm_and_the_secret_that_are_named() {
    let secret: &str = format!("{}==\n", "+A".repeat(43)).leak();
    for (algorithm, encoding) in
        [("HS256", "text"), ("HS384", "text"), ("HS512", "text"), ("HS512", "base64")]
    {
        let config = json!({ "tokens": { "keys": [
            { "algorithm": algorithm, "secret": { "env": "A", "encoding": encoding } },
        ] } });
        let policy = parse_with(config.to_string().as_bytes(), |_| Some(secret)).expect("valid");
        let mut command = command();
        command.env("A", secret).args(["mint", "--secret-env", "A", "--sub", "a", "--alg", algorithm]);
        let minted = run(command.args(["--secret-encoding", encoding]));
        assert_eq!(parts(minted.line()).0["alg"], algorithm);
        verify(&policy, minted.line().as_bytes(), now()).expect("a good token");
    }
    let short = mint(&["--sub", "a", "--alg", "HS512"]);
    assert_eq!(short.code, 1);
    assert!(short.err.contains("at least 64 are needed for HS512"), "{}", short.err);
    assert_eq!(mint(&["--sub", "a", "--alg", "RS256"]).code, 2);
    assert_eq!(mint(&["--sub", "a", "--secret-encoding", "hex"]).code, 2);
}

#[test]
fn a_minted_token_verifies_in_the_core() {
    let config = br#"{"tokens":{"keys":[{"kid":"a","secret":{"env":"API_GUARD_SECRET"}}]}}"#;
    let policy = parse_with(config, |_| Some(SECRET)).expect("valid");
    let run = mint(&["--sub", "é-7", "--kid", "a"]);
    let verified = verify(&policy, run.line().as_bytes(), now()).expect("a good token");
    assert_eq!(verified.subject(), Some("é-7"));
}

#[test]
fn json_output_tells_when_the_token_expires() {
    let run = mint(&["--sub", "user-7", "--json"]);
    let object = run.json();
    let (_, claims) = parts(object["token"].as_str().expect("token"));
    assert_eq!(object["expires_at"], claims["exp"]);
    assert_eq!(object["jti"], claims["jti"]);
}

#[test]
fn an_empty_subject_and_a_malformed_permission_are_refused() {
    let run = mint(&["--sub", ""]);
    assert_eq!((run.code, run.out.as_str(), run.err.as_str()), (1, "", "error: User ID is required\n"));
    for bad in ["orders", "Orders:read", "orders:read:all", "", "orders: read"] {
        let run = mint(&["--sub", "a", "--permission", "orders:read", "--permission", bad]);
        assert_eq!(run.code, 1, "{bad}");
        assert_eq!(run.err, format!("error: Invalid permission format: {bad}\n"));
    }
    let scope = ["--sub", "a", "--permission-format", "scope_token", "--permission", "https://api/read"];
    assert_eq!(mint(&scope).code, 0);
}

#[test]
fn a_long_life_is_a_warning() {
    const WARNING: &str = "Token expiration exceeds recommended maximum (7 days)";
    let long = mint(&["--sub", "a", "--ttl", "169h"]);
    assert!(long.code == 0 && long.err.contains(WARNING) && !long.out.contains(WARNING), "{long:?}");
    for ttl in ["168h", "7d", "90s"] {
        let run = mint(&["--sub", "a", "--ttl", ttl]);
        assert!(run.code == 0 && run.err.is_empty(), "{run:?}");
    }
}

#[test]
fn a_subject_that_no_header_can_carry_is_a_warning() {
    for (subject, is_warned) in [(" ", true), ("a ", true), (" a", true), ("a b", false)] {
        let run = mint(&["--sub", subject]);
        assert_eq!((run.code, run.err.contains("warning: ")), (0, is_warned), "{subject:?}: {run:?}");
    }
}

#[test]
fn what_mint_writes_itself_cannot_be_claimed() {
    for claim in ["sub=x", "iat=1", "exp=1", "permissions=[]", "jti=1"] {
        assert_eq!(mint(&["--sub", "a", "--claim", claim]).code, 2, "{claim}");
    }
    assert_eq!(mint(&["--sub", "a", "--claim", "a=1", "--claim", "a=2"]).code, 2);
    for ttl in ["", "1", "0s", "1y", "h"] {
        assert_eq!(mint(&["--sub", "a", "--ttl", ttl]).code, 2, "{ttl}");
    }
}

#[test]
fn a_kid_that_no_key_can_have_is_refused() {
    let long = "a".repeat(129);
    for kid in ["", "a b", "\u{e9}", "a\n", &long] {
        let run = mint(&["--sub", "a", "--kid", kid]);
        assert_eq!((run.code, run.out.as_str()), (2, ""), "{kid:?}: {run:?}");
        assert!(run.err.contains(&format!("--kid {kid:?}")) && run.err.contains("write 1 to 128"), "{run:?}");
    }
    // An issuer's key set may have what a configuration may not.
    let key = project("tests/issuer_keys/p256.pem");
    let key = key.to_str().expect("a path");
    let run = api_guard(["mint", "--key", key, "--sub", "a", "--kid", "a b"]);
    assert_eq!(run.code, 0, "{run:?}");
    assert_eq!(api_guard(["mint", "--key", key, "--sub", "a", "--kid", ""]).code, 2);
}

#[test]
fn a_claim_loses_no_digits() {
    let (_, claims) = parts(mint(&["--sub", "a", "--claim", "n=18446744073709551615"]).line());
    assert_eq!(claims["n"], json!(u64::MAX));
    for claim in ["n=12345678901234567890123456789", "n={\"a\":[-12345678901234567890]}"] {
        let run = mint(&["--sub", "a", "--claim", claim]);
        assert_eq!((run.code, run.out.as_str()), (2, ""), "{run:?}");
        assert!(run.err.contains("would lose digits"), "{run:?}");
    }
    let (_, claims) = parts(mint(&["--sub", "a", "--claim", "n=\"12345678901234567890123456789\""]).line());
    assert_eq!(claims["n"], "12345678901234567890123456789");
}

#[test]
fn a_missing_or_short_secret_is_told_and_never_shown() {
    let missing = run(command().env_remove("API_GUARD_SECRET").args(["mint", "--sub", "a"]));
    assert!(missing.code == 1 && missing.err.contains("API_GUARD_SECRET is not set"), "{missing:?}");
    let short = run(command().env("API_GUARD_SECRET", "hush-hush").args(["mint", "--sub", "a"]));
    assert!(short.code == 1 && short.err.contains("9 bytes"), "{short:?}");
    assert!(!short.err.contains("hush-hush") && short.out.is_empty(), "{short:?}");
}
