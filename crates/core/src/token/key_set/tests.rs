#![allow(clippy::arithmetic_side_effects, clippy::string_slice, reason = "a test that cannot go on fails")]

use api_guard_testkit::{IssuerKey, key_set};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn read(set: &Value) -> Result<ReadSet, KeySetFault> {
    KeySet::read(set.to_string().as_bytes(), PublicAlgorithms::ALL)
}

/// The kids of the keys that are used, and the indexes of those that are not.
fn used(set: &Value) -> (Vec<Option<String>>, Vec<(usize, KeyFault)>) {
    let read = read(set).unwrap();
    let kids = read.set.iter().flat_map(|set| set.keys()).map(|key| key.kid.clone()).collect();
    (kids, read.skipped.iter().map(|skipped| (skipped.index, skipped.fault)).collect())
}

fn kid(text: &str) -> Option<String> {
    Some(text.to_owned())
}

#[test]
fn a_key_that_cannot_be_used_is_skipped_and_the_others_are_used() {
    let good = IssuerKey::es256(1).jwk(Some("a"));
    let mut for_encryption = IssuerKey::es256(2).jwk(Some("b"));
    for_encryption["use"] = json!("enc");
    let mut private = IssuerKey::es256(3).jwk(Some("c"));
    private["d"] = json!("AQ");
    let set = key_set(&[
        json!({ "kty": "oct", "k": "AQ" }),
        good,
        for_encryption,
        private,
        json!(7),
        IssuerKey::eddsa(4).jwk(None),
    ]);
    let faults = [
        (0, KeyFault::Symmetric),
        (2, KeyFault::NotForSignatures),
        (3, KeyFault::Private),
        (4, KeyFault::Malformed),
    ];
    assert_eq!(used(&set), (vec![kid("a"), None], faults.to_vec()));
}

#[test]
fn keys_of_one_algorithm_that_share_a_kid_are_not_used_at_all() {
    let (one, other) = (IssuerKey::es256(1), IssuerKey::es256(2));
    let set = key_set(&[
        one.jwk(Some("a")),
        other.jwk(Some("b")),
        other.jwk(Some("a")),
        IssuerKey::eddsa(3).jwk(Some("a")),
        one.jwk(None),
        other.jwk(None),
    ]);
    let (kids, skipped) = used(&set);
    assert_eq!(kids, [kid("b"), kid("a"), None, None], "another algorithm, and no kid, share nothing");
    assert_eq!(skipped, [(0, KeyFault::SharedKid), (2, KeyFault::SharedKid)]);
    assert_eq!(used(&key_set(&[one.jwk(Some("a")), one.jwk(Some("a"))])).0, [], "the same key twice");
}

#[test]
fn only_keys_of_the_accepted_algorithms_are_used() {
    let set = key_set(&[IssuerKey::es256(1).jwk(Some("a")), IssuerKey::eddsa(2).jwk(Some("b"))]);
    let es256 = PublicAlgorithms::only(super::super::algorithm::PublicAlgorithm::Es256);
    let read = KeySet::read(set.to_string().as_bytes(), es256).unwrap();
    assert_eq!(read.skipped, [Skipped { index: 1, fault: KeyFault::NotAccepted }]);
    assert_eq!(read.set.unwrap().keys().len(), 1);
}

#[test]
fn a_text_of_another_form_is_no_set() {
    for text in [
        "",
        "[]",
        "{}",
        "null",
        r#"{"keys":{}}"#,
        r#"{"keys":null}"#,
        r#"{"keys":[]}x"#,
        r#"{"keys":[}"#,
        r#"{"keys":[],"keys":[]}"#,
        "<html>",
    ] {
        assert_eq!(
            KeySet::read(text.as_bytes(), PublicAlgorithms::ALL),
            Err(KeySetFault::Malformed),
            "{text}"
        );
    }
    assert_eq!(KeySet::read(b"{\"keys\":[\"\xff\"]}", PublicAlgorithms::ALL), Err(KeySetFault::Malformed));
    assert_eq!(read(&json!({ "keys": [], "more": 1 })), Ok(ReadSet { set: None, skipped: Vec::new() }));
}

#[test]
fn a_set_has_a_bound_in_bytes_and_in_keys() {
    let of = |count: usize| key_set(&vec![json!({}); count]);
    assert_eq!(read(&of(100)).unwrap().skipped.len(), 100);
    assert_eq!(read(&of(101)), Err(KeySetFault::TooLarge));
    let long = |length: usize| {
        let mut text = key_set(&[IssuerKey::es256(1).jwk(None)]).to_string();
        text.push_str(&" ".repeat(length - text.len()));
        KeySet::read(text.as_bytes(), PublicAlgorithms::ALL)
    };
    assert!(long(MAX_SET_BYTES).is_ok());
    assert_eq!(long(MAX_SET_BYTES + 1), Err(KeySetFault::TooLarge));
}

#[test]
fn what_is_published_is_read_as_the_same_set() {
    let long = "k".repeat(60_000);
    let set = key_set(&[
        IssuerKey::es256(1).jwk(Some("a")),
        IssuerKey::es256(2).jwk(Some("")),
        IssuerKey::eddsa(3).jwk(None),
        IssuerKey::eddsa(4).jwk(Some(&long)),
    ]);
    let set = read(&set).unwrap().set.unwrap();
    let bytes = set.write();
    assert_eq!(KeySet::read_published(&bytes), Some(set.clone()));
    assert!(set.has(&set.keys()[2].clone()) && set.has(&Arc::new(Jwk::clone(&set.keys()[1]))));
    for end in 0..200 {
        let cut = KeySet::read_published(&bytes[..end]);
        assert!(cut.is_none_or(|cut| cut.keys().len() < 4), "{end}");
    }
}

proptest! {
    #[test]
    fn anything_may_be_published_by_others(bytes: Vec<u8>) {
        let _ = KeySet::read_published(&bytes);
        let _ = KeySet::read(&bytes, PublicAlgorithms::ALL);
    }
}
