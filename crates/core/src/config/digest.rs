//! Which configuration is this? A short digest of its text tells it from others, in metrics, logs and `check`.

/// Letters of a digest.
pub(crate) const LETTERS: usize = 12;

const HEX_DIGITS: [&str; 16] =
    ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "a", "b", "c", "d", "e", "f"];

/// The first 12 hexadecimal digits of the SHA-256 of a configuration's text, as the module gets it.
pub fn digest(text: &[u8]) -> String {
    let mut digest = String::with_capacity(LETTERS);
    for byte in hmac_sha256::Hash::hash(text).iter().take(LETTERS / 2) {
        for digit in [byte >> 4, byte & 0xF] {
            digest.push_str(HEX_DIGITS.get(usize::from(digit)).copied().unwrap_or_default());
        }
    }
    digest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_beginning_of_what_sha256sum_prints() {
        assert_eq!(digest(b""), "e3b0c44298fc");
        assert_eq!(digest(b"abc"), "ba7816bf8f01");
    }
}
