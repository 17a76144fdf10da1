//! How many Envoys are there?
//!
//! Each marks itself in the store every few seconds, and is told how many have done so lately. As many as that divide a limit among
//! them while the store is not reached, and its private part always. Of the private part no Envoy may own more than
//! the others leave it: one that has come lately owns nothing until all others must have heard of it and what they spent before
//! has left the window, and one that leaves is counted as long.

use std::num::NonZeroU32;

use super::rule::FleetRule;
use crate::time::UnixNanos;

/// How often an Envoy marks itself, seconds.
const BEAT_SECONDS: u64 = 5;
/// An Envoy that has not done so for so long may have been forgotten by others, seconds. The store forgets it after 15.
const FORGOTTEN_SECONDS: u64 = 10;
/// Until then every Envoy has heard of a change, seconds after it.
const HEARD_SECONDS: u64 = 30;

/// The Envoys of the fleet, as a link knows them.
#[derive(Debug)]
pub(super) struct Nodes {
    /// As the store said last; at least 1.
    latest: NonZeroU32,
    /// The most of the present period and of the one before it.
    most: [NonZeroU32; 2],
    period_ends: UnixNanos,
    /// Since when the store knows this Envoy without a break.
    joined: Option<UnixNanos>,
    /// When the latest mark was sent that the store has confirmed.
    marked: Option<UnixNanos>,
}

impl Nodes {
    /// This Envoy alone, as far as is known.
    pub(super) fn new() -> Self {
        let one = NonZeroU32::MIN;
        Self { latest: one, most: [one; 2], period_ends: UnixNanos::default(), joined: None, marked: None }
    }

    /// Whether the next mark is due.
    pub(super) fn is_due(&self, now: UnixNanos) -> bool {
        self.marked.is_none_or(|marked| now < marked || marked.plus_seconds(BEAT_SECONDS) <= now)
    }

    /// Notes what the store said to a mark that was sent at `sent`.
    pub(super) fn beat(&mut self, nodes: u64, rule: &FleetRule, sent: UnixNanos, now: UnixNanos) {
        let known = |marked: UnixNanos| marked <= sent && sent < marked.plus_seconds(FORGOTTEN_SECONDS);
        if !self.marked.is_some_and(known) {
            self.joined = Some(now);
        }
        self.marked = Some(sent);
        self.latest = u32::try_from(nodes).ok().and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MIN);
        let [present, before] = self.most;
        let settled = now.plus_seconds(settle_seconds(rule));
        if self.period_ends <= now || settled < self.period_ends {
            self.period_ends = settled;
            self.most = [self.latest, present];
        } else {
            self.most = [present.max(self.latest), before];
        }
    }

    /// The number of Envoys now.
    pub(super) fn now(&self, rule: &FleetRule) -> NonZeroU32 {
        rule.nodes.unwrap_or(self.latest)
    }

    /// Among how many Envoys the private part of a limit is divided; `None` if this one owns nothing of it yet.
    pub(super) fn owners(&self, rule: &FleetRule, now: UnixNanos) -> Option<NonZeroU32> {
        if rule.nodes.is_some() {
            return rule.nodes;
        }
        let joined = self.joined.filter(|joined| joined.plus_seconds(settle_seconds(rule)) <= now)?;
        let is_known =
            self.marked.is_some_and(|marked| joined <= now && now < marked.plus_seconds(FORGOTTEN_SECONDS));
        let [present, before] = self.most;
        is_known.then(|| present.max(before))
    }

    /// Notes that the clock went backwards: this Envoy owns nothing until it has been there for long enough again.
    pub(super) fn clock_went_back(&mut self) {
        self.joined = None;
        self.marked = None;
    }
}

fn settle_seconds(rule: &FleetRule) -> u64 {
    // A window, and the sub-window by which what was spent in it may leave late.
    let window = u64::from(rule.longest_private_window_seconds);
    window.saturating_add(window.div_ceil(16)).saturating_add(HEARD_SECONDS)
}
