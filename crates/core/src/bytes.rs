//! Where is the first byte of a kind, and are two texts the same? Eight bytes are looked at in one step, because a token has
//! hundreds of them.

/// The highest bit of each of eight bytes.
const HIGH_BITS: u64 = u64::from_ne_bytes([0x80; 8]);

/// The index of the first `byte`.
pub(crate) fn find(bytes: &[u8], byte: u8) -> Option<usize> {
    position(bytes, |eight| equal(eight, byte))
}

/// The index of the first byte that is wanted. `wanted`: marks of the wanted ones of eight bytes, by [`equal`] and
/// [`below`].
pub(crate) fn position(bytes: &[u8], wanted: impl Fn(u64) -> u64) -> Option<usize> {
    let first = |eight: [u8; 8]| match wanted(u64::from_le_bytes(eight)) {
        0 => None,
        marks => usize::try_from(marks.trailing_zeros() / 8).ok(),
    };
    let (eights, rest) = bytes.as_chunks();
    for (index, eight) in eights.iter().enumerate() {
        if let Some(within) = first(*eight) {
            return Some(index.saturating_mul(8).saturating_add(within));
        }
    }
    let mut last = [0; 8];
    for (to, from) in last.iter_mut().zip(rest) {
        *to = *from;
    }
    let within = first(last).filter(|within| *within < rest.len())?;
    Some(bytes.len().saturating_sub(rest.len()).saturating_add(within))
}

/// Marks those of eight bytes that are `byte`, as [`below`] does.
pub(crate) const fn equal(eight: u64, byte: u8) -> u64 {
    below(eight ^ u64::from_ne_bytes([byte; 8]), 1)
}

/// Marks those of eight bytes that are below `bound`, which is at most 128: sets their highest bits. The first mark is
/// right; those above it may be wrong.
pub(crate) const fn below(eight: u64, bound: u8) -> u64 {
    // Each byte below `bound` borrows from the next one.
    eight.wrapping_sub(u64::from_ne_bytes([bound; 8])) & !eight & HIGH_BITS
}

/// Whether two texts are the same but for the case of ASCII letters. Apart from its callers, of which there are many.
#[inline(never)]
pub(crate) fn is_same_in_any_case(one: &[u8], other: &[u8]) -> bool {
    one.eq_ignore_ascii_case(other)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_byte_is_found_where_looking_at_each_finds_it(
            bytes in prop::collection::vec(prop::sample::select(vec![0, 1, 2, 0x7f, 0x80, 0x81, 0xfe, 0xff]), 0..40),
        ) {
            for byte in [0, 1, 2, 0x7f, 0x80, 0xff] {
                prop_assert_eq!(find(&bytes, byte), bytes.iter().position(|other| *other == byte));
            }
        }

        #[test]
        fn a_byte_below_a_bound_is_found_where_looking_at_each_finds_it(
            bytes in prop::collection::vec(any::<u8>(), 0..40),
            bound in 0..=128_u8,
        ) {
            let found = position(&bytes, |eight| below(eight, bound));
            prop_assert_eq!(found, bytes.iter().position(|byte| *byte < bound));
        }
    }
}
