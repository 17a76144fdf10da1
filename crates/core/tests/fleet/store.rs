//! A real store: `redis-server` or `valkey-server` of this machine, on a socket of its own, without a file.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// A store that ends with this value.
pub(crate) struct Store {
    process: Child,
    socket: PathBuf,
}

/// An item of a reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Item {
    Number(i64),
    Text(String),
    Error(String),
    List(Vec<Item>),
    Nothing,
}

impl Store {
    /// A store without content; `None`, and a word to that end, if this machine has none.
    pub(crate) fn start() -> Option<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let socket = std::env::temp_dir().join(format!("api-guard-store-{}-{number}", std::process::id()));
        let start = |program: &str| {
            Command::new(program)
                .args(["--port", "0", "--save", "", "--appendonly", "no", "--unixsocket"])
                .arg(&socket)
                .stdout(Stdio::null())
                .spawn()
                .ok()
        };
        let Some(process) = start("redis-server").or_else(|| start("valkey-server")) else {
            eprintln!("skipped: this machine has neither redis-server nor valkey-server");
            return None;
        };
        let store = Self { process, socket };
        for _ in 0..2000 {
            if UnixStream::connect(&store.socket).is_ok() {
                return Some(store);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        panic!("the store does not listen");
    }

    /// Sends bytes as the host does: all of them, then the end. The whole reply.
    pub(crate) fn call(&self, bytes: &[u8]) -> Vec<u8> {
        let mut stream = UnixStream::connect(&self.socket).unwrap();
        stream.write_all(bytes).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut reply = Vec::new();
        stream.read_to_end(&mut reply).unwrap();
        reply
    }

    /// Sends one command.
    pub(crate) fn command(&self, arguments: &[&str]) -> Item {
        let reply = self.call(&command(arguments));
        let (item, rest) = read(&reply);
        assert!(rest.is_empty(), "{}", String::from_utf8_lossy(&reply));
        item
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = std::fs::remove_file(&self.socket);
    }
}

impl Item {
    pub(crate) fn numbers(self) -> Vec<i64> {
        let Self::List(items) = self else { panic!("{self:?}") };
        let number = |item| if let Self::Number(number) = item { number } else { panic!("{item:?}") };
        items.into_iter().map(number).collect()
    }
}

/// A command as bytes.
pub(crate) fn command(arguments: &[&str]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", arguments.len()).into_bytes();
    for argument in arguments {
        bytes.extend_from_slice(format!("${}\r\n{argument}\r\n", argument.len()).as_bytes());
    }
    bytes
}

fn read(bytes: &[u8]) -> (Item, &[u8]) {
    let end = bytes.windows(2).position(|two| two == b"\r\n").unwrap();
    let line = String::from_utf8_lossy(&bytes[1..end]).into_owned();
    let rest = &bytes[end + 2..];
    match bytes[0] {
        b'+' => (Item::Text(line), rest),
        b'-' => (Item::Error(line), rest),
        b':' => (Item::Number(line.parse().unwrap()), rest),
        b'$' if line == "-1" => (Item::Nothing, rest),
        b'$' => {
            let length: usize = line.parse().unwrap();
            (Item::Text(String::from_utf8_lossy(&rest[..length]).into_owned()), &rest[length + 2..])
        }
        b'*' => {
            let mut items = Vec::new();
            let mut rest = rest;
            for _ in 0..line.parse().unwrap() {
                let (item, after) = read(rest);
                items.push(item);
                rest = after;
            }
            (Item::List(items), rest)
        }
        other => panic!("{other}"),
    }
}
