//! How are commands written for the store, and how are its replies read?
//!
//! The Redis serialization protocol, version 2 (redis.io/docs/latest/develop/reference/protocol-spec): commands are arrays of
//! bulk strings. A call is one connection: the host closes its side behind the commands, and the store answers what it has
//! read. The last command is therefore QUIT. Only a reply that ends with its `+OK` is whole, and nothing of any other is
//! believed.
//!
//! A reply is bytes from outside. Nothing here allocates by a length that the store names.

/// The longest reply that is read, bytes. The longest that is asked for has 60 KB.
pub const MOST_REPLY_BYTES: usize = 1 << 20;

/// Commands, as they are sent.
#[derive(Debug, Default)]
pub(super) struct Commands(Vec<u8>);

impl Commands {
    /// Begins a command of so many arguments, its name included. They must follow.
    pub(super) fn begin(&mut self, arguments: usize) {
        self.head(b'*', arguments);
    }

    /// The next argument.
    pub(super) fn text(&mut self, argument: &[u8]) {
        self.head(b'$', argument.len());
        self.0.extend_from_slice(argument);
        self.0.extend_from_slice(b"\r\n");
    }

    /// The next argument, a number.
    pub(super) fn number(&mut self, argument: u64) {
        let mut digits = [b'0'; 20];
        self.text(decimal(argument, &mut digits));
    }

    /// A command of texts alone.
    pub(super) fn all(&mut self, arguments: &[&[u8]]) {
        self.begin(arguments.len());
        for argument in arguments {
            self.text(argument);
        }
    }

    /// The bytes to send, with QUIT behind them.
    pub(super) fn end(mut self) -> Vec<u8> {
        self.all(&[b"QUIT"]);
        self.0
    }

    fn head(&mut self, kind: u8, length: usize) {
        self.0.push(kind);
        let mut digits = [b'0'; 20];
        self.0.extend_from_slice(decimal(u64::try_from(length).unwrap_or(u64::MAX), &mut digits));
        self.0.extend_from_slice(b"\r\n");
    }
}

/// The decimal digits of a number.
fn decimal(number: u64, digits: &mut [u8; 20]) -> &[u8] {
    let mut rest = number;
    let mut start = digits.len();
    for (index, digit) in digits.iter_mut().enumerate().rev() {
        // The digits' characters are b'0' and the digit in its lowest bits.
        *digit = b'0' | u8::try_from(rest % 10).unwrap_or_default();
        start = index;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    digits.get(start..).unwrap_or_default()
}

/// One item of a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Item<'a> {
    /// A simple string.
    Status(&'a [u8]),
    /// An error: its first word is its kind.
    Error(&'a [u8]),
    /// An integer.
    Integer(i64),
    /// A bulk string.
    Bulk(&'a [u8]),
    /// Nothing, in place of a bulk string or an array.
    Null,
    /// The head of an array; so many items follow.
    Array(usize),
}

/// A reply that is not of the protocol, or not the one that was asked for, or not whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

/// Reads a reply, item by item.
#[derive(Debug, Clone)]
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Reads `reply`, which is whole: it ends with the answer to QUIT.
    ///
    /// # Errors
    ///
    /// [`Malformed`] if it does not, or is too long.
    pub(super) fn new(reply: &'a [u8]) -> Result<Self, Malformed> {
        let body = reply.strip_suffix(b"+OK\r\n").filter(|_| reply.len() <= MOST_REPLY_BYTES);
        body.map(Self).ok_or(Malformed)
    }

    /// The next item; `None` at the end.
    ///
    /// # Errors
    ///
    /// [`Malformed`].
    pub(super) fn next(&mut self) -> Result<Option<Item<'a>>, Malformed> {
        let Some((kind, rest)) = self.0.split_first() else { return Ok(None) };
        self.0 = rest;
        let line = self.line()?;
        Ok(Some(match kind {
            b'+' => Item::Status(line),
            b'-' => Item::Error(line),
            b':' => Item::Integer(integer(line)?),
            b'$' | b'*' if line == b"-1" => Item::Null,
            b'$' => Item::Bulk(self.bulk(line)?),
            b'*' => {
                let length = usize::try_from(integer(line)?).map_err(|_| Malformed)?;
                // No item is shorter than four bytes.
                if length > self.0.len() / 4 {
                    return Err(Malformed);
                }
                Item::Array(length)
            }
            _ => return Err(Malformed),
        }))
    }

    /// The next item, which is a number that is not negative.
    ///
    /// # Errors
    ///
    /// [`Malformed`].
    pub(super) fn number(&mut self) -> Result<u64, Malformed> {
        match self.next()? {
            Some(Item::Integer(number)) => u64::try_from(number).map_err(|_| Malformed),
            Some(Item::Status(_) | Item::Error(_) | Item::Bulk(_) | Item::Null | Item::Array(_)) | None => {
                Err(Malformed)
            }
        }
    }

    /// The next items, an array of so many numbers, or the error in its place.
    ///
    /// # Errors
    ///
    /// [`Malformed`].
    pub(super) fn numbers<const N: usize>(&mut self) -> Result<Result<[u64; N], &'a [u8]>, Malformed> {
        match self.next()? {
            Some(Item::Array(length)) if length == N => {
                let mut numbers = [0; N];
                for number in &mut numbers {
                    *number = self.number()?;
                }
                Ok(Ok(numbers))
            }
            Some(Item::Error(error)) => Ok(Err(error)),
            Some(Item::Status(_) | Item::Integer(_) | Item::Bulk(_) | Item::Null | Item::Array(_)) | None => {
                Err(Malformed)
            }
        }
    }

    fn line(&mut self) -> Result<&'a [u8], Malformed> {
        let end = crate::bytes::find(self.0, b'\r').ok_or(Malformed)?;
        let (line, rest) = self.0.split_at_checked(end).ok_or(Malformed)?;
        self.0 = rest.strip_prefix(b"\r\n").ok_or(Malformed)?;
        Ok(line)
    }

    fn bulk(&mut self, length: &[u8]) -> Result<&'a [u8], Malformed> {
        let length = usize::try_from(integer(length)?).map_err(|_| Malformed)?;
        let (bulk, rest) = self.0.split_at_checked(length).ok_or(Malformed)?;
        self.0 = rest.strip_prefix(b"\r\n").ok_or(Malformed)?;
        Ok(bulk)
    }
}

/// A decimal number as the store writes it.
fn integer(digits: &[u8]) -> Result<i64, Malformed> {
    let (negative, digits) = match digits.strip_prefix(b"-") {
        Some(digits) => (true, digits),
        None => (false, digits),
    };
    if digits.is_empty() || digits.len() > 19 {
        return Err(Malformed);
    }
    let mut number = 0_i64;
    for digit in digits {
        let value = digit.checked_sub(b'0').filter(|value| *value <= 9).ok_or(Malformed)?;
        number = number
            .checked_mul(10)
            .and_then(|number| number.checked_add(i64::from(value)))
            .ok_or(Malformed)?;
    }
    Ok(if negative { number.saturating_neg() } else { number })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn items(reply: &[u8]) -> Result<Vec<Item<'_>>, Malformed> {
        let mut reader = Reader::new(reply)?;
        std::iter::from_fn(|| reader.next().transpose()).collect()
    }

    #[test]
    fn commands_are_arrays_of_bulk_strings_and_quit_is_the_last() {
        let mut commands = Commands::default();
        commands.begin(3);
        commands.text(b"SET");
        commands.text(b"a\r\nb");
        commands.number(u64::MAX);
        commands.all(&[b"PING"]);
        let sent = b"*3\r\n$3\r\nSET\r\n$4\r\na\r\nb\r\n$20\r\n18446744073709551615\r\n*1\r\n$4\r\nPING\r\n*1\r\n$4\r\nQUIT\r\n";
        assert_eq!(commands.end(), sent);
    }

    #[test]
    fn every_kind_of_item_is_read() {
        let reply = b"+PONG\r\n-ERR no\r\n:-7\r\n:0\r\n$4\r\na\r\nb\r\n$0\r\n\r\n$-1\r\n*-1\r\n*1\r\n:9223372036854775807\r\n*0\r\n+OK\r\n";
        assert_eq!(
            items(reply).unwrap(),
            [
                Item::Status(b"PONG"),
                Item::Error(b"ERR no"),
                Item::Integer(-7),
                Item::Integer(0),
                Item::Bulk(b"a\r\nb"),
                Item::Bulk(b""),
                Item::Null,
                Item::Null,
                Item::Array(1),
                Item::Integer(i64::MAX),
                Item::Array(0),
            ]
        );
    }

    #[test]
    fn a_reply_that_was_cut_anywhere_is_malformed() {
        let reply = b"*2\r\n:1\r\n$2\r\nab\r\n+OK\r\n";
        assert!(items(reply).is_ok());
        for end in 0..reply.len() {
            assert_eq!(items(&reply[..end]), Err(Malformed), "{end}");
        }
    }

    #[test]
    fn what_is_not_of_the_protocol_is_malformed() {
        for body in [
            "x\r\n",
            ":\r\n",
            ":1",
            ":1\n",
            ":+1\r\n",
            ":9223372036854775808\r\n",
            ":99999999999999999999\r\n",
            "$3\r\nab\r\n",
            "$1\r\nab\r\n",
            "$-2\r\n",
            "$\r\n",
            "*9\r\n:1\r\n",
            "*-2\r\n",
            "*99999999999\r\n",
            "\r\n",
            "HTTP/1.1 400 Bad Request\r\n",
        ] {
            assert_eq!(items(format!("{body}+OK\r\n").as_bytes()), Err(Malformed), "{body:?}");
        }
    }

    #[test]
    fn a_reply_that_is_too_long_is_malformed() {
        let mut reply = vec![b':'; MOST_REPLY_BYTES - 5];
        reply.extend_from_slice(b"+OK\r\n");
        assert!(Reader::new(&reply).is_ok());
        reply.insert(0, b':');
        assert_eq!(Reader::new(&reply).err(), Some(Malformed));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic_and_in_bounded_items(
            mut bytes in prop::collection::vec(prop::sample::select(b"+-:$*0123456789\r\naOK".to_vec()), 0..200),
        ) {
            bytes.extend_from_slice(b"+OK\r\n");
            if let Ok(items) = items(&bytes) {
                prop_assert!(items.len() <= bytes.len() / 3);
            }
        }
    }
}
