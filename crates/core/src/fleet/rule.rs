//! What does the operator say about the fleet?

use std::fmt;
use std::num::NonZeroU32;

#[cfg(feature = "schema")]
use schemars::JsonSchema;

use super::Names;

/// The store, and who shares it.
#[derive(Debug)]
pub struct FleetRule {
    /// The host's name for the store.
    pub cluster: String,
    /// The store's user and password; without a user, the default one.
    pub login: Option<(Option<String>, Password)>,
    /// The names under the fleet's secret.
    pub names: Names,
    /// How long a call may take, 1 to 1000.
    pub timeout_milliseconds: u32,
    /// The number of Envoys; `None`: as many as the store has seen lately.
    pub nodes: Option<NonZeroU32>,
    /// The longest window of a limit of which Envoys own a part, seconds.
    pub longest_private_window_seconds: u32,
    /// Whether revocations are shared, and how; `None`: they are not.
    pub revocations: Option<SharedRevocations>,
}

/// The store's password. Never printed.
#[derive(Clone)]
pub struct Password(Vec<u8>);

impl Password {
    /// A password of these bytes.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<secret>")
    }
}

/// How revocations are shared.
#[derive(Debug, Clone, Copy)]
pub struct SharedRevocations {
    /// How often the store is asked for new ones, seconds.
    pub poll_seconds: u32,
    /// What becomes of requests with a token before all were read for the first time.
    pub at_start: AtStart,
    /// How long ago they may have been read, seconds; `None`: however long.
    pub max_age_seconds: Option<u32>,
}

/// What becomes of requests with a token as long as the revocations of the fleet are unknown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename_all = "lowercase"))]
pub enum AtStart {
    /// They are refused.
    #[default]
    Refuse,
    /// They are judged by what this Envoy knows.
    Serve,
}

/// What a limit of the fleet does while the store cannot be reached.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename_all = "lowercase"))]
pub enum WhenUnreachable {
    /// Each Envoy admits its part: the limit divided by the number of Envoys, at least 1.
    #[default]
    Share,
    /// Nothing is admitted.
    Refuse,
    /// Each Envoy admits as much as all together.
    Alone,
}

/// What makes a limit one of the whole fleet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FleetLimit {
    /// What it does while the store cannot be reached.
    pub when_unreachable: WhenUnreachable,
    /// What part of it is divided among the Envoys, to be spent without asking, percent, 0 to 90.
    pub private_percent: u8,
}

impl FleetLimit {
    /// The units of `max_requests` that the store grants.
    pub fn shared(&self, max_requests: NonZeroU32) -> NonZeroU32 {
        let shared = max_requests.get().saturating_sub(self.private(max_requests));
        NonZeroU32::new(shared).unwrap_or(NonZeroU32::MIN)
    }

    /// The units of `max_requests` that each of so many Envoys owns.
    pub fn owned(&self, max_requests: NonZeroU32, nodes: NonZeroU32) -> Option<NonZeroU32> {
        NonZeroU32::new(self.private(max_requests) / nodes)
    }

    /// The units that an Envoy admits of `max_requests` while the store cannot be reached; `None`: none.
    pub fn unreachable(&self, max_requests: NonZeroU32, nodes: NonZeroU32) -> Option<NonZeroU32> {
        match self.when_unreachable {
            WhenUnreachable::Share => {
                Some(NonZeroU32::new(max_requests.get() / nodes).unwrap_or(NonZeroU32::MIN))
            }
            WhenUnreachable::Alone => Some(max_requests),
            WhenUnreachable::Refuse => None,
        }
    }

    fn private(&self, max_requests: NonZeroU32) -> u32 {
        let private = u64::from(max_requests.get()).saturating_mul(self.private_percent.into()) / 100;
        u32::try_from(private).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_store_grants_and_what_the_envoys_own_is_never_more_than_the_limit() {
        for max in (1..300).chain([u32::MAX]).filter_map(NonZeroU32::new) {
            for nodes in [1, 2, 3, 7, 1000].into_iter().filter_map(NonZeroU32::new) {
                for private_percent in [0, 1, 48, 90] {
                    let limit = FleetLimit { when_unreachable: WhenUnreachable::Share, private_percent };
                    let owned = limit.owned(max, nodes).map_or(0, NonZeroU32::get);
                    let all = u64::from(limit.shared(max).get()) + u64::from(owned) * u64::from(nodes.get());
                    assert!(all <= u64::from(max.get()), "{max} {nodes} {private_percent}");
                }
            }
        }
        let limit = FleetLimit { when_unreachable: WhenUnreachable::Share, private_percent: 48 };
        let (max, nodes) = (NonZeroU32::new(100).unwrap(), NonZeroU32::new(3).unwrap());
        assert_eq!((limit.shared(max).get(), limit.owned(max, nodes).unwrap().get()), (52, 16));
    }

    #[test]
    fn a_share_is_at_least_one() {
        let limit = FleetLimit { when_unreachable: WhenUnreachable::Share, private_percent: 0 };
        let number = |number| NonZeroU32::new(number).unwrap();
        assert_eq!(limit.unreachable(number(100), number(3)), Some(number(33)));
        assert_eq!(limit.unreachable(number(2), number(3)), Some(number(1)));
        let alone = FleetLimit { when_unreachable: WhenUnreachable::Alone, ..limit };
        assert_eq!(alone.unreachable(number(100), number(3)), Some(number(100)));
        let refuse = FleetLimit { when_unreachable: WhenUnreachable::Refuse, ..limit };
        assert_eq!(refuse.unreachable(number(100), number(3)), None);
    }
}
