//! Public keys and key sets: what `mint --key` signs, `inspect` and `explain` verify with the file that stands for a set.

mod files;
mod private_keys;

use jwt_simple::prelude::*;
use serde_json::{Value, json};

use crate::command::{Run, api_guard, command, run};
use crate::files::{File, project};

const ISSUER: &str = "https://login.example.com/";

/// Every algorithm, the files of a private key for it, and the kid of its public key in `jwks.json`.
const SIGNERS: [(&str, &[&str], &str); 9] = [
    ("RS256", &["rsa.pem", "rsa-pkcs1.pem", "rsa.jwk.json"], "r"),
    ("RS384", &["rsa.pem"], "r"),
    ("RS512", &["rsa.pem"], "r"),
    ("PS256", &["rsa.pem", "rsa-pkcs1.pem", "rsa.jwk.json"], "r"),
    ("PS384", &["rsa.pem"], "r"),
    ("PS512", &["rsa.pem"], "r"),
    ("ES256", &["p256.pem", "p256-sec1.pem", "p256.jwk.json"], "e"),
    ("ES384", &["p384.pem", "p384.jwk.json"], "e3"),
    ("EdDSA", &["ed25519.pem", "ed25519.jwk.json"], "ed"),
];

fn key_file(name: &str) -> String {
    project("tests/issuer_keys").join(name).to_str().expect("a path").to_owned()
}

fn pem(name: &str) -> String {
    std::fs::read_to_string(key_file(name)).expect("a key")
}

/// A configuration of one set that is fetched.
fn config(algorithms: Value) -> Value {
    json!({
        "tokens": { "key_sets": [{
            "name": "login",
            "issuers": [ISSUER],
            "algorithms": algorithms,
            "jwks": { "cluster": "idp", "path": "/jwks.json", "authority": "login.example.com" },
        }] },
        "routes": [{ "path": "/orders", "required_permissions": ["orders:read"] }],
    })
}

fn all() -> Value {
    SIGNERS.iter().map(|(algorithm, ..)| *algorithm).collect()
}

fn mint(more: &[&str]) -> Run {
    let claim = format!("iss={ISSUER}");
    let claims = ["mint", "--sub", "user-7", "--permission", "orders:read", "--claim", &claim];
    api_guard(claims.iter().chain(more))
}

fn inspect(token: &str, config: &Value, more: &[&str]) -> Run {
    let config = File::new(config.to_string());
    api_guard([&["inspect", token, "--config", config.path(), "--json"], more].concat())
}

#[test]
fn what_every_algorithm_signs_is_verified_with_the_key_set() {
    let jwks = key_file("jwks.json");
    for (algorithm, files, kid) in SIGNERS {
        for file in files {
            let key = key_file(file);
            for more in [&["--kid", kid][..], &[]] {
                let token = mint(&[&["--key", &key, "--alg", algorithm], more].concat());
                let run = inspect(token.line(), &config(all()), &["--jwks", &jwks]);
                let told = run.json();
                assert_eq!((run.code, &told["verified"]), (0, &json!(true)), "{algorithm} {file}: {run:?}");
                assert_eq!(told["header"]["alg"], algorithm);
                // A JSON Web Key brings its kid.
                let has_kid = !more.is_empty() || file.ends_with(".jwk.json");
                assert_eq!(told["header"]["kid"], if has_kid { json!(kid) } else { Value::Null });
            }
        }
    }
}

#[test]
fn keys_and_sets_may_come_from_standard_input() {
    let piped = |arguments: &[&str], input: &str| {
        let file = std::fs::File::open(key_file(input)).expect("a key");
        run(command().args(arguments).stdin(file))
    };
    let claim = format!("iss={ISSUER}");
    let token = piped(&["mint", "--sub", "user-7", "--claim", &claim, "--key", "-"], "rsa.jwk.json");
    let config = File::new(config(all()).to_string());
    let verified = piped(&["inspect", token.line(), "--config", config.path(), "--jwks", "-"], "jwks.json");
    assert_eq!(verified.code, 0, "{verified:?}");
}

#[test]
fn a_key_signs_by_its_usual_algorithm_unless_another_is_named() {
    for (file, usual) in
        [("rsa.pem", "RS256"), ("p256.pem", "ES256"), ("p384.pem", "ES384"), ("ed25519.pem", "EdDSA")]
    {
        let run = mint(&["--key", &key_file(file)]);
        let told = api_guard(["inspect", run.line(), "--json"]).json();
        assert_eq!(told["header"], json!({ "alg": usual, "typ": "JWT" }), "{file}");
    }
    let mut jwk: Value = serde_json::from_str(&pem("rsa.jwk.json")).expect("JSON");
    jwk["alg"] = json!("PS384");
    let named = File::new(jwk.to_string());
    let run = mint(&["--key", named.path()]);
    assert_eq!(api_guard(["inspect", run.line(), "--json"]).json()["header"]["alg"], "PS384");
    assert!(mint(&["--key", named.path(), "--alg", "RS256"]).err.contains("write PS384"));
    // The primes of an RSA key may be left out.
    for member in ["p", "q", "dp", "dq", "qi", "alg"] {
        jwk.as_object_mut().expect("an object").remove(member);
    }
    let run = mint(&["--key", File::new(jwk.to_string()).path()]);
    let told = inspect(run.line(), &config(all()), &["--jwks", &key_file("jwks.json")]);
    assert_eq!(told.code, 0, "{told:?}");
}

#[test]
fn jwt_simple_verifies_what_is_minted_and_signs_what_is_verified() {
    let jwks = key_file("jwks.json");
    let claims = || {
        let own = json!({ "permissions": ["orders:read"] });
        Claims::with_custom_claims(own, Duration::from_hours(1)).with_subject("user-7").with_issuer(ISSUER)
    };
    macro_rules! differential {
        ($($algorithm:literal $file:literal $pair:ident)*) => {$(
            let pair = $pair::from_pem(&pem($file)).expect("a key");
            let ours = mint(&["--key", &key_file($file), "--alg", $algorithm]);
            let public = pair.public_key();
            let read = public.verify_token::<Value>(ours.line(), None).expect($algorithm);
            assert_eq!(read.subject.as_deref(), Some("user-7"));
            let theirs = pair.sign(claims()).expect("a token");
            let run = inspect(&theirs, &config(all()), &["--jwks", &jwks]);
            assert_eq!((run.code, &run.json()["verified"]), (0, &json!(true)), "{}: {run:?}", $algorithm);
            // Any other last letter stands for other bytes, or for no bytes at all.
            let (head, last) = theirs.split_at(theirs.len() - 8);
            let forged = format!("{head}{}", if last == "AAAAAAAA" { "BBBBBBBB" } else { "AAAAAAAA" });
            let run = inspect(&forged, &config(all()), &["--jwks", &jwks]);
            assert_eq!((run.code, &run.json()["verified"]), (1, &json!(false)), "{}: {run:?}", $algorithm);
        )*};
    }
    differential! {
        "RS256" "rsa.pem" RS256KeyPair
        "RS384" "rsa.pem" RS384KeyPair
        "RS512" "rsa.pem" RS512KeyPair
        "PS256" "rsa.pem" PS256KeyPair
        "PS384" "rsa.pem" PS384KeyPair
        "PS512" "rsa.pem" PS512KeyPair
        "ES256" "p256.pem" ES256KeyPair
        "ES384" "p384.pem" ES384KeyPair
        "EdDSA" "ed25519.pem" Ed25519KeyPair
    }
}

#[test]
fn a_key_that_cannot_sign_is_told_with_what_to_do() {
    let private: Value = serde_json::from_str(&pem("p256.jwk.json")).expect("JSON");
    let changed = |name: &str, value: Value| {
        let mut jwk = private.clone();
        jwk[name] = value;
        jwk.to_string()
    };
    let mut public = private.clone();
    public.as_object_mut().expect("an object").remove("d");
    let other = "AZ0QncLgAYNY5rog6w4Boc41U-OEP8MmQyB_p4b04AY";
    for (content, part) in [
        (pem("public.pem"), "a public key (PUBLIC KEY), which cannot sign"),
        (pem("encrypted.pem"), "openssl pkey -in KEY -out PLAIN"),
        (pem("p521.pem"), "P-256 or P-384 (openssl genpkey"),
        (pem("rsa1024.pem"), "an RSA modulus that is even or has not 2048 to 4096 bits; give a private key"),
        (pem("jwks.json"), "a key set; write one private key of it alone"),
        (public.to_string(), "a public key, which cannot sign; write the private one"),
        (json!({ "kty": "oct", "k": "AAAA" }).to_string(), "--secret-env"),
        (changed("crv", json!("P-521")), "not a private key of a kind that is supported"),
        (changed("d", json!("AA+/")), "its member \"d\" is missing or not base64url"),
        (changed("x", json!(other)), "its x and d do not belong together"),
        (changed("alg", json!("RS256")), "its alg is \"RS256\""),
        (
            "-----BEGIN OPENSSH PRIVATE KEY-----\nA\n-----END OPENSSH PRIVATE KEY-----".to_owned(),
            "ssh-keygen -p -m PKCS8",
        ),
        ("-----BEGIN PRIVATE KEY-----\nAAAA".to_owned(), "write a private key in PEM"),
        (
            "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----".to_owned(),
            "not a PRIVATE KEY of a kind",
        ),
        ("AAAA".to_owned(), "neither PEM nor JSON; write a private key in PEM"),
        ("{".to_owned(), "not JSON"),
    ] {
        let run = mint(&["--key", File::new(&content).path()]);
        assert_eq!((run.code, run.out.as_str()), (1, ""), "{content}");
        assert!(run.err.contains(part), "{part:?} is not in {run:?}");
        // No part of the key itself is shown.
        assert!(!run.err.contains(private["d"].as_str().expect("a text")));
    }
    let key = key_file("p256.pem");
    let run = mint(&["--key", &key, "--alg", "RS256"]);
    assert_eq!(run.code, 1);
    assert!(run.err.contains("RS256 is no algorithm of this key, which is of P-256; write ES256, or give a key for RS256 (openssl genrsa 2048)"), "{run:?}");
    for (more, part) in [
        (&["--key", &key, "--alg", "HS256"][..], "--alg HS256 is for a secret"),
        (&["--alg", "ES256"], "--alg ES256 needs a private key: give its file by --key"),
        (&["--alg", "none"], "write HS256"),
        (&["--key", &key, "--secret-env", "A"], "cannot be used with"),
        (&["--key", "/nowhere"], "cannot be read"),
    ] {
        let run = mint(more);
        assert_eq!(run.code, 2, "{run:?}");
        assert!(run.err.contains(part), "{part:?} is not in {run:?}");
    }
}

#[test]
fn without_the_file_of_a_set_it_is_said_how_to_give_it() {
    let token = mint(&["--key", &key_file("rsa.jwk.json")]);
    let (token, plain) = (token.line(), config(json!(["RS256"])));
    let run = inspect(token, &plain, &[]);
    let told = run.json();
    assert_eq!((run.code, &told["code"]), (1, &json!("keys_unavailable")));
    let note = told["notes"][0].as_str().expect("a note");
    assert!(
        note.contains("the key set login") && note.contains("https://login.example.com/jwks.json"),
        "{note}"
    );
    assert!(note.contains("--jwks FILE"), "{note}");
    let file = File::new(plain.to_string());
    let explain = ["explain", "--config", file.path(), "--path", "/orders", "--token", token];
    let run = api_guard(explain);
    assert_eq!(run.code, 1);
    assert!(run.out.contains("refused 503 keys_unavailable") && run.out.contains("--jwks FILE"), "{run:?}");
    let jwks = key_file("jwks.json");
    let run = api_guard([&explain[..], &["--jwks", &jwks]].concat());
    assert_eq!(run.code, 0, "{run:?}");
    assert!(run.out.contains("verifies with /tokens/key_sets/0, kid \"r\""), "{run:?}");
    // The set of the file is judged as a fetched one would be.
    assert!(run.err.contains("note") && run.err.contains("/keys/1 is not used by login"), "{run:?}");
    for (config, more, part) in [
        (&plain, &["--jwks", "/nowhere"][..], "cannot be read"),
        (
            &json!({ "tokens": { "keys": [{ "secret": { "env": "API_GUARD_SECRET" } }] } }),
            &["--jwks", &jwks],
            "fetches no key set",
        ),
    ] {
        let run = inspect(token, config, more);
        assert_eq!(run.code, 2, "{run:?}");
        assert!(run.err.contains(part), "{run:?}");
    }
    assert_eq!(api_guard(["inspect", token, "--jwks", &jwks]).code, 2);
    let run = inspect(token, &plain, &["--jwks", &key_file("rsa.pem")]);
    assert_eq!(run.code, 1);
    assert!(run.err.contains("PEM, not JSON; save the issuer's key set"), "{run:?}");
    let none = File::new(r#"{"keys":[]}"#);
    let run = inspect(token, &plain, &["--jwks", none.path()]);
    assert_eq!((run.code, &run.json()["code"]), (1, &json!("keys_unavailable")));
    assert!(run.out.contains("has no key that the key set login can use"), "{run:?}");
}

#[test]
fn of_several_sets_the_tokens_issuer_chooses_and_each_may_have_a_file_of_its_own() {
    let mut config = config(json!(["RS256", "ES256"]));
    let mut other = config["tokens"]["key_sets"][0].clone();
    other["name"] = json!("partner");
    other["issuers"] = json!(["https://partner.example.com/"]);
    config["tokens"]["key_sets"].as_array_mut().expect("a list").push(other);
    let of = |kid: &str| {
        let set: Value = serde_json::from_str(&pem("jwks.json")).expect("JSON");
        let keys: Vec<&Value> =
            set["keys"].as_array().expect("keys").iter().filter(|key| key["kid"] == kid).collect();
        File::new(json!({ "keys": keys }).to_string())
    };
    let (rsa, ec, both) = (of("r"), of("e"), key_file("jwks.json"));
    let token = mint(&["--key", &key_file("rsa.jwk.json")]);
    let named = |name: &str, file: &File| format!("{name}={}", file.path());
    for (files, code) in [
        (vec![both.clone()], None),
        (vec![named("login", &rsa), named("partner", &ec)], None),
        (vec![named("login", &ec), named("partner", &rsa)], Some("token_key_unknown")),
        (vec![named("login", &rsa)], None),
        (vec![named("partner", &rsa)], Some("keys_unavailable")),
        (vec![named("login", &ec), both], Some("token_key_unknown")),
    ] {
        let more: Vec<&str> = files.iter().flat_map(|file| ["--jwks", file]).collect();
        let run = inspect(token.line(), &config, &more);
        assert_eq!(run.json()["code"], json!(code), "{files:?}: {run:?}");
    }
    for files in [[named("login", &rsa), named("login", &ec)], [rsa.path().to_owned(), ec.path().to_owned()]]
    {
        let more: Vec<&str> = files.iter().flat_map(|file| ["--jwks", file]).collect();
        let run = inspect(token.line(), &config, &more);
        assert_eq!(run.code, 2, "{run:?}");
        assert!(
            run.err.contains("a second file; write NAME=FILE, once for each of login, partner"),
            "{run:?}"
        );
    }
}
