//! A text where a public key in PEM is asked for, and another thing stands. No part of it but the label is ever shown, since it
//! may be a private key.

/// A longer label, or one of other letters, is none, but may be anything else.
const LONGEST_LABEL: usize = 40;

/// The label of a curve's name.
const CURVE: &str = "EC PARAMETERS";

/// What the text is, and how to write its public key.
pub(super) fn more(text: &str) -> Option<(String, String)> {
    let labels = labels(text);
    let told = |what: &str, instead: &str| Some((what.to_owned(), instead.to_owned()));
    // openssl ecparam -genkey writes the curve in front of the key.
    let keys: Vec<&str> = labels.iter().copied().filter(|label| *label != CURVE).collect();
    let label = match keys.as_slice() {
        [] if labels.is_empty() => return without_label(text),
        [] => CURVE,
        [only] => *only,
        [first, ..] => match several(&keys) {
            Some(told) => return Some(told),
            None => *first,
        },
    };
    match label {
        "PUBLIC KEY" if text.contains("\\n") => {
            told("PEM with the letters \\n in place of line breaks", "write line breaks, or leave them out")
        }
        "PUBLIC KEY" => {
            let instead =
                "write all from -----BEGIN PUBLIC KEY----- to -----END PUBLIC KEY-----, and nothing else";
            told("PEM that is cut short, has text around it, or is not base64", instead)
        }
        "CERTIFICATE" | "X509 CERTIFICATE" | "TRUSTED CERTIFICATE" => {
            let instead = "write its public key: openssl x509 -in CERTIFICATE -noout -pubkey";
            Some((format!("a certificate ({label}), not a public key"), instead.to_owned()))
        }
        "CERTIFICATE REQUEST" | "NEW CERTIFICATE REQUEST" => {
            let instead = "write its public key: openssl req -in REQUEST -noout -pubkey";
            Some((format!("a certificate request ({label}), not a public key"), instead.to_owned()))
        }
        "RSA PUBLIC KEY" => {
            let instead = "write it with the label PUBLIC KEY: openssl rsa -RSAPublicKey_in -in KEY -pubout";
            told("a public key in the form of PKCS#1 (RSA PUBLIC KEY)", instead)
        }
        "OPENSSH PRIVATE KEY" => told("a private key of OpenSSH (OPENSSH PRIVATE KEY)", OF_OPENSSH),
        "PRIVATE KEY" | "ENCRYPTED PRIVATE KEY" | "RSA PRIVATE KEY" | "EC PRIVATE KEY" => {
            let instead = "write its public key: openssl pkey -in KEY -pubout";
            Some((format!("a private key ({label}), which only the issuer may have"), instead.to_owned()))
        }
        CURVE => {
            let instead = "write the public key: openssl pkey -in KEY -pubout";
            told("the name of a curve (EC PARAMETERS), without a key", instead)
        }
        label => told(&with_label(label), "write a public key, whose label is PUBLIC KEY"),
    }
}

/// What several keys or certificates are; `None`: what the first one is.
fn several(labels: &[&str]) -> Option<(String, String)> {
    let (count, has_public) = (labels.len(), labels.contains(&"PUBLIC KEY"));
    let (what, instead) = if labels.iter().any(|label| label.ends_with("PRIVATE KEY")) {
        let instead =
            if has_public { PUBLIC_ALONE } else { "write its public key: openssl pkey -in KEY -pubout" };
        let what = "keys or certificates, with a private key among them, which only the issuer may have";
        (what, instead)
    } else if labels.iter().all(|label| *label == "PUBLIC KEY") {
        ("public keys", "write one entry of tokens.keys for each")
    } else if has_public {
        ("keys or certificates", PUBLIC_ALONE)
    } else {
        return None;
    };
    Some((format!("{count} {what}"), instead.to_owned()))
}

/// What to write of several keys.
const PUBLIC_ALONE: &str = "write the one with the label PUBLIC KEY alone";

/// PEM whose label says nothing to us. The label is shown only if it looks like one.
pub fn with_label(label: &str) -> String {
    let known = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || b" #.-".contains(&byte);
    if label.len() <= LONGEST_LABEL && label.bytes().all(known) {
        format!("PEM with the label {label}")
    } else {
        "PEM with another label".to_owned()
    }
}

/// How to write the public key of what OpenSSH has written. It does not do so for Ed25519.
const OF_OPENSSH: &str = "write its public key: ssh-keygen -e -m PKCS8 -f KEY, if it is of RSA or ECDSA";

fn labels(text: &str) -> Vec<&str> {
    let begun = text.split("-----BEGIN ").skip(1);
    begun.filter_map(|rest| rest.split_once("-----").map(|(label, _)| label)).collect()
}

fn without_label(text: &str) -> Option<(String, String)> {
    let text = text.trim_ascii_start();
    let is_of_openssh = text.starts_with("ssh-") || text.starts_with("ecdsa-sha2-");
    is_of_openssh.then(|| ("a public key of OpenSSH, not PEM".to_owned(), OF_OPENSSH.to_owned()))
}
