//! Cases with a known verdict, judged by the core: those of the RFCs and our own, and those of other projects, which lie
//! beside the repository.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails"
)]

mod foreign;
mod json;
mod own;

use api_guard_core::effect;
use api_guard_core::request::Request;
use api_guard_testkit::Guarded;
use serde_json::{Value, json};

const NOW: u64 = 1_790_000_000;

/// Why a token is refused.
#[derive(Debug, PartialEq, Eq)]
struct Refused {
    status: u16,
    code: String,
    text: String,
}

impl Refused {
    /// Whether the MAC holds, and what it signs is no set of claims.
    fn is_past_the_mac(&self) -> bool {
        self.text.contains("claims are not")
    }
}

/// A guard with these keys and claims, and no limits.
fn guarded(keys: Value, required: Value) -> Guarded {
    let tokens = json!({ "keys": keys, "required_claims": required, "max_token_bytes": 1_000_000 });
    Guarded::new(tokens, json!({}))
}

/// A guard with the tests' secret.
fn own_guarded() -> Guarded {
    Guarded::new(json!({ "required_claims": ["sub"], "max_token_bytes": 1_000_000 }), json!({}))
}

fn key(secret: &str, kid: Option<&str>) -> Value {
    match kid {
        Some(kid) => json!([{ "kid": kid, "secret": { "base64url": secret } }]),
        None => json!([{ "secret": { "base64url": secret } }]),
    }
}

/// What becomes of a request with this token.
fn judge(guarded: &mut Guarded, token: &[u8], now: u64) -> Result<(), Refused> {
    let authorization = [b"Bearer ", token].concat();
    let headers: [(&[u8], &[u8]); 4] = [
        (b":method", b"GET"),
        (b":path", b"/x"),
        (b":authority", b"a.example"),
        (b"authorization", &authorization),
    ];
    let request = Request::read(guarded.guard.policy().header_plan(), headers, false);
    let verdict = guarded.judge(&request, now);
    match verdict.denial() {
        None => Ok(()),
        Some(denial) => {
            let reply = effect::refuse(guarded.guard.policy(), denial, None);
            let code = denial.code().as_str().to_owned();
            Err(Refused { status: reply.status, code, text: reply.grpc_message.into_owned() })
        }
    }
}
