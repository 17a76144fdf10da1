//! What is said of routes that are wrong.

use serde_json::{Value, json};

use super::{errors, with};

/// The one error of a configuration with this route.
fn error_of(route: &Value) -> (String, String) {
    let mut errors = errors(&with(json!({ "routes": [route] })));
    assert_eq!(errors.len(), 1, "{route}: {errors:?}");
    errors.remove(0)
}

/// Asserts that each route has one error, at this field and with these words.
fn assert_told(cases: &[(Value, &str, &str)]) {
    for (route, field, words) in cases {
        let (at, text) = error_of(route);
        assert_eq!(at, format!("/routes/0/{field}"), "{route}: {text}");
        assert!(text.contains(words), "{route}: {text}");
    }
}

#[test]
fn the_patterns_of_other_programs_are_errors_that_say_what_to_write() {
    for (path, words) in [
        ("/admin/*", "`{*rest}`"),
        ("/admin/**", "`{*rest}`"),
        ("/files/*.json", "`%2A`"),
        ("/things/:id", "`{id}` instead of `:id`"),
        ("/orders/[0-9]+", "`{id}`"),
        ("/orders/(new|old)", "`%28`"),
        ("/^orders$", "regular expression"),
        ("/orders/{id:[0-9]+}", "the name alone"),
        ("/orders/{id:int}", "the name alone"),
        ("/orders/:id?", "a route for each form"),
    ] {
        assert_told(&[(json!({ "path": path }), "path", words)]);
    }
    let endpoint = with(json!({ "revocation": { "endpoint": { "path": "/auth/*" } } }));
    assert_eq!(errors(&endpoint).first().map(|(at, _)| at.as_str()), Some("/revocation/endpoint/path"));
}
