//! The guard against a model of SPEC section 3 that is written for clarity alone: random configurations, random
//! requests, one verdict. The model knows requests as their makers do (which token is expired, which path is
//! ambiguous); the guard sees bytes.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test that cannot go on fails"
)]

mod reference;

use api_guard::cells::MemoryCells;
use api_guard::config::{Environment, Policy};
use api_guard::guard::{Guard, Proxy, Worker};
use api_guard::request::Request;
use api_guard::time::UnixNanos;
use api_guard::token::keys::Secret;
use ct_codecs::{Base64UrlSafeNoPadding, Encoder};
use reference::{Asked, Credential, Model, PATHS, Rules};
use serde_json::{Value, json};

const SECRET: &str = "a-secret-of-the-tests-that-is-long-enough";
/// Start of a sub-window of every window that is a multiple of 16 seconds.
const START: u64 = 1_790_000_000 / 16 * 16;

/// Numbers from a seed (xorshift64*): a failing round is named by its seed.
pub(crate) struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let high = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(high).unwrap() % sides
    }

    fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.roll(from.len())].clone()
    }

    fn chance(&mut self, of_ten: usize) -> bool {
        self.roll(10) < of_ten
    }
}

struct Client<'a>(&'a MemoryCells, String);

impl Proxy for Client<'_> {
    type Cells = MemoryCells;

    fn cells(&self) -> &MemoryCells {
        self.0
    }

    fn source_address(&self) -> Option<Vec<u8>> {
        Some(self.1.clone().into_bytes())
    }
}

fn sign(header: &Value, payload: &Value, secret: &str) -> String {
    let encode = |part: &[u8]| Base64UrlSafeNoPadding::encode_to_string(part).unwrap();
    let input =
        format!("{}.{}", encode(header.to_string().as_bytes()), encode(payload.to_string().as_bytes()));
    let mac = Secret::from_bytes(secret.as_bytes()).unwrap().mac(input.as_bytes());
    format!("{input}.{}", encode(&mac))
}

/// The token that a credential stands for.
fn token(credential: &Credential, now: u64) -> String {
    let good = |sub: &str, permissions: &[String]| json!({ "sub": sub, "iat": now - 10, "exp": now + 100, "permissions": permissions });
    let header = json!({ "alg": "HS256" });
    match credential {
        Credential::None | Credential::Two => String::new(),
        Credential::Good { sub, permissions } => sign(&header, &good(sub, permissions), SECRET),
        Credential::Bad("token_expired") => {
            sign(&header, &json!({ "sub": "u1", "iat": 1, "exp": now }), SECRET)
        }
        Credential::Bad("token_not_yet_valid") => {
            sign(&header, &json!({ "sub": "u1", "iat": now, "exp": now + 9, "nbf": now + 1 }), SECRET)
        }
        Credential::Bad("token_signature_invalid") => sign(&header, &good("u1", &[]), &SECRET.to_uppercase()),
        Credential::Bad("token_algorithm_refused") => {
            sign(&json!({ "alg": "none" }), &good("u1", &[]), SECRET)
        }
        Credential::Bad("token_key_unknown") => {
            sign(&json!({ "alg": "HS256", "kid": "x" }), &good("u1", &[]), SECRET)
        }
        Credential::Bad("claim_missing") => sign(&header, &json!({ "iat": now, "exp": now + 9 }), SECRET),
        Credential::Bad("claim_invalid") => {
            sign(&header, &json!({ "sub": "u1", "iat": now, "exp": "9" }), SECRET)
        }
        Credential::Bad("permissions_malformed") => {
            sign(&header, &json!({ "sub": "u1", "iat": now, "exp": now + 9, "permissions": ["X"] }), SECRET)
        }
        Credential::Bad("token_malformed") => "a.b".to_owned(),
        Credential::Bad(other) => panic!("no token for {other}"),
    }
}

/// A verdict as the model has it.
struct Said {
    /// The refusal that is carried out or reported.
    code: String,
    passes: bool,
    /// Whom the upstream is told of.
    identity: Option<String>,
}

fn guard_says(guard: &Guard, worker: &mut Worker, cells: &MemoryCells, asked: &Asked, now: u64) -> Said {
    let mut headers: Vec<(Vec<u8>, Vec<u8>)> = vec![
        (b":method".to_vec(), asked.method.as_bytes().to_vec()),
        (b":path".to_vec(), asked.path.sent.as_bytes().to_vec()),
        (b":authority".to_vec(), b"API.example:8080".to_vec()),
    ];
    let mut add = |name: &str, value: String| headers.push((name.as_bytes().to_vec(), value.into_bytes()));
    if let Some(content_type) = asked.content_type {
        add("content-type", content_type.to_owned());
    }
    if let Some(length) = asked.length {
        add("content-length", length.to_string());
    }
    match &asked.credential {
        Credential::None => {}
        Credential::Two => add("authorization", "Bearer a.b.c,Bearer d.e.f".to_owned()),
        one @ (Credential::Good { .. } | Credential::Bad(_)) => {
            add("authorization", format!("Bearer {}", token(one, now)));
        }
    }
    let pairs = headers.iter().map(|(name, value)| (name.as_slice(), value.as_slice()));
    let request = Request::read(guard.policy().header_plan(), pairs, asked.length.is_some());
    let client = Client(cells, format!("192.0.2.{}:1", asked.address));
    let verdict = guard.admit(worker, &request, &client, UnixNanos::from_seconds(now));
    Said {
        code: verdict.refusal().map_or("ok", |denial| denial.code().as_str()).to_owned(),
        passes: verdict.denial.is_none() && !verdict.revokes,
        identity: verdict.identity().and_then(|caller| caller.token.subject()).map(str::to_owned),
    }
}

fn ask(dice: &mut Dice) -> Asked {
    let credential = match dice.roll(8) {
        0 => Credential::None,
        1 => Credential::Two,
        2 => Credential::Bad(dice.pick(&reference::BAD_TOKENS)),
        _ => {
            let permissions =
                reference::PERMISSIONS.iter().filter(|_| dice.chance(5)).map(|&name| name.to_owned());
            Credential::Good {
                permissions: permissions.collect(),
                sub: dice.pick(&["u1", "u2", "denied"]).to_owned(),
            }
        }
    };
    Asked {
        method: dice.pick(&["GET", "POST", "PUT", "DELETE", "HEAD", "PATCH", "OPTIONS", "get"]),
        path: dice.pick(&PATHS),
        content_type: dice.pick(&[
            None,
            Some("application/json"),
            Some("Application/JSON; a=b"),
            Some("text/plain"),
        ]),
        length: dice.pick(&[None, Some(1), Some(1000), Some(1001)]),
        credential,
        address: dice.roll(3),
    }
}

/// `decisions` verdicts under configurations that change every 200 requests.
fn compare(seed: u64, decisions: usize) {
    let mut dice = Dice(seed);
    let mut seen = std::collections::BTreeMap::<String, usize>::new();
    for round in 0..decisions.div_ceil(200) {
        let rules = Rules::random(&mut dice);
        // In report mode everything passes, and the guard says at every step what it would have answered.
        let reports = round % 2 == 1;
        let mut config = rules.configuration();
        config["mode"] = json!(if reports { "report" } else { "enforce" });
        let environment = Environment { lookup: &|_| Some(SECRET.as_bytes().to_vec()), must_be_set: true };
        let policy = Policy::parse(config.to_string().as_bytes(), &environment)
            .unwrap_or_else(|errors| panic!("{config}\n{errors}"));
        let guard = Guard::new(policy);
        let cells = MemoryCells::new();
        let mut worker =
            Worker::open(guard.policy(), &cells, [u8::try_from(round % 251).unwrap(); 16]).unwrap();
        let mut model = Model::new(rules);
        let mut now = START;
        for _ in 0..200 {
            now += [0, 0, 0, 1, 1, 5, 17][dice.roll(7)];
            let asked = ask(&mut dice);
            let expected = model.judge(&asked, now);
            let said = guard_says(&guard, &mut worker, &cells, &asked, now);
            let case = format!("seed {seed}, round {round}, {asked:?} under {config}");
            assert_eq!(said.code, expected, "{case}");
            assert_eq!(said.passes, reports || expected == "ok", "{case}");
            if said.passes {
                assert_eq!(said.identity, model.identity(&asked), "{case}");
            }
            *seen.entry(said.code).or_default() += 1;
        }
    }
    // The dice reach every kind of verdict, or the comparison says little.
    for code in [
        "ok",
        "path_ambiguous",
        "method_not_allowed",
        "request_too_large",
        "unsupported_media_type",
        "credentials_ambiguous",
        "token_missing",
        "token_expired",
        "token_revoked",
        "rate_limited",
        "permission_missing",
        "binding_mismatch",
        "route_denied",
        "auth_failures_limited",
    ] {
        assert!(seen.get(code).is_some_and(|times| *times >= decisions / 2000), "{code}: {seen:?}");
    }
}

#[test]
fn guard_and_model_agree() {
    compare(0x5eed, 100_000);
}

#[test]
#[ignore = "ten million decisions, for make soak"]
fn guard_and_model_agree_for_long() {
    for seed in 1..=100 {
        compare(seed, 100_000);
    }
}
