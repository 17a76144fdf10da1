//! Times of day as people write them (RFC 3339), offsets included.

use api_guard_core::time::UnixNanos;

const FORM: &str = "write a time such as 2026-11-29T10:00:00Z (RFC 3339)";

/// Reads a time.
///
/// # Errors
///
/// What to write instead.
pub fn moment(text: &str) -> Result<UnixNanos, String> {
    let form = || FORM.to_owned();
    let upper = text.to_ascii_uppercase();
    let (local, offset) = match upper.strip_suffix('Z') {
        Some(local) => (local, 0),
        None => {
            let at = upper.len().checked_sub(6).ok_or_else(form)?;
            let (local, offset) = upper.split_at_checked(at).ok_or_else(form)?;
            (local, seconds(offset).ok_or_else(form)?)
        }
    };
    // Without these two, `10:00:00.` would be read, and a leap second where there is none.
    if local.ends_with('.') {
        return Err(form());
    }
    let is_leap = local.get(17..19) == Some("60");
    let time = humantime::parse_rfc3339(&format!("{local}Z")).map_err(|_| form())?;
    let nanos = time.duration_since(std::time::UNIX_EPOCH).map_err(|_| form())?.as_nanos();
    let nanos = i128::try_from(nanos).map_err(|_| form())?;
    let shift = i128::from(offset).checked_mul(1_000_000_000).ok_or_else(form)?;
    let utc = nanos.checked_sub(shift).and_then(|utc| u64::try_from(utc).ok()).ok_or_else(form)?;
    let time = UnixNanos::from_nanos(utc);
    if is_leap && time.seconds().checked_rem(86_400) != Some(86_399) {
        return Err("a leap second is the last of a day in UTC: ".to_owned() + FORM);
    }
    Ok(time)
}

/// `+02:00` in seconds.
fn seconds(offset: &str) -> Option<i64> {
    let (sign, rest) = match (offset.strip_prefix('+'), offset.strip_prefix('-')) {
        (Some(rest), _) => (1_i64, rest),
        (None, Some(rest)) => (-1, rest),
        (None, None) => return None,
    };
    let (hours, minutes) = rest.split_once(':')?;
    let two_digits = |text: &str| (text.len() == 2).then(|| text.parse::<u8>().ok()).flatten();
    let (hours, minutes) = (two_digits(hours)?, two_digits(minutes)?);
    if hours > 23 || minutes > 59 {
        return None;
    }
    let total = i64::from(hours).checked_mul(3600)?.checked_add(i64::from(minutes).checked_mul(60)?)?;
    sign.checked_mul(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_read_with_its_offset() {
        for text in ["2026-11-25T10:00:00Z", "2026-11-25t12:00:00+02:00", "2026-11-25T04:30:00.000-05:30"] {
            assert_eq!(moment(text).unwrap().seconds(), 1_795_600_800, "{text}");
        }
        assert!(moment("2016-12-31T23:59:60Z").is_ok() && moment("2016-12-31T18:29:60-05:30").is_ok());
        for bad in [
            "",
            "now",
            "2026-11-25",
            "2026-11-25T10:00:00",
            "2026-13-25T10:00:00Z",
            "2026-11-25T10:00:00+2:00",
            "2026-11-25T10:00:00.Z",
            "2026-11-25T10:59:60Z",
            "ü",
        ] {
            assert!(moment(bad).is_err(), "{bad}");
        }
    }
}
