//! Bodies that are held back: how long they may take, how much room there is for them, and whether their caller is still
//! welcome when they have come.

use std::time::Duration;

use serde_json::{Value, json};

use crate::ask::{Ask, BOTH, Body, Protocol};
use crate::http1::Connection;
use crate::kind;
use crate::observed::{counted, counts_to};
use crate::process::{Envoy, eventually};
use crate::reply::Reply;
use crate::setup::{Setup, policy};
use crate::token::{now, token};
use crate::{http1, http2};

const ENDPOINT: &str = "/auth/revoke";

fn start(changes: Value) -> Envoy {
    let mut plugin = policy(changes);
    plugin["revocation"]["endpoint"] = json!({ "path": ENDPOINT });
    Envoy::start(Setup::new(&plugin))
}

/// A request of which part has been sent, and which Envoy has begun to judge.
struct Parked {
    connection: Connection,
    test: String,
}

impl Parked {
    /// Sends the headers of `ask` and what it has of a body, and waits until Envoy has them.
    fn new(envoy: &Envoy, ask: Ask, test: &str) -> Self {
        let begun = || envoy.stat("http.ingress.downstream_rq_total");
        let before = begun();
        let mut connection = Connection::open(envoy.address()).unwrap();
        connection.write(&ask.header("x-test-id", test).http1());
        eventually("Envoy does not see the request", || (begun() > before).then_some(()));
        Self { connection, test: test.to_owned() }
    }

    /// Sends the rest, and reads the reply.
    fn finish(mut self, rest: &[u8]) -> Reply {
        Reply { test: self.test, ..self.connection.exchange(rest, false).unwrap() }
    }
}

/// A body of unknown size that has begun.
fn begun(token: &str) -> Ask {
    Ask::post("/x").token(token).body(Body::Unfinished(b"{".to_vec()))
}

const REST: &[u8] = b"1\r\n}\r\n0\r\n\r\n";

/// A limit that is far away.
fn wide() -> Value {
    json!({ "rate_limits": [{ "name": "wide", "max_requests": 1000, "window_seconds": 60, "key": ["client_ip"] }] })
}

fn log_out(envoy: &Envoy, token: &str) {
    assert_eq!(Ask::new("POST", ENDPOINT).token(token).send(envoy, Protocol::Http1).status, 200);
}

#[test]
fn a_held_request_passes_only_with_a_token_that_is_still_good() {
    let envoy = start(wide());
    let good = token(json!({ "jti": "good" }));
    let revoked = token(json!({ "jti": "revoked" }));
    let expiring = token(json!({ "jti": "expiring", "exp": now() + 3 }));
    let parked = [("good", &good), ("revoked", &revoked), ("expiring", &expiring)]
        .map(|(test, token)| Parked::new(&envoy, begun(token), test));
    log_out(&envoy, &revoked);
    eventually("the token does not expire", || {
        let reply = Ask::get("/x").token(&expiring).send(&envoy, Protocol::Http1);
        (reply.verdict() == "401 token_expired").then_some(())
    });
    let [good, revoked, expiring] = parked.map(|parked| parked.finish(REST));
    assert_eq!(good.forwarded(&envoy).body, b"{}");
    assert_eq!([&good, &revoked, &expiring].map(|reply| reply.all("ratelimit").len()), [1, 0, 0]);
    revoked.refused(&envoy, 401, "token_revoked");
    expiring.refused(&envoy, 401, "token_expired");
    let access = envoy.access("revoked");
    assert_eq!(
        (&access["code"], &access["details"]),
        (&json!("token_revoked"), &json!("api_guard_token_revoked"))
    );
    let line = eventually("no line", || {
        envoy.events().into_iter().find(|event| event["code"] == "token_revoked" && event["path"] == "/x")
    });
    assert_eq!((&line["event"], &line["jti"]), (&json!("refused"), &json!("revoked")));
    counts_to(&envoy, "refused", "token_revoked", 1);
    envoy.assert_healthy();
}

#[test]
fn a_token_that_was_revoked_revokes_nothing_through_requests_parked_before() {
    let envoy = start(json!({}));
    let officer = |jti: &str| token(json!({ "sub": jti, "jti": jti, "permissions": ["tokens:revoke"] }));
    let (stolen, owner) = (officer("stolen"), token(json!({ "sub": "owner", "jti": "stolen-too" })));
    let body = |sub: &str| json!({ "sub": sub, "issued_before": now() + 5000 }).to_string();
    let park = |by: &str, sub: &str, test: &str| {
        let ask = Ask::post(ENDPOINT).token(by).body(Body::Declared(body(sub).len().to_string()));
        Parked::new(&envoy, ask, test)
    };
    let of_officer = park(&stolen, "user-7", "officer");
    let of_owner = ["one", "two", "three"].map(|test| park(&owner, "owner", test));
    log_out(&envoy, &owner);
    let revoke = Body::Sized(json!({ "token": stolen }).to_string().into_bytes());
    let done = Ask::post(ENDPOINT).token(&officer("other")).body(revoke).send(&envoy, Protocol::Http1);
    assert_eq!(done.status, 200);

    of_officer.finish(body("user-7").as_bytes()).refused(&envoy, 401, "token_revoked");
    Ask::get("/x").token(&token(json!({}))).send(&envoy, Protocol::Http1).forwarded(&envoy);
    // Each time the owner logs in anew.
    for (number, parked) in of_owner.into_iter().enumerate() {
        let fresh = token(json!({ "sub": "owner", "jti": format!("fresh-{number}") }));
        Ask::get("/x").token(&fresh).send(&envoy, Protocol::Http1).forwarded(&envoy);
        parked.finish(body("owner").as_bytes()).refused(&envoy, 401, "token_revoked");
        Ask::get("/x").token(&fresh).send(&envoy, Protocol::Http1).forwarded(&envoy);
    }
    counts_to(&envoy, "refused", "token_revoked", 4);
    assert_eq!(envoy.counter("api_guard_revocations_total.outcome.revoked"), 2);
    envoy.assert_healthy();
}

#[test]
fn a_body_that_does_not_come_is_given_up() {
    let envoy = start(wide());
    let good = token(json!({}));
    let endpoint = || Ask::post(ENDPOINT).token(&good).body(Body::Declared("20".to_owned()));
    let nothing = Ask::post("/x").token(&good).body(Body::Unfinished(Vec::new()));
    let asks = [("endpoint", endpoint()), ("begun", begun(&good)), ("nothing", nothing)];
    let parked = asks.clone().map(|(test, ask)| Parked::new(&envoy, ask, test));
    let [endpoint, begun, _] = asks.map(|(_, ask)| {
        let mut connection = http2::Connection::open(envoy.address()).unwrap();
        let stream = connection.send(&ask.http2(), &ask.body);
        (connection, stream)
    });
    for parked in parked {
        let reply = parked.finish(b"");
        let problem = reply.refused(&envoy, 408, "body_timeout");
        assert_eq!(problem["detail"], "Request body did not arrive in time");
        assert_eq!(reply.all("connection"), ["close"]);
        assert_eq!(reply.all("ratelimit"), [""; 0]);
        assert_eq!(envoy.access(&reply.test)["code"], "body_timeout");
    }
    for (mut connection, stream) in [endpoint, begun] {
        let reply = connection.read(stream).unwrap();
        assert_eq!((reply.verdict(), reply.all("connection")), ("408 body_timeout".to_owned(), Vec::new()));
    }
    Ask::get("/x").token(&good).send(&envoy, Protocol::Http1).forwarded(&envoy);
    counts_to(&envoy, "refused", "body_timeout", 5);
    assert_eq!(envoy.upstream.heard_for("/x"), 1);
    envoy.assert_healthy();
}

#[test]
fn any_number_of_bodies_may_be_given_up_at_a_time() {
    let envoy = start(json!({}));
    let request = begun(&token(json!({}))).http1();
    for reply in http1::all_at_once(envoy.address(), &request, 1500) {
        assert_eq!(reply.verdict(), "408 body_timeout");
    }
    counts_to(&envoy, "refused", "body_timeout", 1500);
    envoy.assert_healthy();
}

#[test]
fn without_the_option_that_delivers_bodies_a_request_is_released_when_its_body_has_come_and_not_before() {
    if !kind::runs(kind::UNDELIVERED_BODIES) {
        return;
    }
    let setup = Setup::new(&policy(json!({})));
    let envoy = Envoy::start(Setup { allow_on_headers_stop_iteration: false, ..setup });
    let nothing = Ask::post("/x").token(&token(json!({}))).body(Body::Unfinished(Vec::new()));
    let parked = Parked::new(&envoy, nothing, "first");
    // Longer than a request was held that nobody knew anything of.
    std::thread::sleep(Duration::from_secs(6));
    assert!(envoy.upstream.heard("first").is_empty());
    let reply = parked.finish(&[b"1\r\n{\r\n", REST].concat());
    assert_eq!(reply.forwarded(&envoy).body, b"{}");
}

/// What one process may hold in the test of that.
const ROOM: u64 = 8 << 20;
/// A body just below what is held of one.
const LARGE: usize = 1_040_000;

fn held(envoy: &Envoy) -> u64 {
    envoy.counter("api_guard_held_bytes")
}

#[test]
fn bodies_that_never_end_take_no_more_memory_than_there_is_room_for() {
    let mut plugin = policy(json!({
        "request": { "max_held_bytes": ROOM },
        "routes": [{ "path": "/login", "methods": ["POST"], "access": "public" }],
    }));
    plugin["replies"] = json!({});
    let envoy = Envoy::start(Setup { concurrency: 2, ..Setup::new(&plugin) });
    let small = Ask::post("/login").body(Body::Streamed(vec![b"{}".to_vec(); 2]));
    small.send(&envoy, Protocol::Http1).forwarded(&envoy);
    let before = envoy.resident_kib();
    let flood = Ask::post("/login").body(Body::Unfinished(vec![b'x'; LARGE])).http1();
    let mut connections: Vec<_> = (0..100)
        .map(|_| {
            let mut connection = http1::Connection::open(envoy.address()).unwrap();
            connection.write(&flood);
            connection
        })
        .collect();
    let most = usize::try_from(ROOM).unwrap() / LARGE;
    let refused = eventually("too few are refused", || {
        let refused = usize::try_from(counted(&envoy, "refused", "busy")).unwrap();
        (refused >= 100 - most).then_some(refused)
    });
    let added = envoy.resident_kib().saturating_sub(before);
    println!("{refused} of 100 refused, {added} KiB more, {} bytes held", held(&envoy));
    assert!(added < ROOM / 1024 + 24 * 1024, "{added} KiB");
    assert_eq!(envoy.upstream.heard_for("/login"), 1);
    eventually("the gauge does not show it", || (held(&envoy) > 0).then_some(()));
    assert!(held(&envoy) <= ROOM);
    // Whoever is refused hears when to try again.
    let answered = connections.pop().unwrap().exchange(b"", false).unwrap();
    assert_eq!((answered.verdict().as_str(), answered.one("retry-after").as_str()), ("503 busy", "1"));

    drop(connections);
    eventually("what the clients left is held for ever", || (held(&envoy) == 0).then_some(()));
    for protocol in BOTH {
        let large = Body::Streamed(vec![vec![b'x'; 60_000]]);
        Ask::post("/login").body(large).send(&envoy, protocol).forwarded(&envoy);
    }
    envoy.assert_healthy();
}
