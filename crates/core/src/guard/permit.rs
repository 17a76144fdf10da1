//! May this caller use this route?

use super::form::Form;
use super::{Caller, Visit};
use crate::denial::Denial;
use crate::host::Host;
use crate::index::PermissionIndex;
use crate::policy::Access;

impl<H: Host> Visit<'_, '_, H> {
    /// Checks access, permissions and bindings of the route.
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
        for (parameter, slot) in &route.bind {
            let value = form.template.and_then(|template| template.parameter(form.target.path(), parameter));
            let claim = caller.token.claim(*slot).filter(|claim| claim.exact);
            // A claim that is missing equals nothing.
            if value.zip(claim).is_none_or(|(value, claim)| value != claim.text) {
                return Err(Denial::BindingMismatch);
            }
        }
        Ok(())
    }
}
