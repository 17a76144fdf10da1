//! How long are the messages of a gRPC stream?
//!
//! Each message stands behind five bytes: a flag that tells whether it is compressed, and its length as it was sent, four
//! bytes, the highest first (gRPC over HTTP2, Length-Prefixed-Message). The reader takes the stream in pieces that are cut
//! anywhere, and keeps no message: only how much of the present one is still to come. A stream that ends within a
//! message is the service's to judge.

/// The bytes that stand before each message.
const PREFIX_BYTES: usize = 5;

/// A message that is longer than it may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooLong;

/// The messages of one stream, as far as it has come.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Messages {
    /// The longest message, bytes.
    max_bytes: u64,
    /// What has come of a prefix, and how many bytes that are.
    prefix: [u8; PREFIX_BYTES],
    filled: usize,
    /// What is still to come of the message behind the latest whole prefix, bytes.
    left: u64,
}

impl Messages {
    /// A stream of which nothing has come. `max_bytes`: the longest message, without its prefix.
    pub(crate) const fn new(max_bytes: u64) -> Self {
        Self { max_bytes, prefix: [0; PREFIX_BYTES], filled: 0, left: 0 }
    }

    /// The longest message, bytes.
    pub(crate) const fn max_bytes(&self) -> u64 {
        self.max_bytes
    }

    /// Passes over what of the next `available` bytes belongs to the present message. Returns how many bytes that are: they
    /// need not be read.
    pub(crate) fn skip(&mut self, available: u64) -> u64 {
        let skipped = self.left.min(available);
        self.left = self.left.saturating_sub(skipped);
        skipped
    }

    /// Reads the next bytes of the stream.
    ///
    /// # Errors
    ///
    /// [`TooLong`] as soon as the prefix of a message says so. The stream must not go on then.
    pub(crate) fn read(&mut self, bytes: &[u8]) -> Result<(), TooLong> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let skipped = self.skip(u64::try_from(rest.len()).unwrap_or(u64::MAX));
            rest = rest.get(usize::try_from(skipped).unwrap_or(usize::MAX)..).unwrap_or_default();
            let Some((next, after)) = rest.split_first() else { break };
            rest = after;
            self.read_prefix(*next)?;
        }
        Ok(())
    }

    fn read_prefix(&mut self, byte: u8) -> Result<(), TooLong> {
        if let Some(slot) = self.prefix.get_mut(self.filled) {
            *slot = byte;
        }
        self.filled = self.filled.saturating_add(1);
        if self.filled < PREFIX_BYTES {
            return Ok(());
        }
        self.filled = 0;
        let [_compressed, length @ ..] = self.prefix;
        self.left = u32::from_be_bytes(length).into();
        if self.left > self.max_bytes { Err(TooLong) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests;
