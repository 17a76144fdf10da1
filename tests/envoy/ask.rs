//! One request, to be sent over either protocol, with any bytes anywhere.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::process::Envoy;
use crate::reply::{Cut, Reply};
use crate::{http1, http2};

/// The protocol that the client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    Http1,
    Http2,
}

/// Both, for rules that hold over each.
pub(crate) const BOTH: [Protocol; 2] = [Protocol::Http1, Protocol::Http2];

/// What follows the headers.
#[derive(Debug, Clone)]
pub(crate) enum Body {
    None,
    /// With its length declared.
    Sized(Vec<u8>),
    /// A declared length, and then nothing.
    Declared(String),
    /// In pieces and without a declared length: chunked over HTTP/1, plain DATA frames over HTTP/2.
    Streamed(Vec<Vec<u8>>),
    /// One piece without a declared length, and then trailers.
    Trailed(Vec<u8>, Vec<(&'static str, &'static str)>),
    /// One piece, without a declared length and without an end.
    Unfinished(Vec<u8>),
}

/// A request. `send` gives each copy that is sent an `x-test-id` of its own, by which the service's records and the
/// access log find it again.
#[derive(Clone)]
pub(crate) struct Ask {
    pub(crate) method: Vec<u8>,
    /// None only makes sense over HTTP/2, where `:path` can be left out.
    pub(crate) path: Option<Vec<u8>>,
    pub(crate) host: Vec<u8>,
    pub(crate) headers: Vec<(String, Vec<u8>)>,
    pub(crate) body: Body,
}

impl std::fmt::Debug for Ask {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let path = self.path.as_deref().map(<[u8]>::escape_ascii);
        write!(
            f,
            "{} {}",
            self.method.escape_ascii(),
            path.map_or_else(|| "-".to_owned(), |path| path.to_string())
        )?;
        for (name, value) in &self.headers {
            write!(f, ", {name}: {}", value.escape_ascii())?;
        }
        Ok(())
    }
}

impl Ask {
    pub(crate) fn new(method: impl AsRef<[u8]>, path: impl AsRef<[u8]>) -> Self {
        Self {
            method: method.as_ref().to_vec(),
            path: Some(path.as_ref().to_vec()),
            host: b"api.example.com".to_vec(),
            headers: Vec::new(),
            body: Body::None,
        }
    }

    pub(crate) fn get(path: impl AsRef<[u8]>) -> Self {
        Self::new("GET", path)
    }

    /// A POST with a JSON body.
    pub(crate) fn post(path: impl AsRef<[u8]>) -> Self {
        Self::new("POST", path).header("content-type", "application/json").body(Body::Sized(b"{}".to_vec()))
    }

    pub(crate) fn host(mut self, host: impl AsRef<[u8]>) -> Self {
        self.host = host.as_ref().to_vec();
        self
    }

    pub(crate) fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers.push((name.to_owned(), value.as_ref().to_vec()));
        self
    }

    pub(crate) fn token(self, token: &str) -> Self {
        self.header("authorization", format!("Bearer {token}"))
    }

    pub(crate) fn body(mut self, body: Body) -> Self {
        self.body = body;
        self
    }

    /// As `send`, over an HTTP/1 connection that is open already.
    #[track_caller]
    pub(crate) fn send_on(&self, connection: &mut http1::Connection) -> Reply {
        let (test, ask) = self.marked();
        match connection.exchange(&ask.http1(), self.method == b"HEAD") {
            Ok(reply) => Reply { test, ..reply }.keeps_secrets(),
            Err(cut) => panic!("{cut:?} instead of a reply to {self:?}"),
        }
    }

    /// A copy with an `x-test-id` of its own.
    fn marked(&self) -> (String, Self) {
        static SENT: AtomicU32 = AtomicU32::new(0);
        let test = format!("t{}", SENT.fetch_add(1, Ordering::Relaxed));
        let ask = self.clone().header("x-test-id", &test);
        (test, ask)
    }

    /// The reply, or how the exchange was cut; and the `x-test-id` that was sent.
    pub(crate) fn try_send(&self, envoy: &Envoy, protocol: Protocol) -> (String, Result<Reply, Cut>) {
        let (test, ask) = self.marked();
        let outcome = match protocol {
            Protocol::Http1 => {
                let mut connection = http1::Connection::open(envoy.address()).unwrap();
                connection.exchange(&ask.http1(), self.method == b"HEAD")
            }
            Protocol::Http2 => {
                let mut connection = http2::Connection::open(envoy.address()).unwrap();
                connection.exchange(&ask.http2(), &ask.body)
            }
        };
        let outcome = outcome.map(|reply| Reply { test: test.clone(), ..reply }.keeps_secrets());
        (test, outcome)
    }

    /// The reply, which must come.
    #[track_caller]
    pub(crate) fn send(&self, envoy: &Envoy, protocol: Protocol) -> Reply {
        let (_, outcome) = self.try_send(envoy, protocol);
        outcome.unwrap_or_else(|cut| panic!("{cut:?} instead of a reply to {self:?} over {protocol:?}"))
    }

    /// The request's bytes (RFC 9112).
    pub(crate) fn http1(&self) -> Vec<u8> {
        let path = self.path.as_deref().expect("HTTP/1 has no request without a target");
        let mut bytes = [&self.method, path].join(&b' ');
        bytes.extend_from_slice(b" HTTP/1.1\r\nhost: ");
        bytes.extend_from_slice(&self.host);
        bytes.extend_from_slice(b"\r\n");
        for (name, value) in &self.headers {
            bytes.extend_from_slice(name.as_bytes());
            bytes.extend_from_slice(b": ");
            bytes.extend_from_slice(value);
            bytes.extend_from_slice(b"\r\n");
        }
        match &self.body {
            Body::None => bytes.extend_from_slice(b"\r\n"),
            Body::Sized(body) => {
                bytes.extend_from_slice(format!("content-length: {}\r\n\r\n", body.len()).as_bytes());
                bytes.extend_from_slice(body);
            }
            Body::Declared(length) => {
                bytes.extend_from_slice(format!("content-length: {length}\r\n\r\n").as_bytes());
            }
            Body::Streamed(chunks) => {
                bytes.extend_from_slice(b"transfer-encoding: chunked\r\n\r\n");
                bytes.extend(chunks.iter().flat_map(|piece| chunk(piece)));
                bytes.extend_from_slice(b"0\r\n\r\n");
            }
            Body::Trailed(piece, trailers) => {
                bytes.extend_from_slice(b"transfer-encoding: chunked\r\n\r\n");
                bytes.extend(chunk(piece));
                bytes.extend_from_slice(b"0\r\n");
                for (name, value) in trailers {
                    bytes.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
                }
                bytes.extend_from_slice(b"\r\n");
            }
            Body::Unfinished(piece) => {
                bytes.extend_from_slice(b"transfer-encoding: chunked\r\n\r\n");
                bytes.extend(chunk(piece));
            }
        }
        bytes
    }

    /// The request's header fields (RFC 9113, section 8.3.1).
    pub(crate) fn http2(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut fields =
            vec![(b":method".to_vec(), self.method.clone()), (b":scheme".to_vec(), b"http".to_vec())];
        fields.push((b":authority".to_vec(), self.host.clone()));
        fields.extend(self.path.iter().map(|path| (b":path".to_vec(), path.clone())));
        for (name, value) in &self.headers {
            fields.push((name.to_ascii_lowercase().into_bytes(), value.clone()));
        }
        match &self.body {
            Body::None | Body::Streamed(_) | Body::Trailed(..) | Body::Unfinished(_) => {}
            Body::Sized(body) => {
                fields.push((b"content-length".to_vec(), body.len().to_string().into_bytes()))
            }
            Body::Declared(length) => fields.push((b"content-length".to_vec(), length.clone().into_bytes())),
        }
        fields
    }
}

/// A chunk (RFC 9112, section 7.1); nothing for an empty piece, which would end the body.
pub(crate) fn chunk(piece: &[u8]) -> Vec<u8> {
    if piece.is_empty() {
        Vec::new()
    } else {
        [format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat()
    }
}
