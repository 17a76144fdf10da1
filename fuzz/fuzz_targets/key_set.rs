//! A key set as any bytes, as an issuer's server or whoever stands in its place may send it; `ONE` and `TWO` stand for good
//! keys. What is used of it is what another reader of JSON finds there, and no key that is weak, secret or meant twice.
//! Published and read again it is the same. Fetched, it verifies what its keys have signed and nothing else, on every worker;
//! what is no set leaves the last one in force.
#![no_main]

use std::sync::LazyLock;

use api_guard_core::engine::Engine;
use api_guard_core::index::KeySetIndex;
use api_guard_core::keys::Response;
use api_guard_core::time::UnixNanos;
use api_guard_core::token::algorithm::{PublicAlgorithm, PublicAlgorithms};
use api_guard_core::token::key_set::{KeySet, MAX_SET_BYTES, MAX_SET_KEYS, ReadSet};
use api_guard_core::token::public_key::KeyKind;
use api_guard_fuzz::NOW;
use api_guard_testkit::{Decided, Done, IssuerKey, Process, Stream, Watched, policy, request};
use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};

const ISSUER: &str = "https://login.example.com/";
const SET: KeySetIndex = KeySetIndex::new(0);

/// The keys, the tokens that they have signed, and the keys as bytes.
static ISSUED: LazyLock<[(String, String, Vec<u8>); 2]> = LazyLock::new(|| {
    [1, 2].map(|number: u8| {
        let key = IssuerKey::es256(number);
        let kid = number.to_string();
        let claims = json!({ "sub": "u", "iss": ISSUER, "iat": NOW, "exp": NOW + 3600 });
        let jwk = key.jwk(Some(&kid)).to_string();
        let set = read(format!(r#"{{"keys":[{jwk}]}}"#).as_bytes()).set.expect("a good set");
        (jwk, key.token(Some(&kid), &claims), set.keys()[0].key.spki().to_vec())
    })
});

fn accepted() -> PublicAlgorithms {
    PublicAlgorithms::only(PublicAlgorithm::Rs256).or(PublicAlgorithms::only(PublicAlgorithm::Es256))
}

fn read(text: &[u8]) -> ReadSet {
    KeySet::read(text, accepted()).expect("a set")
}

fuzz_target!(|data: &[u8]| {
    let mut text = data.to_vec();
    for (name, (jwk, ..)) in [b"ONE", b"TWO"].into_iter().zip(ISSUED.iter()) {
        if let Some(at) = text.windows(3).position(|part| part == name) {
            text.splice(at..at + 3, jwk.bytes());
        }
    }
    let read = KeySet::read(&text, accepted());
    let set = match &read {
        Ok(read) => {
            check(&text, read);
            read.set.as_ref()
        }
        Err(_) => None,
    };
    for bytes in [data, &text] {
        if let Some(published) = KeySet::read_published(bytes) {
            assert_eq!(KeySet::read_published(&published.write()), Some(published));
        }
    }
    // Most texts are no set, and one in sixteen is enough of them.
    if set.is_some() || data.len().is_multiple_of(16) {
        fetch(&text, set);
    }
});

/// What is used is there, and may be used.
fn check(text: &[u8], read: &ReadSet) {
    assert!(text.len() <= MAX_SET_BYTES);
    let value: Value = serde_json::from_slice(text).expect("JSON");
    let listed = value["keys"].as_array().expect("a list");
    assert!(listed.len() <= MAX_SET_KEYS);
    let used = read.set.as_ref().map_or(&[][..], KeySet::keys);
    assert_eq!(used.len() + read.skipped.len(), listed.len());
    assert!(read.set.is_none() || !used.is_empty());
    let mut indexes: Vec<usize> = read.skipped.iter().map(|skipped| skipped.index).collect();
    indexes.sort_unstable();
    indexes.dedup();
    assert_eq!(indexes.len(), read.skipped.len(), "a key is skipped twice");
    let chosen = (0..listed.len()).filter(|index| !indexes.contains(index)).map(|index| &listed[index]);
    for (jwk, source) in used.iter().zip(chosen) {
        assert!(["d", "p", "q", "dp", "dq", "qi", "oth", "k"].iter().all(|name| source.get(name).is_none()));
        assert_eq!(jwk.kid.as_deref(), source.get("kid").map(|kid| kid.as_str().expect("a text")));
        assert!(source.get("use").is_none_or(|purpose| purpose == "sig"), "{source}");
        let algorithms = PublicAlgorithm::ALL.into_iter().filter(|one| jwk.algorithms.contains(*one));
        let names: Vec<&str> = algorithms.map(PublicAlgorithm::name).collect();
        assert!(!names.is_empty() && source.get("alg").is_none_or(|alg| *alg == names[0]), "{source}");
        let is_of_kind = match jwk.key.kind() {
            KeyKind::Rsa { .. } => source["kty"] == "RSA" && source["e"] == "AQAB" && names == ["RS256"],
            KeyKind::P256 => source["crv"] == "P-256" && names == ["ES256"],
            KeyKind::P384 | KeyKind::Ed25519 => false,
        };
        assert!(is_of_kind, "{source} is used for {names:?}");
        let same = used.iter().filter(|other| other.kid.is_some() && other.kid == jwk.kid);
        let mut same = same.filter(|other| !other.algorithms.and(jwk.algorithms).is_empty());
        assert!(same.nth(1).is_none(), "a kid means two keys");
    }
    if let Some(set) = &read.set {
        assert_eq!(KeySet::read_published(&set.write()).as_ref(), Some(set), "what is published is the set");
    }
}

/// The text comes after a good set of the second key alone.
fn fetch(text: &[u8], set: Option<&KeySet>) {
    let configuration = json!({ "tokens": { "key_sets": [{
        "name": "login", "issuers": [ISSUER], "min_refetch_seconds": 3600,
        "jwks": { "cluster": "idp", "path": "/", "authority": "login.example.com" },
    }] }, "rate_limits": [] });
    let process = Process::default();
    let [one, other] = [(); 2].map(|()| Engine::new(policy(&configuration)));
    let bring = |body: &[u8], now: u64| {
        let mut host = Stream::new(&process);
        let now = UnixNanos::from_seconds(now);
        one.on_tick(&mut host, now);
        assert!(host.done.contains(&Done::Fetched(SET)), "no fetch is due");
        one.on_fetched(SET, Response::Complete { status: 200, body }, &mut host, now);
    };
    let [(first, first_token, first_key), (second, second_token, second_key)] = &*ISSUED;
    assert_ne!(first, second);
    bring(format!(r#"{{"keys":[{second}]}}"#).as_bytes(), NOW);
    let later = NOW + 400;
    bring(text, later);
    for (kid, token, key) in [("1", first_token, first_key), ("2", second_token, second_key)] {
        let expected = match set {
            Some(set) => {
                set.keys().iter().any(|jwk| jwk.kid.as_deref() == Some(kid) && jwk.key.spki() == &key[..])
            }
            None => kid == "2",
        };
        for engine in [&one, &other] {
            let mut stream = Watched::new(engine, &process);
            let bearer = format!("Bearer {token}");
            let headers = request("GET", "/x", &[("authorization", &bearer)]);
            let _ = stream.headers(&headers, true, UnixNanos::from_seconds(later));
            assert_eq!(stream.decided == [Decided::Allowed], expected, "{kid}: {:?}", stream.decided);
            assert_eq!(stream.decided.len(), 1, "{kid}");
        }
    }
}
