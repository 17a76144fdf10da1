//! Tokens and MACs that others made.

use std::path::Path;

use api_guard_core::token::algorithm::MacAlgorithm;
use api_guard_core::token::secret::Secret;
use api_guard_testkit::vectors::foreign;
use serde_json::{Value, json};

use super::{NOW, guarded, judge, key, own_guarded};

fn json_file(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// A text itself, anything else as JSON.
fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned)
}

#[test]
fn the_mac_agrees_with_wycheproof() {
    let Some(path) = foreign("wycheproof/hmac_sha256_test.json") else { return };
    let file = json_file(&path);
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
            let Some(secret) = Secret::from_bytes(MacAlgorithm::Hs256, &hex(&case["key"])) else { continue };
            let agrees = secret.mac(&hex(&case["msg"]))[..length] == hex(&case["tag"]);
            assert_eq!(agrees, case["result"] == "valid", "{}", case["tcId"]);
            judged += 1;
        }
    }
    assert!(judged > 80, "{judged}");
}

#[test]
fn form_and_mac_agree_with_wycheproof() {
    let Some(path) = foreign("wycheproof_hs256.json") else { return };
    let cases = json_file(&path);
    let cases = cases.as_array().or_else(|| cases["tests"].as_array()).unwrap();
    for case in cases.iter().filter(|case| case["expect_mac"] != "skip") {
        let jwk = &case["jwk"];
        // A few cases bring another kind of key, under which nothing may verify.
        let Some(secret) = jwk["k"].as_str() else {
            assert_eq!(case["expect_mac"], "reject");
            continue;
        };
        let mut guarded = guarded(key(secret, jwk["kid"].as_str()), json!([]));
        let refused = judge(&mut guarded, text(&case["jws"]).as_bytes(), NOW).unwrap_err();
        // The payloads are no claim sets: what has a right MAC is refused for its claims, everything else before.
        assert_eq!(
            refused.is_past_the_mac(),
            case["expect_mac"] == "mac_ok",
            "{}: {refused:?}",
            case["tcId"]
        );
        let fits = refused.status == 401 || refused.code == "credentials_ambiguous";
        assert!(fits, "{}: {refused:?}", case["tcId"]);
    }
}

#[test]
fn the_jose_cookbook_is_judged_right() {
    let Some(folder) = foreign("jose_cookbook") else { return };
    let secret = json_file(&folder.join("jwk_3_5.symmetric_key_mac_computation.json"));
    let jwk = if secret["k"].is_string() { secret } else { secret["key"].clone() };
    let mut guarded = guarded(key(jwk["k"].as_str().unwrap(), jwk["kid"].as_str()), json!([]));
    let mut judged = 0;
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|end| end != "json") {
            continue;
        }
        let output = json_file(&path)["output"].clone();
        for (name, form) in output.as_object().into_iter().flatten() {
            let refused = judge(&mut guarded, text(form).as_bytes(), NOW).unwrap_err();
            let fits = refused.status == 401 || refused.code == "credentials_ambiguous";
            assert!(fits, "{path:?} {name}: {refused:?}");
            let is_4_4 = path.to_string_lossy().contains("jws_4_4") && name == "compact";
            assert_eq!(refused.is_past_the_mac(), is_4_4, "{path:?} {name}: {refused:?}");
            judged += 1;
        }
    }
    assert!(judged >= 10, "{judged}");
}

#[test]
fn no_token_of_pyjwt_is_accepted() {
    let Some(path) = foreign("pyjwt_tokens.json") else { return };
    let file = json_file(&path);
    let cases = file["tests"].as_array().or_else(|| file["tokens"].as_array()).unwrap();
    let mut guarded = own_guarded();
    for case in cases {
        let refused = judge(&mut guarded, case["token"].as_str().unwrap().as_bytes(), NOW).unwrap_err();
        assert_eq!(refused.status, 401, "{case}");
    }
}
