//! What `check` says of a text where a public key is asked for.

use serde_json::{Value, json};

use super::{Told, told};
use crate::command::{command, run};
use crate::files::{File, project};

fn issuer_key(name: &str) -> String {
    std::fs::read_to_string(project("tests/issuer_keys").join(name)).expect("a key")
}

/// A block of PEM.
fn block(label: &str) -> String {
    format!("-----BEGIN {label}-----\nQUJDREVGRw==\n-----END {label}-----\n")
}

/// The one error of a configuration.
fn error_of(configuration: &Value) -> Told {
    let mut errors = told(configuration.to_string());
    errors.retain(|told| told.severity == "error");
    assert_eq!(errors.len(), 1, "{errors:?}");
    errors.remove(0)
}

#[test]
fn another_kind_of_pem_is_named_with_how_to_write_the_public_key() {
    let pkey = "write its public key: openssl pkey -in KEY -pubout";
    let openssh = "write its public key: ssh-keygen -e -m PKCS8 -f KEY, if it is of RSA or ECDSA";
    let public = issuer_key("public.pem");
    let whole = "PEM that is cut short, has text around it, or is not base64; write all from -----BEGIN PUBLIC KEY-----";
    for (pem, part) in [
        (
            block("CERTIFICATE"),
            "a certificate (CERTIFICATE), not a public key; write its public key: openssl x509 -in CERTIFICATE -noout -pubkey",
        ),
        (block("CERTIFICATE").repeat(2), "a certificate (CERTIFICATE)"),
        (block("CERTIFICATE REQUEST"), "openssl req -in REQUEST -noout -pubkey"),
        (
            block("RSA PUBLIC KEY"),
            "in the form of PKCS#1 (RSA PUBLIC KEY); write it with the label PUBLIC KEY: openssl rsa -RSAPublicKey_in -in KEY -pubout",
        ),
        (
            issuer_key("p256.pem"),
            &format!("a private key (PRIVATE KEY), which only the issuer may have; {pkey}"),
        ),
        (
            issuer_key("p256-sec1.pem"),
            &format!("a private key (EC PRIVATE KEY), which only the issuer may have; {pkey}"),
        ),
        (issuer_key("rsa-pkcs1.pem"), "a private key (RSA PRIVATE KEY)"),
        (issuer_key("encrypted.pem"), "a private key (ENCRYPTED PRIVATE KEY)"),
        (
            format!("{}{}", block("EC PARAMETERS"), issuer_key("p256-sec1.pem")),
            "a private key (EC PRIVATE KEY)",
        ),
        (
            block("EC PARAMETERS"),
            "the name of a curve (EC PARAMETERS), without a key; write the public key: openssl pkey",
        ),
        (block("OPENSSH PRIVATE KEY"), &format!("a private key of OpenSSH (OPENSSH PRIVATE KEY); {openssh}")),
        ("ssh-rsa QUJDREVGRw== me".to_owned(), &format!("a public key of OpenSSH, not PEM; {openssh}")),
        (block("PKCS7"), "PEM with the label PKCS7; write a public key, whose label is PUBLIC KEY"),
        (block("hunter2"), "PEM with another label; write a public key"),
        (format!("{public}{public}"), "2 public keys; write one entry of tokens.keys for each"),
        (
            format!("{}{public}", block("CERTIFICATE")),
            "2 keys or certificates; write the one with the label PUBLIC KEY alone",
        ),
        (
            format!("{public}{}", issuer_key("p256.pem")),
            "2 keys or certificates, with a private key among them, which only the issuer may have; write the one with the label PUBLIC KEY alone",
        ),
        (
            format!("{}{}", block("CERTIFICATE"), issuer_key("p256-sec1.pem")),
            &format!(
                "2 keys or certificates, with a private key among them, which only the issuer may have; {pkey}"
            ),
        ),
        (
            public.replace('\n', "\\n"),
            "PEM with the letters \\n in place of line breaks; write line breaks, or leave them out",
        ),
        (public.replace("-----END", "---END"), whole),
        (format!("Key: {public}"), whole),
        ("QUJDREVGRw==".to_owned(), "not PEM with the label PUBLIC KEY (RFC 7468); give a public key"),
    ] {
        let inline = json!({ "tokens": { "keys": [{ "public_key": { "pem": pem } }] } });
        let error = error_of(&inline);
        assert_eq!(
            (error.rule.as_str(), error.pointer.as_str()),
            ("configuration", "/tokens/keys/0/public_key/pem")
        );
        assert!(error.message.contains(part), "{part:?}: {error:?}");
        let named = json!({ "tokens": { "keys": [{ "public_key": { "env": "ISSUER_KEY" } }] } });
        let (inline, named) = (File::new(inline.to_string()), File::new(named.to_string()));
        let explain = ["explain", "--path", "/", "--config"];
        for (file, field) in [(&inline, "pem"), (&named, "env")] {
            let run = run(command().env("ISSUER_KEY", &pem).args(explain).arg(file.path()));
            assert_eq!(run.code, 1, "{run:?}");
            assert!(
                run.err.contains(&format!("/tokens/keys/0/public_key/{field}: ")) && run.err.contains(part),
                "{run:?}"
            );
            let shown = format!("{run:?}{error:?}");
            let lines = pem.lines().filter(|line| !line.contains("-----") && line.len() > 8);
            assert!(
                !shown.contains("hunter2") && lines.into_iter().all(|line| !shown.contains(line)),
                "{run:?}"
            );
        }
    }
}

#[test]
fn a_private_json_web_key_is_told_with_what_to_take_out() {
    let jwk: Value = serde_json::from_str(&issuer_key("rsa.jwk.json")).expect("JSON");
    let error = error_of(&json!({ "tokens": { "keys": [{ "public_key": { "jwk": jwk } }] } }));
    assert_eq!(
        error.message,
        "members of a private key; take them out: d, and of RSA p, q, dp, dq, qi and oth too"
    );
}
