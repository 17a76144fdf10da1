//! Bytes compared and searched a word at a time: in the module, `==` and `contains` go byte by byte through a call.

/// A byte of ones in each byte of a word, and the highest bit of each.
const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;

/// Whether two texts are the same. Names are short, and there are many of them in a request.
pub(crate) fn same(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    match (a.last_chunk::<8>(), b.last_chunk::<8>()) {
        // The last eight bytes, and before them whole words, which may overlap with them.
        (Some(a_end), Some(b_end)) => {
            let words = a.as_chunks::<8>().0.iter().zip(b.as_chunks::<8>().0);
            word(a_end) == word(b_end) && words.into_iter().all(|(a, b)| word(a) == word(b))
        }
        _ => a.iter().zip(b).all(|(a, b)| a == b),
    }
}

/// The place of the first `byte` in `text`.
pub(crate) fn find(text: &[u8], byte: u8) -> Option<usize> {
    first(text, |word| equal_to(word, byte))
}

/// The place of the first byte that ends what may stand in a JSON text as it is (RFC 8259 section 7): a quote, a
/// backslash or a control character.
pub(crate) fn find_end_of_plain_json(text: &[u8]) -> Option<usize> {
    first(text, |word| equal_to(word, b'"') | equal_to(word, b'\\') | below_space(word))
}

/// The place of the first byte that `marks` marks by its highest bit. What stands above a marked byte in its word may be
/// marked wrongly.
fn first(text: &[u8], marks: impl Fn(u64) -> u64) -> Option<usize> {
    let (words, rest) = text.as_chunks::<8>();
    let mut marked = 0;
    let before = words.iter().take_while(|bytes| {
        marked = marks(word(bytes));
        marked == 0
    });
    let mut start = before.count().saturating_mul(8);
    if marked == 0 {
        // The last eight bytes: those of them that stand in a word have no mark.
        let last = match text.last_chunk::<8>() {
            Some(last) => {
                start = text.len().saturating_sub(8);
                word(last)
            }
            // Behind the text stand bytes of ones.
            None => rest.iter().rev().fold(u64::MAX, |word, byte| word << 8 | u64::from(*byte)),
        };
        marked = marks(last);
    }
    let within = usize::try_from(marked.trailing_zeros() / 8).ok()?;
    (marked != 0).then(|| start.saturating_add(within)).filter(|place| *place < text.len())
}

fn equal_to(word: u64, byte: u8) -> u64 {
    let difference = word ^ ONES.wrapping_mul(u64::from(byte));
    difference.wrapping_sub(ONES) & !difference & HIGHS
}

fn below_space(word: u64) -> u64 {
    word.wrapping_sub(ONES.wrapping_mul(0x20)) & !word & HIGHS
}

fn word(bytes: &[u8; 8]) -> u64 {
    u64::from_le_bytes(*bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn texts_are_the_same_if_every_byte_is() {
        for length in 0..40 {
            let text: Vec<u8> = (0..length).collect();
            assert!(same(&text, &text.clone()), "{length}");
            assert!(!same(&text, &[&text[..], b"x"].concat()), "{length}");
            for place in 0..text.len() {
                let mut other = text.clone();
                other[place] ^= 0x80;
                assert!(!same(&text, &other), "{length} {place}");
            }
        }
    }

    #[test]
    fn every_byte_is_found_at_every_place() {
        for byte in 0..=u8::MAX {
            for length in 0..20 {
                assert_eq!(find(&vec![byte ^ 0x80; length], byte), None, "{byte}");
                for place in 0..length {
                    let mut text = vec![byte ^ 0x01; length];
                    text[place] = byte;
                    assert_eq!(find(&text, byte), Some(place), "{byte} in {length}");
                }
            }
        }
    }

    proptest! {
        #[test]
        fn the_first_one_is_found(text in prop::collection::vec(prop_oneof![any::<u8>(), 0x1e..0x24_u8, 0x5b..0x5e_u8], 0..40)) {
            let ends = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..=0x1f);
            prop_assert_eq!(find_end_of_plain_json(&text), text.iter().position(ends));
            for byte in [b'.', b'"', 0, 0x80] {
                prop_assert_eq!(find(&text, byte), text.iter().position(|other| *other == byte));
            }
        }
    }
}
