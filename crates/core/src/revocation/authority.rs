//! On whose behalf is something revoked, and how much room is there for it?

use super::Aging;

/// One in so many entries is kept for holders of the endpoint's permissions.
const RESERVED_ONE_IN: usize = 16;

/// One subject may hold one in so many entries by its own revocations.
const OWNED_ONE_IN: usize = 64;

/// On whose behalf something is revoked.
#[derive(Debug, Clone, Copy)]
pub enum Authority<'a> {
    /// Somebody who holds the endpoint's permissions. They may fill the whole table.
    Holder,
    /// A caller who revokes what is their own.
    Owner {
        /// The issuer of the caller's token, where subjects are told apart by issuer.
        issuer: Option<&'a str>,
        /// `sub` of the caller's token. Callers without one cannot be told apart: they have no share, and share the table up to
        /// the reserve.
        subject: Option<&'a str>,
        /// How long the subject's tokens can live.
        aging: Aging,
    },
}

/// Which part of a page may be filled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// All of it.
    Whole,
    /// All but the reserve.
    ButReserve,
}

impl Authority<'_> {
    pub(super) fn reach(&self) -> Reach {
        match self {
            Self::Holder => Reach::Whole,
            Self::Owner { .. } => Reach::ButReserve,
        }
    }
}

/// How many of `entries`, which are one page of a table of `capacity`, are the reserve: a sixteenth, rounded up. A table of one
/// entry has none, since nobody could log out otherwise. Full pages leave no remainder, so the reserve of the table
/// is a sixteenth of its capacity, rounded up.
pub(super) fn reserve(entries: usize, capacity: usize) -> usize {
    if capacity == 1 { 0 } else { entries.div_ceil(RESERVED_ONE_IN) }
}

/// How many entries one subject may hold by its own revocations in a table of `capacity`.
pub(super) fn share(capacity: usize) -> usize {
    (capacity / OWNED_ONE_IN).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sixteenth_is_reserved_rounded_up_but_for_a_table_of_one() {
        for (capacity, reserved) in [(1, 0), (2, 1), (15, 1), (16, 1), (17, 2), (32, 2), (255, 16), (256, 16)]
        {
            assert_eq!(reserve(capacity, capacity), reserved, "{capacity}");
        }
        assert_eq!(reserve(1, 257), 1, "the last page of a larger table");
    }

    #[test]
    fn a_subject_has_a_sixty_fourth_rounded_down_but_at_least_one_entry() {
        for (capacity, most) in
            [(1, 1), (63, 1), (64, 1), (127, 1), (128, 2), (65_536, 1024), (1 << 24, 1 << 18)]
        {
            assert_eq!(share(capacity), most, "{capacity}");
        }
    }
}
