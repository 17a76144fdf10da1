//! Typed indexes of routes, limits, headers and permissions, so that none can be mistaken for another.
//!
//! An index has a meaning only together with the [`Policy`](crate::policy::Policy) that it came from.

/// Defines a type of index.
macro_rules! index {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(usize);

        impl $name {
            /// The index with this number, counted from 0.
            pub const fn new(number: usize) -> Self {
                Self(number)
            }

            /// The number, counted from 0.
            pub const fn get(self) -> usize {
                self.0
            }
        }
    };
}

index! {
    /// A route: its position in the configuration's `routes`. The one after the last is the revocation endpoint.
    RouteIndex
}
index! {
    /// A rate limit: its position among all limits of the configuration, first those for all routes, then those of
    /// each route.
    LimitIndex
}
index! {
    /// A header that limits are keyed by: its position among all of those.
    KeyHeaderIndex
}
index! {
    /// A permission that the configuration names: its position in the
    /// [`PermissionBook`](crate::permission::PermissionBook).
    PermissionIndex
}
index! {
    /// A condition on claims that the configuration names: its index among all of them.
    ConditionIndex
}
index! {
    /// A key set: its position in the configuration's `tokens.key_sets`.
    KeySetIndex
}
