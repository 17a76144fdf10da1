//! What does the store do in one step?
//!
//! Four scripts, which the store runs whole: nothing comes between their commands. Time is the store's own. A script is
//! named by its SHA-1 (EVALSHA); where the store does not have it yet, the whole text goes along (EVAL). What is to be said of
//! them stands here, since the module ships their texts as they are.
//!
//! `limit.lua` holds the sliding window of one caller, as [`crate::limit::window`] does, and grants leases from it.
//!
//! - Key: the window.
//! - Arguments: the units that are admitted in any interval of the window, the window in seconds, the units wanted, who asks,
//!   the number of this report and the units spent without asking that it reports; epoch, bucket and number of units that
//!   come back unspent; an epoch, should a new one be needed.
//! - Reply: the units granted, the units left, the epoch, the bucket; in microseconds, how long the grant is good, when
//!   one more unit is free (0: now) and when the oldest unit leaves (0: none is spent).
//!
//! It follows the time and the length of the window as `limit/window/advance.rs` does. But who asks by a shorter window than
//! another one who has asked in this bucket or the last is judged by the longer one: with each change of the length what
//! was spent moves to a later bucket, so two Envoys whose windows differ would keep it there for ever. A report that comes
//! twice counts once, and whoever was not seen in this bucket or the last is forgotten.
//!
//! `nodes.lua` marks one Envoy as alive.
//!
//! - Keys: the marks, the store's epoch. Arguments: the Envoy, an epoch, should there be none.
//! - Reply: the Envoys of the last 15 s; the store's epoch; 1 if the store may drop what it holds to make room; a number
//!   that is another one after each start of the store (0: unknown). A user who may not see `INFO` learns less.
//!
//! `revoke.lua` enters revocations. Entering one again changes nothing, and of two the later end and moment hold. The end is
//! written last: by it an entry that was made in part is known, and made again.
//!
//! - Keys: the ends, the numbers, the moments, the newest number, the store's epoch.
//! - Arguments: an epoch, should there be none; for each entry its name, its end and its moment (Unix seconds).
//! - Reply: the store's epoch, the newest number.
//!
//! `revoked.lua` reads them.
//!
//! - Keys: as those of `revoke.lua`. Arguments: an epoch, should there be none; the number to read on from.
//! - Reply: the store's epoch, the newest number, and up to 500 entries: name, number, end, moment. An end or a moment that
//!   is no number from 0 to 2^53, as only others can have written it, is told as the nearest: it must not keep all
//!   entries from being read.

use super::resp::Commands;

/// A script.
#[derive(Debug, Clone, Copy)]
pub struct Script {
    /// Its text.
    pub text: &'static str,
    /// The SHA-1 of the text, in hexadecimal digits.
    pub sha1: &'static str,
    /// Its bit in a [`KnownScripts`].
    bit: u8,
}

/// The scripts that a store has, as far as is known.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct KnownScripts(u8);

impl KnownScripts {
    /// Whether it has one.
    pub(super) fn has(self, script: Script) -> bool {
        self.0 & script.bit != 0
    }

    /// Notes that it has one.
    pub(super) fn add(&mut self, script: Script) {
        self.0 |= script.bit;
    }

    /// Notes that it does not have one.
    pub(super) fn remove(&mut self, script: Script) {
        self.0 &= !script.bit;
    }
}

/// Whether this error says that the store does not have the script.
pub(super) fn is_unknown(error: &[u8]) -> bool {
    error.starts_with(b"NOSCRIPT")
}

/// Holds a caller's window.
pub const LIMIT: Script =
    Script { text: include_str!("limit.lua"), sha1: "bd01d9a5cc8fe54ca8ad12ab23df962ef95528f3", bit: 1 };
/// Marks an Envoy as alive.
pub const NODES: Script =
    Script { text: include_str!("nodes.lua"), sha1: "7f736ca0479edde90b31da1081aa775275cf1a2e", bit: 2 };
/// Enters revocations.
pub const REVOKE: Script =
    Script { text: include_str!("revoke.lua"), sha1: "ddfdc5596993bfe0673eddddbca4cd0b329d11f1", bit: 4 };
/// Reads revocations.
pub const REVOKED: Script =
    Script { text: include_str!("revoked.lua"), sha1: "7b63f42086bea9f8c8db2ad989611eb2654446c8", bit: 8 };

impl Commands {
    /// Begins the call of a script, whose keys and then so many arguments must follow.
    pub(super) fn script(&mut self, script: Script, is_known: bool, keys: u64, arguments: usize) {
        let keys_and_arguments = usize::try_from(keys).unwrap_or(0).saturating_add(arguments);
        self.begin(keys_and_arguments.saturating_add(3));
        if is_known {
            self.text(b"EVALSHA");
            self.text(script.sha1.as_bytes());
        } else {
            self.text(b"EVAL");
            self.text(script.text.as_bytes());
        }
        self.number(keys);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_script_is_named_by_the_sha1_of_its_text() {
        for script in [LIMIT, NODES, REVOKE, REVOKED] {
            let sha1 = hmac_sha1_compact::Hash::hash(script.text.as_bytes());
            let hex: String = sha1.iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(script.sha1, hex, "{}", script.text);
        }
    }
}
