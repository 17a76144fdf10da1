//! The service behind Envoy: answers 200 to everything, or 101 to what asks for another protocol, and remembers what
//! reached it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// The service's answer, which distinguishes its replies from any others.
pub(crate) const BODY: &[u8] = b"upstream says hello\n";

/// One request as it arrived.
#[derive(Debug, Clone, Default)]
pub(crate) struct Heard {
    pub(crate) method: String,
    pub(crate) target: String,
    /// In order, names in lower case, repeats kept.
    pub(crate) headers: Vec<(String, Vec<u8>)>,
    pub(crate) body: Vec<u8>,
    /// In order, names in lower case, repeats kept.
    pub(crate) trailers: Vec<(String, Vec<u8>)>,
    /// The body arrived to its end.
    pub(crate) complete: bool,
}

impl Heard {
    /// All values of one header.
    pub(crate) fn all(&self, name: &str) -> Vec<String> {
        let values = self.headers.iter().filter(|(found, _)| found == name);
        values.map(|(_, value)| String::from_utf8_lossy(value).into_owned()).collect()
    }

    /// The value of a header that must be there once.
    pub(crate) fn one(&self, name: &str) -> String {
        let values = self.all(name);
        assert_eq!(values.len(), 1, "{name} in {self:?}");
        values[0].clone()
    }
}

/// A running service. Its threads end with Envoy's connections, or with the process.
pub(crate) struct Upstream {
    pub(crate) port: u16,
    heard: Arc<Mutex<Vec<Heard>>>,
}

impl Upstream {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let shared = Arc::clone(&heard);
        std::thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || serve(&connection, &shared));
            }
        });
        Self { port, heard }
    }

    /// What arrived with this `x-test-id`, in order.
    pub(crate) fn heard(&self, test: &str) -> Vec<Heard> {
        let heard = self.heard.lock().unwrap();
        heard.iter().filter(|request| request.all("x-test-id").iter().any(|id| id == test)).cloned().collect()
    }

    /// Everything that arrived, in order.
    pub(crate) fn all(&self) -> Vec<Heard> {
        self.heard.lock().unwrap().clone()
    }

    /// Everything that arrived for this path, whatever its query.
    pub(crate) fn heard_for(&self, path: &str) -> usize {
        let heard = self.heard.lock().unwrap();
        heard.iter().filter(|request| request.target.split('?').next() == Some(path)).count()
    }
}

fn serve(connection: &TcpStream, heard: &Mutex<Vec<Heard>>) -> Option<()> {
    let mut reader = BufReader::new(connection);
    loop {
        let request = read_head(&mut reader)?;
        let method = request.method.clone();
        let chunked =
            request.all("transfer-encoding").iter().any(|value| value.eq_ignore_ascii_case("chunked"));
        let length = request.all("content-length").first().map_or(0, |value| value.parse().unwrap());
        let upgrades = !request.all("upgrade").is_empty();
        let index = {
            let mut heard = heard.lock().unwrap();
            heard.push(request);
            heard.len() - 1
        };
        // Kept as it grows: a test may ask what has arrived of a body that never ends.
        let mut keep = |bytes: &[u8]| heard.lock().unwrap()[index].body.extend_from_slice(bytes);
        if chunked {
            read_chunks(&mut reader, &mut keep)?;
            let trailers = read_fields(&mut reader)?;
            heard.lock().unwrap()[index].trailers = trailers;
        } else {
            keep(&read_exactly(&mut reader, length)?);
        }
        heard.lock().unwrap()[index].complete = true;
        if upgrades {
            return echo(&mut reader);
        }
        // In one write: two would wait for each other's acknowledgement.
        let mut answer =
            format!("HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: {}\r\n\r\n", BODY.len())
                .into_bytes();
        if method != "HEAD" {
            answer.extend_from_slice(BODY);
        }
        let mut connection = connection;
        connection.write_all(&answer).ok()?;
    }
}

/// Speaks the other protocol that was asked for, which says back what it hears.
fn echo(reader: &mut BufReader<&TcpStream>) -> Option<()> {
    let mut connection = *reader.get_ref();
    let switching = b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";
    connection.write_all(switching).ok()?;
    std::io::copy(reader, &mut connection).ok().map(drop)
}

fn read_head(reader: &mut impl BufRead) -> Option<Heard> {
    let mut line = Vec::new();
    reader.read_until(b'\n', &mut line).ok()?;
    let first = String::from_utf8_lossy(&line).into_owned();
    let mut parts = first.trim_end().splitn(3, ' ');
    let (method, target) = (parts.next()?.to_owned(), parts.next()?.to_owned());
    Some(Heard { method, target, headers: read_fields(reader)?, ..Heard::default() })
}

/// Headers or trailers, up to the empty line behind them.
fn read_fields(reader: &mut impl BufRead) -> Option<Vec<(String, Vec<u8>)>> {
    let mut fields = Vec::new();
    loop {
        let mut line = Vec::new();
        reader.read_until(b'\n', &mut line).ok()?;
        let field = line.trim_ascii_end();
        if field.is_empty() {
            return Some(fields);
        }
        let colon = field.iter().position(|byte| *byte == b':')?;
        let name = String::from_utf8_lossy(&field[..colon]).to_ascii_lowercase();
        fields.push((name, field[colon + 1..].trim_ascii().to_vec()));
    }
}

fn read_chunks(reader: &mut impl BufRead, keep: &mut impl FnMut(&[u8])) -> Option<()> {
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let size = usize::from_str_radix(line.trim(), 16).ok()?;
        if size == 0 {
            return Some(());
        }
        let chunk = read_exactly(reader, size)?;
        read_exactly(reader, 2)?;
        keep(&chunk);
    }
}

fn read_exactly(reader: &mut impl Read, length: usize) -> Option<Vec<u8>> {
    let mut bytes = vec![0; length];
    reader.read_exact(&mut bytes).ok()?;
    Some(bytes)
}
