//! Headers and path as any bytes. The input is the method, the path, the host and then headers, each on a line that
//! ends with CR LF (so that either alone may stand in a value); `TOKEN` stands for a good token. The same bytes are
//! also read as the proxy's header block, and sent once more with a mark in one of the values.
#![no_main]

#[path = "../../src/block.rs"]
mod block;

use std::cell::RefCell;

use api_guard_core::engine::Engine;
use api_guard_core::time::UnixNanos;
use api_guard_core::verdict::Verdict;
use api_guard_fuzz::{MARK, NOW, POLICY, guarded, token};
use api_guard_testkit::{Done, Guarded, Process, Watched, parse};
use block::{Block, encode};
use libfuzzer_sys::fuzz_target;

thread_local! {
    static GUARDED: RefCell<(Guarded, String)> = RefCell::new((guarded(), token("user-7", &["orders:read"])));
    static ENGINE: Engine = Engine::new(parse(POLICY.as_bytes()).expect("a good policy"));
}

/// Headers that only the guard may tell the upstream, and headers that would tell it of another request.
const OURS: [&[u8]; 8] = [
    b"x-auth-subject",
    b"x-auth-permissions",
    b"x-auth-tenant",
    b"x-http-method-override",
    b"x-http-method",
    b"x-method-override",
    b"x-original-url",
    b"x-rewrite-url",
];
/// Headers with tokens, in which another spelling is none.
const TOKENS: [&[u8]; 2] = [b"authorization", b"x-token"];

fuzz_target!(|data: &[u8]| {
    GUARDED.with_borrow_mut(|(guarded, token)| {
        if let Some(block) = Block::read(data) {
            let pairs: Vec<_> = block.pairs().collect();
            judge(guarded, &pairs);
        }
        let lines: Vec<Vec<u8>> = lines(data).map(|line| with_token(line, token)).collect();
        let [method, path, host, headers @ ..] = lines.as_slice() else { return };
        let mut pairs: Vec<(&[u8], &[u8])> =
            vec![(b":method", method), (b":path", path), (b":authority", host)];
        for header in headers {
            let colon = header.iter().position(|byte| *byte == b':').unwrap_or(header.len());
            let (name, value) = header.split_at(colon);
            pairs.push((name, value.get(1..).unwrap_or_default()));
        }
        let block = encode(pairs.iter().copied());
        let read: Vec<_> = Block::read(&block).expect("a block that was just made").pairs().collect();
        assert_eq!(read, pairs);
        judge(guarded, &pairs);
        ENGINE.with(|engine| stream(engine, &pairs));

        let mut marked: Vec<(&[u8], Vec<u8>)> =
            pairs.iter().map(|(name, value)| (*name, value.to_vec())).collect();
        let chosen = data.len() % marked.len();
        marked[chosen].1.extend_from_slice(MARK.as_bytes());
        let marked: Vec<(&[u8], &[u8])> = marked.iter().map(|(name, value)| (*name, &value[..])).collect();
        judge(guarded, &marked);
        ENGINE.with(|engine| stream(engine, &marked));
    });
});

/// Whatever the answer, nothing that the client said under a name of ours is left for the upstream or the access log.
fn stream(engine: &Engine, pairs: &[(&[u8], &[u8])]) {
    for ends in [false, true] {
        let process = Process::default();
        let mut stream = Watched::new(engine, &process);
        let _ = stream.raw_headers(Some(pairs.iter().copied()), ends, UnixNanos::from_seconds(NOW));
        let mut left: Vec<(&[u8], &[u8])> = pairs.to_vec();
        for done in &stream.host.done {
            let name = match done {
                Done::Removed(name) => name,
                Done::Set(name, _) => name.as_bytes(),
                Done::Replied(reply, _) => {
                    let mut texts = reply.headers.iter().map(|(_, value)| &**value);
                    let repeats = reply.grpc_message.contains(MARK) || texts.any(|text| text.contains(MARK));
                    assert!(!repeats, "{reply:?}");
                    continue;
                }
                _ => continue,
            };
            left.retain(|(sent, _)| !sent.eq_ignore_ascii_case(name));
            if let Done::Set(name, value) = done
                && name == "connection"
            {
                left.push((b"connection", value));
            }
        }
        for (name, value) in left {
            let read = fold(name);
            assert!(!OURS.contains(&&read[..]), "{name:?} is left");
            let is_ours = TOKENS.contains(&&read[..]) && !TOKENS.contains(&name);
            assert!(!is_ours, "{name:?} is left");
            if name == b"connection" && stream.refused().is_none() {
                let mut options = value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).map(fold);
                assert!(!options.any(|option| OURS.contains(&&option[..])), "{value:?} is left");
            }
        }
    }
}

/// The name as a service reads it that tells letters and digits apart, and nothing else. A colon is in no name but a
/// pseudo-header's, which is no other spelling of anything.
fn fold(name: &[u8]) -> Vec<u8> {
    let folded = |byte: &u8| match byte {
        b':' => b':',
        byte if byte.is_ascii_alphanumeric() => byte.to_ascii_lowercase(),
        _ => b'-',
    };
    name.iter().map(folded).collect()
}

/// What passes without a token is public, read in any way; a second look says the same.
fn judge(guarded: &mut Guarded, pairs: &[(&[u8], &[u8])]) {
    for has_body in [false, true] {
        let first = api_guard_fuzz::judge_by_policy(guarded, pairs, has_body, NOW);
        let path = pairs.iter().rfind(|(name, _)| *name == b":path").map_or(&b""[..], |(_, value)| *value);
        if first.denial().is_none() && first.trail.caller().is_none() {
            // A preflight passes wherever a route admits it.
            let preflight = pairs.iter().any(|(_, value)| *value == b"OPTIONS");
            let plain = path.split(|byte| *byte == b'?').next().unwrap_or_default();
            let lower = plain.to_ascii_lowercase();
            let is_below = |prefix: &[u8]| lower.starts_with(prefix);
            if !preflight && is_below(b"/projects/") {
                check_lifted(&lower);
            } else {
                let is_open = lower == b"/public" || is_below(b"/public/") || is_below(b"/feed/");
                assert!(preflight || is_open, "{path:?} passed without a token");
                for other_reading in [&b".."[..], b"//", b"\\", b";", b"%2e", b"%2E", b"%2f", b"%2F", b"%00"]
                {
                    let found = plain.windows(other_reading.len()).any(|part| part == other_reading);
                    let harmless = other_reading == b".."
                        && !plain.split(|byte| *byte == b'/').any(|part| part == b"..");
                    // Of what a preflight is for, a route may allow it.
                    assert!(preflight || !found || harmless, "{path:?} passed");
                }
                let hides = |path: &[u8]| path.ends_with(b":hide") && !path.ends_with(b"/:hide");
                let decoded = decode(&lower);
                let decoded = decoded.strip_suffix(b"/").unwrap_or(&decoded);
                assert!(
                    preflight || !is_below(b"/feed/") || !hides(decoded),
                    "{path:?} passed without a token"
                );
            }
        }
        let second = api_guard_fuzz::judge_by_policy(guarded, pairs, has_body, NOW);
        assert_eq!(code(&first), code(&second), "{pairs:?}");
    }
}

/// However a path below `/projects/` is read, it is not one of those that are closed. `path`: in lower case.
fn check_lifted(path: &[u8]) {
    let cut = |path: &[u8]| {
        let segments = path.split(|byte| *byte == b'/');
        let cut: Vec<&[u8]> =
            segments.map(|part| part.split(|byte| *byte == b';').next().unwrap_or_default()).collect();
        cut.join(&b'/')
    };
    let all = |path: &[u8]| path.split(|byte| *byte == b';').next().unwrap_or_default().to_vec();
    let decoded = decode(path);
    for reading in [
        path.to_vec(),
        decoded.clone(),
        cut(path),
        cut(&decoded),
        decode(&cut(path)),
        cut(&decode(&cut(path))),
        all(path),
        all(&decoded),
        decode(&all(path)),
    ] {
        let segments: Vec<&[u8]> =
            reading.strip_suffix(b"/").unwrap_or(&reading).split(|byte| *byte == b'/').collect();
        let is_closed =
            matches!(segments.as_slice(), [b"", b"projects", _, b"secrets"] | [b"", b"projects", b"closed"]);
        let is_bad = segments.iter().skip(1).any(|part| matches!(*part, b"" | b"." | b".."));
        assert!(
            !is_closed && !is_bad && !reading.contains(&b'\\'),
            "{path:?} passed, and may be {reading:?}"
        );
    }
}

/// Every percent-encoding decoded once.
fn decode(path: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some((&byte, after)) = rest.split_first() {
        let digit = |index: usize| after.get(index).and_then(|&digit| char::from(digit).to_digit(16));
        match (byte, digit(0), digit(1)) {
            (b'%', Some(high), Some(low)) => {
                decoded.push(u8::try_from(high * 16 + low).expect("two digits"));
                rest = &after[2..];
            }
            _ => {
                decoded.push(byte);
                rest = after;
            }
        }
    }
    decoded
}

fn code(verdict: &Verdict) -> Option<&'static str> {
    verdict.denial().map(|denial| denial.code().as_str())
}

fn lines(data: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(data);
    std::iter::from_fn(move || {
        let bytes = rest?;
        let end = bytes.windows(2).position(|pair| pair == b"\r\n");
        rest = end.map(|end| &bytes[end + 2..]);
        Some(&bytes[..end.unwrap_or(bytes.len())])
    })
}

fn with_token(line: &[u8], token: &str) -> Vec<u8> {
    match line.windows(5).position(|part| part == b"TOKEN") {
        Some(at) => [&line[..at], token.as_bytes(), &line[at + 5..]].concat(),
        None => line.to_vec(),
    }
}
