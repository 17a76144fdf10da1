//! May this caller use this route, and from this address?

use super::form::Form;
use super::{Caller, Visit};
use crate::denial::Denial;
use crate::host::Host;
use crate::index::{KeyHeaderIndex, PermissionIndex};
use crate::policy::{Access, Demand, Route};
use crate::token::claims::TextSlot;

impl<H: Host> Visit<'_, '_, H> {
    /// Checks the client's address; `None` where the route admits every address.
    pub(super) fn judge_address(&self, form: &Form<'_>) -> Option<Result<(), Denial>> {
        let networks = form.route?.networks.as_ref()?;
        let is_admitted = networks.admit(self.whole_address());
        Some(if is_admitted { Ok(()) } else { Err(Denial::AddressRefused) })
    }

    /// Checks that the route asks for nothing that only a token has.
    pub(super) fn permit_anonymous(form: &Form<'_>) -> Result<(), Denial> {
        if form.route.is_some_and(Route::asks) { Err(Denial::TokenMissing) } else { Ok(()) }
    }

    /// Checks access, permissions, bindings and conditions of the route.
    pub(super) fn permit(&self, form: &Form<'_>, caller: &Caller) -> Result<(), Denial> {
        if form.facts.access == Access::Deny {
            return Err(Denial::RouteDenied);
        }
        let Some(route) = form.route else { return Ok(()) };
        let held = caller.token.permissions();
        let names = |wanted: &[PermissionIndex]| self.policy.book.names(wanted).map(str::to_owned).collect();
        let missing: Vec<PermissionIndex> =
            route.required.iter().copied().filter(|&permission| !held.contains(permission)).collect();
        if !missing.is_empty() {
            return Err(Denial::PermissionMissing {
                missing: names(&missing),
                needed: names(&route.required),
                any: false,
            });
        }
        if !route.any.is_empty() && !route.any.iter().any(|&permission| held.contains(permission)) {
            let needed: Vec<String> = names(&route.any);
            return Err(Denial::PermissionMissing { missing: needed.clone(), needed, any: true });
        }
        if !route.bind_unless.iter().any(|&permission| held.contains(permission)) {
            judge_bindings(route, form, caller)?;
        }
        route.demands.iter().try_for_each(|demand| self.judge_demand(demand, caller))
    }

    fn judge_demand(&self, demand: &Demand, caller: &Caller) -> Result<(), Denial> {
        let (claim, is_met) = match demand {
            Demand::Condition { claim, condition } => (claim, caller.token.meets(*condition)),
            Demand::EqualsHeader { claim, slot, header } => {
                (claim, self.is_in_header(caller, *slot, *header))
            }
        };
        if is_met { Ok(()) } else { Err(Denial::ConditionFailed(claim.clone())) }
    }

    /// Whether the request has the header once, with the claim's value. Two copies, even equal ones, could be read
    /// differently.
    fn is_in_header(&self, caller: &Caller, slot: TextSlot, header: KeyHeaderIndex) -> bool {
        let mut sent = self.request.key_headers.iter().filter(|(index, _)| *index == header);
        let claim = caller.token.claim(slot).filter(|claim| claim.exact);
        match (sent.next(), sent.next(), claim) {
            (Some((_, value)), None, Some(claim)) => *value == claim.text.as_bytes(),
            _ => false,
        }
    }
}

fn judge_bindings(route: &Route, form: &Form<'_>, caller: &Caller) -> Result<(), Denial> {
    for (parameter, slot) in &route.bind {
        let claim = caller.token.claim(*slot).filter(|claim| claim.exact);
        // A claim that is missing equals nothing.
        if form.parameter(parameter).zip(claim).is_none_or(|(value, claim)| value != claim.text) {
            return Err(Denial::BindingMismatch);
        }
    }
    Ok(())
}
