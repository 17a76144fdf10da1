//! What the endpoint lets into the table of revocations: from whom, how much of it, and for how long.

use api_guard_core::guard::Memory;
use api_guard_testkit::{Guarded, code, token};
use serde_json::{Value, json};

use super::{HOUR, START};

/// An endpoint and a table of this capacity.
fn table(capacity: u32) -> Value {
    json!({ "revocation": { "endpoint": {}, "capacity": capacity } })
}

/// Another worker of the same process, which takes turns with the first one.
struct Other(Memory);

impl Other {
    fn of(guarded: &Guarded) -> Self {
        Self(Memory::open(guarded.guard.policy(), &guarded.process, [9; 16]).unwrap())
    }

    fn takes_over(&mut self, guarded: &mut Guarded) {
        std::mem::swap(&mut self.0, &mut guarded.memory);
    }
}

fn of(sub: &str, jti: &str, iat: u64) -> String {
    token(&json!({ "sub": sub, "jti": jti, "iat": iat, "exp": iat + HOUR }))
}

fn officer() -> String {
    token(&json!({ "sub": "officer", "iat": START, "exp": START + HOUR, "permissions": ["tokens:revoke"] }))
}

fn before(sub: &str, issued_before: u64) -> String {
    json!({ "sub": sub, "issued_before": issued_before }).to_string()
}

#[test]
fn what_can_refuse_nothing_is_answered_like_the_rest_and_keeps_no_entry() {
    let strict = json!({ "token_too_old": "reject", "max_token_age_hours": 1, "clock_skew_seconds": 5 });
    let denied = json!({ "revocation": {
        "endpoint": {}, "capacity": 2, "denied": { "sub_issued_before": { "u1": START - 100 } },
    } });
    for (tokens, rest, issued_before, answer) in [
        (json!({}), table(2), 0, None),
        (json!({}), table(2), 1, None),
        // The first second of the year 2000.
        (json!({}), table(2), 946_684_800, None),
        (json!({}), denied.clone(), START - 101, None),
        (json!({}), denied.clone(), START - 100, None),
        (strict.clone(), table(2), START - HOUR, Some(START + 5)),
        (strict.clone(), table(2), START - HOUR - 9, Some(START - 4)),
    ] {
        let mut guarded = Guarded::new(tokens, rest);
        let mine = of("u1", "mine", START - 50);
        assert_eq!(guarded.get(&mine, START), "ok");
        let empty = guarded.process.cells.bytes_held();
        for caller in [&mine, &officer()] {
            assert_eq!(
                guarded.revoke(caller, &before("u1", issued_before), START),
                Ok(answer),
                "{issued_before}"
            );
        }
        assert_eq!(guarded.process.cells.bytes_held(), empty, "{issued_before}");
        assert_eq!(guarded.get(&mine, START), "ok");
    }
    // One second later, and it can refuse something.
    for (tokens, rest, issued_before) in [
        (json!({}), table(2), 946_684_801),
        (json!({}), denied, START - 99),
        (strict, table(2), START - HOUR + 1),
        // A token that need not say when it was issued counts as older.
        (json!({ "required_claims": ["sub", "exp"] }), table(2), 1),
    ] {
        let mut guarded = Guarded::new(tokens, rest);
        let empty = guarded.process.cells.bytes_held();
        assert!(guarded.revoke(&officer(), &before("u1", issued_before), START).is_ok());
        assert!(guarded.process.cells.bytes_held() > empty, "{issued_before}");
    }
}

#[test]
fn a_jti_whose_tokens_have_expired_keeps_no_entry() {
    let mut guarded = Guarded::new(json!({ "clock_skew_seconds": 5 }), table(1));
    let empty = guarded.process.cells.bytes_held();
    for (expires_at, answer) in [(0, 5), (START - 9, START - 4), (START - 5, START)] {
        let body = json!({ "jti": "a", "expires_at": expires_at }).to_string();
        assert_eq!(guarded.revoke(&officer(), &body, START), Ok(Some(answer)));
        assert_eq!(guarded.process.cells.bytes_held(), empty);
    }
    let body = json!({ "jti": "a", "expires_at": START - 4 }).to_string();
    assert_eq!(guarded.revoke(&officer(), &body, START), Ok(Some(START + 1)));
    assert_eq!(guarded.get(&of("u1", "a", START), START), "token_revoked");
}

#[test]
fn a_revocation_that_one_in_force_covers_takes_no_second_entry() {
    let mut guarded = Guarded::new(json!({}), table(2));
    assert_eq!(guarded.revoke(&of("u1", "a", START), &before("u1", START - 100), START), Ok(None));
    let held = guarded.process.cells.bytes_held();
    for issued_before in [START - 100, START - 200, 1, START - 50] {
        assert_eq!(guarded.revoke(&of("u1", "a", START), &before("u1", issued_before), START), Ok(None));
        assert_eq!(guarded.process.cells.bytes_held(), held, "{issued_before}");
    }
    assert_eq!(guarded.get(&of("u1", "b", START - 51), START), "token_revoked");
    assert_eq!(guarded.get(&of("u1", "b", START - 50), START), "ok");
}

#[test]
fn callers_without_the_permissions_cannot_fill_the_table() {
    let mut guarded = Guarded::new(json!({}), table(32));
    let mut other = Other::of(&guarded);
    // Revocations that refuse nothing, of any number of subjects.
    for number in 0..100 {
        let sub = format!("mallory-{number}");
        assert_eq!(guarded.revoke(&of(&sub, "a", START), &before(&sub, 1), START), Ok(None));
    }
    for number in 0..30 {
        let sub = format!("mallory-{number}");
        assert_eq!(guarded.revoke(&of(&sub, "a", START), "", START), Ok(Some(START + HOUR)), "{number}");
        other.takes_over(&mut guarded);
    }
    let full = Err("revocation_full".to_owned());
    let victim = of("victim", "a", START);
    assert_eq!(guarded.revoke(&victim, "", START), full);
    assert_eq!(guarded.revoke(&victim, &json!({ "token": victim }).to_string(), START), full);
    assert_eq!(guarded.revoke(&victim, &before("victim", START), START), full);
    // Who holds the permissions has the reserve, also to log out.
    assert_eq!(
        guarded.revoke(&officer(), &json!({ "token": victim }).to_string(), START),
        Ok(Some(START + HOUR))
    );
    assert_eq!(guarded.get(&victim, START), "token_revoked");
    assert_eq!(guarded.revoke(&officer(), "", START), Ok(Some(START + HOUR)));
    other.takes_over(&mut guarded);
    assert_eq!(guarded.get(&officer(), START), "token_revoked");
}

#[test]
fn one_subject_cannot_fill_the_table_and_can_always_log_out() {
    let mut guarded = Guarded::new(json!({}), table(128));
    let mut other = Other::of(&guarded);
    let ways: [fn(&str) -> String; 2] = [|_| String::new(), |token| json!({ "token": token }).to_string()];
    let mut mine = Vec::new();
    for number in 0..200 {
        let token = of("mallory", &number.to_string(), START + number);
        // A body is what a newer token of the same subject asks for.
        let caller = if number % 2 == 0 { token.clone() } else { of("mallory", "caller", START + 999) };
        let body = ways[usize::try_from(number % 2).unwrap()](&token);
        let now = START + 1000;
        assert_eq!(guarded.revoke(&caller, &body, now), Ok(Some(START + number + HOUR)), "{number}");
        mine.push(token);
        other.takes_over(&mut guarded);
    }
    // Two of 128: there is room for 118 others.
    for number in 0..118 {
        let token = of(&format!("u{number}"), "a", START);
        assert_eq!(guarded.revoke(&token, "", START), Ok(Some(START + HOUR)), "{number}");
    }
    let one_more = of("one-more", "a", START);
    assert_eq!(guarded.revoke(&one_more, "", START), Err("revocation_full".to_owned()));
    for _ in 0..2 {
        for (number, token) in mine.iter().enumerate() {
            assert_eq!(guarded.get(token, START + 1000), "token_revoked", "{number}");
        }
        assert_eq!(guarded.get(&of("mallory", "another", START + 199), START + 1000), "token_revoked");
        assert_eq!(guarded.get(&of("mallory", "another", START + 200), START + 1000), "ok");
        assert_eq!(guarded.get(&of("mallory", "caller", START + 999), START + 1000), "ok");
        other.takes_over(&mut guarded);
    }
}

#[test]
fn a_holder_of_the_permissions_has_no_share() {
    let mut guarded = Guarded::new(json!({}), table(64));
    for number in 0..64 {
        let token = token(&json!({
            "sub": "officer", "jti": number.to_string(), "iat": START, "exp": START + HOUR, "permissions": ["tokens:revoke"],
        }));
        assert_eq!(guarded.revoke(&token, "", START), Ok(Some(START + HOUR)), "{number}");
    }
    assert_eq!(guarded.revoke(&officer(), "", START), Err("revocation_full".to_owned()));
    assert_eq!(guarded.get(&officer(), START), "ok", "none of them was folded");
}

#[test]
fn a_jti_that_is_used_again_stays_revoked_as_long_as_its_longest_token_that_was_refused() {
    let session = |exp: u64| token(&json!({ "sub": "u1", "jti": "session", "iat": START, "exp": exp }));
    let (brief, long) = (session(START + 4), session(START + HOUR));
    let by_jti = json!({ "jti": "session", "expires_at": START + 4 }).to_string();
    for (caller, body) in [(&brief, ""), (&officer(), &by_jti)] {
        let mut guarded = Guarded::new(json!({ "clock_skew_seconds": 2 }), table(8));
        let mut other = Other::of(&guarded);
        assert_eq!(guarded.get(&long, START), "ok");
        assert_eq!(guarded.revoke(caller, body, START), Ok(Some(START + 6)));
        assert_eq!(guarded.get(&long, START + 5), "token_revoked");
        for second in [6, 7, HOUR, HOUR + 1] {
            assert_eq!(guarded.get(&long, START + second), "token_revoked", "{second}");
            other.takes_over(&mut guarded);
        }
        assert_eq!(guarded.get(&long, START + HOUR + 2), "token_expired");
    }
}

#[test]
fn an_earlier_end_shortens_no_revocation_of_a_jti() {
    let mut guarded = Guarded::new(json!({}), table(1));
    let by_jti = |expires_at: u64| json!({ "jti": "a", "expires_at": expires_at }).to_string();
    for seconds in [HOUR, 1, 0, 60] {
        assert_eq!(guarded.revoke(&officer(), &by_jti(START + seconds), START), Ok(Some(START + seconds)));
    }
    assert_eq!(guarded.get(&of("u1", "a", START + 1), START + HOUR - 1), "token_revoked");
}

#[test]
fn a_clock_that_ran_ahead_for_a_moment_lets_no_revoked_token_pass() {
    let mut guarded = Guarded::new(json!({}), table(100));
    let stolen = token(&json!({ "sub": "u1", "jti": "j", "iat": START, "exp": START + 24 * HOUR }));
    let body = json!({ "jti": "j", "expires_at": START + HOUR }).to_string();
    assert!(guarded.revoke(&officer(), &body, START).is_ok());
    // The clock runs ahead by two hours, and is set right.
    assert_eq!(guarded.get(&stolen, START + 2 * HOUR), "ok");
    assert_eq!(guarded.get(&stolen, START + 10), "token_revoked");
}

#[test]
fn the_endpoint_is_there_for_every_host_whose_routes_do_not_deny_it() {
    let routes = json!([
        { "path": "/{*rest}", "hosts": ["api.example.com"], "methods": ["GET", "POST"] },
        { "path": "/auth/{x}", "hosts": ["*.example.com"], "methods": ["GET"] },
        { "path": "/orders", "hosts": ["orders.example.com"] },
        { "path": "/{*rest}", "hosts": ["shut.example.com"], "access": "deny" },
        { "path": "/auth/revoke", "name": "shut", "hosts": ["public.example.com"], "access": "deny" },
        { "path": "/{*rest}", "hosts": ["tried.example.com"], "access": "deny", "mode": "report" },
        {
            "path": "/auth/revoke", "name": "tried", "hosts": ["its.example.com"], "access": "deny",
            "mode": "report",
        },
        { "path": "/auth/revoke", "name": "get", "hosts": ["get.example.com"], "methods": ["GET"] },
    ]);
    for path in ["/auth/revoke", "/auth/revoke/"] {
        let endpoint = json!({ "routes": routes, "revocation": { "endpoint": { "path": path } } });
        let mut guarded = Guarded::new(json!({}), endpoint);
        let mine = format!("Bearer {}", of("u1", "mine", START));
        for (host, expected) in [
            ("localhost", "ok"),
            ("api.example.com", "ok"),
            ("a.example.com", "ok"),
            ("orders.example.com", "ok"),
            ("get.example.com", "ok"),
            ("shut.example.com", "route_denied"),
            ("public.example.com", "route_denied"),
            ("tried.example.com", "ok"),
        ] {
            let headers = [
                (":method", "POST"),
                (":path", path),
                (":authority", host),
                ("authorization", mine.as_str()),
            ];
            let verdict = guarded.admit(&headers, START);
            assert_eq!(code(&verdict), expected, "{host}");
            if expected == "ok" {
                let label = guarded.guard.policy().route_label(verdict.trail.form.route);
                assert_eq!(label, Some(path), "{host}");
            }
        }
    }
}
