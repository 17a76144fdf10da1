//! The ABI's form of header maps.

use crate::Headers;

/// A header map in the ABI's form: count, the lengths of each pair, then name NUL value NUL for each.
pub(crate) fn pack(headers: &Headers) -> Vec<u8> {
    let length = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap().to_le_bytes();
    let mut packed = u32::try_from(headers.len()).unwrap().to_le_bytes().to_vec();
    for (name, value) in headers {
        packed.extend(length(name));
        packed.extend(length(value));
    }
    for (name, value) in headers {
        packed.extend([name.as_slice(), b"\0", value.as_slice(), b"\0"].concat());
    }
    packed
}

/// The inverse of [`pack`].
pub(crate) fn unpack(packed: &[u8]) -> Headers {
    let word = |at: usize| {
        let bytes: [u8; 4] = packed.get(at..at + 4).map_or([0; 4], |bytes| bytes.try_into().unwrap());
        usize::try_from(u32::from_le_bytes(bytes)).unwrap()
    };
    let count = word(0);
    let mut at = 4 + count * 8;
    let mut take = |length: usize| {
        let bytes = packed[at..at + length].to_vec();
        at += length + 1;
        bytes
    };
    (0..count).map(|pair| (take(word(4 + pair * 8)), take(word(8 + pair * 8)))).collect()
}
