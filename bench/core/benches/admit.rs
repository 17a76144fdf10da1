//! What does a whole decision cost, from the request that was read to the verdict, and what the answer to it?
//!
//! Before anything is measured it is looked at whether the verdict is the one that the figure is about.

use std::hint::black_box;

use api_guard_bench::{MANY_TOKENS, Token, admit, block, guarded, limit, read, revoke, settings};
use api_guard_core::effect;
use api_guard_core::effect::forward::each_edit;
use api_guard_testkit::Guarded;
use criterion::{Criterion, criterion_group, criterion_main};
use serde_json::{Value, json};

const PATH: &str = "/orders/17?expand=lines";

/// Requests that pass.
fn allowed(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("admit");
    let mut guarded = guarded(json!({}));
    let known = block(PATH, Some(&Token::default().mint()));
    let request = read(guarded.guard.policy(), &known);
    admit(&mut guarded, &request);
    assert_eq!(outcome(&mut guarded, &known), ("ok", Some(true)));
    // 31 of 32 spend a leased unit.
    group.bench_function("known token", |bencher| bencher.iter(|| admit(&mut guarded, black_box(&request))));

    let blocks = |first| -> Vec<Vec<u8>> {
        let token = |serial| Token { serial, ..Token::default() }.mint();
        (first..first + MANY_TOKENS).map(|serial| block(PATH, Some(&token(serial)))).collect()
    };
    // These take all places that a worker remembers tokens in; the others come in turn, and get none.
    for block in blocks(1 + MANY_TOKENS) {
        outcome(&mut guarded, &block);
    }
    let blocks = blocks(1);
    for _ in 0..2 {
        assert!(blocks.iter().all(|block| outcome(&mut guarded, block) == ("ok", Some(false))));
    }
    let requests: Vec<_> = blocks.iter().map(|block| read(guarded.guard.policy(), block)).collect();
    let mut requests = requests.iter().cycle();
    group.bench_function("new token", |bencher| {
        bencher.iter(|| admit(&mut guarded, requests.next().expect("a cycle has no end")));
    });
    group.finish();
}

/// One request that is refused.
struct Refusal {
    name: &'static str,
    /// What is different in the configuration.
    over: Value,
    path: &'static str,
    token: Option<Token>,
    /// Whether the token is revoked before.
    revoked: bool,
    code: &'static str,
}

impl Default for Refusal {
    fn default() -> Self {
        Self {
            name: "",
            over: json!({}),
            path: PATH,
            token: Some(Token::default()),
            revoked: false,
            code: "",
        }
    }
}

/// Requests that are refused, in the order of the steps that refuse them.
fn refused(criterion: &mut Criterion) {
    let good = Token::default();
    let refusals = [
        Refusal { name: "no token", token: None, code: "token_missing", ..Refusal::default() },
        Refusal {
            name: "token of 60 KB",
            token: Some(Token { bytes: 60_000, ..good }),
            code: "token_malformed",
            ..Refusal::default()
        },
        Refusal {
            name: "wrong signature",
            token: Some(Token { genuine: false, ..good }),
            code: "token_signature_invalid",
            ..Refusal::default()
        },
        Refusal {
            name: "expired token",
            token: Some(Token { expires_in: -60, ..good }),
            code: "token_expired",
            ..Refusal::default()
        },
        Refusal {
            name: "revoked token",
            over: json!({ "revocation": { "endpoint": {} } }),
            revoked: true,
            code: "token_revoked",
            ..Refusal::default()
        },
        Refusal {
            name: "over the limit",
            over: json!({ "rate_limits": [limit(1)] }),
            code: "rate_limited",
            ..Refusal::default()
        },
        Refusal {
            name: "permission missing",
            token: Some(Token { permission: "orders:list", ..good }),
            code: "permission_missing",
            ..Refusal::default()
        },
        Refusal {
            name: "unknown route",
            over: json!({ "unmatched_routes": "deny" }),
            path: "/nothing/here",
            code: "route_denied",
            ..Refusal::default()
        },
    ];
    let mut group = criterion.benchmark_group("refuse");
    for refusal in refusals {
        let mut guarded = guarded(refusal.over);
        let bytes = block(refusal.path, refusal.token.map(Token::mint).as_deref());
        let request = read(guarded.guard.policy(), &bytes);
        if refusal.revoked {
            revoke(&mut guarded, &request);
        }
        // The first one may still pass, and a token be new to the worker.
        admit(&mut guarded, &request);
        assert_eq!(outcome(&mut guarded, &bytes).0, refusal.code, "{}", refusal.name);
        group.bench_function(refusal.name, |bencher| {
            bencher.iter(|| admit(&mut guarded, black_box(&request)))
        });
    }
    group.finish();
}

/// What is written because of a verdict.
fn answered(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("answer");
    let mut guarded = guarded(json!({}));
    let bytes = block(PATH, Some(&Token::default().mint()));
    let request = read(guarded.guard.policy(), &bytes);
    let verdict = admit(&mut guarded, &request);
    let grant = verdict.grant().expect("a grant");
    let policy = guarded.guard.policy();
    group.bench_function("edits of what passes", |bencher| {
        bencher.iter(|| {
            each_edit(policy, grant, &request, |edit| {
                black_box(edit);
                Ok::<(), ()>(())
            })
        });
    });

    let bytes = block(PATH, None);
    let request = read(guarded.guard.policy(), &bytes);
    let verdict = admit(&mut guarded, &request);
    let denial = verdict.denial().expect("a refusal");
    let policy = guarded.guard.policy();
    group.bench_function("reply of a refusal", |bencher| {
        bencher.iter(|| effect::refuse(policy, black_box(denial), request.request_id));
    });
    group.finish();
}

/// The verdict's code, and whether the token was remembered.
fn outcome(guarded: &mut Guarded, block: &[u8]) -> (&'static str, Option<bool>) {
    let request = read(guarded.guard.policy(), block);
    let verdict = admit(guarded, &request);
    let remembered = verdict.trail.token.as_ref().map(|token| token.remembered);
    (verdict.denial().map_or("ok", |denial| denial.code().as_str()), remembered)
}

criterion_group! { name = benches; config = settings(); targets = allowed, refused, answered }
criterion_main!(benches);
