//! What is shown as it stands now? Each gauge is one value of the whole process.
//!
//! A gauge's name contains its labels, as a counter's does.

use crate::index::KeySetIndex;
use crate::policy::Policy;

/// A gauge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gauge {
    /// What the process holds back of request bodies, bytes.
    HeldBytes,
    /// The number of keys in force of a key set that is fetched.
    KeySetKeys(KeySetIndex),
    /// How long ago that set was fetched, seconds.
    KeySetAge(KeySetIndex),
}

impl Gauge {
    /// Every gauge of a configuration, and its name in metrics.
    pub fn all(policy: &Policy) -> Vec<(Self, String)> {
        let mut all = vec![(Self::HeldBytes, "api_guard_held_bytes".to_owned())];
        for (index, rule) in policy.tokens.keys.fetched_sets() {
            let name = |what: &str| ["api_guard_key_set_", what, ".set.", rule.name()].concat();
            all.push((Self::KeySetKeys(index), name("keys")));
            all.push((Self::KeySetAge(index), name("age_seconds")));
        }
        all
    }
}
