//! The script that holds a window does what the window of one Envoy does.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::ops::Range;

use api_guard_core::fleet::script::LIMIT;
use api_guard_core::limit::Quota;
use api_guard_core::limit::window::{Stamp, Window};
use api_guard_core::time::UnixNanos;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::store::{Item, Store};

/// One call of the script.
#[derive(Debug, Clone)]
struct Call {
    /// By how much the store's clock moves before it, in 1,000,000ths of a window.
    step: i64,
    max: u32,
    longer: bool,
    want: u32,
    who: u8,
    debt: u32,
    repeats: bool,
    back: Option<(usize, u32)>,
}

fn calls() -> impl Strategy<Value = Vec<Call>> {
    let step = prop_oneof![
        8 => 0_i64..200_000,
        2 => Just(62_500_i64),
        1 => 0_i64..3_000_000,
        1 => -1_100_000_i64..0,
        1 => -5_000_000_i64..0,
    ];
    let back = prop::option::of((0_usize..8, 0_u32..6));
    let call =
        (step, 1_u32..60, prop::bool::weighted(0.05), 0_u32..50, 0_u8..4, 0_u32..3, any::<bool>(), back);
    prop::collection::vec(
        call.prop_map(|(step, max, longer, want, who, debt, repeats, back)| Call {
            step,
            max,
            longer,
            want,
            who,
            debt,
            repeats,
            back,
        }),
        1..40,
    )
}

/// The script with a clock that is an argument.
fn script() -> String {
    let text = LIMIT.text.replace("redis.call('TIME')", "{ tonumber(ARGV[11]), tonumber(ARGV[12]) }");
    assert_ne!(text, LIMIT.text);
    text
}

#[test]
fn the_store_counts_as_the_window_of_one_envoy_does() {
    let Some(store) = Store::start() else { return };
    let Item::Text(sha1) = store.command(&["SCRIPT", "LOAD", &script()]) else { panic!() };
    let mut runner = TestRunner::new(Config { cases: 100, failure_persistence: None, ..Config::default() });
    let case = std::cell::Cell::new(0);
    let result = runner.run(&(calls(), 1_u32..100), |(calls, seconds)| {
        case.set(case.get() + 1);
        judge(&store, &sha1, &format!("w{}", case.get()), &calls, seconds)
    });
    result.unwrap();
}

fn judge(store: &Store, sha1: &str, key: &str, calls: &[Call], seconds: u32) -> Result<(), TestCaseError> {
    let mut micros: i64 = 1_796_000_000_000_000;
    let mut model: Option<Window> = None;
    // What was granted, as the store and as the model name it.
    let mut granted: Vec<(i64, i64, Stamp)> = Vec::new();
    let mut reports: HashMap<u8, u32> = HashMap::new();
    // In which bucket the store has seen whom: it forgets who was not there in this one or the last.
    let mut seen: HashMap<u8, u64> = HashMap::new();
    let mut seconds = NonZeroU32::new(seconds).unwrap();
    for (number, call) in calls.iter().enumerate() {
        micros += call.step * i64::from(seconds.get());
        if call.longer {
            seconds = seconds.saturating_add(7);
        }
        let now = UnixNanos::from_nanos(u64::try_from(micros).unwrap() * 1000);
        let quota = Quota {
            max_requests: NonZeroU32::new(call.max).unwrap(),
            window_seconds: seconds,
            warn_at_percent: None,
        };
        let report = reports.entry(call.who).or_default();
        let is_new = !call.repeats || !seen.contains_key(&call.who);
        *report += u32::from(is_new);
        let back = call.back.and_then(|(index, units)| Some((*granted.get(index)?, units)));
        let (epoch, bucket) = back.map_or((0, 0), |((epoch, bucket, _), _)| (epoch, bucket));

        let window = model.get_or_insert_with(|| Window::new(seconds, now));
        let _ = window.advance(seconds, now);
        if let Some(((_, _, stamp), units)) = back {
            window.give_back(stamp, units);
        }

        let arguments = [
            i64::from(call.max),
            i64::from(seconds.get()),
            i64::from(call.want),
            i64::from(call.who),
            i64::from(*report),
            i64::from(call.debt),
            epoch,
            bucket,
            back.map_or(0, |(_, units)| i64::from(units)),
            1 + i64::try_from(number).unwrap(),
            micros / 1_000_000,
            micros % 1_000_000,
        ]
        .map(|number| number.to_string());
        let mut command = vec!["EVALSHA", sha1, "1", key];
        command.extend(arguments.iter().map(String::as_str));
        let reply = store.command(&command).numbers();
        let [units, left, epoch, bucket, lasts, free, oldest] = reply[..] else { panic!("{reply:?}") };

        let head = window.clone().spend(&quota).stamp.bucket;
        seen.insert(call.who, head);
        seen.retain(|_, bucket| head.abs_diff(*bucket) <= 1);
        let debt = if is_new { call.debt } else { 0 };
        let spend = |window: &mut Window, units: u32| {
            for _ in 0..units {
                window.spend(&quota);
            }
        };
        spend(window, debt);
        let remaining = window.remaining(&quota);
        prop_assert!(units >= 0 && u64::try_from(units).unwrap() <= remaining, "{units} of {remaining}");
        prop_assert_eq!(units > 0, remaining > 0 && call.want > 0, "whoever asks gets one, if there is one");
        prop_assert!(units <= i64::from(call.want));
        prop_assert!(units <= 1 || u64::try_from(units).unwrap() <= remaining / 2);
        spend(window, u32::try_from(units).unwrap());
        prop_assert_eq!(u64::try_from(left).unwrap(), window.remaining(&quota));

        let until = |moment: Option<UnixNanos>| {
            moment.map_or(0, |moment| i64::try_from(moment.nanos() / 1000).unwrap() - micros)
        };
        prop_assert_eq!(free, until(window.free_at(&quota)));
        prop_assert_eq!(oldest, until(window.oldest_leaves_at()));
        let length = i64::from(seconds.get()) * 62_500;
        prop_assert!(lasts > 0 && lasts <= length && lasts <= (bucket + 1) * length - micros);
        if units > 0 {
            let stamp = window.clone().spend(&quota).stamp;
            prop_assert_eq!(u64::try_from(bucket).unwrap(), stamp.bucket);
            granted.insert(0, (epoch, bucket, stamp));
        }
    }
    Ok(())
}

/// Two Envoys whose windows differ, as during a rollout, want a unit in turn, one each second: in which seconds they got one. The
/// store has a limit of 10, and its clock is an argument.
fn granted_in_turn(store: &Store, key: &str, windows: [u64; 2], seconds: Range<u64>) -> Vec<u64> {
    let Item::Text(sha1) = store.command(&["SCRIPT", "LOAD", &script()]) else { panic!() };
    let is_granted = |second: &u64| {
        let (who, window) = if second.is_multiple_of(2) { ("a", windows[0]) } else { ("b", windows[1]) };
        let (window, fresh, now) =
            (window.to_string(), (1 + second).to_string(), (1_796_000_000 + second).to_string());
        let arguments = ["10", &window, "1", who, "0", "0", "0", "0", "0", &fresh, &now, "0"];
        let reply = store.command(&[&["EVALSHA", &sha1, "1", key][..], &arguments].concat()).numbers();
        assert!(reply[4] <= window.parse::<i64>().unwrap() * 62_500, "the lease outlives what was asked for");
        reply[0] == 1
    };
    seconds.filter(is_granted).collect()
}

#[test]
fn two_windows_of_one_limit_keep_nobody_out_for_ever_and_the_longer_one_holds() {
    let Some(store) = Store::start() else { return };
    for windows in [[60, 61], [61, 60], [60, 70], [60, 600], [17, 60]] {
        let longest = windows.into_iter().max().unwrap();
        let granted = granted_in_turn(&store, &format!("{windows:?}"), windows, 0..5 * longest);
        let most = granted
            .iter()
            .map(|from| granted.iter().filter(|second| (*from..from + longest).contains(second)).count());
        assert_eq!(most.max(), Some(10), "{windows:?}");
        assert!(granted.len() >= 40, "{windows:?}: {granted:?}");
    }
}

#[test]
fn a_window_that_nobody_asks_by_any_more_no_longer_holds() {
    let Some(store) = Store::start() else { return };
    granted_in_turn(&store, "k", [60, 60], 0..30);
    let granted = granted_in_turn(&store, "k", [10, 10], 30..90);
    assert!(granted.len() >= 40, "{granted:?}");
}

#[test]
fn what_stands_there_in_place_of_a_window_is_an_error_and_not_a_grant() {
    let Some(store) = Store::start() else { return };
    let ask =
        || store.command(&["EVAL", LIMIT.text, "1", "k", "9", "60", "1", "me", "0", "0", "0", "0", "0", "7"]);
    for garbage in ["", "x", "\u{1}", "nonsense of some length", "\u{5}\u{1}"] {
        store.command(&["SET", "k", garbage]);
        assert!(matches!(ask(), Item::Error(_)), "{garbage:?}");
    }
    store.command(&["DEL", "k"]);
    store.command(&["LPUSH", "k", "1"]);
    assert!(matches!(ask(), Item::Error(error) if error.starts_with("WRONGTYPE")));
}

#[test]
fn a_window_is_forgotten_when_all_of_it_has_left_and_grows_by_no_more_than_who_asks() {
    let Some(store) = Store::start() else { return };
    for who in 0..100 {
        let who = who.to_string();
        store.command(&["EVAL", LIMIT.text, "1", "k", "900", "60", "1", &who, "0", "0", "0", "0", "0", "7"]);
    }
    let Item::Number(bytes) = store.command(&["STRLEN", "k"]) else { panic!() };
    assert!(bytes < 1500, "{bytes}");
    let Item::Number(left) = store.command(&["PTTL", "k"]) else { panic!() };
    assert!((60_000..=68_000).contains(&left), "{left}");
}
