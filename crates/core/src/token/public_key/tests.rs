#![allow(clippy::arithmetic_side_effects, clippy::string_slice, reason = "a test that cannot go on fails")]

use serde_json::{Value, json};

use super::*;
use crate::json::Json;
use api_guard_testkit::vectors::{PUBLIC_EXAMPLES, foreign};

fn read(jwk: &Value) -> Result<jwk::Jwk, KeyFault> {
    jwk::Jwk::read(&Json::read(&jwk.to_string()).unwrap())
}

/// The published key of this kind (RFC 7515 appendices A.2 and A.3, RFC 8037 appendix A.2).
fn published(kty: &str) -> Value {
    let all = PUBLIC_EXAMPLES.iter().map(|example| serde_json::from_str::<Value>(example.jwk).unwrap());
    all.into_iter().find(|jwk| jwk["kty"] == kty).unwrap()
}

fn changed(jwk: &Value, name: &str, value: Value) -> Value {
    let mut jwk = jwk.clone();
    jwk[name] = value;
    jwk
}

#[test]
fn published_keys_are_read_and_written_as_one_key_each() {
    for kty in ["RSA", "EC", "OKP"] {
        let read = read(&published(kty)).unwrap();
        assert_eq!(PublicKey::from_spki(read.key.spki()), Ok(read.key.clone()), "{kty}");
        assert_eq!(read.algorithms, read.key.kind().algorithms());
        let mut longer = read.key.spki().to_vec();
        longer.push(0);
        assert!(PublicKey::from_spki(&longer).is_err(), "{kty}: something behind it");
        for end in 0..longer.len() - 1 {
            assert!(PublicKey::from_spki(&longer[..end]).is_err(), "{kty}: {end}");
        }
    }
}

#[test]
fn what_another_library_wrote_in_pem_is_read() {
    use p256::pkcs8::EncodePublicKey as _;
    use rsa::pkcs8::EncodePublicKey as _;
    let pem_of = |kty: &str, spki: &[u8]| match kty {
        "RSA" => {
            let key: rsa::RsaPublicKey = rsa::pkcs8::DecodePublicKey::from_public_key_der(spki).unwrap();
            let der = key.to_public_key_der().unwrap();
            assert_eq!(der.as_bytes(), spki);
            spki.to_vec()
        }
        _ => {
            let key: p256::PublicKey = p256::pkcs8::DecodePublicKey::from_public_key_der(spki).unwrap();
            key.to_public_key_der().unwrap().into_vec()
        }
    };
    for kty in ["RSA", "EC"] {
        let key = read(&published(kty)).unwrap().key;
        assert_eq!(pem_of(kty, key.spki()), key.spki(), "{kty}");
    }
}

#[test]
fn pem_is_one_public_key_with_its_label() {
    use base64::prelude::{BASE64_STANDARD, Engine};
    for kty in ["RSA", "EC", "OKP"] {
        let key = read(&published(kty)).unwrap().key;
        let base64 = BASE64_STANDARD.encode(key.spki());
        let lines: Vec<&str> =
            base64.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
        for end in ["\n", "\r\n"] {
            let text = format!(
                "\n-----BEGIN PUBLIC KEY-----{end}{}{end}-----END PUBLIC KEY-----{end}",
                lines.join(end)
            );
            assert_eq!(pem::read(&text), Ok(key.clone()), "{kty}");
            for (label, fault) in [("RSA PUBLIC KEY", KeyFault::NotPem), ("CERTIFICATE", KeyFault::NotPem)] {
                assert_eq!(pem::read(&text.replace("PUBLIC KEY", label)), Err(fault));
            }
            assert_eq!(pem::read(&format!("{text}{text}")), Err(KeyFault::NotPem), "two keys");
            assert_eq!(pem::read(&text.replace("M", "A")), Err(KeyFault::NotSpki));
        }
    }
    for text in
        ["", "-----BEGIN PUBLIC KEY-----", "-----BEGIN PUBLIC KEY----------END PUBLIC KEY-----", "MCow"]
    {
        assert!(pem::read(text).is_err(), "{text}");
    }
}

#[test]
fn a_key_says_what_it_is_for() {
    let (rsa, ec, okp) = (published("RSA"), published("EC"), published("OKP"));
    let only = PublicAlgorithms::only;
    assert_eq!(read(&changed(&rsa, "alg", json!("RS384"))).unwrap().algorithms, only(PublicAlgorithm::Rs384));
    assert_eq!(read(&changed(&ec, "alg", json!("ES256"))).unwrap().algorithms, only(PublicAlgorithm::Es256));
    assert_eq!(read(&changed(&okp, "alg", json!("EdDSA"))).unwrap().algorithms, only(PublicAlgorithm::EdDsa));
    for (jwk, alg) in [(&rsa, "ES256"), (&rsa, "ps256"), (&rsa, "RSA-OAEP"), (&rsa, "HS256"), (&rsa, "none")]
        .into_iter()
        .chain([(&ec, "ES384"), (&ec, "RS256"), (&ec, "ES256K"), (&okp, "ES256"), (&okp, "Ed25519")])
    {
        assert_eq!(read(&changed(jwk, "alg", json!(alg))), Err(KeyFault::Algorithm), "{alg}");
    }
    for jwk in [&rsa, &ec, &okp] {
        assert!(read(&changed(jwk, "use", json!("sig"))).is_ok());
        assert_eq!(read(&changed(jwk, "use", json!("enc"))), Err(KeyFault::NotForSignatures));
        assert!(read(&changed(jwk, "key_ops", json!(["sign", "verify"]))).is_ok());
        for other in [json!([]), json!(["encrypt"]), json!(["sign"]), json!([1])] {
            assert_eq!(read(&changed(jwk, "key_ops", other)), Err(KeyFault::NotForSignatures));
        }
        assert_eq!(read(&changed(jwk, "x5c", json!(["MII"]))).unwrap(), read(jwk).unwrap());
    }
}

#[test]
fn nothing_secret_is_taken_for_a_public_key() {
    assert_eq!(read(&json!({ "kty": "oct", "k": "AAAA" })), Err(KeyFault::Symmetric));
    for kty in ["RSA", "EC", "OKP"] {
        for member in ["d", "p", "q", "dp", "dq", "qi", "oth", "k"] {
            assert_eq!(read(&changed(&published(kty), member, json!("AQ"))), Err(KeyFault::Private));
        }
    }
}

#[test]
fn a_key_of_another_form_is_none() {
    let (rsa, ec, okp) = (published("RSA"), published("EC"), published("OKP"));
    for jwk in [
        json!([]),
        json!("RSA"),
        json!({}),
        json!({ "kty": 1 }),
        json!({ "kty": "EC" }),
        changed(&rsa, "n", json!(null)),
        changed(&rsa, "n", json!("a+b/")),
        changed(&rsa, "e", json!("AQAB=")),
        changed(&rsa, "e", json!(65537)),
        changed(&ec, "x", json!([1])),
        changed(&okp, "x", json!("A")),
        changed(&rsa, "kid", json!(7)),
        changed(&rsa, "alg", json!(["RS256"])),
        changed(&rsa, "use", json!(["sig"])),
        changed(&rsa, "key_ops", json!("verify")),
    ] {
        assert_eq!(read(&jwk), Err(KeyFault::Malformed), "{jwk}");
    }
    for (name, value) in [("kty", "rsa"), ("kty", "AKP"), ("kty", "")] {
        assert_eq!(read(&changed(&rsa, name, json!(value))), Err(KeyFault::UnknownType));
    }
    for crv in ["P-521", "secp256k1", "p-256", "Ed25519"] {
        assert_eq!(read(&changed(&ec, "crv", json!(crv))), Err(KeyFault::UnknownType));
    }
    for crv in ["Ed448", "X25519", "P-256"] {
        assert_eq!(read(&changed(&okp, "crv", json!(crv))), Err(KeyFault::UnknownType));
    }
    let twice = rsa.to_string().replacen('{', "{\"n\":\"AQAB\",", 1);
    assert_eq!(jwk::Jwk::read(&Json::read(&twice).unwrap()), Err(KeyFault::Malformed), "a name stands twice");
}

#[test]
fn an_rsa_key_has_2048_to_4096_bits_and_the_usual_exponent() {
    let modulus = |bits: usize| {
        let mut modulus = vec![0xff; bits.div_ceil(8)];
        modulus[0] = 0xff >> (modulus.len() * 8 - bits);
        modulus
    };
    let e = [1, 0, 1];
    for (bits, is_sound) in [
        (1024, false),
        (2047, false),
        (2048, true),
        (2049, true),
        (3072, true),
        (4096, true),
        (4097, false),
        (16_384, false),
    ] {
        let key = PublicKey::rsa(&modulus(bits), &e);
        assert_eq!(key.is_ok(), is_sound, "{bits}");
        if let Ok(key) = key {
            assert_eq!(key.kind(), KeyKind::Rsa { modulus_bytes: bits.div_ceil(8) });
            assert_eq!(PublicKey::from_spki(key.spki()), Ok(key));
        }
    }
    let zeros = [&[0, 0], &modulus(2048)[..]].concat();
    assert_eq!(PublicKey::rsa(&zeros, &[0, 1, 0, 1]), PublicKey::rsa(&modulus(2048), &e));
    let mut even = modulus(2048);
    even[255] = 0xfe;
    assert_eq!(PublicKey::rsa(&even, &e), Err(KeyFault::RsaModulus));
    for other in [&[][..], &[0], &[1], &[3], &[1, 0, 1, 0], &[1, 0, 3]] {
        assert_eq!(PublicKey::rsa(&modulus(2048), other), Err(KeyFault::RsaExponent), "{other:?}");
    }
}

#[test]
fn a_point_of_low_order_is_no_key() {
    // The eight points whose order divides 8 (RFC 7748 section 7 speaks of them), and other encodings of some.
    let low = [
        "0100000000000000000000000000000000000000000000000000000000000000",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0000000000000000000000000000000000000000000000000000000000000080",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "0100000000000000000000000000000000000000000000000000000000000080",
    ];
    for text in low {
        let point: Vec<u8> =
            (0..64).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect();
        assert_eq!(PublicKey::ed25519(&point), Err(KeyFault::Point), "{text}");
    }
    for length in [0, 31, 33] {
        assert_eq!(PublicKey::ed25519(&vec![7; length]), Err(KeyFault::Point));
    }
}

#[test]
fn the_keys_that_wycheproof_calls_invalid_are_refused_for_what_is_wrong_with_them() {
    let Some(path) = foreign("wycheproof_jose.json") else { return };
    let file: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let mut judged = 0;
    for case in file["keys"].as_array().unwrap() {
        let fault = match case[0].as_str().unwrap() {
            "keysize_too_small" => KeyFault::RsaModulus,
            "exponentOne" => KeyFault::RsaExponent,
            "wrong_algorithm" | "invalid_algorithm" => KeyFault::Algorithm,
            "invalid_use" => KeyFault::NotForSignatures,
            "invalid_point" | "wrong_curve" => KeyFault::Point,
            "wrong_kty" => KeyFault::Malformed,
            other => panic!("{other}"),
        };
        assert_eq!(read(&case[1]), Err(fault), "{case}");
        judged += 1;
    }
    assert_eq!(judged, 8);
}
