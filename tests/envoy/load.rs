//! Requests by the hundred thousand, of which only the statuses are kept.
//!
//! One thread asks over many connections at once, one request on each (Envoy closes an HTTP/1 connection on which it
//! answers several pipelined requests by itself), and then reads all replies.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use crate::process::Envoy;

/// The connections of one thread.
pub(crate) struct Crowd {
    connections: Vec<BufReader<TcpStream>>,
    /// How many of them wait for a reply.
    waiting: usize,
    buffer: Vec<u8>,
}

impl Crowd {
    /// So many crowds, each with so many connections to each worker.
    pub(crate) fn gather(envoy: &Envoy, crowds: usize, to_each_worker: usize) -> Vec<Self> {
        let mut gathered: Vec<_> =
            (0..crowds).map(|_| Self { connections: Vec::new(), waiting: 0, buffer: Vec::new() }).collect();
        for of_worker in envoy.to_each_worker(crowds * to_each_worker) {
            for (index, connection) in of_worker.into_iter().enumerate() {
                gathered[index % crowds].connections.push(BufReader::new(connection.into_stream()));
            }
        }
        gathered
    }

    /// Sends a GET of `/` with this `x-key`; hands statuses to `judge`, when there are some, in the order of requests.
    pub(crate) fn ask(&mut self, key: &str, judge: impl FnMut(u16)) {
        self.buffer.clear();
        self.buffer.extend_from_slice(b"GET / HTTP/1.1\r\nhost: a\r\nx-key: ");
        self.buffer.extend_from_slice(key.as_bytes());
        self.buffer.extend_from_slice(b"\r\n\r\n");
        self.connections[self.waiting].get_mut().write_all(&self.buffer).unwrap();
        self.waiting += 1;
        if self.waiting == self.connections.len() {
            self.finish(judge);
        }
    }

    /// Waits for the replies that are still to come.
    pub(crate) fn finish(&mut self, mut judge: impl FnMut(u16)) {
        for index in 0..std::mem::take(&mut self.waiting) {
            judge(self.status(index));
        }
    }

    fn status(&mut self, connection: usize) -> u16 {
        let reader = &mut self.connections[connection];
        let mut read_line = |line: &mut Vec<u8>| {
            line.clear();
            reader.read_until(b'\n', line).unwrap();
        };
        let line = &mut self.buffer;
        read_line(line);
        let status = line.get(9..12).and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
        let status = status.unwrap_or_else(|| panic!("no status: {}", line.escape_ascii()));
        let mut length = 0;
        loop {
            read_line(line);
            if line == b"\r\n" {
                break;
            }
            if let Some(value) = line.strip_prefix(b"content-length: ") {
                length = std::str::from_utf8(value).unwrap().trim().parse().unwrap();
            }
        }
        std::io::copy(&mut Read::take(reader, length), &mut std::io::sink()).unwrap();
        status
    }
}
