#![allow(clippy::arithmetic_side_effects, clippy::string_slice, reason = "a test that cannot go on fails")]

use api_guard_testkit::vectors::{PUBLIC_EXAMPLES, foreign};
use p256::ecdsa::signature::Signer as _;
use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::json::Json;
use crate::token::compact::{Compact, decode};
use crate::token::native::NativeSignatures;
use crate::token::public_key::jwk::Jwk;

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

fn example(algorithm: PublicAlgorithm) -> (PublicKey, Vec<u8>, Vec<u8>) {
    let key = |jwk: &str| Jwk::read(&Json::read(jwk).unwrap()).unwrap();
    let all = PUBLIC_EXAMPLES.iter().map(|example| (key(example.jwk), example.token));
    let (jwk, token) = all.into_iter().find(|(jwk, _)| jwk.algorithms.contains(algorithm)).unwrap();
    let compact = Compact::read(token.as_bytes(), 8192).unwrap();
    (jwk.key, compact.signing_input.to_vec(), decode(compact.signature).unwrap())
}

fn verifies(key: &PublicKey, algorithm: PublicAlgorithm, message: &[u8], signature: &[u8]) -> bool {
    key.verifies(algorithm, message, signature, &NativeSignatures).unwrap()
}

const PUBLISHED: [PublicAlgorithm; 3] =
    [PublicAlgorithm::Rs256, PublicAlgorithm::Es256, PublicAlgorithm::EdDsa];

#[test]
fn the_published_examples_verify_and_no_byte_of_them_may_change() {
    for algorithm in PUBLISHED {
        let (key, message, signature) = example(algorithm);
        assert!(verifies(&key, algorithm, &message, &signature), "{algorithm:?}");
        let mut other = message.clone();
        other[0] ^= 1;
        assert!(!verifies(&key, algorithm, &other, &signature));
        for index in [0, 1, signature.len() / 2, signature.len() - 1] {
            let mut other = signature.clone();
            other[index] ^= 1;
            assert!(!verifies(&key, algorithm, &message, &other), "{algorithm:?} {index}");
        }
    }
}

#[test]
fn a_key_verifies_by_its_own_algorithms_and_lengths_alone() {
    for of_key in PUBLISHED {
        let (key, message, signature) = example(of_key);
        for algorithm in PublicAlgorithm::ALL {
            assert_eq!(verifies(&key, algorithm, &message, &signature), algorithm == of_key, "{algorithm:?}");
        }
        for other in [
            &[][..],
            &[0],
            &signature[1..],
            &[&[0], &signature[..]].concat(),
            &[&signature[..], &[0]].concat(),
        ] {
            assert!(!verifies(&key, of_key, &message, other), "{of_key:?} of {} bytes", other.len());
        }
    }
}

/// A host that must not be asked.
struct Unasked;

impl SignatureHost for Unasked {
    fn verify_signature(&self, _: &SignatureCheck<'_>) -> Result<bool, SignatureFault> {
        panic!("asked")
    }
}

#[test]
fn a_signature_that_no_key_of_the_algorithm_makes_never_reaches_the_host() {
    let (rsa, message, signature) = example(PublicAlgorithm::Rs256);
    for (algorithm, signature) in [
        (PublicAlgorithm::Rs256, &signature[1..]),
        (PublicAlgorithm::Rs256, &[]),
        (PublicAlgorithm::Es256, &signature[..]),
    ] {
        assert_eq!(rsa.verifies(algorithm, &message, signature, &Unasked), Ok(false));
    }
    let (ec, message, signature) = example(PublicAlgorithm::Es256);
    let (r, s) = signature.split_at(32);
    let zero = [0; 32];
    for bad in [[&zero, s], [r, &zero], [P256.order, s], [r, P256.order], [&[0xff; 32], s], [r, &[0xff; 32]]]
    {
        assert_eq!(ec.verifies(PublicAlgorithm::Es256, &message, &bad.concat(), &Unasked), Ok(false));
    }
    let der = der_signature(&P256, &signature).unwrap();
    assert_eq!(ec.verifies(PublicAlgorithm::Es256, &message, &der, &Unasked), Ok(false), "not JOSE's form");
}

#[test]
fn a_host_that_fails_is_a_fault_and_no_verdict() {
    for (algorithm, asks) in
        [(PublicAlgorithm::Rs256, true), (PublicAlgorithm::Es256, true), (PublicAlgorithm::EdDsa, false)]
    {
        let (key, message, signature) = example(algorithm);
        let verified = key.verifies(algorithm, &message, &signature, &NoSignatures);
        assert_eq!(verified, if asks { Err(SignatureFault) } else { Ok(true) });
    }
}

#[test]
fn a_host_is_tried_with_a_published_signature() {
    struct Always(Result<bool, SignatureFault>);
    impl SignatureHost for Always {
        fn verify_signature(&self, _: &SignatureCheck<'_>) -> Result<bool, SignatureFault> {
            self.0
        }
    }
    assert!(verifies_published(&NativeSignatures));
    for bad in [Ok(true), Ok(false), Err(SignatureFault)] {
        assert!(!verifies_published(&Always(bad)), "{bad:?}");
    }
}

#[test]
fn either_form_of_an_ecdsa_signature_verifies() {
    let (key, message, signature) = example(PublicAlgorithm::Es256);
    let mut other = signature.clone();
    let mut borrow = false;
    // n - s, from the last byte to the first.
    for index in (0..32).rev() {
        (other[32 + index], borrow) = P256.order[index].borrowing_sub(signature[32 + index], borrow);
    }
    assert_ne!(other, signature);
    assert!(verifies(&key, PublicAlgorithm::Es256, &message, &other));
}

#[test]
fn es384_and_the_longer_hashes_of_rsa_verify() {
    let secret = p384::ecdsa::SigningKey::from_slice(&[7; 48]).unwrap();
    let signature: p384::ecdsa::Signature = secret.sign(b"h.p");
    let point = secret.verifying_key().to_sec1_point(false);
    let key = PublicKey::p384(point.x().unwrap(), point.y().unwrap()).unwrap();
    assert!(verifies(&key, PublicAlgorithm::Es384, b"h.p", &signature.to_bytes()));
    assert!(!verifies(&key, PublicAlgorithm::Es384, b"h.q", &signature.to_bytes()));
    assert!(!verifies(&key, PublicAlgorithm::Es256, b"h.p", &signature.to_bytes()));
    assert_eq!(PublicKey::from_spki(key.spki()), Ok(key));
}

#[test]
fn no_es256_signature_that_wycheproof_calls_invalid_verifies() {
    let Some(path) = foreign("wycheproof_jose.json") else { return };
    let file: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let (key, message, _) = example(PublicAlgorithm::Es256);
    let mut judged = 0;
    for case in file["es256_signature"].as_array().unwrap() {
        let signature = hex(case[2].as_str().unwrap());
        assert!(!verifies(&key, PublicAlgorithm::Es256, &message, &signature), "{case}");
        // Those of the right length have numbers that are out of range, or are no signature of this message.
        if signature.len() != 64 {
            assert_eq!(
                key.verifies(PublicAlgorithm::Es256, &message, &signature, &Unasked),
                Ok(false),
                "{case}"
            );
        }
        judged += 1;
    }
    assert_eq!(judged, 23);
}

#[test]
fn no_rsa_padding_that_wycheproof_calls_invalid_verifies() {
    use rsa::BigUint;
    use rsa::sha2::{Digest as _, Sha256};
    use rsa::traits::{PrivateKeyParts as _, PublicKeyParts as _};
    let Some(path) = foreign("wycheproof_jose.json") else { return };
    let file: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let secret = rsa_key();
    let key = PublicKey::rsa(&secret.n().to_bytes_be(), &secret.e().to_bytes_be()).unwrap();
    let hash: String = Sha256::digest(b"h.p").iter().map(|byte| format!("{byte:02x}")).collect();
    let sign = |encoded: &str| {
        let encoded = hex(&encoded.replace('H', &hash));
        // 00 01 ff .. ff in front; `encoded` begins with the 00 behind them.
        let padding = vec![0xff; 254_usize.saturating_sub(encoded.len())];
        let message = [&[0, 1][..], &padding, &encoded].concat();
        let signature = BigUint::from_bytes_be(&message[..256]).modpow(secret.d(), secret.n()).to_bytes_be();
        [vec![0; 256 - signature.len()], signature].concat()
    };
    let right = sign("003031300d060960864801650304020105000420H");
    assert!(verifies(&key, PublicAlgorithm::Rs256, b"h.p", &right), "the padding of the test itself");
    let mut judged = 0;
    for case in file["rs256_padding"].as_array().unwrap() {
        let signature = sign(case[2].as_str().unwrap());
        assert!(!verifies(&key, PublicAlgorithm::Rs256, b"h.p", &signature), "{case}");
        judged += 1;
    }
    assert_eq!(judged, 213);
}

/// What is random of a signature here: always the same.
struct Salt;

impl rsa::rand_core::CryptoRng for Salt {}

impl rsa::rand_core::RngCore for Salt {
    fn next_u32(&mut self) -> u32 {
        7
    }

    fn next_u64(&mut self) -> u64 {
        7
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        bytes.fill(7);
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), rsa::rand_core::Error> {
        bytes.fill(7);
        Ok(())
    }
}

#[test]
fn a_signature_of_rsassa_pss_has_the_hash_and_the_salt_of_its_algorithm() {
    use rsa::pss::SigningKey;
    use rsa::sha2::{Sha256, Sha384, Sha512};
    use rsa::signature::{RandomizedSigner as _, SignatureEncoding as _};
    use rsa::traits::PublicKeyParts as _;
    const PSS: [PublicAlgorithm; 3] =
        [PublicAlgorithm::Ps256, PublicAlgorithm::Ps384, PublicAlgorithm::Ps512];
    let secret = rsa_key();
    let key = PublicKey::rsa(&secret.n().to_bytes_be(), &secret.e().to_bytes_be()).unwrap();
    for salt in [0, 20, 31, 32, 33, 48, 64] {
        let secret = || secret.clone();
        let signatures = [
            SigningKey::<Sha256>::new_with_salt_len(secret(), salt).sign_with_rng(&mut Salt, b"h.p").to_vec(),
            SigningKey::<Sha384>::new_with_salt_len(secret(), salt).sign_with_rng(&mut Salt, b"h.p").to_vec(),
            SigningKey::<Sha512>::new_with_salt_len(secret(), salt).sign_with_rng(&mut Salt, b"h.p").to_vec(),
        ];
        for (signature, (of, hash_bytes)) in signatures.iter().zip(PSS.into_iter().zip([32, 48, 64])) {
            for algorithm in PublicAlgorithm::ALL {
                let right = algorithm == of && salt == hash_bytes;
                // No host is asked: none of Envoy's verifies it.
                let host: &dyn SignatureHost =
                    if PSS.contains(&algorithm) { &Unasked } else { &NativeSignatures };
                let verified = key.verifies(algorithm, b"h.p", signature, host);
                assert_eq!(verified, Ok(right), "{of:?} with a salt of {salt} bytes as {algorithm:?}");
            }
            let longer = [&[0][..], signature].concat();
            for other in [&signature[1..], &longer] {
                assert_eq!(key.verifies(of, b"h.p", other, &Unasked), Ok(false), "{of:?}");
            }
            assert_eq!(key.verifies(of, b"h.q", signature, &Unasked), Ok(false), "{of:?}");
        }
    }
}

/// A private key of 2,048 bits, of the two largest primes below 2^1024.
fn rsa_key() -> rsa::RsaPrivateKey {
    use rsa::BigUint;
    let below = |less: u32| (BigUint::from(1_u32) << 1024) - BigUint::from(less);
    rsa::RsaPrivateKey::from_p_q(below(105), below(179), BigUint::from(65_537_u32)).unwrap()
}

#[test]
fn the_argument_of_envoys_function_is_a_protobuf_message_of_four_fields() {
    let long = vec![7; 300];
    let check = SignatureCheck { hash: SignedHash::Sha384, key: b"K", signature: b"", message: &long };
    let head = b"\x0a\x06sha384\x12\x01K\x1a\x00\x22\xac\x02";
    assert_eq!(check.to_protobuf(), [&head[..], &long].concat());
    assert!(SignatureCheck::is_right(&[8, 1]));
    for wrong in [&[][..], &[8, 0], &[8], &[8, 1, 0x12, 0], b"\x12\x01x"] {
        assert!(!SignatureCheck::is_right(wrong), "{wrong:?}");
    }
}

proptest! {
    #[test]
    fn what_is_asked_of_the_host_is_der_of_the_same_two_numbers(r: [u8; 32], s: [u8; 32], zeros in 0_usize..33) {
        let mut r = r;
        r[..zeros.min(32)].fill(0);
        let der = der_signature(&P256, &[r, s].concat());
        let library = p256::ecdsa::Signature::from_slice(&[r, s].concat()).ok();
        prop_assert_eq!(der, library.map(|signature| signature.to_der().as_bytes().to_vec()));
    }

    #[test]
    fn a_signature_of_any_bytes_is_refused(bytes: Vec<u8>) {
        for algorithm in PUBLISHED {
            let (key, message, _) = example(algorithm);
            prop_assert!(!verifies(&key, algorithm, &message, &bytes));
        }
    }
}
