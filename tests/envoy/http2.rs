//! HTTP/2 as frames (RFC 9113): every header field is written as literal bytes, so that fields which no library would
//! send can be sent. Bodies stay below the 65,535 bytes that a peer grants from the start.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use httlib_hpack::Decoder;

use crate::ask::Body;
use crate::reply::{Cut, PATIENCE, Reply};

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;

const END_STREAM: u8 = 0x1;
const ACK: u8 = 0x1;
const END_HEADERS: u8 = 0x4;
const PADDED: u8 = 0x8;
const PRIORITY: u8 = 0x20;

/// The largest frame that needs no leave from the peer.
const MAX_FRAME: usize = 16_384;

/// A connection; its requests go one after the other.
pub(crate) struct Connection {
    stream: TcpStream,
    decoder: Decoder<'static>,
    next_id: u32,
}

struct Frame {
    kind: u8,
    flags: u8,
    id: u32,
    payload: Vec<u8>,
}

impl Connection {
    pub(crate) fn open(address: SocketAddr) -> std::io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        let mut connection = Self { stream, decoder: Decoder::with_dynamic_size(4096), next_id: 1 };
        connection.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        connection.frame(SETTINGS, 0, 0, &[]);
        Ok(connection)
    }

    /// Sends a request of exactly these fields, in this order, and reads until its stream has ended.
    pub(crate) fn exchange(&mut self, fields: &[(Vec<u8>, Vec<u8>)], body: &Body) -> Result<Reply, Cut> {
        let id = self.send(fields, body);
        self.read(id)
    }

    /// Sends a request without waiting for anything, and returns its stream's number.
    pub(crate) fn send(&mut self, fields: &[(Vec<u8>, Vec<u8>)], body: &Body) -> u32 {
        let id = self.next_id;
        self.next_id += 2;
        let fields = block(fields.iter().map(|(name, value)| (&name[..], &value[..])));
        self.send_headers(id, &fields, matches!(body, Body::None));
        match body {
            Body::None | Body::Declared(_) => {}
            Body::Unfinished(piece) => self.frame(DATA, 0, id, piece),
            Body::Trailed(piece, trailers) => {
                self.frame(DATA, 0, id, piece);
                let names = trailers.iter().map(|(name, _)| name.to_ascii_lowercase()).collect::<Vec<_>>();
                let values = trailers.iter().map(|(_, value)| value.as_bytes());
                let fields = block(names.iter().map(String::as_bytes).zip(values));
                self.send_headers(id, &fields, true);
            }
            Body::Sized(body) => self.send_data(id, std::slice::from_ref(body)),
            Body::Streamed(pieces) => self.send_data(id, pieces),
        }
        id
    }

    fn send_headers(&mut self, id: u32, block: &[u8], ends: bool) {
        let mut parts = block.chunks(MAX_FRAME).peekable();
        let mut kind = HEADERS;
        let mut flags = if ends { END_STREAM } else { 0 };
        while let Some(part) = parts.next() {
            if parts.peek().is_none() {
                flags |= END_HEADERS;
            }
            self.frame(kind, flags, id, part);
            (kind, flags) = (CONTINUATION, 0);
        }
    }

    fn send_data(&mut self, id: u32, pieces: &[Vec<u8>]) {
        for part in pieces.iter().flat_map(|piece| piece.chunks(MAX_FRAME)) {
            self.frame(DATA, 0, id, part);
        }
        self.frame(DATA, END_STREAM, id, &[]);
    }

    /// Sends a piece of the body of a request that was sent without an end.
    pub(crate) fn push(&mut self, id: u32, piece: &[u8]) {
        self.frame(DATA, 0, id, piece);
    }

    /// Sends the last piece of such a body, and reads until its stream has ended.
    pub(crate) fn finish(&mut self, id: u32, piece: &[u8]) -> Result<Reply, Cut> {
        self.frame(DATA, END_STREAM, id, piece);
        self.read(id)
    }

    /// Reads until a stream has ended.
    pub(crate) fn read(&mut self, id: u32) -> Result<Reply, Cut> {
        let mut reply = Reply::default();
        let mut block = Vec::new();
        let mut ends = false;
        loop {
            let frame = self.read_frame()?;
            match frame.kind {
                SETTINGS if frame.flags & ACK == 0 => self.frame(SETTINGS, ACK, 0, &[]),
                PING if frame.flags & ACK == 0 => self.frame(PING, ACK, 0, &frame.payload),
                GOAWAY => return Err(Cut::Closed),
                RST_STREAM if frame.id == id => {
                    return Err(Cut::Reset(u32::from_be_bytes(frame.payload[..4].try_into().unwrap())));
                }
                HEADERS | CONTINUATION => {
                    block.extend_from_slice(unpadded(&frame));
                    ends |= frame.kind == HEADERS && frame.flags & END_STREAM != 0;
                    if frame.flags & END_HEADERS != 0 {
                        self.decode(&mut block, &mut reply);
                        if frame.id == id && ends {
                            return Ok(reply);
                        }
                    }
                }
                DATA if frame.id == id => {
                    reply.body.extend_from_slice(unpadded(&frame));
                    if frame.flags & END_STREAM != 0 {
                        return Ok(reply);
                    }
                }
                _ => {}
            }
        }
    }

    fn decode(&mut self, block: &mut Vec<u8>, reply: &mut Reply) {
        let mut fields = Vec::new();
        self.decoder.decode(block, &mut fields).unwrap();
        block.clear();
        for (name, value, _) in fields {
            if name == b":status" {
                reply.status = String::from_utf8_lossy(&value).parse().unwrap();
            } else {
                reply.headers.push((String::from_utf8_lossy(&name).into_owned(), value));
            }
        }
    }

    fn frame(&mut self, kind: u8, flags: u8, id: u32, payload: &[u8]) {
        let mut bytes = u32::try_from(payload.len()).unwrap().to_be_bytes()[1..].to_vec();
        bytes.extend([kind, flags]);
        bytes.extend(id.to_be_bytes());
        bytes.extend_from_slice(payload);
        self.write(&bytes);
    }

    fn write(&mut self, bytes: &[u8]) {
        // The peer may have answered and closed already: what counts is what is read.
        let _ = self.stream.write_all(bytes);
    }

    fn read_frame(&mut self) -> Result<Frame, Cut> {
        let mut head = [0; 9];
        self.stream.read_exact(&mut head).map_err(|error| Cut::by(&error))?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; length as usize];
        self.stream.read_exact(&mut payload).map_err(|error| Cut::by(&error))?;
        let id = u32::from_be_bytes([head[5] & 0x7F, head[6], head[7], head[8]]);
        Ok(Frame { kind: head[3], flags: head[4], id, payload })
    }
}

/// Fields as literals without indexing, with new names (RFC 7541, section 6.2.2).
fn block<'a>(fields: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        literal(&mut block, name);
        literal(&mut block, value);
    }
    block
}

/// A string literal, not Huffman-coded (RFC 7541, sections 5.1 and 5.2).
fn literal(block: &mut Vec<u8>, bytes: &[u8]) {
    let Some(mut rest) = bytes.len().checked_sub(127) else {
        block.push(bytes.len() as u8);
        block.extend_from_slice(bytes);
        return;
    };
    block.push(127);
    while rest >= 128 {
        block.push((rest % 128) as u8 | 0x80);
        rest /= 128;
    }
    block.push(rest as u8);
    block.extend_from_slice(bytes);
}

/// A frame's payload without padding and priority.
fn unpadded(frame: &Frame) -> &[u8] {
    let mut payload = &frame.payload[..];
    if frame.kind != CONTINUATION && frame.flags & PADDED != 0 {
        payload = &payload[1..payload.len() - usize::from(payload[0])];
    }
    if frame.kind == HEADERS && frame.flags & PRIORITY != 0 {
        payload = &payload[5..];
    }
    payload
}
