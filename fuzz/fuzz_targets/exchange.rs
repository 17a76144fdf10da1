//! Streams of one worker under any events in any order. The input is a list of steps: headers, pieces of a body, trailers,
//! responses, answers, ticks of any clock, and what the host, the process and its shared cells do meanwhile. What holds
//! for every stream is checked after each step by [`Watched`]: also that no held request goes on whose token was revoked or
//! has expired meanwhile. Nothing forged goes on in trailers, and no more is held than there is room for. No byte goes on of
//! a body whose type is not accepted, and no gRPC message that is too long, however it is cut. A worker that was fed all of
//! this still serves.
#![no_main]

use api_guard_core::engine::Engine;
use api_guard_core::exchange::Flow;
use api_guard_core::guard::Answer;
use api_guard_core::time::UnixNanos;
use api_guard_testkit::{Done, Process, Stream, Watched, bytes, parse, request, sign};
use libfuzzer_sys::fuzz_target;

/// 21 September 2026, 14:13:20 in Greenwich, Unix seconds.
const START: u64 = 1_790_000_000;

/// `max_held_bytes`.
const ROOM: u64 = 150;

/// The second key is known from a second after the start on.
const POLICY: &str = r#"{
    "tokens": {
        "keys": [
            { "secret": { "env": "SECRET" } },
            { "kid": "second", "secret": { "env": "SECRET" }, "not_before": "2026-09-21T14:13:21Z" }
        ],
        "required_claims": ["sub", "exp"]
    },
    "request": { "content_types": ["application/json", "application/x-ndjson"], "max_request_size_bytes": 100, "max_held_bytes": 150, "cors_preflight": "forward" },
    "routes": [
        { "path": "/public", "access": "public" },
        { "path": "/large", "max_request_size_bytes": 2000000 },
        { "path": "/report", "mode": "report" },
        { "path": "/denied", "access": "deny" },
        { "path": "/stream", "body": "stream" },
        { "path": "/limited", "rate_limits": [
            { "name": "few", "max_requests": 2, "window_seconds": 60, "key": ["subject"] }
        ] }
    ],
    "rate_limits": [
        { "name": "wide", "max_requests": 4000000000, "window_seconds": 60, "key": ["client_ip"] },
        { "name": "shy", "max_requests": 3, "window_seconds": 60, "key": ["client_ip"], "mode": "report" }
    ],
    "auth_failure_limit": { "max_failures": 20, "window_seconds": 60 },
    "limiter_capacity": 8,
    "revocation": { "endpoint": {}, "capacity": 8 }
}"#;

const METHODS: [&str; 4] = ["GET", "POST", "POST", "OPTIONS"];
const PATHS: [&str; 8] =
    ["/x", "/public", "/large", "/report", "/stream", "/limited", "/auth/revoke", "/a/../b"];
const TYPES: [&str; 4] = ["application/json", "application/grpc", "text/plain", "application/x-ndjson"];
const LENGTHS: [Option<&str>; 8] =
    [None, None, None, Some("0"), Some("60"), Some("100"), Some("101"), Some("-1")];
/// Names of headers whose values are any bytes.
const NAMES: [&str; 8] = [
    ":path",
    ":authority",
    "authorization",
    "content-type",
    "content-length",
    "x-request-id",
    "x-auth-subject",
    "upgrade",
];

thread_local! {
    static BEARERS: [String; 6] = {
        let of = |header: &str, sub: &str| {
            let claims =
                format!(r#"{{"sub":"{sub}","exp":4000000000,"jti":"{sub}","permissions":["tokens:revoke"]}}"#);
            format!("Bearer {}", sign(header.as_bytes(), claims.as_bytes()))
        };
        let (first, second) = (r#"{"alg":"HS256"}"#, r#"{"alg":"HS256","kid":"second"}"#);
        [of(first, "a"), of(first, "b"), of(second, "a"), of(second, "b"), of(second, "c"), "Bearer a.b".to_owned()]
    };
}

/// What the client says of its body, as the oracle needs it.
#[derive(Default)]
struct Body {
    /// Whether each byte of it is one too many.
    must_be_empty: bool,
    /// The longest message, if it is of gRPC and its messages count.
    longest: Option<u64>,
    /// The messages that went on.
    sent: Vec<u8>,
}

impl Body {
    /// `is_over`: whether the headers end it, or another header may say otherwise.
    fn of(what: u8, more: u8, is_over: bool) -> Self {
        let (method, path) = (METHODS[usize::from(what % 4)], PATHS[usize::from(what / 4 % 8)]);
        let content_type = TYPES[usize::from(more / 2 % 2 + more / 32 % 2 * 2)];
        // A declared length is judged with the headers.
        if is_over || path == "/report" || LENGTHS[usize::from(more / 4 % 8)].is_some() {
            return Self::default();
        }
        let most = if path == "/large" { 2_000_000 } else { 100 };
        Self {
            must_be_empty: method == "POST" && content_type == "text/plain",
            longest: (content_type == "application/grpc" && path != "/auth/revoke").then_some(most),
            sent: Vec::new(),
        }
    }

    /// These bytes go on.
    fn goes_on(&mut self, bytes: &[u8], size: u64) {
        assert!(!self.must_be_empty || size == 0, "a body of a type that is not accepted goes on");
        let Some(longest) = self.longest else { return };
        self.sent.extend_from_slice(bytes);
        let mut rest = &self.sent[..];
        while let [_, a, b, c, d, after @ ..] = rest {
            let length = u32::from_be_bytes([*a, *b, *c, *d]);
            assert!(u64::from(length) <= longest, "a message of {length} bytes goes on");
            rest = after.get(length as usize..).unwrap_or_default();
        }
    }
}

fuzz_target!(|data: &[u8]| {
    let engine = Engine::new(parse(POLICY.as_bytes()).expect("a good policy").asking_for_keys());
    let process = Process::default();
    let mut streams = [Watched::new(&engine, &process), Watched::new(&engine, &process)];
    let mut bodies = [Body::default(), Body::default()];
    let mut now = START * 1_000_000_000;
    let mut rest = data;
    while let [step, argument, after @ ..] = rest {
        rest = after;
        let (stream, body) = (&mut streams[usize::from(step >> 7)], &mut bodies[usize::from(step >> 7)]);
        let went_on = stream.goes_on();
        let moment = UnixNanos::from_nanos(now);
        match step % 16 {
            0 | 1 => {
                let [more, length, after @ ..] = rest else { return };
                let (value, after) = after.split_at(usize::from(length % 16).min(after.len()));
                rest = after;
                *body = Body::of(*argument, *more, !value.is_empty() || more & 1 != 0);
                headers(stream, *argument, *more, value, moment);
            }
            2 | 3 => {
                let length = usize::from(*argument).min(rest.len());
                let (piece, after) = rest.split_at(length);
                rest = after;
                // While the request is held, all that has come so far comes again.
                let so_far =
                    if stream.goes_on() { Vec::new() } else { std::mem::take(&mut stream.host.body) };
                let bytes = [so_far, piece.to_vec()].concat();
                if stream.bytes(&bytes, step & 0x40 != 0, moment) == Flow::Continue {
                    body.goes_on(&bytes, bytes.len() as u64);
                }
            }
            4 => {
                let size = size(*argument);
                let flow = stream.body(size, step & 0x40 != 0, moment);
                // Its bytes are those that the host has, or it goes on within a message.
                if flow == Flow::Continue && body.longest.is_none() {
                    body.goes_on(&[], size);
                } else if flow == Flow::Continue {
                    body.longest = None;
                }
            }
            5 => {
                let trailers = [("x_auth.subject", "a"), ("authorization", "Bearer a"), ("x-checksum", "1")];
                let given = trailers.get(..usize::from(argument % 4)).filter(|_| argument & 0x80 == 0);
                let flow = stream.trailers_of(given, moment);
                let sent = given.unwrap_or_default().iter().map(|(name, _)| name.as_bytes());
                for forged in sent.filter(|name| flow == Flow::Continue && *name != b"x-checksum") {
                    let removed = Done::TrailerRemoved(forged.to_vec());
                    assert!(stream.host.done.contains(&removed), "{removed:?} was not done");
                }
            }
            6 => drop(stream.response()),
            7 | 8 => {
                let answer = if argument & 0x80 == 0 { Answer::Ready } else { Answer::Unavailable };
                stream.answer(u32::from(argument % 4), answer, moment);
            }
            9 => {
                stream.tick(moment);
                if argument % 4 == 0 {
                    let mut ticked = Stream::new(&process);
                    engine.on_tick(&mut ticked, moment);
                    let within = |done: &Done| !matches!(done, Done::Gauged(_, bytes) if *bytes > ROOM);
                    assert!(ticked.done.iter().all(within), "{:?}", ticked.done);
                }
            }
            10 | 11 => now = later(now, *argument),
            12 => stream.host.received = (*argument != 0).then(|| u64::from(*argument)),
            13 => stream.host.is_answered = argument % 2 == 0,
            14 => {
                let length = usize::from(*argument).min(rest.len());
                let (bytes, after) = rest.split_at(length);
                rest = after;
                stream.host.body = bytes.to_vec();
                stream.host.refuses_body = step & 0x40 != 0;
                stream.host.refuses_edits = step & 0x20 != 0;
                stream.host.cannot_ask = step & 0x10 != 0;
            }
            _ => match argument % 4 {
                0 => process.broken.set(argument & 4 != 0),
                1 => process.contended.set(argument & 4 != 0),
                2 => process.has_no_random.set(argument & 4 != 0),
                // The client has gone, and another one comes.
                _ => (*stream, *body) = (Watched::new(&engine, &process), Body::default()),
            },
        }
        if matches!(step % 16, 2..5) && step & 0x40 != 0 || step % 16 == 5 {
            // It has ended, and what follows is no body.
            *body = Body::default();
        } else if stream.goes_on() && !went_on && !matches!(step % 16, 0..5) {
            // What was held of it goes on unseen.
            body.longest = None;
        }
    }
    process.broken.set(false);
    process.contended.set(false);
    process.has_no_random.set(false);
    let mut last = Watched::new(&engine, &process);
    let flow = last.headers(&request("GET", "/public", &[]), true, UnixNanos::from_seconds(START));
    assert_eq!(flow, Flow::Continue);
});

fn headers(stream: &mut Watched<'_>, what: u8, more: u8, value: &[u8], now: UnixNanos) {
    let ends = more & 1 != 0;
    if more & 0xf0 == 0xf0 {
        stream.raw_headers(None::<[(&[u8], &[u8]); 0]>, ends, now);
        return;
    }
    BEARERS.with(|bearers| {
        let mut headers = request(METHODS[usize::from(what % 4)], PATHS[usize::from(what / 4 % 8)], &[]);
        headers.push(("content-type", TYPES[usize::from(more / 2 % 2 + more / 32 % 2 * 2)]));
        if let Some(bearer) = bearers.get(usize::from(what / 32)) {
            headers.push(("authorization", bearer));
        }
        headers.extend(LENGTHS[usize::from(more / 4 % 8)].map(|length| ("content-length", length)));
        let any = (!value.is_empty()).then(|| {
            let name = NAMES[usize::from(value[0] % 8)];
            (name.as_bytes(), &value[1..])
        });
        stream.raw_headers(Some(bytes(&headers).chain(any)), ends, now);
    });
}

fn size(argument: u8) -> u64 {
    match argument {
        250 => 1_048_576,
        251 => 2_000_001,
        252 => u64::MAX,
        small => u64::from(small),
    }
}

fn later(now: u64, argument: u8) -> u64 {
    match argument {
        0 => 0,
        1 => u64::MAX,
        2 => START * 1_000_000_000,
        back @ 3..64 => now.saturating_sub(u64::from(back) * 1_000_000_000),
        forth @ 64..192 => now.saturating_add(u64::from(forth - 64) * 10_000_000),
        far => now.saturating_add(u64::from(far) * 1_000_000_000),
    }
}
