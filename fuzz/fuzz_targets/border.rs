//! The native library under whatever Envoy may do: hooks of several streams in any order, with any bytes, configurations
//! that come and go, answers that run other hooks or end their stream. Built with AddressSanitizer, so that whatever is
//! read after Envoy has moved or freed it ends the run; every panic does so too, although the hooks catch them.
//!
//! What must hold: a request that was answered goes no further, none is answered twice, none goes on without a good token
//! where one is needed, and what a client says of its identity never goes on.
#![no_main]

#[allow(clippy::as_conversions, clippy::undocumented_unsafe_blocks, missing_docs, unreachable_pub)]
#[path = "../../crates/envoy-native/tests/border/envoy.rs"]
mod envoy;

use std::cell::RefCell;

use api_guard_testkit::{SECRET, sign};
use envoy::{CONTINUE, Config, STOP, STOP_WITHOUT_BUFFERING, Stream, pairs, run_scheduled, take_log};
use libfuzzer_sys::fuzz_target;

const STREAMS: usize = 4;
const PATHS: [&str; 8] =
    ["/x", "/public", "/large", "/report", "/stream", "/limited", "/auth/revoke", "/a/../b"];
const TYPES: [&str; 4] = ["application/json", "application/grpc", "text/plain", "application/x-ndjson"];
/// Headers whose values are any bytes.
const NAMES: [&str; 8] = [
    ":path",
    ":authority",
    "authorization",
    "content-type",
    "content-length",
    "x-request-id",
    "x_auth_subject",
    "connection",
];

fn policy(number: u8) -> String {
    let mode = if number % 4 == 3 { "report" } else { "enforce" };
    let token = if number % 2 == 0 { "strip" } else { "keep" };
    format!(
        r#"{{
            "mode": "{mode}",
            "tokens": {{ "keys": [{{ "secret": {{ "value": "{SECRET}" }} }}], "required_claims": ["sub", "exp"],
                "sources": [{{ "header": "authorization", "scheme": "Bearer" }}, {{ "query": "access_token" }}] }},
            "request": {{ "content_types": ["application/json", "application/x-ndjson"], "max_request_size_bytes": 100,
                "max_held_bytes": 300 }},
            "routes": [
                {{ "path": "/public", "access": "public" }},
                {{ "path": "/large", "max_request_size_bytes": 2000000 }},
                {{ "path": "/report", "mode": "report" }},
                {{ "path": "/stream", "body": "stream" }},
                {{ "path": "/limited", "rate_limits": [
                    {{ "name": "few", "max_requests": 2, "window_seconds": 60, "key": ["subject"] }}
                ] }}
            ],
            "rate_limits": [],
            "auth_failure_limit": {{ "max_failures": 200000000, "window_seconds": 60 }},
            "limiter_capacity": 8,
            "forward": {{ "token": "{token}" }},
            "revocation": {{ "endpoint": {{}}, "capacity": 8 }}
        }}"#
    )
}

thread_local! {
    static BEARERS: [String; 4] = ["a", "b", "c", ""].map(|sub| {
        let claims = format!(r#"{{"sub":"{sub}","exp":4000000000,"jti":"{sub}","permissions":["tokens:revoke"]}}"#);
        format!("Bearer {}", sign(br#"{"alg":"HS256"}"#, claims.as_bytes()))
    });
    /// The configuration in force, which outlives an input as Envoy's does.
    static CONFIG: RefCell<(u8, Config)> =
        RefCell::new((0, Config::load("fuzz", &policy(0)).expect("a good configuration")));
}

/// A stream, and what is known of it.
struct Live {
    stream: Stream,
    /// Whether its configuration only reports.
    reports: bool,
    /// Whether its request may go on: it has a good token, or needs none.
    may_pass: bool,
    answered: bool,
}

impl Live {
    /// Checks what a hook of the request has said.
    fn check(&mut self, status: u32, allowed: &[u32]) {
        assert!(allowed.contains(&status), "status {status}");
        if status == CONTINUE {
            assert!(!self.answered, "it goes on after its answer");
            assert!(self.may_pass, "it goes on without a good token");
        }
        self.look();
    }

    /// Checks what must hold at any time.
    fn look(&mut self) {
        let replies = self.stream.replies();
        assert!(replies.len() <= 1, "{replies:?}");
        for reply in &replies {
            assert!(!reply.details.is_empty() && (200..600).contains(&reply.status), "{reply:?}");
        }
        self.answered |= !replies.is_empty();
        if self.stream.continued() > 0 {
            assert!(self.may_pass && !self.answered, "it was let go");
        }
    }

    /// Nothing of what the client says of itself is left in what went on.
    fn forwards_no_lies(&self) {
        for (name, value) in self.stream.request_headers() {
            let name = String::from_utf8_lossy(&name).to_ascii_lowercase().replace(['_', '.'], "-");
            let lies = name.starts_with("x-auth-") && value.windows(3).any(|word| word == b"lie");
            assert!(!lies, "{name}");
        }
    }
}

/// Takes bytes of the input, which are zeros when it has ended.
struct Input<'i>(&'i [u8]);

impl<'i> Input<'i> {
    fn byte(&mut self) -> u8 {
        self.0.split_off_first().copied().unwrap_or(0)
    }

    fn bytes(&mut self, most: usize) -> &'i [u8] {
        let length = usize::from(self.byte()).min(most).min(self.0.len());
        let (taken, rest) = self.0.split_at(length);
        self.0 = rest;
        taken
    }
}

fn begin((number, config): &(u8, Config)) -> Live {
    Live { stream: config.stream(), reports: number % 4 == 3, may_pass: false, answered: false }
}

fn headers(live: &mut Live, input: &mut Input<'_>) {
    let (what, more) = (input.byte(), input.byte());
    let path = PATHS[usize::from(what % 8)];
    let method = if what & 8 == 0 { "GET" } else { "POST" };
    let end = what & 16 == 0;
    let mut headers: Vec<(&[u8], &[u8])> =
        vec![(b":method", method.as_bytes()), (b":path", path.as_bytes()), (b":authority", b"api")];
    let bearers: Vec<String> = BEARERS.with(|bearers| bearers.to_vec());
    if what & 32 != 0 {
        headers.push((b"authorization", bearers[usize::from(more % 4)].as_bytes()));
    }
    if !end {
        headers.push((b"content-type", TYPES[usize::from(more / 4 % 4)].as_bytes()));
    }
    if what & 64 != 0 {
        headers.push((b"x-auth-subject", b"lie"));
        headers.push((b"X_Auth.Permissions", b"lie"));
    }
    let is_any = what & 128 != 0;
    if is_any {
        for _ in 0..more / 16 % 4 {
            headers.push((NAMES[usize::from(input.byte() % 8)].as_bytes(), input.bytes(60)));
        }
    }
    // Any bytes may make a good request of it; the core's own targets judge those.
    live.may_pass = is_any || what & 32 != 0 || matches!(path, "/public" | "/report") || live.reports;
    let headers = (more & 128 == 0 || is_any).then(|| pairs(&headers));
    let status = live.stream.headers(headers, end);
    live.check(status, &[CONTINUE, STOP]);
    if status == CONTINUE {
        live.forwards_no_lies();
    }
}

fn body(live: &mut Live, input: &mut Input<'_>) {
    let end = input.byte() & 1 == 1;
    let pieces = [input.bytes(80), input.bytes(40)];
    let status = live.stream.body(&pieces, end);
    live.check(status, &[CONTINUE, STOP, STOP_WITHOUT_BUFFERING]);
}

fn trailers(live: &mut Live, input: &mut Input<'_>) {
    let what = input.byte();
    let trailers = pairs(&[(b"x_auth_subject", b"lie"), (b"x", input.bytes(20))]);
    let status = live.stream.trailers((what & 1 == 0).then_some(trailers));
    live.check(status, &[CONTINUE, STOP]);
    if status == CONTINUE {
        assert!(live.stream.request_trailers().iter().all(|(name, _)| name != b"x_auth_subject"));
    }
}

fuzz_target!(|data: &[u8]| {
    let mut input = Input(data);
    CONFIG.with_borrow_mut(|current| {
        let mut live: Vec<Live> = (0..STREAMS).map(|_| begin(current)).collect();
        // Configurations that streams still use.
        let mut old = Vec::new();
        while !input.0.is_empty() {
            let what = input.byte();
            let index = usize::from(what >> 6) % STREAMS;
            match what & 15 {
                0..=4 => headers(&mut live[index], &mut input),
                5..=7 => body(&mut live[index], &mut input),
                8 => trailers(&mut live[index], &mut input),
                9 => {
                    let response = pairs(&[(b":status", b"200"), (b"ratelimit", b"theirs")]);
                    let _ = live[index].stream.response((input.byte() & 1 == 0).then_some(response));
                    live[index].look();
                }
                10 => {
                    let how = input.byte();
                    live[index].stream.when_answered(how & 1 == 1, how & 2 == 2);
                    live[index].stream.refuse(how & 4 == 4, how & 8 == 8);
                    live[index].stream.set_peer((how & 16 == 0).then_some(&b"192.0.2.7:1"[..]));
                }
                11 => live[index].stream.answer_by_envoy(input.bytes(10)),
                12 => live[index].stream.end(),
                13 => live[index] = begin(current),
                14 => run_scheduled(),
                _ => {
                    let next = input.byte();
                    // Most texts are no configuration, and change nothing.
                    let loaded = if next & 1 == 0 {
                        Config::load("fuzz", &policy(next / 2))
                    } else {
                        Config::load("fuzz", &String::from_utf8_lossy(input.bytes(60)))
                    };
                    if let Some(loaded) = loaded {
                        old.push(std::mem::replace(current, (next / 2, loaded)));
                    }
                }
            }
        }
        // Streams first, then what they used.
        drop(live);
        drop(old);
        drop(take_log());
    });
});
