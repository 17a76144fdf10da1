//! Cases that others made, judged by the core. They lie beside the repository: in `API_GUARD_VECTORS`, else in
//! `../shared/vectors`. Where the folder is absent, these tests say so and pass.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails"
)]

use std::path::{Path, PathBuf};

use api_guard_core::config::{Environment, Policy};
use api_guard_core::effect;
use api_guard_core::guard::{Guard, Memory};
use api_guard_core::request::Request;
use api_guard_core::time::UnixNanos;
use api_guard_core::token::keys::Secret;
use api_guard_testkit::Process;
use ct_codecs::{Base64UrlSafeNoPadding, Encoder};
use serde_json::{Value, json};

const OWN_SECRET: &[u8; 32] = b"the tests' own secret, 32 bytes.";
const NOW: u64 = 1_790_000_000;

fn folder() -> Option<PathBuf> {
    let folder = std::env::var_os("API_GUARD_VECTORS")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/vectors"), PathBuf::from);
    if folder.is_dir() {
        return Some(folder);
    }
    println!("skipped: no vectors at {}", folder.display());
    None
}

fn json_file(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// A guard with these keys and claims, and no limits.
fn guard(keys: Value, required: Value) -> Guard {
    let config = json!({ "tokens": { "keys": keys, "required_claims": required, "max_token_bytes": 1_000_000 }, "rate_limits": [] });
    let environment = Environment { lookup: &|_| None, must_be_set: true };
    Guard::new(Policy::parse(config.to_string().as_bytes(), &environment).unwrap())
}

fn key(secret: &str, kid: Option<&str>) -> Value {
    match kid {
        Some(kid) => json!([{ "kid": kid, "secret": { "base64url": secret } }]),
        None => json!([{ "secret": { "base64url": secret } }]),
    }
}

/// What becomes of a request with this token: `Ok`, or status, code and text.
fn judge(guard: &Guard, token: &[u8], now: u64) -> Result<(), (u16, String, String)> {
    let here = Process::default();
    let mut memory = Memory::open(guard.policy(), &here, [1; 16]).unwrap();
    let authorization = [b"Bearer ", token].concat();
    let headers: [(&[u8], &[u8]); 4] = [
        (b":method", b"GET"),
        (b":path", b"/x"),
        (b":authority", b"a.example"),
        (b"authorization", &authorization),
    ];
    let request = Request::read(guard.policy().header_plan(), headers, false);
    let verdict = guard.admit(&mut memory, &request, &here, UnixNanos::from_seconds(now));
    match verdict.denial() {
        None => Ok(()),
        Some(denial) => {
            let reply = effect::refuse(guard.policy(), denial, None);
            Err((reply.status, denial.code().as_str().to_owned(), reply.grpc_message))
        }
    }
}

fn sign(header: &[u8], payload: &[u8]) -> String {
    let encode = |part: &[u8]| Base64UrlSafeNoPadding::encode_to_string(part).unwrap();
    let input = format!("{}.{}", encode(header), encode(payload));
    let mac = Secret::from_bytes(OWN_SECRET).unwrap().mac(input.as_bytes());
    format!("{input}.{}", encode(&mac))
}

/// A text itself, anything else as JSON.
fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned)
}

fn own_guard() -> Guard {
    guard(key(&Base64UrlSafeNoPadding::encode_to_string(OWN_SECRET).unwrap(), None), json!(["sub"]))
}

#[test]
fn the_mac_agrees_with_wycheproof() {
    let Some(folder) = folder() else { return };
    let file = json_file(&folder.join("wycheproof/hmac_sha256_test.json"));
    let hex = |text: &Value| -> Vec<u8> {
        let text = text.as_str().unwrap().as_bytes();
        text.chunks(2)
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect()
    };
    let mut judged = 0;
    for group in file["testGroups"].as_array().unwrap() {
        let length = usize::try_from(group["tagSize"].as_u64().unwrap()).unwrap() / 8;
        for case in group["tests"].as_array().unwrap() {
            // Shorter keys are a configuration error here.
            let Some(secret) = Secret::from_bytes(&hex(&case["key"])) else { continue };
            let agrees = secret.mac(&hex(&case["msg"]))[..length] == hex(&case["tag"]);
            assert_eq!(agrees, case["result"] == "valid", "{}", case["tcId"]);
            judged += 1;
        }
    }
    assert!(judged > 80, "{judged}");
}

#[test]
fn form_and_mac_agree_with_wycheproof() {
    let Some(folder) = folder() else { return };
    let cases = json_file(&folder.join("wycheproof_hs256.json"));
    let cases = cases.as_array().or_else(|| cases["tests"].as_array()).unwrap();
    for case in cases.iter().filter(|case| case["expect_mac"] != "skip") {
        let jwk = &case["jwk"];
        // A few cases bring another kind of key, under which nothing may verify.
        let Some(secret) = jwk["k"].as_str() else {
            assert_eq!(case["expect_mac"], "reject");
            continue;
        };
        let guard = guard(key(secret, jwk["kid"].as_str()), json!([]));
        let (status, code, text) = judge(&guard, text(&case["jws"]).as_bytes(), NOW).unwrap_err();
        // The payloads are no claim sets: what has a right MAC is refused for its claims, everything else before.
        let past_the_mac = text.contains("claims are not");
        assert_eq!(past_the_mac, case["expect_mac"] == "mac_ok", "{}: {code} {text}", case["tcId"]);
        assert!(status == 401 || code == "credentials_ambiguous", "{}: {status}", case["tcId"]);
    }
}

#[test]
fn the_examples_of_rfc_7515_and_rfc_7519_are_judged_right() {
    let Some(folder) = folder() else { return };
    let file = json_file(&folder.join("rfc_examples.json"));
    let [a1, a5, e] = file["tests"].as_array().unwrap().as_slice() else { panic!("three examples") };
    let secret = a1["k"].as_str().unwrap();
    let token = |case: &Value| case["token"].as_str().unwrap().as_bytes().to_vec();
    let only_exp = guard(key(secret, None), json!(["exp"]));
    assert_eq!(judge(&only_exp, &token(a1), 1_300_819_379), Ok(()));
    for late in [1_300_819_380, 1_300_819_381, NOW] {
        assert_eq!(judge(&only_exp, &token(a1), late).unwrap_err().1, "token_expired");
    }
    let defaults = guard(key(secret, None), json!(["sub", "exp", "iat"]));
    assert_eq!(judge(&defaults, &token(a1), 1_300_819_379).unwrap_err().1, "claim_missing");
    for refused in [a5, e] {
        assert_eq!(judge(&only_exp, &token(refused), 1_300_819_379).unwrap_err().0, 401);
    }
}

#[test]
fn the_jose_cookbook_is_judged_right() {
    let Some(folder) = folder() else { return };
    let folder = folder.join("jose_cookbook");
    let secret = json_file(&folder.join("jwk_3_5.symmetric_key_mac_computation.json"));
    let jwk = if secret["k"].is_string() { secret } else { secret["key"].clone() };
    let guard = guard(key(jwk["k"].as_str().unwrap(), jwk["kid"].as_str()), json!([]));
    let mut judged = 0;
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|end| end != "json") {
            continue;
        }
        let output = json_file(&path)["output"].clone();
        for (name, form) in output.as_object().into_iter().flatten() {
            let (status, code, text) = judge(&guard, text(form).as_bytes(), NOW).unwrap_err();
            assert!(status == 401 || code == "credentials_ambiguous", "{path:?} {name}: {status} {code}");
            let is_4_4 = path.to_string_lossy().contains("jws_4_4") && name == "compact";
            assert_eq!(text.contains("claims are not"), is_4_4, "{path:?} {name}: {text}");
            judged += 1;
        }
    }
    assert!(judged >= 10, "{judged}");
}

#[test]
fn no_token_of_pyjwt_is_accepted() {
    let Some(folder) = folder() else { return };
    let file = json_file(&folder.join("pyjwt_tokens.json"));
    let cases = file["tests"].as_array().or_else(|| file["tokens"].as_array()).unwrap();
    let guard = own_guard();
    for case in cases {
        assert_eq!(
            judge(&guard, case["token"].as_str().unwrap().as_bytes(), NOW).unwrap_err().0,
            401,
            "{case}"
        );
    }
}

#[test]
fn json_is_read_alike_wherever_it_stands() {
    let Some(folder) = folder() else { return };
    let guard = own_guard();
    let header = br#"{"alg":"HS256"}"#;
    let mut judged = 0;
    for entry in std::fs::read_dir(folder.join("JSONTestSuite")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.extension().is_none_or(|end| end != "json") {
            continue;
        }
        let document = std::fs::read(&path).unwrap();
        let unread = judge(
            &guard,
            sign(header, &[br#"{"sub":"a","x":"#, &document[..], b"}"].concat()).as_bytes(),
            NOW,
        );
        let read = judge(
            &guard,
            sign(header, &[br#"{"sub":"a","permissions":"#, &document[..], b"}"].concat()).as_bytes(),
            NOW,
        );
        let whole = judge(&guard, sign(header, &document).as_bytes(), NOW);
        let in_header = judge(
            &guard,
            sign(&[br#"{"alg":"HS256","x":"#, &document[..], b"}"].concat(), br#"{"sub":"a"}"#).as_bytes(),
            NOW,
        );
        // Documents that end a string or an object early make something else of what stands around them.
        let breaks_out =
            ["n_structure_object_with_trailing_garbage", "n_structure_object_followed_by_closing_object"];
        match name.get(..1) {
            Some("y") => {
                assert_eq!(unread, Ok(()), "{name}");
                assert_eq!(in_header, Ok(()), "{name}");
            }
            Some("n") if !breaks_out.iter().any(|start| name.starts_with(start)) => {
                assert_eq!(unread.as_ref().unwrap_err().0, 401, "{name}");
                assert_eq!(read.as_ref().unwrap_err().0, 401, "{name}");
                assert_eq!(in_header.as_ref().unwrap_err().0, 401, "{name}");
            }
            _ => {
                // Either way, but the same: as a claim that nobody reads, as one that is read, and in the header.
                let is_json = |verdict: &Result<(), (u16, String, String)>| match verdict {
                    Ok(()) => true,
                    Err((_, code, _)) => code != "token_malformed",
                };
                assert_eq!(is_json(&unread), is_json(&read), "{name}");
                assert_eq!(is_json(&unread), is_json(&in_header), "{name}");
            }
        }
        assert_eq!(whole.unwrap_err().0, 401, "{name}");
        judged += 1;
    }
    assert!(judged > 300, "{judged}");
}
