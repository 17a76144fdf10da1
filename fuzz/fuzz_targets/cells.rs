//! The stored values of limiter and revocation as any bytes: whoever shares the VM can write them. The input is a list
//! of steps: make a request, send a body that is held, revoke, overwrite a cell or a part of one, let time go (in both
//! directions). Nothing panics, a value that cannot be is a fault that refuses, and memory stays bounded.
#![no_main]

use api_guard_core::cells::{CellId, Cells, Expected, Stored};
use api_guard_core::engine::Engine;
use api_guard_core::exchange::{Exchange, Flow};
use api_guard_core::guard::Memory;
use api_guard_core::time::UnixNanos;
use api_guard_fuzz::{NOW, check_reply, get, token};
use api_guard_testkit::{Guarded, Process, Stream, bytes, parse, request};
use libfuzzer_sys::fuzz_target;

const IDS: [CellId; 9] = [
    CellId::Seed,
    CellId::LimitGeometry,
    CellId::LimitSlot(0),
    CellId::FailureSlot(0),
    CellId::RevocationGeometry,
    CellId::RevocationDirectory,
    CellId::RevocationStamp,
    CellId::RevocationPage(0),
    CellId::HeldBytes,
];

const POLICY: &str = r#"{
    "tokens": { "keys": [{ "secret": { "env": "SECRET" } }] },
    "rate_limits": [
        { "name": "one", "max_requests": 3, "window_seconds": 16, "key": ["subject"] },
        { "name": "many", "max_requests": 4000000000, "window_seconds": 86400, "key": ["client_ip"] }
    ],
    "auth_failure_limit": { "max_failures": 2, "window_seconds": 60 },
    "request": { "max_request_size_bytes": 60, "max_held_bytes": 40 },
    "limiter_capacity": 1,
    "revocation": { "endpoint": { "path": "/auth/revoke", "required_permissions": ["tokens:revoke"] }, "capacity": 3 }
}"#;

thread_local! {
    static TOKENS: Vec<String> = ["a", "b", "c", "d"].map(|sub| token(sub, &["tokens:revoke"])).to_vec();
}

fuzz_target!(|data: &[u8]| {
    let mut guarded = Guarded::under(parse(POLICY.as_bytes()).expect("a good policy"));
    let engine = Engine::new(parse(POLICY.as_bytes()).expect("a good policy"));
    let mut now = NOW;
    let mut rest = data;
    let mut tampered = false;
    TOKENS.with(|tokens| {
        while let [step, argument, after @ ..] = rest {
            rest = after;
            let who = usize::from(argument % 4);
            match step % 7 {
                0 => drop(get(&mut guarded, b"/x", &tokens[who], now)),
                1 => drop(get(&mut guarded, b"/x", "a.b.c", now)),
                2 => {
                    let other = &tokens[usize::from(argument / 4 % 4)];
                    let revoked = revoke(&mut guarded, &tokens[who], other, now);
                    // Who writes to the cells can undo what stands in them, but no more.
                    let mut passes = || get(&mut guarded, b"/x", other, now).denial().is_none();
                    assert!(tampered || !revoked || !passes(), "revoked and passed");
                }
                3 => {
                    tampered = true;
                    // A cell of its own: this many bytes.
                    let length = usize::from(*step / 7).saturating_mul(4).min(rest.len());
                    let (value, after) = rest.split_at(length);
                    rest = after;
                    overwrite(&guarded, usize::from(*argument), value);
                }
                4 => {
                    tampered = true;
                    // A part of a cell that is there.
                    let [index, byte, after @ ..] = rest else { return };
                    rest = after;
                    let id = IDS[usize::from(*argument) % IDS.len()];
                    let Ok(Some(mut cell)) = guarded.process.cells.load(id) else { continue };
                    if cell.bytes.is_empty() {
                        continue;
                    }
                    let index = usize::from(*index) % cell.bytes.len();
                    cell.bytes[index] = *byte;
                    overwrite(&guarded, usize::from(*argument), &cell.bytes);
                }
                5 => held(&engine, &guarded.process, &tokens[who], u64::from(argument / 4), now, tampered),
                _ => {
                    now = match argument % 8 {
                        0 => 0,
                        1 => u64::MAX,
                        2 => NOW,
                        back @ (3 | 4) => now.saturating_sub(u64::from(back) * 20),
                        forth => now.saturating_add(u64::from(forth)),
                    };
                }
            }
            if step & 0x80 != 0 {
                // A worker that starts now finds what is stored, or a fault.
                if let Ok(memory) = Memory::open(guarded.guard.policy(), &guarded.process, [9; 16]) {
                    guarded.memory = memory;
                }
            }
        }
        assert!(guarded.process.cells.bytes_held() < 64 * 1024, "{}", guarded.process.cells.bytes_held());
    });
});

/// A body that is held: it goes on whole and within the bound, or its sender is answered.
fn held(engine: &Engine, process: &Process, token: &str, size: u64, now: u64, tampered: bool) {
    let (now, bearer) = (UnixNanos::from_seconds(now), format!("Bearer {token}"));
    let (mut exchange, mut host) = (Exchange::default(), Stream::new(process));
    let headers = request("POST", "/x", &[("authorization", &bearer), ("content-type", "application/json")]);
    let _ = exchange.on_request_headers(engine, Some(bytes(&headers)), false, &mut host, now);
    if host.replies().next().is_none() {
        let flow = exchange.on_request_body(engine, size, true, &mut host, now);
        assert_eq!(flow == Flow::Pause, host.replies().next().is_some(), "neither on nor answered");
        assert!(flow == Flow::Pause || size <= 40 || tampered, "{size} bytes were held");
    }
    drop(exchange);
    engine.on_tick(&mut Stream::new(process), now);
}

fn overwrite(guarded: &Guarded, id: usize, value: &[u8]) {
    assert_eq!(guarded.process.cells.store(IDS[id % IDS.len()], value, Expected::Anything), Ok(Stored::Done));
}

fn revoke(guarded: &mut Guarded, caller: &str, other: &str, now: u64) -> bool {
    let verdict = get(guarded, b"/x", caller, now);
    let Some(caller) = verdict.trail.caller() else { return false };
    let body = format!(r#"{{"token":"{other}"}}"#);
    let moment = UnixNanos::from_seconds(now);
    let revoked =
        guarded.guard.revoke(&mut guarded.memory, caller, body.as_bytes(), moment, &guarded.process, moment);
    if let Err(denial) = &revoked {
        check_reply(&guarded.guard, denial, None);
    }
    revoked.is_ok()
}
