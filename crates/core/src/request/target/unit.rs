//! Which byte stands here, and was it percent-encoded (RFC 3986 section 2.1)?

use super::pair;

/// One byte of a decoded text, and how it was sent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Unit {
    pub(crate) byte: u8,
    pub(crate) is_encoded: bool,
}

impl Unit {
    /// Whether a segment may have the byte as it is (RFC 3986 section 3.3: pchar).
    pub(crate) const fn is_pchar(self) -> bool {
        self.is_unreserved()
            || matches!(
                self.byte,
                b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'=' | b':' | b'@'
            )
    }

    /// Whether an encoding of the byte means the byte itself (RFC 3986 section 2.3).
    pub(crate) const fn is_unreserved(self) -> bool {
        self.byte.is_ascii_alphanumeric() || matches!(self.byte, b'-' | b'.' | b'_' | b'~')
    }
}

/// The bytes of a text that is decoded once. A `%` without two hexadecimal digits ends it.
pub(crate) fn units(text: &str) -> impl Iterator<Item = Unit> {
    let mut bytes = text.bytes();
    std::iter::from_fn(move || match bytes.next()? {
        b'%' => pair(bytes.next(), bytes.next()).map(|byte| Unit { byte, is_encoded: true }),
        byte => Some(Unit { byte, is_encoded: false }),
    })
}
