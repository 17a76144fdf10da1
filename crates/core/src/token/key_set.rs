//! What does a JSON Web Key Set say (RFC 7517 section 5), and which of its keys are used?
//!
//! A key that cannot be used is skipped, and the others are used. A set that has none, is too large, or has another form
//! is refused as a whole. Knows no token and no time; [`super::current`] knows which sets are in force.
//!
//! A set is published to other workers in a form of its own, in which no key is left that cannot be used.

pub mod rule;

use super::algorithm::PublicAlgorithms;
use super::public_key::jwk::Jwk;
use super::public_key::{KeyFault, PublicKey};
use crate::json::Json;

use std::sync::Arc;

/// The largest set, bytes.
pub const MAX_SET_BYTES: usize = 65_536;
/// The largest number of keys in a set, those included that are skipped.
pub const MAX_SET_KEYS: usize = 100;

/// The keys of a set that can be used, in its order; at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeySet {
    keys: Vec<Arc<Jwk>>,
}

/// A key of a set that is not used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Skipped {
    /// Its index in the set.
    pub index: usize,
    /// Why.
    pub fault: KeyFault,
}

/// A set that was read.
#[derive(Debug, PartialEq, Eq)]
pub struct ReadSet {
    /// The set; `None` if no key can be used.
    pub set: Option<KeySet>,
    /// The keys that are not used.
    pub skipped: Vec<Skipped>,
}

/// Why a text is no set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeySetFault {
    /// More than [`MAX_SET_BYTES`] or [`MAX_SET_KEYS`].
    TooLarge,
    /// Not a JSON object with a list of `keys`.
    Malformed,
}

impl KeySet {
    /// Reads a set, of whose keys those are used that have one of the algorithms `accepted`. Where keys of one algorithm
    /// share a kid, none of them is used: nobody knows which of them is meant.
    ///
    /// # Errors
    ///
    /// Why it is no set.
    pub fn read(bytes: &[u8], accepted: PublicAlgorithms) -> Result<ReadSet, KeySetFault> {
        if bytes.len() > MAX_SET_BYTES {
            return Err(KeySetFault::TooLarge);
        }
        let text = std::str::from_utf8(bytes).map_err(|_| KeySetFault::Malformed)?;
        let Ok(Json::Object(object)) = Json::read(text) else { return Err(KeySetFault::Malformed) };
        let mut lists = object.members().filter(|(name, _)| name == "keys");
        let (Some((_, Json::List(list))), None) = (lists.next(), lists.next()) else {
            return Err(KeySetFault::Malformed);
        };
        let mut keys: Vec<(usize, Jwk)> = Vec::new();
        let mut skipped = Vec::new();
        for (index, value) in list.elements().enumerate() {
            if index >= MAX_SET_KEYS {
                return Err(KeySetFault::TooLarge);
            }
            let read = Jwk::read(&value).and_then(|jwk| {
                let algorithms = jwk.algorithms.and(accepted);
                if algorithms.is_empty() { Err(KeyFault::NotAccepted) } else { Ok(Jwk { algorithms, ..jwk }) }
            });
            match read {
                Ok(jwk) => keys.push((index, jwk)),
                Err(fault) => skipped.push(Skipped { index, fault }),
            }
        }
        let collides = |at: usize, one: &Jwk| {
            let others = keys.iter().filter(|(index, _)| *index != at);
            one.kid.is_some()
                && others.into_iter().any(|(_, other)| {
                    other.kid == one.kid && !other.algorithms.and(one.algorithms).is_empty()
                })
        };
        let shared: Vec<usize> =
            keys.iter().filter(|(index, jwk)| collides(*index, jwk)).map(|(index, _)| *index).collect();
        skipped.extend(shared.iter().map(|index| Skipped { index: *index, fault: KeyFault::SharedKid }));
        keys.retain(|(index, _)| !shared.contains(index));
        let keys: Vec<Arc<Jwk>> = keys.into_iter().map(|(_, jwk)| Arc::new(jwk)).collect();
        Ok(ReadSet { set: (!keys.is_empty()).then_some(Self { keys }), skipped })
    }

    /// The keys.
    pub fn keys(&self) -> &[Arc<Jwk>] {
        &self.keys
    }

    /// Whether this is one of its keys.
    pub fn has(&self, key: &Arc<Jwk>) -> bool {
        self.keys.iter().any(|known| Arc::ptr_eq(known, key) || known == key)
    }

    /// The form in which a set is published: for each key its algorithms (u16), the length of its kid (u16, the largest for
    /// none) and the kid, the length of its SubjectPublicKeyInfo (u16) and that, all little-endian.
    pub fn write(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut text = |length: u16, text: &[u8]| {
            bytes.extend(length.to_le_bytes());
            bytes.extend(text);
        };
        for key in &self.keys {
            let kid = key.kid.as_deref().unwrap_or_default().as_bytes();
            // A kid is shorter than the text of its set, which has at most 65,536 bytes of which not all are the kid.
            let kid_length = u16::try_from(kid.len()).unwrap_or(NO_KID);
            text(key.algorithms.bits(), &[]);
            text(if key.kid.is_some() { kid_length } else { NO_KID }, kid);
            text(u16::try_from(key.key.spki().len()).unwrap_or(0), key.key.spki());
        }
        bytes
    }

    /// Reads what [`Self::write`] wrote; `None` for anything else.
    pub fn read_published(mut bytes: &[u8]) -> Option<Self> {
        let mut keys = Vec::new();
        while !bytes.is_empty() {
            let mut number = || {
                let (&number, rest) = bytes.split_first_chunk::<2>()?;
                bytes = rest;
                Some(u16::from_le_bytes(number))
            };
            let algorithms = PublicAlgorithms::from_bits(number()?);
            let kid_length = number()?;
            let length = if kid_length == NO_KID { 0 } else { kid_length };
            let (kid, rest) = bytes.split_at_checked(usize::from(length))?;
            let kid =
                if kid_length == NO_KID { None } else { Some(std::str::from_utf8(kid).ok()?.to_owned()) };
            let (&spki_length, rest) = rest.split_first_chunk::<2>()?;
            let (spki, rest) = rest.split_at_checked(usize::from(u16::from_le_bytes(spki_length)))?;
            bytes = rest;
            let key = PublicKey::from_spki(spki).ok()?;
            let algorithms = algorithms.and(key.kind().algorithms());
            keys.push(Arc::new(Jwk { kid, algorithms, key }));
        }
        (!keys.is_empty()).then_some(Self { keys })
    }
}

/// The length of a kid that is none.
const NO_KID: u16 = u16::MAX;

#[cfg(test)]
mod tests;
