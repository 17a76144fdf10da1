//! What does the reply to a call bring?

use super::Link;
use super::call::{Ended, Flight};
use crate::fleet::account::Account;
use crate::fleet::outcome::CallOutcome;
use crate::fleet::resp::{Item, Malformed, Reader};
use crate::fleet::rule::FleetRule;
use crate::fleet::script::{LIMIT, NODES, is_unknown};
use crate::fleet::sharing::Brought;
use crate::fleet::units::Settled;
use crate::time::UnixNanos;

/// What a reply brings that does not concern limits.
#[derive(Debug, Default)]
pub(super) struct Replied {
    /// The number of the store's start.
    pub(super) run: Option<u64>,
    pub(super) brought: Option<Brought>,
}

impl Link {
    /// Reads the replies in the order of their commands.
    pub(super) fn read(
        &mut self,
        rule: &FleetRule,
        flight: &mut Flight,
        reply: &[u8],
        ended: &mut Ended,
        replied: &mut Replied,
        now: UnixNanos,
    ) -> Result<CallOutcome, Malformed> {
        let mut reader = Reader::new(reply)?;
        if flight.logs_in {
            match reader.next()?.ok_or(Malformed)? {
                Item::Status(_) => {}
                Item::Error(error) => return Ok(CallOutcome::of_login(error)),
                Item::Integer(_) | Item::Bulk(_) | Item::Null | Item::Array(_) => return Err(Malformed),
            }
        }
        let mut outcome = CallOutcome::Ok;
        let mut settled = Settled::default();
        for (demand, back) in std::mem::take(&mut flight.limits) {
            let numbers = reader.numbers::<7>()?;
            let Some(account) = self.accounts.sent(demand.identity) else { continue };
            match numbers {
                Ok(numbers) => {
                    let leased = account.settle(demand, numbers, flight.sent, now).ok_or(Malformed)?;
                    settled.add(leased, back.units);
                    self.scripts.add(LIMIT);
                }
                Err(error) if is_unknown(error) => {
                    self.scripts.remove(LIMIT);
                    account.repeat(back);
                    self.accounts.requeue(demand.identity);
                }
                Err(error) => {
                    let of_store = CallOutcome::of_error(error);
                    if of_store.is_of_store() {
                        return Ok(of_store);
                    }
                    shut(account, now);
                    outcome = of_store;
                }
            }
        }
        (ended.leased, ended.returned) = (settled.leased, settled.returned);
        if flight.marks {
            match reader.numbers::<4>()? {
                Ok([nodes, epoch, evicts, run]) => {
                    replied.run = Some(run);
                    self.scripts.add(NODES);
                    self.nodes.beat(nodes, rule, flight.sent, now);
                    ended.has_reset = self.epoch.is_some_and(|known| known != epoch);
                    self.epoch = Some(epoch);
                    ended.evicts = evicts != 0 && !self.evicts;
                    self.evicts = evicts != 0;
                }
                Err(error) if is_unknown(error) => self.scripts.remove(NODES),
                Err(error) => {
                    outcome = CallOutcome::of_error(error);
                    if outcome.is_of_store() {
                        return Ok(outcome);
                    }
                }
            }
        }
        let (brought, refused) = self.sharing.read(flight.work, &mut reader, &mut self.scripts)?;
        if let Some(error) = refused {
            outcome = CallOutcome::of_error(error);
            if outcome.is_of_store() {
                return Ok(outcome);
            }
        }
        replied.brought = brought;
        if reader.next()?.is_some() {
            replied.brought = None;
            return Err(Malformed);
        }
        Ok(outcome)
    }
}

/// Leaves a caller alone for whom the store does not answer.
fn shut(account: &mut Account, now: UnixNanos) {
    account.fail();
    account.shut_until = now.plus_seconds(1);
}
