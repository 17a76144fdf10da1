//! Times, keys and what others have written, in words.

use std::time::{Duration, UNIX_EPOCH};

use api_guard_core::token::date::LATEST_SECOND;
use api_guard_core::token::keys::SigningKey;

/// So many characters of a text are shown. The addresses of issuers are half as long at most.
pub const LONGEST_QUOTE: usize = 256;

/// A text, quoted so that no terminal obeys it. A long one is cut, with a mark behind the quotes.
pub fn quoted(text: &str) -> String {
    match text.char_indices().nth(LONGEST_QUOTE) {
        Some((end, _)) => format!("{:?}…", text.get(..end).unwrap_or_default()),
        None => format!("{text:?}"),
    }
}

/// `2026-11-25T10:00:00Z (in 2 hours)`.
pub fn moment(second: u64, now: u64) -> String {
    if second > LATEST_SECOND {
        return "past the year 9999 (milliseconds by mistake?)".to_owned();
    }
    let time = UNIX_EPOCH.checked_add(Duration::from_secs(second)).unwrap_or(UNIX_EPOCH);
    format!("{} ({})", humantime::format_rfc3339_seconds(time), distance(second, now))
}

/// The pointer to a key in the configuration, or to the set that it came from.
pub fn key_pointer(key: &SigningKey) -> String {
    match key {
        SigningKey::Configured(key) => format!("/tokens/keys/{}", key.index()),
        SigningKey::OfSet { set, .. } => format!("/tokens/key_sets/{}", set.get()),
    }
}

/// `in 2 hours`, `3 days ago`, `now`.
fn distance(second: u64, now: u64) -> String {
    let span = span(second.abs_diff(now));
    match second.cmp(&now) {
        std::cmp::Ordering::Less => format!("{span} ago"),
        std::cmp::Ordering::Equal => "now".to_owned(),
        std::cmp::Ordering::Greater => format!("in {span}"),
    }
}

/// The largest unit that fits.
pub fn span(seconds: u64) -> String {
    const UNITS: [(u64, &str); 5] =
        [(31_557_600, "year"), (86_400, "day"), (3600, "hour"), (60, "minute"), (1, "second")];
    let fitting = UNITS.iter().find_map(|(size, name)| {
        let count = seconds.checked_div(*size)?;
        (count > 0).then_some((count, *name))
    });
    match fitting {
        Some((1, name)) => format!("1 {name}"),
        Some((count, name)) => format!("{count} {name}s"),
        None => "0 seconds".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_told_by_calendar_and_by_distance() {
        assert_eq!(moment(1_795_600_800, 1_795_593_600), "2026-11-25T10:00:00Z (in 2 hours)");
        assert_eq!(moment(1_795_600_800, 1_795_600_861), "2026-11-25T10:00:00Z (1 minute ago)");
        assert_eq!(moment(0, 0), "1970-01-01T00:00:00Z (now)");
        assert!(moment(1_795_600_800_000, 0).starts_with("past the year 9999"));
        assert!(moment(u64::MAX, 0).starts_with("past the year 9999"));
    }
}
