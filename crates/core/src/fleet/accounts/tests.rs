//! Who has an account where there are more callers than accounts?

use std::num::NonZeroU32;

use super::*;
use crate::limit::Identities;
use crate::token::algorithm::MacAlgorithm;
use crate::token::secret::Secret;

/// How many accounts of a limit there can be.
const ROOM: usize = 256 * WAYS + LEAVING;

struct Callers {
    names: Names,
    accounts: Accounts,
    /// Later with each request.
    now: UnixNanos,
}

impl Callers {
    fn new() -> Self {
        let secret = Secret::from_bytes(MacAlgorithm::Hs256, &[7; 32]).unwrap();
        let names = Names::new(secret, "ag".to_owned());
        Self { names, accounts: Accounts::default(), now: UnixNanos::from_seconds(1_796_000_000) }
    }

    fn demand(&self, limit: &str, caller: u32) -> Demand {
        let identities = Identities::new(&self.names.seed(), limit);
        let number = |number| NonZeroU32::new(number).unwrap();
        let identity = identities.of_key(|digest| digest.add(&caller.to_le_bytes()));
        Demand { identity, units: number(100), window_seconds: number(60) }
    }

    fn take(&mut self, limit: &str, caller: u32) -> Standing {
        self.now = UnixNanos::from_nanos(self.now.nanos().saturating_add(1));
        self.accounts.take(self.demand(limit, caller), &self.names, true, self.now)
    }

    /// Gives a caller so many units.
    fn grant(&mut self, limit: &str, caller: u32, units: u64) {
        assert_eq!(self.take(limit, caller), Standing::Ask);
        let demand = self.demand(limit, caller);
        (0..units).for_each(|_| _ = self.accounts.wait(demand.identity));
        self.call(|_| ());
        let account = self.accounts.sent(demand.identity).unwrap();
        account.settle(demand, [units, 50, 1, 1, 1_000_000, 0, 0], self.now, self.now).unwrap();
    }

    /// What a call carries.
    fn call(&mut self, mut look: impl FnMut(u32)) {
        let mut commands = crate::fleet::resp::Commands::default();
        self.accounts.take_queued(256, |account| look(account.write("me", 1, 1, true, &mut commands).units));
    }

    fn count(&mut self) -> usize {
        self.count_of(|_| true)
    }

    fn count_of(&mut self, is_one: impl Fn(&Account) -> bool) -> usize {
        let mut count = 0;
        self.accounts.each(&mut |account, _| {
            count = usize::from(is_one(account)).saturating_add(count);
        });
        count
    }

    /// Callers of one set, which has no others.
    fn set(&self, limit: &str) -> Vec<u32> {
        let place = |caller: &u32| set(self.demand(limit, *caller).identity);
        (0..40_000).filter(|caller| place(caller) == 0).collect()
    }
}

#[test]
fn there_are_no_more_accounts_than_each_limit_has_room_for() {
    let mut callers = Callers::new();
    for caller in 0..30_000 {
        callers.take("a", caller);
        assert!(caller < 10_000 || callers.count() == 2048 || !caller.is_multiple_of(1000));
    }
    callers.take("b", 1);
    assert_eq!(callers.count(), 2049);
    assert!(size_of::<Account>() <= 224, "{}", size_of::<Account>());
    // Neither has another one who owes, and cannot be forgotten before the store has heard of it.
    for caller in 0..30_000 {
        callers.take("a", caller);
        callers.accounts.owe(callers.demand("a", caller).identity);
    }
    assert!(callers.count() <= ROOM + 1, "{}", callers.count());
    assert_eq!(callers.accounts.tables[0].leaving.len(), LEAVING);
}

#[test]
fn who_has_nothing_in_hand_makes_room_first_and_what_others_have_goes_back() {
    let mut callers = Callers::new();
    let all = callers.set("a");
    let (first, later) = all.split_at(WAYS);
    for caller in &first[1..] {
        callers.grant("a", *caller, 5);
    }
    callers.take("a", first[0]);
    // Two more than there is room for.
    callers.take("a", later[0]);
    callers.grant("a", later[1], 5);
    let mut kept =
        first[1..].iter().filter(|caller| matches!(callers.take("a", **caller), Standing::Taken(_)));
    assert_eq!(kept.by_ref().count(), WAYS - 1, "those that were never there have made room");
    // Now all have something in hand, and the one was not there for the longest time that all others have found there since.
    callers.take("a", later[2]);
    let mut back = Vec::new();
    callers.call(|units| back.push(units));
    assert_eq!(back, [5], "and has spent nothing");
}

#[test]
fn who_comes_back_before_what_was_in_hand_has_gone_back_is_who_had_it() {
    for is_on_its_way in [false, true] {
        let mut callers = Callers::new();
        let all = callers.set("a");
        all[..WAYS].iter().for_each(|caller| callers.grant("a", *caller, 5));
        callers.take("a", all[WAYS]);
        let mut back = Vec::new();
        if is_on_its_way {
            callers.call(|units| back.push(units));
            assert_eq!(back, [5]);
        }
        assert_eq!(callers.take("a", all[0]), Standing::Ask);
        let identity = callers.demand("a", all[0]).identity;
        assert_eq!(callers.count_of(|it| it.demand.identity == identity), 1);
        callers.accounts.wait(identity);
        callers.call(|units| back.push(units));
        assert_eq!(back, [5], "once");
    }
}

#[test]
fn where_too_many_are_about_to_leave_a_newcomer_finds_no_room_and_nothing_is_lost() {
    let mut callers = Callers::new();
    let all = callers.set("a");
    let last = all.len() - 1;
    for caller in &all[..last] {
        callers.take("a", *caller);
        callers.accounts.owe(callers.demand("a", *caller).identity);
    }
    let owing = callers.count();
    assert_eq!(owing, WAYS + LEAVING);
    assert_eq!(callers.take("a", all[last]), Standing::Unreachable);
    assert_eq!(callers.count_of(Account::holds), owing);
    // The next call makes room.
    let mut told = Vec::new();
    callers.call(|_| ());
    for caller in &all[..last] {
        let demand = callers.demand("a", *caller);
        if let Some(account) = callers.accounts.sent(demand.identity) {
            account.settle(demand, [0, 9, 1, 1, 1_000_000, 0, 0], callers.now, callers.now).unwrap();
            told.push(*caller);
        }
    }
    assert_eq!(told.len(), LEAVING);
    assert_eq!(callers.take("a", all[last]), Standing::Ask);
}

#[test]
fn each_limit_has_its_part_of_a_call() {
    let mut callers = Callers::new();
    for caller in 0..1000 {
        callers.take("a", caller);
        callers.accounts.wait(callers.demand("a", caller).identity);
    }
    for (limit, count) in [("b", 3), ("c", 200)] {
        for caller in 0..count {
            callers.take(limit, caller);
            callers.accounts.wait(callers.demand(limit, caller).identity);
        }
    }
    let mut carried = Vec::new();
    callers.accounts.take_queued(256, |account| carried.push(account.demand.identity.mark()));
    let of = |limit| {
        let mark = callers.demand(limit, 0).identity.mark();
        carried.iter().filter(|it| **it == mark).count()
    };
    // What one does not need the others have, in their order.
    assert_eq!([of("a"), of("b"), of("c")], [86 + 81, 3, 86]);
}
