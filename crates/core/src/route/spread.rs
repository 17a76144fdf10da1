//! A route for every host, the revocation endpoint, beside hosts that have routes of their own.

use super::{Conflict, RouteTable};
use crate::index::RouteIndex;

impl RouteTable {
    /// Lets a route hold on the hosts whose own routes take its path, too. It is the last of those that the table was built
    /// from, and has no hosts and no parameters. `yields_to`: it leaves a host to such a route with its method.
    ///
    /// # Errors
    ///
    /// The routes of hosts that claim its method on the same path shape.
    pub(crate) fn spread(
        &mut self,
        route: RouteIndex,
        yields_to: impl Fn(RouteIndex) -> bool,
    ) -> Result<(), Vec<Conflict>> {
        let Some(template) = self.templates.last() else { return Ok(()) };
        let path = template.literal_path();
        let path = self.case.spelled(&path);
        let Some((any, hosts)) = self.trees.split_first_mut() else { return Ok(()) };
        let own = any.find(&path).and_then(|leaf| leaf.0.iter().find(|own| own.route == route));
        let Some(&entry) = own else { return Ok(()) };
        let mut conflicts = Vec::new();
        for tree in hosts {
            let Some(leaf) = tree.find(&path) else { continue };
            if leaf.0.iter().any(|other| other.method == entry.method && yields_to(other.route)) {
                continue;
            }
            let leaf = tree.leaf(template, self.case);
            if let Some(taken) = leaf.claim(entry) {
                let method = self.methods.get(entry.method).cloned().unwrap_or_default();
                conflicts.push(Conflict { first: taken.route, second: entry.route, method, host: None });
            }
        }
        if conflicts.is_empty() { Ok(()) } else { Err(conflicts) }
    }
}
