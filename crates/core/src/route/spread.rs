//! A route for every host, the revocation endpoint, beside hosts that have routes of their own.

use super::{Conflict, RouteTable};
use crate::index::RouteIndex;
use crate::policy::Mode;

impl RouteTable {
    /// Lets a route hold on the hosts whose own routes take its path, too. It is the last of those that the table was built
    /// from, and has no hosts and no parameters. `denies`: the mode of a route that denies all. The route leaves a host to one
    /// with its method that enforces, or that is for its path alone.
    ///
    /// # Errors
    ///
    /// The routes of hosts that claim its method on the same path shape.
    pub(crate) fn spread(
        &mut self,
        route: RouteIndex,
        denies: impl Fn(RouteIndex) -> Option<Mode>,
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
            let is_shut = |other: RouteIndex| denies(other) == Some(Mode::Enforce);
            if leaf.0.iter().any(|other| other.method == entry.method && is_shut(other.route)) {
                continue;
            }
            let leaf = tree.leaf(template, self.case);
            if let Some(taken) = leaf.claim(entry)
                && denies(taken.route).is_none()
            {
                let method = self.methods.get(entry.method).cloned().unwrap_or_default();
                conflicts.push(Conflict { first: taken.route, second: entry.route, method, host: None });
            }
        }
        if conflicts.is_empty() { Ok(()) } else { Err(conflicts) }
    }
}
