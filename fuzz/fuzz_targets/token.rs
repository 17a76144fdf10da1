//! Tokens, structure-aware: a header and a payload, on two lines, are signed with the configured secret, so that the
//! code behind the MAC sees them. A third line changes the signed token: pairs of a place and a byte. The input is also
//! tried as a token by itself.
#![no_main]

use std::cell::RefCell;
use std::collections::HashSet;

use api_guard_core::denial::Denial;
use api_guard_core::json::Json;
use api_guard_fuzz::{NOW, get, guarded};
use api_guard_testkit::{Guarded, sign};
use libfuzzer_sys::fuzz_target;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

thread_local! {
    static GUARDED: RefCell<Guarded> = RefCell::new(guarded());
}

fuzz_target!(|data: &[u8]| {
    GUARDED.with_borrow_mut(|guarded| {
        let mut lines = data.splitn(3, |byte| *byte == b'\n');
        let (header, payload) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
        alike(header);
        alike(payload);
        let token = sign(header, payload);
        let verdict = get(guarded, b"/x", &token, NOW);
        if verdict.denial().is_none() {
            genuine(header, payload);
        }
        let again = get(guarded, b"/x", &token, NOW);
        assert_eq!(verdict.denial().map(Denial::code), again.denial().map(Denial::code));

        // No other spelling of a token is accepted, and nothing that was not signed.
        let mut changed = token.clone().into_bytes();
        for change in lines.next().unwrap_or_default().chunks_exact(3) {
            let place = usize::from(u16::from_le_bytes([change[0], change[1]])) % changed.len();
            changed[place] = change[2];
        }
        for forged in [changed.as_slice(), data] {
            let Ok(forged) = std::str::from_utf8(forged) else { continue };
            if forged.trim_matches(' ') != token {
                let verdict = get(guarded, b"/x", forged, NOW);
                assert!(verdict.denial().is_some(), "{forged:?} passed beside {token}");
            }
        }
    });
});

/// What the token's reader of JSON takes and refuses, and reads, is what the library does.
fn alike(part: &[u8]) {
    let Ok(text) = std::str::from_utf8(part) else { return };
    let library: Option<Value> = serde_json::from_str(text).ok();
    let ours = Json::read(text).ok();
    assert_eq!(ours.as_ref().map(tree), library, "{text}");
    let repeats = ours.as_ref().is_some_and(|json| json.repeats_a_name());
    assert_eq!(repeats, library.is_some() && repeats_a_name(text), "{text}");
    assert_eq!(ours.is_some_and(|json| !json.repeated_names().is_empty()), repeats, "{text}");
}

/// Whether an object of `text`, which is JSON, repeats a name. The library's reader says so of maps without repetitions.
fn repeats_a_name(text: &str) -> bool {
    /// Any JSON; an error where a name is repeated.
    struct Distinct;

    impl<'de> Deserialize<'de> for Distinct {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            deserializer.deserialize_any(Self)
        }
    }

    impl<'de> Visitor<'de> for Distinct {
        type Value = Self;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("JSON")
        }

        fn visit_unit<E>(self) -> Result<Self, E> {
            Ok(self)
        }

        fn visit_bool<E>(self, _: bool) -> Result<Self, E> {
            Ok(self)
        }

        fn visit_u64<E>(self, _: u64) -> Result<Self, E> {
            Ok(self)
        }

        fn visit_i64<E>(self, _: i64) -> Result<Self, E> {
            Ok(self)
        }

        fn visit_f64<E>(self, _: f64) -> Result<Self, E> {
            Ok(self)
        }

        fn visit_str<E>(self, _: &str) -> Result<Self, E> {
            Ok(self)
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self, A::Error> {
            while list.next_element::<Self>()?.is_some() {}
            Ok(self)
        }

        fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Self, A::Error> {
            let mut seen = HashSet::new();
            while let Some((name, _)) = object.next_entry::<String, Self>()? {
                if !seen.insert(name) {
                    return Err(A::Error::custom("repeated"));
                }
            }
            Ok(self)
        }
    }

    serde_json::from_str::<Distinct>(text).is_err()
}

/// What is read, one value after the other.
fn tree(json: &Json<'_>) -> Value {
    match json {
        Json::List(list) => list.elements().map(|value| tree(&value)).collect(),
        Json::Object(object) => {
            object.members().map(|(name, value)| (name.into_owned(), tree(&value))).collect()
        }
        Json::Null => Value::Null,
        Json::Bool(value) => Value::Bool(*value),
        Json::Number(number) => serde_json::from_str(number.text()).expect("a number"),
        Json::Text(text) => Value::from(text.as_ref()),
    }
}

/// Read once more, by another reader of JSON.
fn genuine(header: &[u8], payload: &[u8]) {
    let header: Value = serde_json::from_slice(header).expect("a header that is JSON");
    assert_eq!(header["alg"], "HS256");
    assert!(header.get("crit").is_none(), "{header}");
    assert_ne!(header.get("b64"), Some(&Value::Bool(false)), "{header}");
    assert!(header.get("kid").is_none_or(|kid| kid == "two"), "{header}");
    let claims: Value = serde_json::from_slice(payload).expect("claims that are JSON");
    let moment = |name: &str| claims[name].as_f64();
    let now = NOW as f64;
    assert!(moment("exp").is_some_and(|exp| exp > now), "{claims}");
    assert!(moment("iat").is_some_and(|iat| (0.0..=now + 60.0).contains(&iat)), "{claims}");
    assert!(claims.get("nbf").is_none_or(|nbf| nbf.as_f64().is_some_and(|nbf| nbf <= now)), "{claims}");
    let sub = claims["sub"].as_str().expect("a subject");
    assert!(!sub.is_empty() && sub.len() <= 256 && !sub.chars().any(char::is_control), "{claims}");
    let well_formed = |permission: &str| {
        permission.split_once(':').is_some_and(|(resource, action)| {
            let word = |word: &str| {
                !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
            };
            word(resource) && word(action)
        })
    };
    match claims.get("permissions") {
        None => {}
        Some(Value::String(list)) => {
            assert!(list.split(' ').all(|one| one.is_empty() || well_formed(one)), "{claims}")
        }
        Some(Value::Array(list)) => {
            assert!(list.iter().all(|one| one.as_str().is_some_and(well_formed)), "{claims}");
        }
        Some(_) => panic!("{claims}"),
    }
}
