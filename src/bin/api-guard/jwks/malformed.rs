//! A file that is no key set: what is it, and what is to be given in its place?

use serde_json::Value;

use crate::words::quoted;

/// What to give.
const SET: &str = "save the issuer's key set, {\"keys\": [...]}";

/// What is wrong with a text that the guard does not take for a key set, and what to do. Of the text only an address is shown:
/// it may be a private key.
pub(super) fn malformed(bytes: &[u8]) -> String {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return "not UTF-8, as JSON has to be; save it as UTF-8".to_owned();
    };
    if text.starts_with('\u{feff}') {
        return "it begins with a byte order mark, which no guard takes; save it as UTF-8 without one"
            .to_owned();
    }
    match serde_json::from_str::<Value>(text) {
        Ok(value) => not_a_set(&value),
        Err(error) => format!("{}; {SET}", not_json(text.trim(), &error)),
    }
}

fn not_json(text: &str, error: &serde_json::Error) -> String {
    if text.is_empty() {
        "it is empty".to_owned()
    } else if text.starts_with('<') {
        "a page of HTML or XML, not JSON".to_owned()
    } else if text.starts_with("-----BEGIN ") {
        "PEM, not JSON".to_owned()
    } else {
        format!("not JSON: {error}")
    }
}

fn not_a_set(value: &Value) -> String {
    let text = |name: &str| value.get(name).and_then(Value::as_str);
    let is_of_key = |value: &Value| value.get("kty").is_some();
    match (value.get("keys"), value) {
        (Some(Value::Array(_)), _) => {
            "its \"keys\" stand twice, or it has what no guard reads: half of a pair of surrogates, or lists too deep in one \
             another"
                .to_owned()
        }
        (Some(_), _) => "its \"keys\" are no list; write {\"keys\": [...]}".to_owned(),
        (None, _) if text("kty") == Some("oct") => {
            "a shared secret, which no key set has; name its variable in /tokens/keys".to_owned()
        }
        (None, value) if is_of_key(value) && value.get("d").is_some() => {
            format!("a single private key; {PUBLIC_ALONE}, and write {{\"keys\": [KEY]}}")
        }
        (None, value) if is_of_key(value) => "a single key, not a set; write {\"keys\": [KEY]}".to_owned(),
        (None, Value::Array(list)) if list.iter().any(is_of_key) => {
            "a list of keys, not a set; write {\"keys\": [...]} around it".to_owned()
        }
        (None, Value::Object(members)) => {
            let is_certificate = |value: &Value| {
                value.as_str().is_some_and(|text| text.starts_with("-----BEGIN CERTIFICATE-----"))
            };
            if let Some(address) = text("jwks_uri") {
                let address = quoted(address);
                format!("an issuer's metadata, which names the key set; save {address}")
            } else if members.values().any(is_certificate) {
                format!("certificates by their kid, which no guard takes; {SET}, such as its jwks_uri leads to")
            } else {
                format!("it has no \"keys\"; {SET}")
            }
        }
        (None, _) => format!("not an object; {SET}"),
    }
}

/// What to do about a private key.
pub(super) const PUBLIC_ALONE: &str =
    "take its private members out: d, and of RSA p, q, dp, dq, qi and oth too";
