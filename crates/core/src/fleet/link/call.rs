//! One call to the store: what goes into it, and how does it end?

use super::Link;
use super::reply::Replied;
use crate::cells::Cells;
use crate::fleet::outcome::{CallOutcome, CallResponse, CallUse};
use crate::fleet::resp::{Commands, Malformed};
use crate::fleet::rule::{FleetRule, Password};
use crate::fleet::script::{KnownScripts, LIMIT, NODES};
use crate::fleet::sharing::Work;
use crate::fleet::units::{Demand, Units};
use crate::revocation::Revocations;
use crate::time::UnixNanos;

/// Limits of one call.
const MOST_LIMITS: usize = 256;
/// A call of which the host has not said how it ended is lost after this time, nanoseconds.
const LOST_NANOS: u64 = 10_000_000_000;

/// A call that begins so soon after another one has ended may have got that one's connection, nanoseconds.
const SOON_NANOS: u64 = 1_000_000;

/// A call to be sent now.
#[derive(Debug)]
pub struct Call<'r> {
    /// Identifies the call within its link.
    pub number: u32,
    /// The host's name for the store.
    pub cluster: &'r str,
    /// How long it may take.
    pub timeout_milliseconds: u32,
    /// What is sent.
    pub body: Vec<u8>,
}

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    /// What it was for.
    pub purpose: CallUse,
    /// How it ended.
    pub outcome: CallOutcome,
    /// Whether the store is reached now and was not before, or the reverse.
    pub is_news: bool,
    /// Units that were granted.
    pub leased: u32,
    /// Units that went back.
    pub returned: u32,
    /// Whether the store has lost what it held.
    pub has_reset: bool,
    /// Whether the store says for the first time that it may drop what it holds to make room.
    pub evicts: bool,
}

/// The call in flight.
#[derive(Debug)]
pub(super) struct Flight {
    pub(super) sent: UnixNanos,
    purpose: CallUse,
    pub(super) logs_in: bool,
    pub(super) limits: Vec<(Demand, Units)>,
    pub(super) marks: bool,
    pub(super) work: Work,
    /// What is sent once more if the connection that it got was closing.
    again: Option<Vec<u8>>,
}

impl Link {
    /// The call that is due now, if one is. The host must send it.
    pub fn begin<'r>(
        &mut self,
        rule: &'r FleetRule,
        revocations: &Revocations,
        cells: &impl Cells,
        now: UnixNanos,
    ) -> Option<Call<'r>> {
        self.note_time(now);
        let marks = self.nodes.is_due(now) || !self.circuit.is_reached();
        if !self.circuit.may_call(now) {
            return None;
        }
        let shared = rule.revocations.as_ref();
        let work = shared.map(|shared| self.sharing.begin(rule, shared, revocations, cells, now));
        let work = work.unwrap_or_default();
        if !marks && work.is_none() && !self.accounts.has_queue() {
            return None;
        }
        let mut commands = Commands::default();
        let logs_in = login(rule.login.as_ref(), &mut commands);
        let fresh = self.fresh(now);
        let Self { who, accounts, reports, scripts, .. } = self;
        let mut limits = Vec::new();
        accounts.take_queued(MOST_LIMITS, |account| {
            *reports = reports.saturating_add(1);
            // The first call of a script brings it along.
            let is_known = scripts.has(LIMIT) || !limits.is_empty();
            let back = account.write(who, *reports, fresh, is_known, &mut commands);
            limits.push((account.demand, back));
        });
        if marks {
            commands.script(NODES, self.scripts.has(NODES), 2, 2);
            commands.text(rule.names.common("nodes").as_bytes());
            commands.text(rule.names.common("epoch").as_bytes());
            commands.text(self.node.as_bytes());
            commands.number(fresh);
        }
        self.sharing.write(work, rule, fresh, self.scripts, &mut commands);
        let purpose = match (limits.is_empty(), work.is_none()) {
            (false, _) => CallUse::Limit,
            (true, false) => CallUse::Revocation,
            (true, true) => CallUse::Heartbeat,
        };
        let body = commands.end();
        let is_soon = now.nanos().abs_diff(self.ended.nanos()) < SOON_NANOS;
        let again = is_soon.then(|| body.clone());
        self.flight = Some(Flight { sent: now, purpose, logs_in, limits, marks, work, again });
        self.circuit.begin(now);
        self.calls = self.calls.wrapping_add(1);
        Some(self.call(rule, body))
    }

    /// The number of the call in flight, if it is lost.
    pub(super) fn lost(&self, now: UnixNanos) -> Option<u32> {
        let flight = self.flight.as_ref()?;
        (now.nanos().abs_diff(flight.sent.nanos()) > LOST_NANOS).then_some(self.calls)
    }

    /// The call in flight, to be sent once more: it began while the one before it ended, and Envoy may have given it that one's
    /// connection, which was closing. Then nothing of it has reached the store. `None` if it has failed otherwise.
    pub fn begin_again<'r>(
        &mut self,
        rule: &'r FleetRule,
        number: u32,
        response: CallResponse<'_>,
    ) -> Option<Call<'r>> {
        let flight = self.flight.as_mut().filter(|_| number == self.calls)?;
        let body = flight.again.take().filter(|_| matches!(response, CallResponse::Reset))?;
        Some(self.call(rule, body))
    }

    fn call<'r>(&self, rule: &'r FleetRule, body: Vec<u8>) -> Call<'r> {
        Call {
            number: self.calls,
            cluster: &rule.cluster,
            timeout_milliseconds: rule.timeout_milliseconds,
            body,
        }
    }

    /// Ends a call. `None` if it has ended before.
    pub fn end(
        &mut self,
        rule: &FleetRule,
        number: u32,
        response: CallResponse<'_>,
        revocations: &mut Revocations,
        cells: &impl Cells,
        now: UnixNanos,
    ) -> Option<Ended> {
        self.note_time(now);
        if number != self.calls {
            return None;
        }
        let mut flight = self.flight.take()?;
        self.ended = now;
        let mut ended = Ended {
            purpose: flight.purpose,
            outcome: CallOutcome::Ok,
            is_news: false,
            leased: 0,
            returned: 0,
            has_reset: false,
            evicts: false,
        };
        let mut replied = Replied::default();
        ended.outcome = match response {
            CallResponse::TimedOut => CallOutcome::Timeout,
            CallResponse::Reset => CallOutcome::Reset,
            CallResponse::Reply(reply) => {
                match self.read(rule, &mut flight, reply, &mut ended, &mut replied, now) {
                    Ok(outcome) => outcome,
                    Err(Malformed) => CallOutcome::of_cut(reply),
                }
            }
        };
        let is_ok = !ended.outcome.is_of_store();
        if !is_ok {
            // Whatever was asked is asked anew of a store that may be another one.
            self.scripts = KnownScripts::default();
            self.accounts.fail();
        }
        if let Some(shared) = &rule.revocations {
            let lost = self.sharing.end(flight.work, replied.brought, shared, revocations, cells, now);
            if let Some((epoch, is_another)) = lost {
                // Whoever notices first counts it.
                ended.has_reset |= !is_another || self.epoch.is_some_and(|known| known != epoch);
                self.epoch = Some(epoch);
            }
            if let Some(run) = replied.run {
                self.sharing.started(run, cells, now);
            }
        }
        let (_, is_news) = self.circuit.end(is_ok, now)?;
        Some(Ended { is_news, ..ended })
    }

    /// A number that the store can tell apart from those of others, at most 2^48.
    fn fresh(&self, now: UnixNanos) -> u64 {
        let parts = [&now.nanos().to_le_bytes()[..], &self.calls.to_le_bytes()];
        let [a, b, c, d, e, f, ..] = self.seed.digest("fleet/epoch", parts).to_le_bytes();
        u64::from_le_bytes([a, b, c, d, e, f, 0, 0])
    }
}

/// Writes AUTH where the store wants it.
pub(in crate::fleet) fn login(login: Option<&(Option<String>, Password)>, commands: &mut Commands) -> bool {
    let Some((user, password)) = login else { return false };
    match user {
        Some(user) => commands.all(&[b"AUTH", user.as_bytes(), password.bytes()]),
        None => commands.all(&[b"AUTH", password.bytes()]),
    }
    true
}
