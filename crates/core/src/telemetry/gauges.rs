//! What is shown as it stands now? Each gauge is one value of the whole process.
//!
//! A gauge's name contains its labels, as a counter's does.

use crate::index::KeySetIndex;
use crate::policy::Policy;
use crate::telemetry::VERSION;
use crate::token::keys::KeyId;

/// A gauge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gauge {
    /// What the process holds back of request bodies, bytes.
    HeldBytes,
    /// 1 while this version and configuration is in force, else 0.
    Info,
    /// When a key's validity ends, Unix seconds; 0 where its configuration is no longer in force.
    KeyExpires(KeyId),
    /// The number of identities that limits count.
    LimiterIdentities,
    /// How many identities limits count exactly.
    LimiterCapacity,
    /// The number of revocations in force.
    RevocationEntries,
    /// How many revocations there is room for.
    RevocationCapacity,
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
    /// The name of [`Gauge::Info`] for a version and a configuration's digest.
    pub(crate) fn info_name(version: &str, config: &str) -> String {
        ["api_guard_info.version.", version, ".config.", config].concat()
    }

    /// Every gauge of a configuration, and its name in metrics.
    pub fn all(policy: &Policy) -> Vec<(Self, String)> {
        let mut all = vec![(Self::Info, Self::info_name(VERSION, policy.digest()))];
        let mut add = |gauge, family: &str, value: &str| {
            all.push((gauge, ["api_guard_", family, value].concat()));
        };
        for (gauge, family, value) in [
            (Self::HeldBytes, "held_bytes", ""),
            (Self::LimiterIdentities, "limiter_identities.state.", "live"),
            (Self::LimiterCapacity, "limiter_capacity", ""),
            (Self::RevocationEntries, "revocation_entries", ""),
            (Self::RevocationCapacity, "revocation_capacity", ""),
        ] {
            add(gauge, family, value);
        }
        for (key, kid, _) in policy.tokens.keys.expiries() {
            add(Self::KeyExpires(key), "key_expires_timestamp_seconds.kid.", kid.unwrap_or("none"));
        }
        for (index, rule) in policy.tokens.keys.fetched_sets() {
            add(Self::KeySetKeys(index), "key_set_keys.set.", rule.name());
            add(Self::KeySetAge(index), "key_set_age_seconds.set.", rule.name());
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
