//! A cache of verified tokens, so that the next use of one costs a comparison instead of a signature check.
//!
//! Only verified tokens enter, expired ones too, so nobody without a key can fill it. A token's slot follows from its signature, which no
//! client can choose. A hit needs the exact bytes (compared in constant time, because they are a credential) and the
//! key set that the token was verified with. The caller of this module judges times, the key's validity and revocations
//! again. A cache belongs to one worker and one configuration: a changed policy starts with an empty one.

use std::rc::Rc;

use super::keys::KeySetRevision;

/// The number of slots. Together with [`LONGEST_TOKEN`] it bounds a worker's cache at a few MiB, whatever clients send.
const SLOTS: usize = 1024;
/// Tokens longer than this, in bytes, are verified each time.
const LONGEST_TOKEN: usize = 4096;

/// A cache of verified tokens with what is known about their callers, `T`.
#[derive(Debug)]
pub struct TokenCache<T> {
    slots: Vec<Slot<T>>,
}

#[derive(Debug)]
struct Slot<T> {
    occupant: Option<Occupant<T>>,
    /// The mark of the last challenger since the occupant's last hit.
    challenger: Option<u64>,
}

#[derive(Debug)]
struct Occupant<T> {
    mark: u64,
    revision: KeySetRevision,
    token: Box<[u8]>,
    caller: Rc<T>,
}

impl<T> Default for TokenCache<T> {
    fn default() -> Self {
        Self { slots: (0..SLOTS).map(|_| Slot { occupant: None, challenger: None }).collect() }
    }
}

impl<T> TokenCache<T> {
    /// The caller remembered for exactly this token, if it was verified with the key set of this revision.
    pub fn find(&mut self, token: &[u8], revision: KeySetRevision) -> Option<Rc<T>> {
        let mark = mark(token);
        let slot = self.slots.get_mut(index(mark))?;
        // The marks are compared first, so that another token's bytes are not even read.
        let is_known = |occupant: &&Occupant<T>| occupant.mark == mark && occupant.revision == revision;
        let occupant = slot.occupant.as_ref().filter(is_known)?;
        if !equal(&occupant.token, token) {
            return None;
        }
        slot.challenger = None;
        Some(Rc::clone(&occupant.caller))
    }

    /// Remembers a token that verified with the key set of this revision. If another token of that key set occupies the
    /// slot, this one becomes its challenger, and takes the slot if it returns before the occupant does. Tokens that
    /// come only once are thus not stored and do not displace those that come often.
    pub fn remember(&mut self, token: &[u8], revision: KeySetRevision, caller: &Rc<T>) {
        let mark = mark(token);
        let Some(slot) = self.slots.get_mut(index(mark)) else { return };
        if token.len() > LONGEST_TOKEN {
            return;
        }
        let is_taken = slot.occupant.as_ref().is_some_and(|occupant| occupant.revision == revision);
        if is_taken && slot.challenger != Some(mark) {
            slot.challenger = Some(mark);
            return;
        }
        let occupant = Occupant { mark, revision, token: token.into(), caller: Rc::clone(caller) };
        *slot = Slot { occupant: Some(occupant), challenger: None };
    }
}

/// The last characters of the signature, which are as good as random for a verified token.
fn mark(token: &[u8]) -> u64 {
    // The very last character is left out: of a 32-byte signature it holds only four bits.
    let tail = token.split_last().and_then(|(_, rest)| rest.last_chunk::<8>()).copied().unwrap_or_default();
    u64::from_le_bytes(tail).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// The index of the slot of a token with this mark.
fn index(mark: u64) -> usize {
    usize::try_from(mark >> 32).unwrap_or(0) % SLOTS
}

/// Compares eight bytes at a time, in a time that depends only on the lengths.
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
    // Keeps the compiler from stopping at the first difference.
    std::hint::black_box(of_words | u64::from(of_rest)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIGURED: KeySetRevision = KeySetRevision::CONFIGURED;

    /// Tokens that share one slot.
    fn rivals() -> Vec<Vec<u8>> {
        let tokens = (0..).map(|number: u32| format!("h.c.{number:042}x").into_bytes());
        let shared = index(mark(b"h.c.0000000000000000000000000000000000000000000x"));
        tokens.filter(|token| index(mark(token)) == shared).take(3).collect()
    }

    fn found(cache: &mut TokenCache<usize>, token: &[u8]) -> Option<usize> {
        cache.find(token, CONFIGURED).map(|caller| *caller)
    }

    #[test]
    fn a_token_is_found_by_all_its_bytes() {
        let mut cache = TokenCache::default();
        cache.remember(b"header.claims.signature-of-it", CONFIGURED, &Rc::new(1));
        assert_eq!(found(&mut cache, b"header.claims.signature-of-it"), Some(1));
        assert_eq!(found(&mut cache, b"header.Claims.signature-of-it"), None);
        assert_eq!(found(&mut cache, b"header.claims.signature-of-iu"), None);
        assert_eq!(found(&mut cache, b""), None);
        cache.remember(&[b'a'; LONGEST_TOKEN + 1], CONFIGURED, &Rc::new(2));
        assert_eq!(found(&mut cache, &[b'a'; LONGEST_TOKEN + 1]), None);
        cache.remember(&[b'a'; LONGEST_TOKEN], CONFIGURED, &Rc::new(3));
        assert_eq!(found(&mut cache, &[b'a'; LONGEST_TOKEN]), Some(3));
    }

    #[test]
    fn tokens_that_come_once_do_not_drive_out_one_that_comes_often() {
        let [often, once, other] = rivals().try_into().unwrap();
        let mut cache = TokenCache::default();
        cache.remember(&often, CONFIGURED, &Rc::new(0));
        for token in [&once, &other, &once, &other] {
            cache.remember(token, CONFIGURED, &Rc::new(1));
            assert_eq!(found(&mut cache, token), None);
        }
        for _ in 0..3 {
            assert_eq!(found(&mut cache, &often), Some(0));
            cache.remember(&once, CONFIGURED, &Rc::new(1));
        }
        assert_eq!(found(&mut cache, &often), Some(0));
    }

    #[test]
    fn a_token_that_comes_again_takes_the_slot_of_one_that_does_not() {
        let [gone, comes, _] = rivals().try_into().unwrap();
        let mut cache = TokenCache::default();
        cache.remember(&gone, CONFIGURED, &Rc::new(0));
        cache.remember(&comes, CONFIGURED, &Rc::new(1));
        cache.remember(&comes, CONFIGURED, &Rc::new(1));
        assert_eq!(found(&mut cache, &comes), Some(1));
        assert_eq!(found(&mut cache, &gone), None);
    }

    #[test]
    fn a_token_of_another_key_set_is_not_found() {
        let (token, next) = (b"header.claims.signature-of-it", KeySetRevision::new(1));
        let mut cache = TokenCache::default();
        cache.remember(token, CONFIGURED, &Rc::new(0));
        assert_eq!(cache.find(token, next), None);
        assert_eq!(found(&mut cache, token), Some(0));
        cache.remember(token, next, &Rc::new(1));
        assert_eq!(cache.find(token, next).as_deref(), Some(&1));
        assert_eq!(found(&mut cache, token), None);
    }

    #[test]
    fn a_token_of_another_key_set_gives_its_slot_to_the_first_that_comes() {
        let [gone, comes, _] = rivals().try_into().unwrap();
        let next = KeySetRevision::new(1);
        let mut cache = TokenCache::default();
        cache.remember(&gone, CONFIGURED, &Rc::new(0));
        cache.remember(&comes, next, &Rc::new(1));
        assert_eq!(cache.find(&comes, next).as_deref(), Some(&1));
    }
}
