//! What a real store refuses, and what it lets its least user do.

use std::num::NonZeroU32;

use api_guard_core::cells::MemoryCells;
use api_guard_core::fleet::{
    AtStart, CallResponse, Demand, FleetRule, Link, Password, SharedRevocations, Standing,
};
use api_guard_core::limit::Identity;
use api_guard_core::revocation::{Authority, Lifetime, Revocable, Revocations};
use api_guard_core::seed::Seed;
use api_guard_core::time::UnixNanos;

use super::simulation;
use super::store::Store;

fn rule(login: Option<(Option<&str>, &str)>) -> FleetRule {
    let login =
        login.map(|(user, password)| (user.map(str::to_owned), Password::new(password.as_bytes().to_vec())));
    let revocations = SharedRevocations { poll_seconds: 1, at_start: AtStart::Refuse, max_age_seconds: None };
    FleetRule { login, revocations: Some(revocations), ..simulation::rule() }
}

/// What a worker that asks for everything hears: the outcome of its call, and whether it has a unit in hand then.
fn ask_for_all(store: &Store, rule: &FleetRule) -> (&'static str, bool) {
    let now = UnixNanos::from_seconds(1_796_000_000);
    let (cells, seed) = (MemoryCells::new(), Seed::from_bytes([1; 16]));
    let mut revocations = Revocations::open(&cells, seed, 16).unwrap();
    revocations.share_under(&rule.names);
    let mut link = Link::open(rule, seed, [1; 16]);
    let until = Lifetime::UntilSecond(1_797_000_000);
    revocations.revoke(&cells, Revocable::Jti("j"), until, Authority::Holder, now).unwrap();
    link.tell(&revocations.take_entered()).unwrap();
    let demand = Demand {
        identity: Identity::from_digest(7),
        units: NonZeroU32::new(10).unwrap(),
        window_seconds: NonZeroU32::new(60).unwrap(),
    };
    assert_eq!(link.take(rule, demand, now), Standing::Ask);
    link.wait(demand.identity);
    let call = link.begin(rule, &revocations, &cells, now).unwrap();
    let reply = store.call(&call.body);
    let ended =
        link.end(rule, call.number, CallResponse::Reply(&reply), &mut revocations, &cells, now).unwrap();
    (ended.outcome.as_str(), matches!(link.take(rule, demand, now), Standing::Taken(_)))
}

/// The commands that a user of the store needs, as `docs/fleet.md` lists them.
const LEAST: &str = "+auth +quit +eval +evalsha +time +get +set +incr +expire +zadd +zrem +zcard +zscore +zrangebyscore +zremrangebyscore +hget +hset +hdel +info";

#[test]
fn the_least_user_may_do_all_that_is_needed() {
    let Some(store) = Store::start() else { return };
    let page = include_str!("../../../../docs/fleet.md");
    assert!(page.replace("\n  ", " ").contains(LEAST), "docs/fleet.md lists other commands");
    let mut command = vec!["ACL", "SETUSER", "guard", "on", ">hunter2", "~ag:*", "resetchannels", "-@all"];
    command.extend(LEAST.split(' '));
    store.command(&command);
    assert_eq!(ask_for_all(&store, &rule(Some((Some("guard"), "hunter2")))), ("ok", true));
    // Without INFO it does as well, and knows less.
    store.command(&["ACL", "SETUSER", "guard", "-info"]);
    assert_eq!(ask_for_all(&store, &rule(Some((Some("guard"), "hunter2")))), ("ok", true));
    for needed in
        LEAST.split(' ').filter(|command| !["+quit", "+auth", "+info", "+evalsha"].contains(command))
    {
        if ["+zrem", "+hdel"].contains(&needed) {
            continue; // for entries that lapsed long ago
        }
        let without = needed.replace('+', "-");
        store.command(&["FLUSHALL"]);
        store.command(&["ACL", "SETUSER", "guard", &without]);
        let (outcome, _) = ask_for_all(&store, &rule(Some((Some("guard"), "hunter2"))));
        assert_ne!(outcome, "ok", "{needed} is not needed");
        store.command(&["ACL", "SETUSER", "guard", needed]);
    }
}

#[test]
fn each_trouble_of_a_store_has_its_name() {
    let Some(store) = Store::start() else { return };
    assert_eq!(ask_for_all(&store, &rule(None)), ("ok", true));
    assert_eq!(ask_for_all(&store, &rule(Some((None, "wrong")))), ("denied", false));
    assert_eq!(ask_for_all(&store, &rule(Some((Some("nobody"), "wrong")))), ("denied", false));
    store.command(&["CONFIG", "SET", "requirepass", "hunter2"]);
    assert_eq!(ask_for_all(&store, &rule(None)), ("denied", false));
    assert_eq!(ask_for_all(&store, &rule(Some((None, "hunter2")))), ("ok", true));

    let Some(store) = Store::start() else { return };
    store.command(&["CONFIG", "SET", "maxmemory", "1"]);
    assert_eq!(ask_for_all(&store, &rule(None)), ("full", false));

    let Some(store) = Store::start() else { return };
    store.command(&["REPLICAOF", "127.0.0.1", "1"]);
    assert_eq!(ask_for_all(&store, &rule(None)), ("readonly", false));
}
