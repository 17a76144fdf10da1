//! A real store: `redis-server` or `valkey-server` of this machine, and what it answers item by item.

use api_guard_testkit::Redis;

/// A store that ends with this value.
pub(crate) struct Store(Redis);

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
        Redis::start(&[]).map(Self)
    }

    /// Sends bytes as the host does: all of them, then the end. The whole reply.
    pub(crate) fn call(&self, bytes: &[u8]) -> Vec<u8> {
        self.0.call(bytes)
    }

    /// Sends one command.
    pub(crate) fn command(&self, arguments: &[&str]) -> Item {
        let reply = self.0.command(arguments);
        let (item, rest) = read(reply.as_bytes());
        assert!(rest.is_empty(), "{reply}");
        item
    }
}

impl Item {
    pub(crate) fn numbers(self) -> Vec<i64> {
        let Self::List(items) = self else { panic!("{self:?}") };
        let number = |item| if let Self::Number(number) = item { number } else { panic!("{item:?}") };
        items.into_iter().map(number).collect()
    }
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
