//! The guard over time, from its public side: what one worker remembers must never outlive what the contract says.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test that cannot go on fails"
)]

mod cache;
mod form;
mod limits;
mod token;

use std::cell::Cell;

use api_guard_core::cells::{CellFault, CellId, Cells, Expected, Loaded, MemoryCells, Stored};
use api_guard_core::config::{Environment, Policy};
use api_guard_core::guard::{Guard, Proxy, Verdict, Worker};
use api_guard_core::request::Request;
use api_guard_core::time::UnixNanos;
use api_guard_core::token::keys::Secret;
use ct_codecs::{Base64UrlSafeNoPadding, Encoder};
use serde_json::{Value, json};

const SECRET: &str = "a-secret-of-the-tests-that-is-long-enough";
const START: u64 = 1_790_000_000;
const HOUR: u64 = 3600;

#[derive(Default)]
struct Process {
    cells: MemoryCells,
    /// Another worker is faster at every store.
    contended: Cell<bool>,
    /// In place of an address of IPv4.
    address: Option<&'static str>,
}

impl Cells for Process {
    fn load(&self, id: CellId) -> Result<Option<Loaded>, CellFault> {
        self.cells.load(id)
    }

    fn store(&self, id: CellId, bytes: &[u8], expected: Expected) -> Result<Stored, CellFault> {
        if self.contended.get() { Ok(Stored::Conflict) } else { self.cells.store(id, bytes, expected) }
    }
}

impl Proxy for Process {
    type Cells = Self;
    type Address = Vec<u8>;

    fn cells(&self) -> &Self {
        self
    }

    fn source_address(&self) -> Option<Vec<u8>> {
        Some(self.address.unwrap_or("192.0.2.1:1").as_bytes().into())
    }
}

/// One worker of one process under one configuration.
struct Guarded {
    guard: Guard,
    worker: Worker,
    process: Process,
}

impl Guarded {
    /// `tokens` and `rest` are laid over a configuration without limits.
    fn new(tokens: Value, rest: Value) -> Self {
        let mut config =
            json!({ "tokens": { "keys": [{ "secret": { "value": SECRET } }] }, "rate_limits": [] });
        let lay = |over: Value, under: &mut Value| {
            for (name, value) in over.as_object().unwrap() {
                under[name] = value.clone();
            }
        };
        lay(tokens, &mut config["tokens"]);
        lay(rest, &mut config);
        let environment = Environment { lookup: &|_| None, must_be_set: true };
        let policy = Policy::parse(config.to_string().as_bytes(), &environment).unwrap();
        let process = Process::default();
        let worker = Worker::open(&policy, &process, [7; 16]).unwrap();
        Self { guard: Guard::new(policy), worker, process }
    }

    fn admit(&mut self, headers: &[(&str, &str)], now: u64) -> Verdict {
        self.admit_with(headers, false, now)
    }

    fn admit_with(&mut self, headers: &[(&str, &str)], has_body: bool, now: u64) -> Verdict {
        let pairs = headers.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
        let request = Request::read(self.guard.policy().header_plan(), pairs, has_body);
        self.guard.admit(&mut self.worker, &request, &self.process, UnixNanos::from_seconds(now))
    }

    /// The verdict on `GET /` with this token.
    fn get(&mut self, token: &str, now: u64) -> String {
        let bearer = format!("Bearer {token}");
        let verdict = self.admit(
            &[(":method", "GET"), (":path", "/"), (":authority", "a"), ("authorization", &bearer)],
            now,
        );
        said(&verdict)
    }

    /// What the endpoint says to the owner of `token`.
    fn revoke(&mut self, token: &str, body: &str, now: u64) -> Result<Option<u64>, String> {
        let bearer = format!("Bearer {token}");
        let headers = [
            (":method", "POST"),
            (":path", "/auth/revoke"),
            (":authority", "a"),
            ("authorization", bearer.as_str()),
        ];
        let verdict = self.admit(&headers, now);
        assert_eq!(verdict.denial, None);
        let caller = verdict.caller.unwrap();
        let now = UnixNanos::from_seconds(now);
        self.guard
            .revoke(&mut self.worker, &caller, body.as_bytes(), &self.process, now)
            .map(|revoked| revoked.expires_at)
            .map_err(|denial| denial.code().as_str().to_owned())
    }
}

/// The code of the refusal that is carried out.
fn said(verdict: &Verdict) -> String {
    verdict.denial.as_ref().map_or("ok", |denial| denial.code().as_str()).to_owned()
}

/// The headers of a request for `localhost`, and more.
fn request<'a>(method: &'a str, path: &'a str, more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    [&[(":method", method), (":path", path), (":authority", "localhost")], more].concat()
}

fn token(claims: &Value) -> String {
    let encode = |part: &[u8]| Base64UrlSafeNoPadding::encode_to_string(part).unwrap();
    let input = format!("{}.{}", encode(br#"{"alg":"HS256"}"#), encode(claims.to_string().as_bytes()));
    let mac = Secret::from_bytes(SECRET.as_bytes()).unwrap().mac(input.as_bytes());
    format!("{input}.{}", encode(&mac))
}

fn endpoint() -> Value {
    json!({ "revocation": { "endpoint": {} } })
}

#[test]
fn a_subject_without_dates_of_issue_stays_revoked_though_old_tokens_are_refused() {
    let mut guarded = Guarded::new(
        json!({ "required_claims": ["sub", "exp"], "token_too_old": "reject", "max_token_age_hours": 1 }),
        endpoint(),
    );
    let undated = token(&json!({ "sub": "u1", "exp": START + 100 * HOUR }));
    let dated = token(&json!({ "sub": "u1", "exp": START + 100 * HOUR, "iat": START }));
    let body = json!({ "sub": "u1", "issued_before": START }).to_string();
    assert_eq!(guarded.get(&undated, START), "ok");
    assert_eq!(guarded.revoke(&undated, &body, START), Ok(None));
    for later in [0, HOUR, 2 * HOUR, 50 * HOUR] {
        assert_eq!(guarded.get(&undated, START + later), "token_revoked", "{later}");
    }
    assert_eq!(guarded.get(&dated, START + 1), "ok");
}

#[test]
fn a_subject_s_revocation_ends_with_its_tokens_where_all_say_when_they_were_issued() {
    let mut guarded =
        Guarded::new(json!({ "token_too_old": "reject", "max_token_age_hours": 1 }), endpoint());
    let dated = token(&json!({ "sub": "u1", "exp": START + 100 * HOUR, "iat": START }));
    let body = json!({ "sub": "u1", "issued_before": START + 1 }).to_string();
    assert_eq!(guarded.revoke(&dated, &body, START), Ok(Some(START + 1 + HOUR)));
    assert_eq!(guarded.get(&dated, START + HOUR), "token_revoked");
    assert_eq!(guarded.get(&dated, START + HOUR + 1), "token_too_old");
}

#[test]
fn a_remembered_token_passes_from_one_key_to_the_next_like_a_new_one() {
    let date = |second: u64| format!("2026-09-21T14:13:{:02}Z", second - 1_789_999_980);
    let keys = json!([
        { "secret": { "value": SECRET }, "not_after": date(START + 10) },
        { "secret": { "value": SECRET }, "not_before": date(START + 10), "not_after": date(START + 20) },
    ]);
    let mut guarded = Guarded::new(json!({ "keys": keys }), json!({}));
    let token = token(&json!({ "sub": "u1", "exp": START + HOUR, "iat": START }));
    for (second, said) in [(0, "ok"), (9, "ok"), (10, "ok"), (19, "ok"), (20, "token_key_unknown")] {
        assert_eq!(guarded.get(&token, START + second), said, "{second}");
    }
}

#[test]
fn a_preflight_for_the_revocation_endpoint_is_forwarded_and_revokes_nothing() {
    let mut guarded = Guarded::new(
        json!({}),
        json!({ "request": { "cors_preflight": "forward" }, "revocation": { "endpoint": {} } }),
    );
    let headers = [
        (":method", "OPTIONS"),
        (":path", "/auth/revoke"),
        (":authority", "a"),
        ("origin", "https://app.example"),
        ("access-control-request-method", "POST"),
    ];
    let verdict = guarded.admit(&headers, START);
    assert_eq!((verdict.denial, verdict.revokes), (None, false));
}

#[test]
fn logging_out_ends_a_token_however_its_issuer_writes_it_down_again() {
    let mut guarded = Guarded::new(json!({}), endpoint());
    let dates = format!(r#""iat":{START},"exp":{}"#, START + HOUR);
    let written = |claims: String| token(&serde_json::from_str(&claims).unwrap());
    let mine = written(format!(r#"{{"sub":"u1","jti":"a",{dates}}}"#));
    let again = written(format!(r#"{{"sub":"u1","jti":"a","x":1,{dates}}}"#));
    let others = [
        written(format!(r#"{{"sub":"u2","jti":"a",{dates}}}"#)),
        written(format!(r#"{{"sub":"u1","jti":"b",{dates}}}"#)),
        written(format!(r#"{{"sub":"u1a","jti":"",{dates}}}"#)),
        written(format!(r#"{{"sub":"u1",{dates}}}"#)),
    ];
    assert_eq!(guarded.get(&again, START), "ok");
    assert_eq!(guarded.revoke(&mine, "", START), Ok(Some(START + HOUR)));
    assert_eq!(guarded.get(&mine, START), "token_revoked");
    assert_eq!(guarded.get(&again, START), "token_revoked");
    for other in &others {
        assert_eq!(guarded.get(other, START), "ok");
    }
    // Without a jti it is that very token and no other.
    assert_eq!(guarded.revoke(&others[2], "", START), Ok(Some(START + HOUR)));
    assert_eq!(guarded.get(&others[2], START), "token_revoked");
    assert_eq!(guarded.get(&written(format!(r#"{{"sub":"u1a","jti":"","x":1,{dates}}}"#)), START), "ok");
}

#[test]
fn a_stolen_token_cannot_lock_its_owner_out_for_good() {
    let mut guarded = Guarded::new(json!({}), endpoint());
    let of = |sub: &str, iat: u64, permissions: &[&str]| {
        token(&json!({ "sub": sub, "iat": iat, "exp": iat + 24 * HOUR, "permissions": permissions }))
    };
    let never = json!({ "sub": "u1", "issued_before": 253_402_300_799_u64 }).to_string();
    assert_eq!(guarded.revoke(&of("u1", START, &[]), &never, START), Ok(None));
    // All that can be valid now is revoked, what is issued later is not.
    for iat in [START - HOUR, START, START + 60] {
        assert_eq!(guarded.get(&of("u1", iat, &[]), START), "token_revoked", "{iat}");
    }
    assert_eq!(guarded.get(&of("u1", START + 61, &[]), START + 61), "ok");
    let officer = of("officer", START, &["tokens:revoke"]);
    assert_eq!(guarded.revoke(&officer, &never, START), Ok(None));
    assert_eq!(guarded.get(&of("u1", START + HOUR, &[]), START + HOUR), "token_revoked");
}

#[test]
fn only_one_s_own_tokens_are_revoked_without_the_permission_for_it() {
    let mut guarded = Guarded::new(json!({ "required_claims": ["exp", "iat"] }), endpoint());
    let of = |sub: Option<&str>, jti: &str, permissions: &[&str]| {
        let mut claims = json!({ "jti": jti, "iat": START, "exp": START + HOUR, "permissions": permissions });
        if let Some(sub) = sub {
            claims["sub"] = json!(sub);
        }
        token(&claims)
    };
    let mine = of(Some("u1"), "mine", &[]);
    let officer = of(Some("officer"), "officer", &["tokens:revoke"]);
    let nobody = of(None, "nobody", &[]);
    let refused = Err("permission_missing".to_owned());
    let until = Ok(Some(START + HOUR));
    for (caller, sub, jti, expected) in [
        (&mine, Some("u1"), "another", &until),
        (&mine, Some("u2"), "theirs", &refused),
        (&mine, None, "nameless", &refused),
        (&nobody, Some("u1"), "named", &refused),
        // Who has no name does not share it with others who have none.
        (&nobody, None, "also-nameless", &refused),
        (&officer, Some("u2"), "theirs", &until),
        (&officer, None, "nameless", &until),
    ] {
        let target = of(sub, jti, &[]);
        let body = json!({ "token": target }).to_string();
        assert_eq!(&guarded.revoke(caller, &body, START), expected, "{sub:?} {jti}");
        let left = if expected.is_ok() { "token_revoked" } else { "ok" };
        assert_eq!(guarded.get(&target, START), left, "{sub:?} {jti}");
    }
    for body in [
        json!({ "jti": "mine", "expires_at": START + HOUR }),
        json!({ "sub": "u2", "issued_before": START + 1 }),
    ] {
        assert_eq!(guarded.revoke(&mine, &body.to_string(), START), refused, "{body}");
    }
}

#[test]
fn what_is_no_token_cannot_be_revoked() {
    let mut guarded = Guarded::new(json!({}), endpoint());
    let officer = token(
        &json!({ "sub": "officer", "iat": START, "exp": START + HOUR, "permissions": ["tokens:revoke"] }),
    );
    let expired = token(&json!({ "sub": "u1", "iat": START - HOUR, "exp": START }));
    for bad in ["a.b.c", &expired] {
        let body = json!({ "token": bad }).to_string();
        assert_eq!(guarded.revoke(&officer, &body, START), Err("request_malformed".to_owned()), "{bad}");
    }
    // As long as a token may be, its revocation can be asked for.
    let long = token(&json!({ "sub": "u1", "iat": START, "exp": START + HOUR, "x": "x".repeat(6000) }));
    assert!((8000..8192).contains(&long.len()));
    let body = json!({ "token": long }).to_string();
    assert_eq!(guarded.revoke(&officer, &body, START), Ok(Some(START + HOUR)));
}
