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
    places: Vec<Place<T>>,
}

#[derive(Debug)]
struct Place<T> {
    /// The mark of the token that has the place.
    mark: u64,
    /// The mark of the last token that found the place taken, since the one that has it was last found.
    knocked: u64,
    entry: Option<Entry<T>>,
}

#[derive(Debug)]
struct Entry<T> {
    token: Box<[u8]>,
    caller: Rc<T>,
}

impl<T> Default for TokenCache<T> {
    fn default() -> Self {
        Self { places: (0..PLACES).map(|_| Place { mark: 0, knocked: 0, entry: None }).collect() }
    }
}

impl<T> TokenCache<T> {
    /// What was remembered of exactly this token.
    pub fn find(&mut self, token: &[u8]) -> Option<Rc<T>> {
        let mark = mark(token);
        let place = self.places.get_mut(place(mark))?;
        // Another token's memory stays untouched.
        let entry = place.entry.as_ref().filter(|_| place.mark == mark)?;
        if !equal(&entry.token, token) {
            return None;
        }
        place.knocked = 0;
        Some(Rc::clone(&entry.caller))
    }

    /// Remembers a token that verified: where its place is taken, not before it comes again and the other has not. So
    /// tokens that come once neither cost their keeping nor drive out those that come often.
    pub fn remember(&mut self, token: &[u8], caller: &Rc<T>) {
        let mark = mark(token);
        let Some(place) = self.places.get_mut(place(mark)) else { return };
        if token.len() > LONGEST_TOKEN {
            return;
        }
        if place.entry.is_some() && place.knocked != mark {
            place.knocked = mark;
            return;
        }
        let entry = Some(Entry { token: token.into(), caller: Rc::clone(caller) });
        *place = Place { mark, knocked: 0, entry };
    }
}

/// Of the last characters of the signature: as good as random for every token that verified.
fn mark(token: &[u8]) -> u64 {
    // The very last character carries only four bits of the MAC.
    let tail = token.split_last().and_then(|(_, rest)| rest.last_chunk::<8>()).copied().unwrap_or_default();
    u64::from_le_bytes(tail).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

fn place(mark: u64) -> usize {
    usize::try_from(mark >> 32).unwrap_or(0) % PLACES
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Tokens that share one place.
    fn rivals() -> Vec<Vec<u8>> {
        let tokens = (0..).map(|number: u32| format!("h.c.{number:042}x").into_bytes());
        let shared = place(mark(b"h.c.0000000000000000000000000000000000000000000x"));
        tokens.filter(|token| place(mark(token)) == shared).take(3).collect()
    }

    fn found(cache: &mut TokenCache<usize>, token: &[u8]) -> Option<usize> {
        cache.find(token).map(|caller| *caller)
    }

    #[test]
    fn a_token_is_found_by_all_its_bytes() {
        let mut cache = TokenCache::default();
        cache.remember(b"header.claims.signature-of-it", &Rc::new(1));
        assert_eq!(found(&mut cache, b"header.claims.signature-of-it"), Some(1));
        assert_eq!(found(&mut cache, b"header.Claims.signature-of-it"), None);
        assert_eq!(found(&mut cache, b"header.claims.signature-of-iu"), None);
        assert_eq!(found(&mut cache, b""), None);
        cache.remember(&[b'a'; LONGEST_TOKEN + 1], &Rc::new(2));
        assert_eq!(found(&mut cache, &[b'a'; LONGEST_TOKEN + 1]), None);
        cache.remember(&[b'a'; LONGEST_TOKEN], &Rc::new(3));
        assert_eq!(found(&mut cache, &[b'a'; LONGEST_TOKEN]), Some(3));
    }

    #[test]
    fn tokens_that_come_once_do_not_drive_out_one_that_comes_often() {
        let [often, once, other] = rivals().try_into().unwrap();
        let mut cache = TokenCache::default();
        cache.remember(&often, &Rc::new(0));
        for token in [&once, &other, &once, &other] {
            cache.remember(token, &Rc::new(1));
            assert_eq!(found(&mut cache, token), None);
        }
        for _ in 0..3 {
            assert_eq!(found(&mut cache, &often), Some(0));
            cache.remember(&once, &Rc::new(1));
        }
        assert_eq!(found(&mut cache, &often), Some(0));
    }

    #[test]
    fn a_token_that_comes_again_takes_the_place_of_one_that_does_not() {
        let [gone, comes, _] = rivals().try_into().unwrap();
        let mut cache = TokenCache::default();
        cache.remember(&gone, &Rc::new(0));
        cache.remember(&comes, &Rc::new(1));
        cache.remember(&comes, &Rc::new(1));
        assert_eq!(found(&mut cache, &comes), Some(1));
        assert_eq!(found(&mut cache, &gone), None);
    }
}
