//! What does each step cost alone? The steps are in the order in which a request meets them; the configuration, which
//! comes before all requests, is last.
//!
//! What is looked up among many is another one each time: most of the cost is then memory that is in no cache.

use std::cell::{Cell, RefCell};
use std::hint::black_box;
use std::num::NonZeroU32;
use std::rc::Rc;

use api_guard_bench::{
    HOST, MANY_TOKENS, NOW, RANDOM, Token, block, configuration, numbered_path, numbered_routes, parse, read,
    secret, settings,
};
use api_guard_core::cells::{CellFault, CellId, Cells, Expected, Loaded, MemoryCells, Stored};
use api_guard_core::index::RouteIndex;
use api_guard_core::limit::{Charge, Identity, Leases, Limiter, Quota};
use api_guard_core::request::host::Host;
use api_guard_core::request::target::Target;
use api_guard_core::revocation::{Aging, Authority, Lifetime, Revocable, Revocations};
use api_guard_core::route::template::Template;
use api_guard_core::route::{Found, PathCase, RouteSpec, RouteTable};
use api_guard_core::seed::Seed;
use api_guard_core::token::cache::TokenCache;
use api_guard_core::token::claim_path::ClaimPath;
use api_guard_core::token::claims::{Claims, ClaimsReader};
use api_guard_core::token::compact::{Compact, decode};
use api_guard_core::token::current::CurrentSets;
use api_guard_core::token::identity::SigningDigest;
use api_guard_core::token::keys::KeySetRevision;
use api_guard_core::token::signature::NoSignatures;
use api_guard_core::token::{self, Means};
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use serde_json::json;

/// The header block, sorted.
fn request(criterion: &mut Criterion) {
    let policy = parse(&configuration(json!({})));
    let bytes = block("/orders/17?expand=lines", Some(&Token::default().mint()));
    criterion.bench_function("request/header block", |bencher| {
        bencher.iter(|| read(&policy, black_box(&bytes)));
    });
    criterion.bench_function("request/path", |bencher| {
        bencher.iter(|| Target::read(black_box(b"/orders/17?expand=lines")));
    });
    criterion.bench_function("request/host", |bencher| {
        bencher.iter(|| Host::read(black_box(HOST.as_bytes())));
    });
}

/// The route of a path, among few and among many.
fn route(criterion: &mut Criterion) {
    const LOOKUPS: usize = 10_000;
    let host = Host::read(HOST.as_bytes()).expect("a good host");
    for count in [10, 10_000] {
        let spec = |id| RouteSpec {
            hosts: Vec::new(),
            template: Template::parse(&format!("{}{{id}}", numbered_path(id))).expect("a good template"),
            methods: vec!["GET".to_owned()],
            index: RouteIndex::new(id),
        };
        let table = RouteTable::build((0..count).map(spec).collect(), false, PathCase::Sensitive)
            .expect("no conflict");
        // Out of order, each as often as any other. As many paths for few routes as for many: reading them costs alike.
        let paths: Vec<String> =
            (0..LOOKUPS).map(|number| format!("{}17", numbered_path(number * 7919 % count))).collect();
        let targets: Vec<Target<'_>> =
            paths.iter().map(|path| Target::read(path.as_bytes()).expect("a good path")).collect();
        let is_route = |target: &Target<'_>| matches!(table.find(&host, target, "GET"), Found::Route { .. });
        assert!(targets.iter().all(is_route));
        let mut targets = targets.iter().cycle();
        criterion.bench_function(&format!("route/among {count}"), |bencher| {
            bencher.iter(|| table.find(&host, targets.next().expect("a cycle has no end"), "GET"));
        });
        let target = targets.next().expect("a cycle has no end");
        criterion.bench_function(&format!("route/among {count}, the same again"), |bencher| {
            bencher.iter(|| table.find(&host, black_box(target), "GET"));
        });
    }
}

/// A token that was seen before, one that was not, and what the second spends its time on.
fn tokens(criterion: &mut Criterion) {
    let policy = parse(&configuration(json!({})));
    let tokens: Vec<String> =
        (0..MANY_TOKENS).map(|serial| Token { serial, ..Token::default() }.mint()).collect();
    let seed = Seed::from_bytes(RANDOM);
    let sets = CurrentSets::configured(policy.tokens().keys());
    let means = Means { sets: &sets, signatures: &NoSignatures, seed: &seed };
    let verify = |token: &str| policy.verify(token.as_bytes(), &means, NOW).expect("a good token");
    let first = tokens.first().expect("a token");

    let mut cache = TokenCache::default();
    cache.remember(first.as_bytes(), KeySetRevision::CONFIGURED, &Rc::new(verify(first)));
    criterion.bench_function("token/known", |bencher| {
        bencher.iter(|| {
            let token = cache
                .find(black_box(first.as_bytes()), KeySetRevision::CONFIGURED)
                .expect("a token that is known");
            policy.tokens().judge_times(&token, NOW)
        });
    });

    let mut cycle = tokens.iter().cycle();
    criterion.bench_function("token/new", |bencher| {
        bencher.iter(|| verify(cycle.next().expect("a cycle has no end")));
    });

    let compact = Compact::read(first.as_bytes(), first.len()).expect("three parts");
    let mac = decode(compact.signature).expect("base64url");
    let secret = secret();
    assert!(secret.verifies(compact.signing_input, &mac));
    criterion.bench_function("token/new: its MAC", |bencher| {
        bencher.iter(|| secret.verifies(black_box(compact.signing_input), &mac));
    });
    criterion.bench_function("token/new: its base64url", |bencher| {
        bencher.iter(|| black_box(compact).decode().is_ok());
    });
    criterion.bench_function("token/new: its identity without a jti", |bencher| {
        bencher.iter(|| SigningDigest::of(black_box(compact.signing_input), &seed));
    });
    let payload = decode(compact.payload).expect("base64url");
    let mut reader = ClaimsReader::default();
    reader.slot(&ClaimPath::parse("permissions").expect("a name"));
    criterion.bench_function("token/new: its claims", |bencher| {
        bencher.iter(|| Claims::read(&reader, black_box(&payload)).expect("claims"));
    });
}

fn revocations(cells: &MemoryCells) -> Revocations {
    Revocations::open(cells, Seed::from_bytes(RANDOM), 65_536).expect("fresh cells")
}

/// Whether a token is revoked, where none is and where many others are.
fn revocation(criterion: &mut Criterion) {
    for count in [0, 60_000] {
        let cells = MemoryCells::new();
        let mut revocations = revocations(&cells);
        for number in 0..count {
            let jti = format!("revoked-{number}");
            revocations
                .revoke(&cells, Revocable::Jti(&jti), Lifetime::ForGood, Authority::Holder, NOW)
                .expect("room");
        }
        revocations.refresh(&cells).expect("no fault");
        assert_eq!(revocations.live(NOW), count);
        let marks: Vec<_> = (0..MANY_TOKENS)
            .map(|number| {
                let jti = format!("{number:016}");
                let identity =
                    token::TokenIdentity::Numbered { issuer: None, subject: Some("user-1"), jti: &jti };
                revocations.marks(&identity, None, Some("user-1"))
            })
            .collect();
        let mut marks = marks.iter().cycle();
        criterion.bench_function(&format!("revocation/among {count}"), |bencher| {
            bencher.iter(|| {
                revocations.refresh(&cells).expect("no fault");
                revocations.is_revoked(marks.next().expect("a cycle has no end"), Some(NOW), NOW)
            });
        });
    }
}

/// One logout after the other, each of another subject and long after the last one has lapsed.
fn logout(criterion: &mut Criterion) {
    for count in [0, 60_000] {
        let cells = MemoryCells::new();
        let mut revocations = revocations(&cells);
        for number in 0..count {
            let jti = format!("revoked-{number}");
            revocations
                .revoke(&cells, Revocable::Jti(&jti), Lifetime::ForGood, Authority::Holder, NOW)
                .expect("room");
        }
        let mut now = NOW;
        criterion.bench_function(&format!("revocation/logout among {count}"), |bencher| {
            bencher.iter(|| {
                now = now.plus_seconds(7200);
                let subject = now.seconds().to_string();
                let identity =
                    token::TokenIdentity::Numbered { issuer: None, subject: Some(&subject), jti: "session" };
                let marks = revocations.marks(&identity, None, Some(&subject));
                let revocable = Revocable::Token { marks: &marks, issued_at: Some(now) };
                let lifetime = Lifetime::UntilSecond(now.seconds().saturating_add(60));
                let authority =
                    Authority::Owner { issuer: None, subject: Some(&subject), aging: Aging::Never };
                revocations.revoke(&cells, revocable, lifetime, authority, now)
            });
        });
        assert!(revocations.live(NOW) >= count);
    }
}

/// Cells that cannot be reached: what passes all the same has not asked them.
struct NoCells;

impl Cells for NoCells {
    fn load(&self, _id: CellId) -> Result<Option<Loaded>, CellFault> {
        Err(CellFault)
    }

    fn store(&self, _id: CellId, _bytes: &[u8], _expected: Expected) -> Result<Stored, CellFault> {
        Err(CellFault)
    }
}

/// One unit of a limit that is never reached: leased, and by a load and a swap of a shared cell.
fn limit(criterion: &mut Criterion) {
    /// The most that a worker leases at once.
    const LEASE: u32 = 31;
    /// Identities of a slot: alone, and as many as the table is made for.
    const IN_A_SLOT: [u128; 2] = [1, 16];
    let quota = Quota {
        max_requests: NonZeroU32::MAX,
        window_seconds: NonZeroU32::new(60).expect("not zero"),
        warn_at_percent: None,
    };
    let charge = |digest| Charge {
        identity: Identity::from_digest(digest),
        overflow: Some(Identity::from_digest(u128::MAX)),
        quota,
        enforced: true,
    };
    let seed = Seed::from_bytes(RANDOM);

    let cells = MemoryCells::new();
    let limiter = Limiter::open(&cells, seed, 16, 1).expect("fresh cells");
    let first = charge(0);
    let leases = RefCell::new(Leases::new());
    let spend_shared =
        || limiter.admit_one(&cells, &mut leases.borrow_mut(), &first, NOW).expect("no fault").admits();
    // A caller who was quiet is leased less.
    (0..100 * LEASE).for_each(|_| assert!(spend_shared()));
    while limiter.admit_one(&NoCells, &mut leases.borrow_mut(), &first, NOW).is_ok() {}
    let left = Cell::new(0);
    criterion.bench_function("limit/leased unit", |bencher| {
        bencher.iter_batched(
            || {
                if left.get() < LEASE {
                    // One more than are left takes the next lease.
                    (0..=left.get()).for_each(|_| assert!(spend_shared()));
                    left.set(LEASE);
                }
            },
            |()| {
                left.set(left.get() - 1);
                limiter.admit_one(&NoCells, &mut leases.borrow_mut(), &first, NOW).expect("a leased unit")
            },
            BatchSize::NumIterations(LEASE.into()),
        );
    });

    for identities in IN_A_SLOT {
        let cells = MemoryCells::new();
        // One slot, which is everybody's.
        let limiter = Limiter::open(&cells, seed, 16, 1).expect("fresh cells");
        let spend = |digest| {
            let outcome = limiter.admit_one(&cells, &mut Leases::none(), &charge(digest), NOW);
            assert!(outcome.is_ok_and(|outcome| outcome.admits()));
        };
        (0..identities).for_each(spend);
        criterion.bench_function(&format!("limit/shared unit, {identities} in the slot"), |bencher| {
            bencher.iter(|| spend(black_box(identities - 1)));
        });
    }
}

/// A configuration's text, read and checked.
fn configure(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("configuration");
    // The larger one takes milliseconds each time.
    group.sample_size(20);
    for count in [10, 10_000] {
        let text = configuration(json!({ "routes": numbered_routes(count) }));
        group.bench_function(format!("{count} routes"), |bencher| bencher.iter(|| parse(black_box(&text))));
    }
    group.finish();
}

criterion_group! { name = benches; config = settings(); targets = request, route, tokens, revocation, logout, limit, configure }
criterion_main!(benches);
