//! The header block as the proxy hands it over, read without copying.
//!
//! The proxy-wasm ABI's form of a map: a little-endian u32 count, that many pairs of u32 (length of name, length of
//! value), then name NUL value NUL for each. Borrowing from it saves two allocations and copies for every header.

/// A well-formed header block.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Block<'a> {
    lengths: &'a [u8],
    contents: &'a [u8],
}

impl<'a> Block<'a> {
    /// Reads a block; `None` unless the lengths add up exactly to its size.
    pub(crate) fn read(bytes: &'a [u8]) -> Option<Self> {
        let (count, rest) = bytes.split_first_chunk::<4>()?;
        let count = usize::try_from(u32::from_le_bytes(*count)).ok()?;
        let (lengths, contents) = rest.split_at_checked(count.checked_mul(8)?)?;
        let block = Self { lengths, contents };
        let mut need = 0_usize;
        for (name, value) in block.sizes() {
            need = need.checked_add(name)?.checked_add(value)?.checked_add(2)?;
        }
        (need == contents.len()).then_some(block)
    }

    /// Names and values in the order of the request.
    pub(crate) fn pairs(self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + Clone {
        let mut rest = self.contents;
        let mut take = move |length: usize| {
            let (text, after) = rest.split_at_checked(length).unwrap_or_default();
            // Skips the NUL.
            rest = after.get(1..).unwrap_or_default();
            text
        };
        self.sizes().map(move |(name, value)| (take(name), take(value)))
    }

    fn sizes(self) -> impl Iterator<Item = (usize, usize)> + Clone {
        let size = |bytes: &[u8; 4]| usize::try_from(u32::from_le_bytes(*bytes)).unwrap_or(usize::MAX);
        self.lengths.chunks_exact(8).filter_map(move |pair| {
            let (name, value) = pair.split_first_chunk::<4>()?;
            Some((size(name), size(value.first_chunk::<4>()?)))
        })
    }
}

/// Headers as a block, for local replies and for tests.
pub(crate) fn encode<'a>(pairs: impl ExactSizeIterator<Item = (&'a [u8], &'a [u8])> + Clone) -> Vec<u8> {
    let length = |text: &[u8]| u32::try_from(text.len()).unwrap_or(u32::MAX).to_le_bytes();
    // Each text takes its bytes, four bytes of length and a NUL.
    let size = |text: &[u8]| text.len().saturating_add(5);
    let total = pairs
        .clone()
        .fold(4_usize, |sum, (name, value)| sum.saturating_add(size(name)).saturating_add(size(value)));
    let mut bytes = Vec::with_capacity(total);
    bytes.extend_from_slice(&u32::try_from(pairs.len()).unwrap_or(u32::MAX).to_le_bytes());
    for (name, value) in pairs.clone() {
        bytes.extend_from_slice(&length(name));
        bytes.extend_from_slice(&length(value));
    }
    for text in pairs.flat_map(|(name, value)| [name, value]) {
        bytes.extend_from_slice(text);
        bytes.push(0);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_encoded_is_read_back() {
        let pairs: [(&[u8], &[u8]); 3] = [(b":path", b"/"), (b"u", b"\xff\x00"), (b"empty", b"")];
        let bytes = encode(pairs.into_iter());
        let block = Block::read(&bytes).unwrap();
        assert_eq!(block.pairs().collect::<Vec<_>>(), pairs);
    }

    #[test]
    fn lengths_that_do_not_add_up_are_refused() {
        let bytes = encode([(&b"a"[..], &b"b"[..])].into_iter());
        for end in 0..bytes.len() {
            assert!(Block::read(&bytes[..end]).is_none(), "{end}");
        }
        let mut longer = bytes.clone();
        longer.push(0);
        assert!(Block::read(&longer).is_none());
        let mut huge = bytes;
        huge[..4].fill(0xff);
        assert!(Block::read(&huge).is_none());
        assert_eq!(Block::read(&[0; 4]).unwrap().pairs().count(), 0);
    }
}
