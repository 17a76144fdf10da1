//! Tokens that verified a moment ago, so that the next use of one costs a comparison instead of a MAC.
//!
//! Only verified tokens enter, so nobody without a key can fill it; the place of a token follows from its MAC, which
//! no client chooses. A hit needs the exact bytes (compared in constant time, since they are a credential), and its
//! times, its key's validity and revocations are judged anew by the caller. A cache belongs to one worker and one
//! configuration: a changed key or policy starts with an empty one.

use std::rc::Rc;

/// Places. With `LONGEST_TOKEN` this bounds a worker's memory at a few MiB, whatever clients send.
const PLACES: usize = 1024;
/// Longer tokens are verified each time.
const LONGEST_TOKEN: usize = 4096;

/// See the module's description.
#[derive(Debug)]
pub struct TokenCache<T> {
    places: Vec<Option<Entry<T>>>,
}

#[derive(Debug)]
struct Entry<T> {
    token: Box<[u8]>,
    caller: Rc<T>,
}

impl<T> Default for TokenCache<T> {
    fn default() -> Self {
        Self { places: (0..PLACES).map(|_| None).collect() }
    }
}

impl<T> TokenCache<T> {
    /// What was remembered of exactly this token.
    pub fn find(&self, token: &[u8]) -> Option<Rc<T>> {
        let entry = self.places.get(place(token))?.as_ref()?;
        equal(&entry.token, token).then(|| Rc::clone(&entry.caller))
    }

    /// Remembers a token that verified, in place of another one where need be.
    pub fn remember(&mut self, token: &[u8], caller: &Rc<T>) {
        if token.len() <= LONGEST_TOKEN
            && let Some(slot) = self.places.get_mut(place(token))
        {
            *slot = Some(Entry { token: token.into(), caller: Rc::clone(caller) });
        }
    }
}

/// From the last characters of the signature: as good as random for every token that verified.
fn place(token: &[u8]) -> usize {
    // The very last character carries only four bits of the MAC.
    let tail = token.split_last().and_then(|(_, rest)| rest.last_chunk::<8>()).copied().unwrap_or_default();
    let mixed = u64::from_le_bytes(tail).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    usize::try_from(mixed >> 32).unwrap_or(0) % PLACES
}

/// Compares in a time that depends on the lengths alone, eight bytes at a time.
fn equal(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let ((a_words, a_rest), (b_words, b_rest)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    let of_words = a_words
        .iter()
        .zip(b_words)
        .fold(0, |difference, (a, b)| difference | (u64::from_le_bytes(*a) ^ u64::from_le_bytes(*b)));
    let of_rest = a_rest.iter().zip(b_rest).fold(0, |difference, (a, b)| difference | (a ^ b));
    // Not before all was read may the compiler learn whether there is a difference.
    std::hint::black_box(of_words | u64::from(of_rest)) == 0
}
