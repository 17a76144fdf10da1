//! The document as a whole: names that are repeated, null, and what is no JSON object.

use serde_json::json;

use super::{parse_text, places, with};

#[test]
fn repeated_names_are_errors_wherever_they_stand() {
    let text = br#"{"tokens":{"keys":[{"secret":{"env":"SECRET","env":"SECRET"}}]},"mode":"report","mode":"enforce"}"#;
    let errors = parse_text(text).unwrap_err();
    let places: Vec<String> = errors.0.iter().map(|error| error.at.to_string()).collect();
    assert_eq!(places, ["/mode", "/tokens/keys/0/secret/env"]);
}

#[test]
fn what_is_no_json_object_is_one_clear_error() {
    for text in [&b""[..], b"{", b"[]", b"null", b"\"x\"", b"{}{}", b"\xff", b"{\"a\":1,}"] {
        let errors = parse_text(text).unwrap_err();
        assert!(!errors.0.is_empty() && errors.0.len() <= 2, "{text:?}: {errors}");
    }
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(parse_text(deep.as_bytes()).unwrap_err().0.len(), 1);
}

#[test]
fn null_switches_off_what_can_be_off() {
    let config = with(json!({
        "auth_failure_limit": null,
        "revocation": { "endpoint": null },
        "forward": { "subject_header": null, "permissions_header": null, "claims": { "a": null } },
        "roles": null,
    }));
    // The merge of the helper removes nothing: null stays null.
    assert_eq!(places(&config), Vec::<String>::new());
}
