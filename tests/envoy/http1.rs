//! HTTP/1.1 as bytes: what is given is written as it is, and one response is read (RFC 9112).

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};

use crate::reply::{Cut, PATIENCE, Reply};

/// A connection that stays open between exchanges, as long as the other side lets it.
pub(crate) struct Connection {
    reader: BufReader<TcpStream>,
}

/// The replies to a request that so many connections send before the first of them is read.
pub(crate) fn all_at_once(address: SocketAddr, request: &[u8], count: usize) -> impl Iterator<Item = Reply> {
    let mut connections: Vec<Connection> = (0..count).map(|_| Connection::open(address).unwrap()).collect();
    for connection in &mut connections {
        connection.write(request);
    }
    connections.into_iter().map(|mut connection| connection.read(false).unwrap())
}

impl Connection {
    pub(crate) fn open(address: SocketAddr) -> std::io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        Ok(Self { reader: BufReader::new(stream) })
    }

    /// The stream beneath, when nothing is left to be read.
    pub(crate) fn into_stream(self) -> TcpStream {
        self.reader.into_inner()
    }

    /// Writes a request and reads its response, which has no body if the request was a HEAD.
    pub(crate) fn exchange(&mut self, request: &[u8], head: bool) -> Result<Reply, Cut> {
        self.write(request);
        self.read(head)
    }

    /// Writes a part of a request.
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        // A refusal may come, and the connection close, before everything is written: what counts is what is read.
        let _ = self.reader.get_mut().write_all(bytes);
    }

    /// Waits until Envoy has begun with a request that expects 100 (RFC 9110, section 10.1.1).
    pub(crate) fn await_continue(&mut self) -> Result<(), Cut> {
        let reply = self.read_head()?;
        assert_eq!(reply.status, 100, "{reply:?}");
        Ok(())
    }

    fn read(&mut self, head: bool) -> Result<Reply, Cut> {
        let mut reply = self.read_head()?;
        while reply.status / 100 == 1 && reply.status != 101 {
            reply = self.read_head()?;
        }
        if head || [101, 204, 304].contains(&reply.status) {
            return Ok(reply);
        }
        if reply.all("transfer-encoding").iter().any(|value| value == "chunked") {
            loop {
                let size = usize::from_str_radix(&self.line()?, 16).map_err(|_| Cut::Closed)?;
                reply.body.extend(self.exactly(size)?);
                self.line()?;
                if size == 0 {
                    return Ok(reply);
                }
            }
        }
        match reply.all("content-length").first() {
            Some(length) => reply.body = self.exactly(length.parse().unwrap())?,
            None => drop(self.reader.read_to_end(&mut reply.body)),
        }
        Ok(reply)
    }

    fn read_head(&mut self) -> Result<Reply, Cut> {
        let first = self.line()?;
        let status = first.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok());
        let mut reply = Reply { status: status.unwrap_or_else(|| panic!("{first}")), ..Reply::default() };
        loop {
            let line = self.line()?;
            if line.is_empty() {
                return Ok(reply);
            }
            let (name, value) = line.split_once(':').unwrap_or_else(|| panic!("{line}"));
            reply.headers.push((name.to_ascii_lowercase(), value.trim().as_bytes().to_vec()));
        }
    }

    fn line(&mut self) -> Result<String, Cut> {
        let mut line = Vec::new();
        match self.reader.read_until(b'\n', &mut line) {
            Ok(_) if line.ends_with(b"\n") => Ok(String::from_utf8_lossy(&line).trim_end().to_owned()),
            Ok(_) => Err(Cut::Closed),
            Err(error) => Err(Cut::by(&error)),
        }
    }

    fn exactly(&mut self, length: usize) -> Result<Vec<u8>, Cut> {
        let mut bytes = vec![0; length];
        self.reader.read_exact(&mut bytes).map_err(|error| Cut::by(&error))?;
        Ok(bytes)
    }
}
