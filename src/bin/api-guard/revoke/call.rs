//! One call to the store: a connection, all commands, all answers.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use api_guard_core::fleet::MOST_REPLY_BYTES;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::clock;
use crate::upstream::{Upstream, system_trust};

/// How long connecting, and each piece of what is said, may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long all of the answers may take, nanoseconds.
const LONGEST_NANOS: u64 = 10_000_000_000;

/// Why there is no reply.
pub(super) enum NoReply {
    /// There is no connection, for this reason.
    NotReached(String),
    /// Nothing came in time.
    Silent,
}

/// Sends `commands`, which end with QUIT, and reads what is answered to them.
pub(super) fn call(store: &Upstream, commands: &[u8]) -> Result<Vec<u8>, NoReply> {
    let stream = connect(store)?;
    if !store.tls {
        let mut stream = stream;
        // A store that refuses the connection may have said why and closed it.
        let sent = stream.write_all(commands).and_then(|()| stream.shutdown(Shutdown::Write));
        let closed = "it closes the connection; where it speaks TLS, write rediss://";
        return answers(&mut stream, sent.err().map(|_| closed));
    }
    let mut stream = StreamOwned::new(session(store)?, stream);
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock).map_err(|error| {
            NoReply::NotReached(format!("TLS fails ({error}); where it speaks no TLS, write redis://"))
        })?;
    }
    let sent = stream.write_all(commands).and_then(|()| stream.flush());
    answers(&mut stream, sent.err().map(|_| "it closes the connection"))
}

fn connect(store: &Upstream) -> Result<TcpStream, NoReply> {
    let not_reached = |error: std::io::Error| NoReply::NotReached(error.to_string());
    let addresses = (store.host.as_str(), store.port).to_socket_addrs().map_err(not_reached)?;
    let mut last = None;
    for address in addresses {
        match TcpStream::connect_timeout(&address, PATIENCE) {
            Ok(stream) => {
                let limited = stream.set_read_timeout(Some(PATIENCE));
                limited.and_then(|()| stream.set_write_timeout(Some(PATIENCE))).map_err(not_reached)?;
                return Ok(stream);
            }
            Err(error) => last = Some(error),
        }
    }
    Err(last.map_or_else(|| NoReply::NotReached("the name has no address".to_owned()), not_reached))
}

fn session(store: &Upstream) -> Result<ClientConnection, NoReply> {
    let not_reached = |why: String| NoReply::NotReached(why);
    let trust = system_trust();
    let certificates = CertificateDer::pem_file_iter(&trust).map_err(|error| {
        not_reached(format!("the system's certificates cannot be read: {trust}: {error}"))
    })?;
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(certificates.filter_map(Result::ok));
    let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let name = ServerName::try_from(store.host.clone())
        .map_err(|_| not_reached(format!("{} is no name that a certificate can have", store.host)))?;
    ClientConnection::new(Arc::new(config), name).map_err(|error| not_reached(error.to_string()))
}

/// Everything up to the end of the connection. `unsent`: if not all was sent, what to say of a store that says nothing.
fn answers(stream: &mut impl Read, unsent: Option<&str>) -> Result<Vec<u8>, NoReply> {
    let started = clock::now().nanos();
    let mut reply = Vec::new();
    let mut piece = [0; 4096];
    loop {
        match stream.read(&mut piece) {
            Ok(0) => break,
            Ok(length) => reply.extend_from_slice(piece.get(..length).unwrap_or_default()),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                return Err(NoReply::Silent);
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            // What has come may still say why, and whether it is whole shows.
            Err(_) => break,
        }
        if reply.len() > MOST_REPLY_BYTES || clock::now().nanos().abs_diff(started) > LONGEST_NANOS {
            break;
        }
    }
    if let Some(why) = unsent.filter(|_| reply.is_empty()) {
        return Err(NoReply::NotReached(why.to_owned()));
    }
    Ok(reply)
}
