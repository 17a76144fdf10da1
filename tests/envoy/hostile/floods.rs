//! One client that takes what there is for all.

use serde_json::json;

use super::{Class, ROOM, fresh, scene};
use crate::ask::{Ask, BOTH, Body, Protocol};
use crate::http1::Connection;
use crate::process::{Envoy, eventually};
use crate::token::token;

pub(super) fn classes() -> Vec<Class> {
    vec![
        scene("an address of one's own choice", &BOTH, addresses, "429 rate_limited"),
        scene("paths that were made up", &[Protocol::Http1], made_up_paths, "200"),
        scene("bodies that never end", &[Protocol::Http1], endless_bodies, "200"),
    ]
}

/// Envoy calls this client internal, and leaves in place what it says. All of its requests count for one address.
fn addresses(envoy: &Envoy, protocol: Protocol) -> String {
    let ask = |address: &str| {
        let ask = Ask::get("/addressed").header("x-envoy-external-address", address);
        ask.header("x-envoy-internal", "false").try_send(envoy, protocol).1
    };
    let _ = ask("203.0.113.1");
    ask("203.0.113.2").map_or_else(|cut| format!("{cut:?}"), |reply| reply.verdict())
}

/// The flood crowds its own limit only: two newcomers of another limit are counted one by one.
fn made_up_paths(envoy: &Envoy, protocol: Protocol) -> String {
    let mut connection = Connection::open(envoy.address()).unwrap();
    let mut ask = || Ask::get(format!("/made-up/{}", fresh("path"))).send_on(&mut connection).status;
    // Four slots of 48 entries, of which this limit can have 30 each. So many refusals in a row come from all of them.
    const ROW: usize = 30;
    let (mut sent, mut row) = (0, 0);
    while row < ROW {
        row = if ask() == 429 { row + 1 } else { 0 };
        sent += 1;
        if sent > 2000 {
            return "a table that does not fill up".to_owned();
        }
    }
    let mut verdict = String::new();
    for _ in 0..2 {
        let honest = token(json!({ "sub": fresh("honest") }));
        let (_, outcome) = Ask::get("/honest").token(&honest).try_send(envoy, protocol);
        verdict = outcome.map_or_else(|cut| format!("{cut:?}"), |reply| reply.verdict());
        if verdict != "200" {
            break;
        }
    }
    verdict
}

/// They take no more than there is, and give it back when their clients have gone.
fn endless_bodies(envoy: &Envoy, protocol: Protocol) -> String {
    const PIECE: usize = ROOM / 8;
    let body = Ask::post("/upload").body(Body::Unfinished(vec![b'x'; PIECE])).http1();
    let connections: Vec<_> = (0..10)
        .map(|_| {
            let mut connection = Connection::open(envoy.address()).unwrap();
            connection.write(&body);
            connection
        })
        .collect();
    let honest = Ask::post("/upload").body(Body::Streamed(vec![vec![b'x'; PIECE]]));
    let meets = |wanted: &str| {
        eventually(wanted, || {
            let (_, outcome) = honest.try_send(envoy, protocol);
            outcome.is_ok_and(|reply| reply.verdict() == wanted).then_some(())
        });
    };
    meets("503 busy");
    drop(connections);
    meets("200");
    "200".to_owned()
}
