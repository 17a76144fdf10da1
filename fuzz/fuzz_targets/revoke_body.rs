//! The body of the revocation endpoint as any bytes; `TOKEN` stands for a good token of somebody else. What is refused
//! changes nothing, what succeeds is read alike by another reader of JSON, and then holds. An ordinary caller revokes
//! nobody else's token and leaves the reserve alone, also where the table is full.
#![no_main]

use std::cell::RefCell;

use api_guard_core::revocation::Revocations;
use api_guard_core::seed::Seed;
use api_guard_core::time::UnixNanos;
use api_guard_fuzz::{NOW, check_reply, get, guarded, token};
use api_guard_testkit::Guarded;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

thread_local! {
    static TOKENS: RefCell<[String; 3]> = RefCell::new([token("admin", &["tokens:revoke"]), token("user", &[]), token("other", &[])]);
    static FILLERS: Vec<String> = (0..7).map(|number| token(&format!("filler-{number}"), &[])).collect();
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
                        let known = [
                            &["token"][..],
                            &["expires_at", "jti"],
                            &["issued_before", "sub"],
                            &["iss", "issued_before", "sub"],
                        ];
                        assert!(known.iter().any(|known| members == *known), "{members:?}");
                    }
                    if sender == user {
                        assert!(
                            get(&mut guarded, b"/x", other, NOW).denial().is_none(),
                            "somebody else's token"
                        );
                        assert!(live(&guarded) <= 1, "more than one entry");
                        let own = lone
                            // The tokens have no issuer that their owners could name.
                            || (value["sub"] == "user" && value["iss"].is_null())
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
        of_a_full_table(user, admin, other, &text);
    });
});

/// Where others have filled all that ordinary callers may, another one gets nothing of the reserve, and the officer does.
fn of_a_full_table(user: &str, admin: &str, other: &str, text: &[u8]) {
    const ORDINARY: usize = 7;
    let mut guarded = guarded();
    FILLERS.with(|fillers| fillers.iter().for_each(|token| assert!(revoke(&mut guarded, token, b""))));
    assert_eq!(live(&guarded), ORDINARY);
    revoke(&mut guarded, user, text);
    assert_eq!(live(&guarded), ORDINARY, "an entry of the reserve");
    assert!(get(&mut guarded, b"/x", other, NOW).denial().is_none(), "somebody else's token");
    let body = format!(r#"{{"token":"{other}"}}"#);
    assert!(revoke(&mut guarded, admin, body.as_bytes()), "no reserve");
    assert!(get(&mut guarded, b"/x", other, NOW).denial().is_some(), "revoked and passed");
    FILLERS.with(|fillers| {
        let passes = |token: &String| get(&mut guarded, b"/x", token, NOW).denial().is_none();
        assert!(!fillers.iter().any(passes), "revoked once, and passed");
    });
}

/// Whether the endpoint did what the owner of `token` asked for.
fn revoke(guarded: &mut Guarded, token: &str, body: &[u8]) -> bool {
    let verdict = get(guarded, b"/x", token, NOW);
    let caller = verdict.trail.caller().expect("a good token");
    let now = UnixNanos::from_seconds(NOW);
    guarded.guard.revoke(&mut guarded.memory, caller, body, now, &guarded.process, now).is_ok()
}

/// The entries of the table.
fn live(guarded: &Guarded) -> usize {
    let seed = Seed::open(&guarded.process, [7; 16]).expect("a seed");
    let mut revocations = Revocations::open(&guarded.process, seed, 8).expect("a table");
    revocations.refresh(&guarded.process).expect("a table");
    revocations.live(UnixNanos::from_seconds(NOW))
}
