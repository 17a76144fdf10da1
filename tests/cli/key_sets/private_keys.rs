//! What `mint` says of a key of the wrong kind, beside what it says of broken ones.

use serde_json::json;

use super::{all, config, inspect, key_file, mint, pem};
use crate::files::File;

/// Keys that nobody uses: openssl genpkey -algorithm X25519, and Ed448.
const X25519: &str = "MC4CAQAwBQYDK2VuBCIEIOCW5sjWaJ4Ob3UoSIY+0aXd3ephGt2JwvYxelcuEVN/";
const ED448: &str =
    "MEcCAQAwBQYDK2VxBDsEOUdRYMTmZrtMb7J5K3YMiJxd6fBKpQiKiQKAFpXjoXiaCDyCfFBJ1MRMY4yZZnYZcyLa87KsYiLvpQ==";

fn block(label: &str, body: &str) -> String {
    format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n")
}

#[test]
fn a_key_of_another_kind_is_named_with_how_to_get_one_that_signs() {
    // "openssh-key-v1", "ssh-ed25519" and "ssh-rsa", in base64.
    let (ed25519, rsa) = ("b3BlbnNzaC1rZXktdjEAc3NoLWVkMjU1MTk=", "b3BlbnNzaC1rZXktdjEAc3NoLXJzYQ==");
    for (content, part) in [
        (block("PRIVATE KEY", X25519), "a key of X25519, which cannot sign; give a private key"),
        (block("PRIVATE KEY", ED448), "a key of Ed448, which no guard verifies; give a private key"),
        (
            block("OPENSSH PRIVATE KEY", ed25519),
            "an Ed25519 key of OpenSSH, which not every ssh-keygen writes in another form; make a key: openssl genpkey -algorithm Ed25519",
        ),
        (
            block("OPENSSH PRIVATE KEY", rsa),
            "a key of OpenSSH; write a copy of it as PKCS#8: cp KEY COPY && ssh-keygen -p -m PKCS8 -f COPY",
        ),
        (
            "ssh-ed25519 QUJD me\n".to_owned(),
            "a public key of OpenSSH, which cannot sign; write a private key in PEM",
        ),
        (
            block("CERTIFICATE", "QUJD"),
            "a certificate (CERTIFICATE), which cannot sign; give the private key of it",
        ),
        (
            block("EC PARAMETERS", "QUJD"),
            "the name of a curve (EC PARAMETERS), without a key; write a private key in PEM",
        ),
        (block("PKCS7", "QUJD"), "PEM with the label PKCS7; write a private key in PEM"),
        (block("\u{1b}[31mHIDDEN", "QUJD"), "PEM with another label; write a private key in PEM"),
        (block(&"HIDDEN".repeat(1000), "QUJD"), "PEM with another label; write a private key in PEM"),
        (pem("public.pem"), "a public key (PUBLIC KEY), which cannot sign; write a private key in PEM"),
    ] {
        let run = mint(&["--key", File::new(&content).path(), "--alg", "EdDSA"]);
        assert_eq!((run.code, run.out.as_str()), (1, ""), "{content}");
        assert!(run.err.contains(part), "{part:?} is not in {run:?}");
        assert!(!run.err.contains("HIDDEN"), "{run:?}");
        assert!(
            content.lines().skip(1).all(|line| line.contains("-----") || !run.err.contains(line)),
            "{run:?}"
        );
    }
}

#[test]
fn certificates_and_the_name_of_a_curve_in_front_of_a_key_are_passed_over() {
    let certificate = block("CERTIFICATE", "QUJD");
    for before in
        [certificate.repeat(2), block("EC PARAMETERS", "QUJD"), block("TRUSTED CERTIFICATE", "QUJD")]
    {
        for name in ["p256-sec1.pem", "p256.pem"] {
            let run = mint(&["--key", File::new(format!("{before}{}", pem(name))).path()]);
            let told = inspect(run.line(), &config(all()), &["--jwks", &key_file("jwks.json")]);
            assert_eq!((told.code, &told.json()["verified"]), (0, &json!(true)), "{before}: {told:?}");
        }
    }
    let run = mint(&["--key", File::new(format!("{certificate}{}", pem("public.pem"))).path()]);
    assert!(run.code == 1 && run.err.contains("a public key (PUBLIC KEY), which cannot sign"), "{run:?}");
}

#[test]
fn a_key_that_an_algorithm_is_not_for_is_told_with_one_that_it_is_for() {
    for (file, algorithm, part) in [
        (
            "p256.pem",
            "EdDSA",
            "which is of P-256; write ES256, or give a key for EdDSA (openssl genpkey -algorithm Ed25519)",
        ),
        (
            "rsa.pem",
            "EdDSA",
            "which is of RSA; write RS256 or RS384 or RS512 or PS256 or PS384 or PS512, or give a key for EdDSA",
        ),
        (
            "ed25519.pem",
            "RS256",
            "which is of Ed25519; write EdDSA, or give a key for RS256 (openssl genrsa 2048)",
        ),
        (
            "ed25519.jwk.json",
            "ES384",
            "which is of Ed25519; write EdDSA, or give a key for ES384 (openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384)",
        ),
        ("p384.pem", "ES256", "which is of P-384; write ES384, or give a key for ES256"),
    ] {
        let run = mint(&["--key", &key_file(file), "--alg", algorithm]);
        assert_eq!((run.code, run.out.as_str()), (1, ""), "{run:?}");
        assert!(
            run.err.contains(&format!("{file}: {algorithm} is no algorithm of this key, {part}")),
            "{run:?}"
        );
    }
}
