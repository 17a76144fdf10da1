//! One stream as a state machine, event by event: what goes on, what is answered, and what is told of it.
//!
//! Every event goes through [`Watched`], which checks after each one what holds for every stream.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test that cannot go on fails"
)]

mod again;
mod body;
mod empty;
mod endpoint;
mod faults;
mod forward;
mod grpc;
mod hold;
mod key_sets;
mod order;
mod pause;
mod pause_body;
mod room;
mod standing;
mod streaming;
mod telling;
mod trailers;

use api_guard_core::engine::Engine;
use api_guard_core::exchange::Flow;
use api_guard_core::time::UnixNanos;
use api_guard_testkit::{Done, Process, SECRET, Watched, lay_over, policy, request, sign, token};
use serde_json::{Value, json};

/// 21 September 2026, 14:13:20 in Greenwich, Unix seconds.
const START: u64 = 1_790_000_000;
/// The largest body of most routes, bytes.
const MOST: u64 = 100;

/// One configuration on one worker of one process.
struct World {
    engine: Engine,
    process: Process,
}

/// So many milliseconds after the start.
fn at(milliseconds: u64) -> UnixNanos {
    UnixNanos::from_nanos(START * 1_000_000_000 + milliseconds * 1_000_000)
}

fn configuration(rest: Value) -> Value {
    let mut configuration = json!({
        "tokens": {
            "keys": [
                { "secret": { "value": SECRET } },
                { "kid": "next", "secret": { "value": SECRET }, "not_before": "2026-09-21T14:13:21Z" },
            ],
            "required_claims": ["sub", "exp"],
        },
        "rate_limits": [],
        "request": { "max_request_size_bytes": MOST, "cors_preflight": "forward" },
        "routes": [
            { "path": "/public", "access": "public", "name": "the public one" },
            { "path": "/large", "max_request_size_bytes": 2_000_000 },
            { "path": "/report", "mode": "report" },
            { "path": "/stream", "body": "stream" },
        ],
        "revocation": { "endpoint": {} },
    });
    lay_over(&mut configuration, &rest);
    configuration
}

impl World {
    fn new() -> Self {
        Self::with(json!({}))
    }

    /// `rest` stands in place of whole sections.
    fn with(rest: Value) -> Self {
        Self::under(Engine::new(policy(&configuration(rest))))
    }

    /// A token of the key that begins a second after the start is of an unknown key until then, and asks.
    fn asking(rest: Value) -> Self {
        Self::under(Engine::new(policy(&configuration(rest)).asking_for_keys()))
    }

    fn under(engine: Engine) -> Self {
        Self { engine, process: Process::default() }
    }

    fn stream(&self) -> Watched<'_> {
        Watched::new(&self.engine, &self.process)
    }

    /// A stream whose headers came at the start, and what became of them. A body of JSON follows.
    fn post<'w>(&'w self, path: &str, more: &[(&str, &str)]) -> (Watched<'w>, Flow) {
        self.ask("POST", path, &[&[("content-type", "application/json")], more].concat(), false)
    }

    /// A stream that is one request without a body.
    fn get<'w>(&'w self, path: &str, more: &[(&str, &str)]) -> (Watched<'w>, Flow) {
        self.ask("GET", path, more, true)
    }

    fn ask<'w>(
        &'w self,
        method: &str,
        path: &str,
        more: &[(&str, &str)],
        end_of_stream: bool,
    ) -> (Watched<'w>, Flow) {
        let mut stream = self.stream();
        let flow = send(&mut stream, method, path, more, end_of_stream);
        (stream, flow)
    }

    /// How often a counter was counted in a stream, by the end of its name.
    fn counted(&self, stream: &Watched<'_>, name: &str) -> usize {
        let names = self.engine.counters().names();
        assert!(names.iter().any(|known| known.ends_with(name)), "{name}");
        stream
            .host
            .done
            .iter()
            .filter(|done| matches!(done, Done::Counted(counter) if names[*counter].ends_with(name)))
            .count()
    }
}

/// Headers come at the start, with a good token unless another credential is among them.
fn send(
    stream: &mut Watched<'_>,
    method: &str,
    path: &str,
    more: &[(&str, &str)],
    end_of_stream: bool,
) -> Flow {
    let bearer = bearer("u1");
    let mut headers = request(method, path, more);
    if !more.iter().any(|(name, _)| *name == "authorization") {
        headers.push(("authorization", &bearer));
    }
    stream.headers(&headers, end_of_stream, at(0))
}

/// The value of `authorization` for a good token of `sub`.
fn bearer(sub: &str) -> String {
    format!("Bearer {}", token(&json!({ "sub": sub, "exp": START + 3600, "jti": format!("{sub}-1") })))
}

/// The value of `authorization` for a token of the key that begins a second after the start.
fn of_next_key(claims: &Value) -> String {
    format!("Bearer {}", sign(br#"{"alg":"HS256","kid":"next"}"#, claims.to_string().as_bytes()))
}

/// The members of the lines that a stream logged.
fn lines(stream: &Watched<'_>) -> Vec<Value> {
    let logged = stream.host.done.iter().filter_map(|done| {
        let Done::Logged(line) = done else { return None };
        Some(serde_json::from_str(&line.text).unwrap_or(json!(line.text)))
    });
    logged.collect()
}

/// The headers that a stream's response was marked with.
fn marks(stream: &Watched<'_>) -> Vec<(&'static str, String)> {
    let marked = stream.host.done.iter().filter_map(|done| {
        if let Done::Marked(name, value) = done { Some((*name, value.clone())) } else { None }
    });
    marked.collect()
}

/// The body of a stream's one answer.
fn answer(stream: &Watched<'_>) -> Value {
    let replies: Vec<_> = stream.host.replies().collect();
    assert_eq!(replies.len(), 1, "{:?}", stream.host.done);
    serde_json::from_str(&replies[0].body).unwrap()
}
