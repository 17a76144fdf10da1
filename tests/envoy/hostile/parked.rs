//! A request whose headers Envoy has, and whose body is still to come.

use crate::ask::{Ask, Body, Protocol, chunk};
use crate::process::Envoy;
use crate::reply::{Cut, Reply};
use crate::{http1, http2};

pub(super) struct Parked {
    connection: Connection,
    /// The `x-test-id`.
    pub(super) test: String,
}

enum Connection {
    /// Chunked.
    Http1(http1::Connection),
    Http2(http2::Connection, u32),
}

impl Parked {
    /// Sends `ask` with a body of unknown size of which nothing comes yet, and waits until Envoy has begun with it.
    pub(super) fn new(envoy: &Envoy, protocol: Protocol, ask: Ask) -> Result<Self, Cut> {
        let test = super::fresh("parked");
        let ask = ask.header("x-test-id", &test).body(Body::Unfinished(Vec::new()));
        let connection = match protocol {
            Protocol::Http1 => {
                let mut connection = http1::Connection::open(envoy.address()).unwrap();
                connection.write(&ask.header("expect", "100-continue").http1());
                connection.await_continue()?;
                Connection::Http1(connection)
            }
            Protocol::Http2 => {
                let mut connection = http2::Connection::open(envoy.address()).unwrap();
                let stream = connection.send(&ask.http2(), &ask.body);
                // One connection's streams are begun with in their order.
                connection.exchange(&Ask::get("/public/after").http2(), &Body::None)?;
                Connection::Http2(connection, stream)
            }
        };
        Ok(Self { connection, test })
    }

    /// Sends a piece of the body, which must not be empty.
    pub(super) fn push(&mut self, piece: &[u8]) {
        match &mut self.connection {
            Connection::Http1(connection) => connection.write(&chunk(piece)),
            Connection::Http2(connection, stream) => connection.push(*stream, piece),
        }
    }

    /// Sends the last piece of the body, which must not be empty, and reads the reply.
    pub(super) fn finish(mut self, piece: &[u8]) -> Result<Reply, Cut> {
        let reply = match &mut self.connection {
            Connection::Http1(connection) => {
                connection.exchange(&[&chunk(piece)[..], b"0\r\n\r\n"].concat(), false)
            }
            Connection::Http2(connection, stream) => connection.finish(*stream, piece),
        };
        self.mark(reply)
    }

    /// Sends nothing more, and reads the reply.
    pub(super) fn read(mut self) -> Result<Reply, Cut> {
        let reply = match &mut self.connection {
            Connection::Http1(connection) => connection.exchange(b"", false),
            Connection::Http2(connection, stream) => connection.read(*stream),
        };
        self.mark(reply)
    }

    fn mark(self, reply: Result<Reply, Cut>) -> Result<Reply, Cut> {
        reply.map(|reply| Reply { test: self.test, ..reply }.keeps_secrets())
    }
}
