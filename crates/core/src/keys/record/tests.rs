#![allow(clippy::arithmetic_side_effects, clippy::string_slice, reason = "a test that cannot go on fails")]

use proptest::prelude::*;

use super::*;

fn rule() -> RemoteSet {
    RemoteSet {
        cluster: "idp".to_owned(),
        path: "/jwks.json".to_owned(),
        authority: "login.example.com".to_owned(),
        timeout_milliseconds: 2000,
        refresh_seconds: 300,
        min_refetch_seconds: 30,
        max_stale_seconds: 86_400,
    }
}

const START: u64 = 1_790_000_000;

fn at(second: u64) -> UnixNanos {
    UnixNanos::from_seconds(START + second)
}

fn begun(second: u64) -> Record {
    Record::new(7).begin(1, &rule(), at(second)).unwrap()
}

fn fetched(second: u64) -> Record {
    begun(second).end(1, Ok(vec![1]), &rule(), 0, at(second)).unwrap()
}

#[test]
fn a_set_is_fetched_at_once_and_by_one_worker() {
    let record = begun(0);
    assert!(record.is_being_fetched(&rule(), at(0)) && !record.is_due(&rule(), at(0)));
    assert_eq!(record.clone().begin(2, &rule(), at(6)), None);
    assert_eq!(record.clone().end(2, Ok(vec![2]), &rule(), 0, at(1)), None, "not its lease");
    let record = record.end(1, Ok(vec![1]), &rule(), 0, at(1)).unwrap();
    assert_eq!((record.keys.as_slice(), record.ended, record.outcome), (&[1][..], 1, Some(FetchOutcome::Ok)));
    assert!(!record.is_being_fetched(&rule(), at(1)));
    assert_eq!(record.end(1, Ok(vec![2]), &rule(), 0, at(1)), None, "it has ended");
}

#[test]
fn the_lease_of_a_worker_that_died_lapses() {
    let record = begun(0);
    assert_eq!(record.clone().begin(2, &rule(), at(6)), None);
    let other = record.begin(2, &rule(), at(7)).unwrap();
    assert_eq!(other.clone().end(1, Ok(vec![1]), &rule(), 0, at(7)), None, "the first one comes back");
    assert!(other.end(2, Ok(vec![2]), &rule(), 0, at(8)).is_some());
}

#[test]
fn a_set_is_fetched_anew_give_or_take_a_tenth() {
    for (jitter, second) in [(0, 270), (30_000_000_000, 300), (60_000_000_000, 330), (60_000_000_001, 270)] {
        let record = begun(0).end(1, Ok(vec![1]), &rule(), jitter, at(0)).unwrap();
        assert!(!record.is_due(&rule(), at(second - 1)), "{jitter}");
        assert!(record.is_due(&rule(), at(second)), "{jitter}");
    }
}

#[test]
fn after_failures_it_waits_twice_as_long_each_time_up_to_a_minute() {
    let mut record = fetched(0);
    let mut now = 400;
    for wait in [1, 2, 4, 8, 16, 32, 60, 60, 60] {
        record = record.begin(1, &rule(), at(now)).unwrap();
        record = record.end(1, Err(FetchOutcome::Timeout), &rule(), 0, at(now)).unwrap();
        assert_eq!(record.keys, [1], "the last set stays");
        assert_eq!(record.outcome, Some(FetchOutcome::Timeout));
        assert!(!record.is_due(&rule(), at(now + wait - 1)), "{wait}");
        now += wait;
        assert!(record.is_due(&rule(), at(now)), "{wait}");
        assert_eq!(record.retry_after_seconds(at(now - wait)), u32::try_from(wait).unwrap());
    }
    record = record.begin(1, &rule(), at(now)).unwrap().end(1, Ok(vec![2]), &rule(), 0, at(now)).unwrap();
    record = record.begin(1, &rule(), at(now + 330)).unwrap();
    record = record.end(1, Err(FetchOutcome::Reset), &rule(), 0, at(now + 330)).unwrap();
    assert!(record.is_due(&rule(), at(now + 331)), "a success begins anew");
}

#[test]
fn whoever_asks_hears_when_the_latest_fetch_is_long_enough_ago() {
    let record = fetched(0);
    assert!(!record.may_bring_more(&rule(), at(29)));
    assert!(record.may_bring_more(&rule(), at(30)));
    let asked = record.clone().ask(at(30));
    assert!(asked.is_due(&rule(), at(30)) && asked.may_bring_more(&rule(), at(30)));
    let asked = asked.begin(1, &rule(), at(30)).unwrap();
    assert!(asked.may_bring_more(&rule(), at(31)), "it is on its way");
    let ended = asked.end(1, Ok(vec![1]), &rule(), 0, at(31)).unwrap();
    assert!(!ended.may_bring_more(&rule(), at(59)) && ended.may_bring_more(&rule(), at(60)));
}

#[test]
fn whoever_asks_does_not_shorten_the_wait_after_a_failure() {
    let mut rule = rule();
    rule.min_refetch_seconds = 1;
    let mut record = fetched(0);
    for second in [400, 402, 405, 410] {
        record = record.begin(1, &rule, at(second)).unwrap();
        record = record.end(1, Err(FetchOutcome::Status), &rule, 0, at(second)).unwrap();
    }
    assert!(!record.may_bring_more(&rule, at(417)) && record.may_bring_more(&rule, at(418)));
}

#[test]
fn a_set_that_could_not_be_fetched_anew_is_in_force_until_it_is_stale() {
    let mut rule = rule();
    assert_eq!(Record::new(7).in_force_until(&rule), None);
    assert_eq!(fetched(0).in_force_until(&rule), Some(at(86_400)));
    rule.max_stale_seconds = 5;
    let record = fetched(0);
    assert_eq!(record.in_force_until(&rule), Some(at(330 + 60)), "nothing has failed yet");
    let record = record.begin(1, &rule, at(300)).unwrap();
    let record = record.end(1, Err(FetchOutcome::Reset), &rule, 0, at(300)).unwrap();
    assert_eq!(record.in_force_until(&rule), Some(at(5)));
}

#[test]
fn a_clock_that_was_set_back_stops_nothing() {
    let record = fetched(1_000_000);
    assert!(record.is_due(&rule(), at(0)));
    assert!(record.may_bring_more(&rule(), at(0)));
    let record = begun(1_000_000);
    assert!(!record.is_being_fetched(&rule(), at(0)) && record.is_due(&rule(), at(0)));
    let zero = UnixNanos::from_nanos(0);
    assert!(Record::new(7).begin(1, &rule(), zero).is_some());
}

#[test]
fn a_worker_that_is_behind_fetches_nothing_that_another_has_just_begun_or_brought() {
    let behind =
        |second, milliseconds: u64| UnixNanos::from_nanos(at(second).nanos() - milliseconds * 1_000_000);
    for milliseconds in [1, 1000] {
        let due = fetched(0).ask(behind(30, milliseconds));
        let record = due.begin(1, &rule(), at(30)).unwrap();
        let late = behind(30, milliseconds);
        assert!(record.is_being_fetched(&rule(), late) && !record.is_due(&rule(), late), "{milliseconds}");
        assert_eq!(record.clone().begin(2, &rule(), late), None, "{milliseconds}");
        // As late as a fetch can be due.
        let ended = record.end(1, Ok(vec![1]), &rule(), 60_000_000_000, at(30)).unwrap();
        assert!(!ended.may_bring_more(&rule(), late) && !ended.is_due(&rule(), late), "{milliseconds}");
    }
}

#[test]
fn what_was_written_is_read_back_and_nothing_of_another_source() {
    let failed = fetched(0).ask(at(0)).begin(3, &rule(), at(1)).unwrap();
    let failed_again = failed.clone().end(3, Err(FetchOutcome::Unusable), &rule(), 9, at(2)).unwrap();
    for record in [Record::new(7), begun(0), fetched(0), failed, failed_again] {
        let bytes = record.write();
        assert_eq!(Record::read(Some(&bytes), 7), Ok(record));
        assert_eq!(Record::read(Some(&bytes), 8), Ok(Record::new(8)));
        for end in 0..HEAD_BYTES {
            assert_eq!(Record::read(Some(&bytes[..end]), 7), Err(CellFault), "{end}");
        }
    }
    assert_eq!(Record::read(None, 7), Ok(Record::new(7)));
    for (index, outcome) in FetchOutcome::ALL.iter().enumerate() {
        assert_eq!(usize::try_from(outcome.number()).unwrap(), index + 1);
    }
}

proptest! {
    #[test]
    fn anything_may_stand_in_the_cell(bytes: Vec<u8>, mut head: [u8; HEAD_BYTES], now: u64, jitter: u64) {
        let _ = Record::read(Some(&bytes), 7);
        head[..16].copy_from_slice(&7_u128.to_le_bytes());
        let now = UnixNanos::from_nanos(now);
        let record = Record::read(Some(&head), 7).unwrap();
        let _ = record.in_force_until(&rule());
        if let Some(begun) = record.clone().begin(1, &rule(), now) {
            for ended in [Ok(Vec::new()), Err(FetchOutcome::Reset)] {
                prop_assert!(begun.clone().end(1, ended, &rule(), jitter, now).is_some());
            }
        }
        prop_assert!((1..=60).contains(&record.retry_after_seconds(now)));
    }

    #[test]
    fn however_the_cell_stands_a_fetch_begins_within_the_longest_wait(mut head: [u8; HEAD_BYTES], now in 0_u64..1 << 62) {
        head[..16].copy_from_slice(&7_u128.to_le_bytes());
        let record = Record::read(Some(&head), 7).unwrap();
        let now = UnixNanos::from_nanos(now);
        let late = now.plus_seconds(330 + 7 + 1);
        prop_assert!(record.is_due(&rule(), now) || record.is_due(&rule(), late));
    }
}

#[test]
fn a_clock_that_was_set_back_does_not_put_off_the_next_try() {
    let rule = RemoteSet { refresh_seconds: 86_400, ..rule() };
    let failed = Record::new(7).begin(1, &rule, at(20_000)).unwrap();
    let failed = failed.end(1, Err(FetchOutcome::Reset), &rule, 0, at(20_000)).unwrap();
    let first = (0..20_000).find(|s| failed.is_due(&rule, at(5_600 + s)));
    assert!(first.is_some_and(|s| s <= 61), "{first:?}");
}

#[test]
fn a_clock_that_was_set_back_keeps_no_stale_set_in_force() {
    let rule = RemoteSet { max_stale_seconds: 600, ..rule() };
    let mut record = Record::new(7).begin(1, &rule, at(50_000)).unwrap();
    record = record.end(1, Ok(vec![1]), &rule, 0, at(50_000)).unwrap();
    // Set back; no fetch succeeds from then on.
    for second in 0..2_000 {
        if record.is_due(&rule, at(second)) {
            record = record.begin(1, &rule, at(second)).unwrap();
            record = record.end(1, Err(FetchOutcome::Reset), &rule, 0, at(second)).unwrap();
        }
    }
    assert!(
        record.in_force_until(&rule).unwrap() <= at(2_000),
        "{:?}",
        record.in_force_until(&rule).unwrap().seconds() - START
    );
}
