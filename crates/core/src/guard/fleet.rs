//! Do limits admit a request where some of them are limits of a fleet?
//!
//! What a limit of the fleet admits is counted in this Envoy too, as if it were a limit of its own, so that this Envoy knows what it
//! has spent when the store is not reached. As everywhere, all limits are judged before any is spent.

use smallvec::SmallVec;

use super::form::Form;
use super::limits::Halt;
use super::suspend::{Asked, LimitSet};
use super::{Answer, Caller, Memory, Question, Visit};
use crate::cells::CellFault;
use crate::denial::{Denial, FleetGap};
use crate::fleet::{Demand, Member, Standing, Unit};
use crate::host::Host;
use crate::index::LimitIndex;
use crate::limit::{Charge, Leases, Limiter, Outcome, Outcomes, Quota};
use crate::policy::LimitRule;
use crate::verdict::{Judged, Stage};

/// Who has asked so often is refused, unless a limit was never asked for.
const MOST_ASKS: u32 = 8;

/// How a limit is judged.
#[derive(Clone, Copy)]
enum Way {
    /// By what this Envoy counts.
    Alone,
    /// By a unit that was in hand.
    Taken(Unit),
    /// By what this Envoy owns, which is counted by itself.
    Owned(Charge),
    /// Without the store.
    Unreachable,
    /// The store has none.
    Refused(Outcome),
    /// The store has to be asked.
    Ask,
    /// It cannot be judged without the store.
    Lacking,
}

/// One limit, and how it is judged.
struct Chosen {
    limit: LimitIndex,
    /// The limit's own quota.
    quota: Quota,
    charge: Charge,
    way: Way,
    /// The unit that was taken, until it is spent.
    unspent: Option<Unit>,
}

impl<H: Host> Visit<'_, '_, H> {
    /// Judges limits together, and spends them if all admit.
    pub(super) fn judge_with_fleet(
        &self,
        memory: &mut Memory,
        form: &Form<'_>,
        caller: Option<&Caller>,
        stage: Stage,
        limits: &[LimitIndex],
        asked: Option<Asked>,
    ) -> Result<SmallVec<[Judged; 1]>, Halt> {
        let Memory { limiter, leases, identities, fleet, .. } = memory;
        let fleet = fleet.as_mut().ok_or(CellFault)?;
        let mut chosen = SmallVec::<[Chosen; 1]>::new();
        let mut choose = || {
            for &limit in limits {
                let charge = self.charge(identities, limit, form, caller)?;
                let rule = self.policy.limit(limit).ok_or(CellFault)?;
                chosen.push(self.way(fleet, *limiter, limit, rule, charge, asked)?);
            }
            self.spend(fleet, *limiter, leases, &mut chosen, stage, asked)
        };
        let judged = choose();
        // Other workers may have spent it meanwhile, had it not been taken.
        if chosen.iter().any(|chosen| chosen.unspent.is_some()) {
            let _ = fleet.with(self.now, |link, _| {
                for Chosen { charge, unspent, .. } in &chosen {
                    if let Some(unit) = unspent {
                        link.put_back(charge.identity, *unit);
                    }
                }
            });
        }
        judged
    }

    /// Spends all limits, if all admit.
    fn spend(
        &self,
        fleet: &mut Member,
        limiter: Limiter,
        leases: &mut Leases,
        chosen: &mut [Chosen],
        stage: Stage,
        asked: Option<Asked>,
    ) -> Result<SmallVec<[Judged; 1]>, Halt> {
        let is_enforced = |chosen: &&Chosen| chosen.charge.enforced;
        let lacking = chosen.iter().filter(is_enforced).find(|chosen| matches!(chosen.way, Way::Lacking));
        if let Some(lacking) = lacking {
            return Err(Halt::Refuse(Denial::FleetUnavailable(FleetGap::Limit(lacking.limit))));
        }
        let is_refused =
            chosen.iter().filter(is_enforced).any(|chosen| matches!(chosen.way, Way::Refused(_)));
        if !is_refused {
            let mut limits = LimitSet::default();
            let mut last = None;
            for Chosen { limit, charge, .. } in chosen.iter().filter(|chosen| matches!(chosen.way, Way::Ask))
            {
                let identity = charge.identity;
                limits = limits.with(*limit);
                last = Some((identity, fleet.with(self.now, |link, _| link.wait(identity))?));
            }
            // All are asked for in one call, as a rule, whose end answers the last question too.
            if let Some((identity, answered)) = last {
                let asked = asked.and_then(|asked| asked.for_units());
                let before = asked.map_or(LimitSet::default(), |(_, before)| before);
                // Those that were not asked for yet have the whole time.
                let since = asked.filter(|_| before.meets(limits)).map_or(self.now, |(since, _)| since);
                return Err(Halt::Ask(Question::FleetLimit { identity, answered, since, limits, before }));
            }
        }
        let mut charges = SmallVec::<[Charge; 1]>::new();
        for Chosen { charge, way, .. } in chosen.iter() {
            match way {
                // One that is still to be asked for, where another one refuses, is shown as this Envoy knows it.
                Way::Alone | Way::Taken(_) | Way::Unreachable | Way::Ask => charges.push(*charge),
                Way::Owned(owned) => charges.extend([*charge, *owned]),
                Way::Refused(_) | Way::Lacking => {}
            }
        }
        let mut outcomes = Outcomes::new();
        let is_spent = if is_refused {
            for charge in &charges {
                outcomes.push(limiter.peek(self.host.cells(), charge, self.now)?);
            }
            false
        } else {
            limiter.admit(self.host.cells(), leases, &charges, &mut outcomes, self.now)?
        };
        let mut outcomes = outcomes.into_iter();
        let mut judged = SmallVec::new();
        for Chosen { limit, quota, charge, way, unspent } in chosen {
            let identity = charge.identity;
            let outcome = match way {
                Way::Refused(outcome) => *outcome,
                Way::Lacking => self.refusal(fleet, demand(charge))?,
                Way::Alone | Way::Ask => outcomes.next().ok_or(CellFault)?,
                Way::Owned(_) => {
                    let outcome = outcomes.next().ok_or(CellFault)?;
                    let owned = outcomes.next().ok_or(CellFault)?;
                    if owned.admits() { outcome } else { owned }
                }
                Way::Unreachable => {
                    let outcome = outcomes.next().ok_or(CellFault)?;
                    if is_spent && outcome.admits() {
                        fleet.with(self.now, |link, _| link.owe(identity))?;
                    }
                    outcome
                }
                Way::Taken(unit) => {
                    let outcome = outcomes.next().ok_or(CellFault)?;
                    if is_spent && outcome.admits() {
                        *unspent = None;
                        Outcome { standing: outcome.standing, ..unit.outcome }
                    } else {
                        outcome
                    }
                }
            };
            judged.push(Judged { limit: *limit, stage, quota: *quota, outcome });
        }
        Ok(judged)
    }

    /// How a limit is judged now.
    fn way(
        &self,
        fleet: &mut Member,
        limiter: Limiter,
        limit: LimitIndex,
        rule: &LimitRule,
        mut charge: Charge,
        asked: Option<Asked>,
    ) -> Result<Chosen, CellFault> {
        let quota = charge.quota;
        let chosen = |charge, way| Chosen { limit, quota, charge, way, unspent: None };
        let (Some(store), Some(of_fleet)) = (&self.policy.fleet, rule.fleet) else {
            return Ok(chosen(charge, Way::Alone));
        };
        if of_fleet.private_percent > 0
            && let Some(owned) =
                fleet.with(self.now, |link, now| link.owned(store, of_fleet, quota.max_requests, now))?
        {
            let own_quota = Quota { max_requests: owned, warn_at_percent: None, ..quota };
            let owned = Charge { identity: charge.identity.twin(), quota: own_quota, ..charge };
            if limiter.peek(self.host.cells(), &owned, self.now)?.admits() {
                return Ok(chosen(charge, Way::Owned(owned)));
            }
        }
        let demand = Demand { units: of_fleet.shared(quota.max_requests), ..demand(&charge) };
        let way = match (fleet.with(self.now, |link, now| link.take(store, demand, now))?, asked) {
            (Standing::Taken(unit), _) => {
                return Ok(Chosen { unspent: Some(unit), ..chosen(charge, Way::Taken(unit)) });
            }
            (Standing::Refused(outcome), _) => Way::Refused(outcome),
            (Standing::Ask, Some(Asked { answer: Answer::Unavailable, .. })) | (Standing::Unreachable, _) => {
                let nodes = fleet.with(self.now, |link, _| link.nodes(store))?;
                match of_fleet.unreachable(quota.max_requests, nodes) {
                    Some(max_requests) => {
                        charge.quota = Quota { max_requests, ..quota };
                        Way::Unreachable
                    }
                    None => Way::Lacking,
                }
            }
            (Standing::Ask, Some(Asked { answer: Answer::Unawaited, .. })) => {
                // This request is counted here and reported; later ones find what is asked for now.
                let nodes = fleet.with(self.now, |link, _| {
                    link.ask(charge.identity);
                    link.nodes(store)
                })?;
                let max_requests =
                    of_fleet.unreachable(quota.max_requests, nodes).unwrap_or(quota.max_requests);
                charge.quota = Quota { max_requests, ..quota };
                Way::Unreachable
            }
            (Standing::Ask, asked) => {
                let is_over = |asked: &Asked| asked.answer == Answer::Overdue || asked.asks >= MOST_ASKS;
                match asked.filter(is_over).and_then(|asked| asked.of_limit(limit)) {
                    None => Way::Ask,
                    Some(false) => Way::Lacking,
                    // The store is reached, so others may have spent all there is.
                    Some(true) => Way::Refused(self.refusal(fleet, demand)?),
                }
            }
        };
        Ok(chosen(charge, way))
    }

    /// The figures of one who gets no units.
    fn refusal(&self, fleet: &mut Member, demand: Demand) -> Result<Outcome, CellFault> {
        fleet.with(self.now, |link, now| link.refusal(demand, now))
    }
}

fn demand(charge: &Charge) -> Demand {
    let Quota { max_requests, window_seconds, .. } = charge.quota;
    Demand { identity: charge.identity, units: max_requests, window_seconds }
}
