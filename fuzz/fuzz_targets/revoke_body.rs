//! The body of the revocation endpoint as any bytes; `TOKEN` stands for a good token of somebody else. What is refused
//! changes nothing, what succeeds is read alike by another reader of JSON, and then holds.
#![no_main]

use std::cell::RefCell;

use api_guard_core::time::UnixNanos;
use api_guard_fuzz::{NOW, check_reply, get, guarded, token};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

thread_local! {
    static TOKENS: RefCell<[String; 3]> = RefCell::new([token("admin", &["tokens:revoke"]), token("user", &[]), token("other", &[])]);
}

fuzz_target!(|data: &[u8]| {
    TOKENS.with_borrow(|[admin, user, other]| {
        let text = match data.windows(5).position(|part| part == b"TOKEN") {
            Some(at) => [&data[..at], other.as_bytes(), &data[at + 5..]].concat(),
            None => data.to_vec(),
        };
        for sender in [user, admin] {
            // Fresh each time: a revoked sender could send no second one.
            let mut guarded = guarded();
            let verdict = get(&mut guarded, b"/x", sender, NOW);
            let caller = verdict.trail.caller().expect("a good token");
            let before = guarded.process.cells.bytes_held();
            let now = UnixNanos::from_seconds(NOW);
            match guarded.guard.revoke(&mut guarded.memory, caller, &text, now, &guarded.process, now) {
                Ok(_) => {
                    let lone = text.iter().all(u8::is_ascii_whitespace);
                    let value = if lone { Value::Null } else { serde_json::from_slice(&text).expect("JSON") };
                    if !lone {
                        let members: Vec<&str> =
                            value.as_object().expect("an object").keys().map(String::as_str).collect();
                        let known = [&["token"][..], &["expires_at", "jti"], &["issued_before", "sub"]];
                        assert!(known.iter().any(|known| members == *known), "{members:?}");
                    }
                    if sender == user {
                        let own = lone
                            || value["sub"] == "user"
                            || value["token"].as_str().is_some_and(|token| token == user);
                        assert!(own, "{value} was no business of theirs");
                    }
                    let gone = if lone { sender } else { other };
                    if lone || value["token"].as_str().is_some_and(|token| token == other) {
                        assert!(get(&mut guarded, b"/x", gone, NOW).denial().is_some(), "revoked and passed");
                    }
                }
                Err(denial) => {
                    check_reply(&guarded.guard, &denial, None);
                    assert!([400, 403, 503].contains(&denial.code().status()), "{denial:?}");
                    assert_eq!(guarded.process.cells.bytes_held(), before, "refused and stored");
                    assert!(get(&mut guarded, b"/x", other, NOW).denial().is_none(), "refused and revoked");
                }
            }
        }
    });
});
