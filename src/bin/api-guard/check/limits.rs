//! Limits that can be dodged, or that never refuse anybody.

use std::collections::HashSet;

use api_guard_core::config::raw::{RawConfig, RawLimit, RawMaxRequests};
use api_guard_core::policy::Mode;

use super::lint::Warnings;
use crate::limits::all;

pub(super) fn check(raw: &RawConfig, out: &mut Warnings) {
    if all(raw).next().is_none() {
        out.add("no-limits", "/rate_limits", "nothing limits how many requests clients send; add a limit");
    }
    for (pointer, limit) in all(raw) {
        for (index, part) in limit.key.iter().enumerate() {
            if let Some(name) = part.strip_prefix("header:") {
                let text =
                    format!("a client dodges the limit by changing {name}; count client_ip or subject");
                out.add("header-key", format!("{pointer}/key/{index}"), text);
            }
        }
    }
    let for_all: Vec<Rule<'_>> = raw
        .rate_limits
        .iter()
        .enumerate()
        .filter_map(|(index, limit)| Rule::new(raw, index, limit, None))
        .collect();
    compare(&for_all, &for_all, out);
    for (route, settings) in raw.routes.iter().enumerate() {
        let own: Vec<Rule<'_>> = settings
            .rate_limits
            .iter()
            .enumerate()
            .filter_map(|(index, limit)| Rule::new(raw, index, limit, Some(route)))
            .collect();
        compare(&for_all, &own, out);
        compare(&own, &own, out);
    }
}

/// A limit with one number for everybody.
struct Rule<'r> {
    pointer: String,
    name: &'r str,
    max: u64,
    window: u64,
    key: HashSet<&'r str>,
    enforced: bool,
}

impl<'r> Rule<'r> {
    fn new(raw: &RawConfig, index: usize, limit: &'r RawLimit, route: Option<usize>) -> Option<Self> {
        let Some(RawMaxRequests::Fixed(max)) = limit.max_requests else { return None };
        let mode_of_route = route.and_then(|route| raw.routes.get(route)?.mode).unwrap_or(raw.mode);
        Some(Self {
            pointer: match route {
                None => format!("/rate_limits/{index}"),
                Some(route) => format!("/routes/{route}/rate_limits/{index}"),
            },
            name: limit.name.as_deref()?,
            max,
            window: limit.window_seconds.filter(|window| *window > 0)?,
            key: limit.key.iter().map(String::as_str).collect(),
            enforced: limit.mode.unwrap_or(mode_of_route) == Mode::Enforce,
        })
    }

    /// Whether this limit always refuses no later than `other` would, so that `other` never has an effect.
    fn makes_useless(&self, other: &Self) -> bool {
        // A limit whose key has fewer parts reaches higher counts.
        let most_in_window = self.max.saturating_mul(other.window.div_ceil(self.window));
        self.enforced == other.enforced && self.key.is_subset(&other.key) && most_in_window <= other.max
    }
}

/// Notes which of `others` never refuse because of one of `limits`.
fn compare(limits: &[Rule<'_>], others: &[Rule<'_>], out: &mut Warnings) {
    for other in others {
        let stricter = limits.iter().find(|limit| {
            let twins = limit.makes_useless(other) && other.makes_useless(limit);
            // Of two equivalent limits, only the second is reported.
            limit.pointer != other.pointer
                && limit.makes_useless(other)
                && (!twins || limit.pointer < other.pointer)
        });
        let Some(limit) = stricter else { continue };
        let figures = |rule: &Rule<'_>| format!("{} in {} s", rule.max, rule.window);
        let both = format!(
            "{} ({}) never refuses, because {} ({}, {}) always refuses first",
            other.name,
            figures(other),
            limit.name,
            figures(limit),
            limit.pointer,
        );
        if limit.window > other.window {
            let text =
                format!("a longer window has a lower limit: {both}; lower this one, or raise the other");
            out.add("longer-window-lower-limit", format!("{}/max_requests", other.pointer), text);
        } else {
            let text = format!("{both}; remove it, or lower it");
            out.add("useless-limit", format!("{}/max_requests", other.pointer), text);
        }
    }
}
