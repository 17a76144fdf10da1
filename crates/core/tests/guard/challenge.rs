//! `WWW-Authenticate`: what a client without a good token is told (RFC 6750 section 3, RFC 9728 section 5.1).

use api_guard_core::effect::refuse;
use serde_json::{Value, json};

use super::token::with;
use super::{Guarded, START, request};

/// The challenges of all refusals that have one: without a token, with a bad one, without a permission.
fn challenges(replies: Value) -> Vec<String> {
    let mut guarded = Guarded::new(
        json!({}),
        json!({ "routes": [{ "path": "/", "required_permissions": ["a:a"] }], "replies": replies }),
    );
    let good = format!("Bearer {}", with(json!({})));
    let asked: [&[(&str, &str)]; 3] =
        [&[], &[("authorization", "Bearer x")], &[("authorization", good.as_str())]];
    let told = asked.map(|headers| {
        let verdict = guarded.admit(&request("GET", "/", headers), START);
        let reply = refuse(guarded.guard.policy(), verdict.denial().unwrap(), None);
        reply.headers.into_iter().find(|(name, _)| *name == "www-authenticate").unwrap().1.into_owned()
    });
    told.to_vec()
}

#[test]
fn a_challenge_has_the_realm_and_says_what_is_wrong() {
    let invalid = r#", error="invalid_token""#;
    let lacking = r#", error="insufficient_scope""#;
    for (replies, realm, description, end) in [
        (json!({}), "api-guard", true, ""),
        (json!({ "realm": "Orders API (v2)" }), "Orders API (v2)", true, ""),
        (json!({ "detail": "code" }), "api-guard", false, ""),
        (
            json!({ "resource_metadata": "https://api.example/.well-known/oauth-protected-resource" }),
            "api-guard",
            true,
            r#", resource_metadata="https://api.example/.well-known/oauth-protected-resource""#,
        ),
    ] {
        let start = format!(r#"Bearer realm="{realm}""#);
        let described = if description { r#", error_description="Invalid token""# } else { "" };
        assert_eq!(
            challenges(replies),
            [
                format!("{start}{end}"),
                format!("{start}{invalid}{described}{end}"),
                format!(r#"{start}{lacking}, scope="a:a"{end}"#),
            ]
        );
    }
}
