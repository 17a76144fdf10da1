//! An issuer of tokens: its server on loopback publishes a key set, says exactly the bytes that a test wants it to say,
//! and remembers who asked.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Condvar, Mutex};

use api_guard_testkit::{IssuerKey, key_set, lay_over};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};

use crate::listening::Listening;
use crate::process::eventually;
use crate::token::payload;

/// The host name of every server.
pub(crate) const HOST: &str = "login.example.com";

/// The issuer of [`signed`].
pub(crate) const ISSUER: &str = "https://login.example.com/";

/// What a server does with a request.
#[derive(Debug, Clone)]
pub(crate) enum Says {
    /// Writes these bytes and ends the connection.
    Bytes(Vec<u8>),
    /// Writes these bytes and then nothing, and the connection stays.
    Silence(Vec<u8>),
    /// Waits until the server says something else, and then says that.
    Later,
    /// Resets the connection.
    Reset,
}

impl Says {
    /// Status 200, with this body.
    pub(crate) fn body(body: impl AsRef<[u8]>) -> Self {
        Self::with("200 OK", "", body)
    }

    /// A status, more header lines, and a body.
    pub(crate) fn with(status: &str, more: &str, body: impl AsRef<[u8]>) -> Self {
        let body = body.as_ref();
        let head = format!(
            "HTTP/1.1 {status}\r\ncontent-type: application/jwk-set+json\r\n{more}connection: close\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        Self::Bytes([head.as_bytes(), body].concat())
    }

    /// A set of the keys for ES256 of these numbers, whose kids are their numbers.
    pub(crate) fn keys(numbers: &[u8]) -> Self {
        let jwk = |number: &u8| IssuerKey::es256(*number).jwk(Some(&number.to_string()));
        Self::body(key_set(&numbers.iter().map(jwk).collect::<Vec<_>>()).to_string())
    }
}

/// A token by the key of this number, whose kid is the number.
pub(crate) fn signed(number: u8) -> String {
    signed_for(ISSUER, number)
}

/// As [`signed`], of another issuer.
pub(crate) fn signed_for(issuer: &str, number: u8) -> String {
    IssuerKey::es256(number).token(Some(&number.to_string()), &payload(json!({ "iss": issuer })))
}

/// A key set of the configuration that is fetched from the cluster of the same name, with changes.
pub(crate) fn remote_set(name: &str, issuer: &str, changes: Value) -> Value {
    let mut set = json!({
        "name": name,
        "issuers": [issuer],
        "jwks": { "cluster": name, "path": "/keys?v=1", "authority": HOST },
    });
    lay_over(&mut set, &changes);
    set
}

/// What server and test share.
struct Shared {
    says: Mutex<Says>,
    changed: Condvar,
    /// The head of each request, as it came.
    heard: Mutex<Vec<String>>,
    tls: Option<Arc<ServerConfig>>,
}

/// An issuer's server. It is down until it is told to go up.
pub(crate) struct KeyServer {
    shared: Arc<Shared>,
    listening: Listening,
    /// The certificate of who has signed its own, in PEM.
    authority: Option<String>,
}

impl KeyServer {
    /// A server that speaks HTTP in the clear.
    pub(crate) fn down() -> Self {
        Self::new(None, None)
    }

    /// A server that speaks it over TLS, with a certificate by an authority of its own.
    pub(crate) fn down_with_tls() -> Self {
        let (tls, authority) = certified();
        Self::new(Some(tls), Some(authority))
    }

    /// A server that is up.
    pub(crate) fn up(says: Says) -> Self {
        let server = Self::down();
        server.go_up(says);
        server
    }

    fn new(tls: Option<ServerConfig>, authority: Option<String>) -> Self {
        let shared = Shared {
            says: Mutex::new(Says::Later),
            changed: Condvar::new(),
            heard: Mutex::default(),
            tls: tls.map(Arc::new),
        };
        Self { shared: Arc::new(shared), listening: Listening::on("127.0.0.9"), authority }
    }

    /// Begins to listen.
    pub(crate) fn go_up(&self, says: Says) {
        self.say(says);
        let shared = Arc::clone(&self.shared);
        self.listening.go_up(move |connection| shared.serve(connection));
    }

    /// Refuses connections from now on.
    pub(crate) fn go_down(&self) {
        self.listening.go_down();
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.listening.address()
    }

    /// Changes what it says.
    pub(crate) fn say(&self, says: Says) {
        *self.shared.says.lock().unwrap() = says;
        self.shared.changed.notify_all();
    }

    /// How many requests have come.
    pub(crate) fn fetches(&self) -> usize {
        self.shared.heard.lock().unwrap().len()
    }

    /// The heads of the requests.
    pub(crate) fn heard(&self) -> Vec<String> {
        self.shared.heard.lock().unwrap().clone()
    }

    /// Waits until so many requests have come.
    #[track_caller]
    pub(crate) fn await_fetches(&self, count: usize) {
        eventually("nobody fetches the keys", || (self.fetches() >= count).then_some(()));
    }

    /// The cluster by which Envoy reaches it, over TLS if the server speaks that.
    pub(crate) fn cluster(&self, name: &str) -> Value {
        self.cluster_trusting(name, self.authority.as_deref())
    }

    /// The same, with another authority.
    pub(crate) fn cluster_trusting(&self, name: &str, authority: Option<&str>) -> Value {
        let address = json!({ "socket_address": {
            "address": self.address().ip().to_string(), "port_value": self.address().port(),
        } });
        let mut cluster = json!({
            "name": name,
            "type": "STATIC",
            "connect_timeout": "5s",
            "load_assignment": {
                "cluster_name": name,
                "endpoints": [{ "lb_endpoints": [{ "endpoint": { "address": address } }] }],
            },
        });
        if let Some(authority) = authority {
            cluster["transport_socket"] = json!({
                "name": "envoy.transport_sockets.tls",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
                    "sni": HOST,
                    "common_tls_context": { "validation_context": {
                        "trusted_ca": { "inline_string": authority },
                        "match_typed_subject_alt_names": [{ "san_type": "DNS", "matcher": { "exact": HOST } }],
                    } },
                },
            });
        }
        cluster
    }
}

impl Drop for KeyServer {
    fn drop(&mut self) {
        self.go_down();
        self.say(Says::Reset);
    }
}

impl Shared {
    /// One connection, and one request on it.
    fn serve(&self, connection: TcpStream) -> Option<()> {
        if matches!(*self.says.lock().unwrap(), Says::Reset) {
            // A connection that is closed before what has come was read is reset.
            connection.peek(&mut [0]).ok()?;
            self.heard.lock().unwrap().push(String::new());
            return None;
        }
        match &self.tls {
            None => self.answer(connection),
            Some(tls) => {
                let session = ServerConnection::new(Arc::clone(tls)).ok()?;
                self.answer(StreamOwned::new(session, connection))
            }
        }
    }

    fn answer(&self, stream: impl Read + Write) -> Option<()> {
        let mut reader = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if reader.read_line(&mut head).ok()? == 0 {
                return None;
            }
        }
        self.heard.lock().unwrap().push(head);
        let says = self.says.lock().unwrap();
        let says = self.changed.wait_while(says, |says| matches!(says, Says::Later)).unwrap().clone();
        let stream = reader.get_mut();
        match says {
            Says::Bytes(bytes) => {
                stream.write_all(&bytes).ok()?;
                stream.flush().ok()
            }
            Says::Silence(bytes) => {
                stream.write_all(&bytes).ok()?;
                stream.flush().ok()?;
                // Until Envoy has enough of it.
                reader.read_to_end(&mut Vec::new()).ok().map(drop)
            }
            Says::Later | Says::Reset => None,
        }
    }
}

/// A TLS server, and the authority that vouches for it.
fn certified() -> (ServerConfig, String) {
    let key = KeyPair::generate().unwrap();
    let mut of_authority = CertificateParams::new(Vec::new()).unwrap();
    // Another name than the certificate that it signs has, which would look as if it had signed itself.
    of_authority.distinguished_name.push(DnType::CommonName, "the tests' authority");
    of_authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = of_authority.self_signed(&key).unwrap().pem();
    let issuer = Issuer::new(of_authority, key);
    let key = KeyPair::generate().unwrap();
    let certificate =
        CertificateParams::new(vec![HOST.to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
    let chain: Vec<CertificateDer<'static>> = vec![certificate.der().clone()];
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    (config, authority)
}

/// The certificate of an authority that vouches for nobody.
pub(crate) fn other_authority() -> String {
    certified().1
}
