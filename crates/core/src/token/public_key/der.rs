//! As much of DER (X.690) as public keys and signatures need: definite lengths, few tags.

/// The tag of a SEQUENCE.
pub(in crate::token) const SEQUENCE: u8 = 0x30;
/// The tag of an INTEGER.
pub(in crate::token) const INTEGER: u8 = 0x02;
/// The tag of a BIT STRING.
pub(in crate::token) const BIT_STRING: u8 = 0x03;

/// Appends an element of this tag, whose content is `content`. Contents have less than 65,536 bytes.
pub(in crate::token) fn write(out: &mut Vec<u8>, tag: u8, content: &[u8]) {
    out.push(tag);
    let [.., high, low] = content.len().to_be_bytes();
    match (high, low) {
        (0, 0..=0x7f) => out.push(low),
        (0, _) => out.extend([0x81, low]),
        (..) => out.extend([0x82, high, low]),
    }
    out.extend(content);
}

/// Appends a number from 0, whose big-endian bytes these are, as an INTEGER.
pub(in crate::token) fn write_natural(out: &mut Vec<u8>, number: &[u8]) {
    let digits = trim(number);
    // The first bit is the sign.
    let zero = digits.first().is_none_or(|first| *first > 0x7f);
    let mut content = Vec::with_capacity(digits.len().saturating_add(1));
    content.extend(zero.then_some(0));
    content.extend(digits);
    write(out, INTEGER, &content);
}

/// Big-endian bytes without zeros in front.
pub(in crate::token) fn trim(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    number.get(zeros..).unwrap_or_default()
}

/// The content of the element of this tag that `bytes` begin with, and what follows it.
pub(in crate::token) fn read(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&[found, first], rest) = bytes.split_first_chunk::<2>()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81 => {
            let (&[low], rest) = rest.split_first_chunk::<1>()?;
            (usize::from(low), rest)
        }
        0x82 => {
            let (&both, rest) = rest.split_first_chunk::<2>()?;
            (usize::from(u16::from_be_bytes(both)), rest)
        }
        _ => return None,
    };
    if found == tag { rest.split_at_checked(length) } else { None }
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::arithmetic_side_effects,
        clippy::string_slice,
        reason = "a test that cannot go on fails"
    )]

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_was_written_is_read_back(length in prop_oneof![0_usize..300, 65_000_usize..65_536], more: Vec<u8>) {
            let content = vec![7; length];
            let mut out = Vec::new();
            write(&mut out, SEQUENCE, &content);
            out.extend(&more);
            prop_assert_eq!(read(&out, SEQUENCE), Some((&content[..], &more[..])));
            prop_assert_eq!(read(&out, INTEGER), None);
        }

        #[test]
        fn a_natural_number_is_written_without_sign_and_without_needless_zeros(number: Vec<u8>) {
            let mut out = Vec::new();
            write_natural(&mut out, &number);
            let (content, rest) = read(&out, INTEGER).unwrap();
            prop_assert!(rest.is_empty());
            prop_assert_eq!(trim(content), trim(&number));
            prop_assert!(content[0] <= 0x7f, "not negative");
            prop_assert!(content[0] != 0 || content.len() == 1 || content[1] > 0x7f, "as short as it can be");
        }

        #[test]
        fn anything_can_be_read(bytes: Vec<u8>) {
            if let Some((content, rest)) = read(&bytes, SEQUENCE) {
                prop_assert!(content.len() + rest.len() < bytes.len());
            }
        }
    }

    #[test]
    fn lengths_have_the_form_of_der() {
        let written = |length: usize| {
            let mut out = Vec::new();
            write(&mut out, 0x04, &vec![0; length]);
            out[1..out.len() - length].to_vec()
        };
        assert_eq!(written(0), [0]);
        assert_eq!(written(0x7f), [0x7f]);
        assert_eq!(written(0x80), [0x81, 0x80]);
        assert_eq!(written(0xff), [0x81, 0xff]);
        assert_eq!(written(0x100), [0x82, 1, 0]);
        assert_eq!(read(&[0x30, 0x80, 0, 0], SEQUENCE), None, "an indefinite length");
        assert_eq!(read(&[0x30, 0x83, 0, 0, 0], SEQUENCE), None);
        assert_eq!(read(&[0x30, 2, 0], SEQUENCE), None, "cut short");
    }
}
