//! What a worker remembers of tokens: the very bytes that verified, and never those of another.

use std::rc::Rc;

use api_guard_core::token::cache::TokenCache;
use api_guard_core::token::keys::KeySetRevision;

use api_guard_core::verdict::Verdict;
use serde_json::json;

use super::{Guarded, HOUR, START, request, token};

const CONFIGURED: KeySetRevision = KeySetRevision::CONFIGURED;

/// A token as issuers make them, of this number.
fn numbered(number: usize) -> Vec<u8> {
    token(&serde_json::json!({ "sub": "u1", "jti": number })).into_bytes()
}

#[test]
fn only_the_very_bytes_are_found_again() {
    let whole = numbered(0);
    // Compared in words of eight bytes and what is left.
    for length in (1..=24).chain([whole.len()]) {
        let token = &whole[whole.len() - length..];
        let mut cache = TokenCache::default();
        cache.remember(token, CONFIGURED, &Rc::new("it"));
        assert_eq!(cache.find(token, CONFIGURED).as_deref(), Some(&"it"), "{length} bytes");
        assert_eq!(cache.find(&token[1..], CONFIGURED), None, "{length} bytes, cut");
        assert_eq!(cache.find(&[b"x", token].concat(), CONFIGURED), None, "{length} bytes, and one more");
        for one in 0..length {
            // One difference alone, and two that are alike.
            for other in one..length {
                let mut changed = token.to_vec();
                changed[one] ^= 1;
                changed[other] ^= u8::from(other != one);
                assert_eq!(
                    cache.find(&changed, CONFIGURED),
                    None,
                    "{length} bytes, {one} and {other} changed"
                );
            }
        }
    }
}

#[test]
fn many_tokens_are_remembered_at_once_each_with_its_own_caller() {
    let mut cache = TokenCache::default();
    let tokens: Vec<_> = (0..200).map(numbered).collect();
    for (number, token) in tokens.iter().enumerate() {
        assert_eq!(cache.find(token, CONFIGURED), None);
        // Where its slot is taken, a token gets it when it comes again.
        (0..2).for_each(|_| cache.remember(token, CONFIGURED, &Rc::new(number)));
        assert_eq!(cache.find(token, CONFIGURED).as_deref(), Some(&number));
    }
    let mut found = 0;
    for (number, token) in tokens.iter().enumerate() {
        if let Some(caller) = cache.find(token, CONFIGURED) {
            assert_eq!(*caller, number);
            found += 1;
        }
    }
    // Each displaces one of the others with a chance of 1 in 1024.
    assert!(found > 150, "{found} of 200");
}

/// The subject and the permissions of the caller whom this verdict is about.
fn identity(verdict: &Verdict) -> Option<(&str, &str)> {
    let caller = verdict.trail.identity()?;
    Some((caller.token.subject()?, caller.token.permissions_text()))
}

#[test]
fn each_caller_is_who_they_are_however_many_come_and_go_meanwhile() {
    let mut guarded = Guarded::new(json!({}), json!({ "unmatched_routes": "authenticated" }));
    let mut admit = |number: usize| {
        let (subject, permission) = (format!("user-{number}"), "x".repeat(1 + number % 7));
        let claims = json!({
            "sub": subject, "iat": START, "exp": START + HOUR,
            "permissions": [format!("{permission}:read"), "orders:read"],
        });
        let bearer = format!("Bearer {}", token(&claims));
        let verdict = guarded.admit(&request("GET", "/", &[("authorization", &bearer)]), START);
        let permissions = format!("{permission}:read orders:read");
        assert_eq!(identity(&verdict), Some((subject.as_str(), permissions.as_str())));
        // One that verifies and is refused behind its claims comes in between.
        let late =
            token(&json!({ "sub": "mallory", "iat": START, "exp": START - 1, "permissions": ["a:b"] }));
        assert_eq!(guarded.get(&late, START), "token_expired");
        (verdict, subject, permissions)
    };
    // More than are remembered.
    let mut held = Vec::new();
    for number in 0..3000 {
        let admitted = admit(number);
        if number % 10 == 0 {
            held.push(admitted);
        }
    }
    for (verdict, subject, permissions) in &held {
        assert_eq!(identity(verdict), Some((subject.as_str(), permissions.as_str())));
    }
}
