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
    /// Whether the store of the fleet is reached, 0 or 1.
    FleetReachable,
    /// The number of Envoys that share it.
    FleetNodes,
    /// How long ago all revocations of the fleet had been read, seconds.
    FleetRevocationAge,
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
        if let Some(fleet) = &policy.fleet {
            all.push((Self::FleetReachable, "api_guard_fleet_reachable".to_owned()));
            all.push((Self::FleetNodes, "api_guard_fleet_nodes".to_owned()));
            if fleet.revocations.is_some() {
                all.push((Self::FleetRevocationAge, "api_guard_fleet_revocation_age_seconds".to_owned()));
            }
        }
        all
    }
}
