//! Does the request have the form that its route requires? Finds all faults, not only the first.

use std::borrow::Cow;

use super::{Memory, Visit};
use crate::bytes::is_same_in_any_case;
use crate::denial::{FormFault, FormFaults};
use crate::host::Host;
use crate::index::RouteIndex;
use crate::policy::{Access, CorsPreflight, Mode, Route};
use crate::request::query;
use crate::request::target::{Lifted, Reason, Target, TargetProblem, with_slashes};
use crate::route::template::Template;
use crate::route::{self, Covering, Found, PathCase};
use crate::verdict::{BodyRules, FormFacts};

/// What the first step finds out about a request. The step spends nothing and gives the same result when repeated.
pub(super) struct Form<'v> {
    /// What is wrong with the request.
    pub(super) faults: Option<FormFaults>,
    /// The root if the path cannot be read, which is a fault.
    pub(super) target: Target<'v>,
    pub(super) route: Option<&'v Route>,
    pub(super) template: Option<&'v Template>,
    pub(super) method: &'v str,
    pub(super) body: BodyRules,
    pub(super) facts: FormFacts,
}

/// The route of a request, or what is wrong with its method.
struct Routed<'v> {
    index: Option<RouteIndex>,
    template: Option<&'v Template>,
    fault: Option<FormFault>,
    /// The mode in which a wrong method is judged, if the path's routes agree on one.
    mode: Option<Mode>,
}

/// No method: asks the table only which methods a path allows.
const NO_METHOD: &str = "";

impl Form<'_> {
    /// The decoded value of a parameter of the route.
    pub(super) fn parameter(&self, name: &str) -> Option<Cow<'_, str>> {
        self.template?.parameter(self.target.path(), name).map(with_slashes)
    }

    /// The path as limits count it: decoded, and literals in lower case where their case does not matter.
    pub(super) fn counted_path(&self, case: PathCase) -> Cow<'_, str> {
        let path = with_slashes(self.target.path());
        match (case, self.template) {
            (PathCase::Sensitive, _) => path,
            (PathCase::Insensitive, Some(template)) => {
                let lowered = template.with_lower_literals(self.target.path());
                Cow::Owned(with_slashes(&lowered).into_owned())
            }
            (PathCase::Insensitive, None) => Cow::Owned(path.to_ascii_lowercase()),
        }
    }
}

impl<'v, H: Host> Visit<'v, '_, H> {
    pub(super) fn check_form(&self, memory: &mut Memory) -> Form<'v> {
        let request = self.request;
        let form = &self.policy.form;
        let mut faults = Vec::new();
        let method = std::str::from_utf8(request.method).unwrap_or(NO_METHOD);
        let preflight = form.cors_preflight == CorsPreflight::Forward && request.is_preflight();
        let sought = match (preflight, request.preflight_method) {
            (true, Some(method)) => std::str::from_utf8(method).unwrap_or(NO_METHOD),
            _ => method,
        };
        let covering = memory.hosts.covering(request.authority, &self.policy.table);
        let target = self.target(covering, sought, &mut faults);
        if form.refuses_method_parameter && !matches!(request.method, b"GET" | b"HEAD") {
            faults.extend(query::overrides_method(request).then_some(FormFault::MethodParameter));
        }
        if covering.is_none() {
            faults.push(FormFault::Malformed("Host is missing or malformed"));
        }
        if form.https_only
            && !request.forwarded_proto.is_some_and(|proto| is_same_in_any_case(proto, b"https"))
        {
            faults.push(FormFault::HttpsRequired);
        }
        let Routed { index, template, fault, mode } =
            self.find_route(method, sought, preflight, covering.zip(target.as_ref()));
        faults.extend(fault);
        let route = index.and_then(|index| self.policy.route(index));
        let mode = route.map(|route| route.mode).or(mode).unwrap_or(self.policy.mode);
        let body = self.check_body(route, mode, &mut faults);
        if target.is_none() && faults.is_empty() {
            // CONNECT has no path to route, even if a configuration could allow it.
            faults.push(FormFault::Malformed("No path"));
        }
        let access = match (route.map_or(self.policy.unmatched, |route| route.access), preflight) {
            (Access::Authenticated | Access::Optional | Access::Public, true) | (Access::Public, false) => {
                Access::Public
            }
            (Access::Deny, _) => Access::Deny,
            (Access::Optional, false) => Access::Optional,
            (Access::Authenticated, false) => Access::Authenticated,
        };
        let preflight = preflight && access == Access::Public;
        // A preflight only asks whether the endpoint may be called.
        let revokes = route.is_some_and(|route| route.revokes) && !preflight;
        Form {
            faults: if faults.is_empty() { None } else { FormFaults::new(faults) },
            target: target.unwrap_or_else(Target::root),
            route,
            template,
            method,
            facts: FormFacts {
                route: index,
                access,
                revokes,
                preflight,
                mode,
                body: body.plan,
                must_be_empty: body.type_fault.is_some(),
            },
            body,
        }
    }

    fn find_route(
        &self,
        method: &str,
        sought: &str,
        preflight: bool,
        sent: Option<(Covering, &Target<'_>)>,
    ) -> Routed<'v> {
        let policy = self.policy;
        let found = match self.find(sent, sought) {
            // Where all is shut that has no route, so is this.
            Found::MethodNotAllowed { .. } if preflight && policy.unmatched == Access::Deny => Found::NoRoute,
            Found::MethodNotAllowed { allowed } if preflight => {
                self.find(sent, self.strictest(sent, &allowed))
            }
            found @ (Found::Route { .. }
            | Found::MethodNotAllowed { .. }
            | Found::NoRoute
            | Found::Ambiguous) => found,
        };
        let allowed_at_all = preflight || policy.form.allowed_methods.iter().any(|allowed| allowed == method);
        match found {
            Found::Route { index, template } if allowed_at_all => {
                Routed { index: Some(index), template: Some(template), fault: None, mode: None }
            }
            Found::NoRoute if allowed_at_all => {
                Routed { index: None, template: None, fault: None, mode: None }
            }
            Found::Ambiguous => {
                let fault = Some(FormFault::PathAmbiguous(Reason::EncodedLiteral.text()));
                Routed { index: None, template: None, fault, mode: None }
            }
            found @ (Found::Route { .. } | Found::MethodNotAllowed { .. } | Found::NoRoute) => {
                let (fault, mode) = self.refuse_method(found, allowed_at_all, sent);
                Routed { index: None, template: None, fault: Some(fault), mode }
            }
        }
    }

    /// The route for a method at what was sent; none where that is nothing that a route can have.
    fn find(&self, sent: Option<(Covering, &Target<'_>)>, method: &str) -> Found<'v> {
        match sent {
            Some((covering, target)) => self.policy.table.find_covered(covering, target, method),
            None => Found::NoRoute,
        }
    }

    /// The method whose route judges a preflight, where none of the path's routes has the one it asks for: that of the
    /// first which refuses it for its access or addresses, or else the first. What one of them shuts is not opened by
    /// asking for another method.
    #[cold]
    #[inline(never)]
    fn strictest<'m>(&self, sent: Option<(Covering, &Target<'_>)>, methods: &[&'m str]) -> &'m str {
        let refuses = |method: &&str| match self.find(sent, method) {
            Found::Route { index, .. } => self.policy.route(index).is_none_or(|route| {
                let networks = route.networks.as_ref();
                route.access == Access::Deny
                    || networks.is_some_and(|these| !these.admit(self.whole_address()))
            }),
            Found::MethodNotAllowed { .. } | Found::NoRoute | Found::Ambiguous => true,
        };
        let first = methods.iter().copied().find(refuses).or_else(|| methods.first().copied());
        first.unwrap_or(NO_METHOD)
    }

    /// The fault of a method that the path or the configuration does not allow, and the mode of the path's routes, if
    /// they agree: the refusal is theirs, so their mode decides whether it is carried out.
    #[cold]
    #[inline(never)]
    fn refuse_method(
        &self,
        found: Found<'_>,
        allowed_at_all: bool,
        sent: Option<(Covering, &Target<'_>)>,
    ) -> (FormFault, Option<Mode>) {
        let owned = |methods: Vec<&str>| methods.into_iter().map(str::to_owned).collect();
        let mut mode = None;
        let allowed = match found {
            Found::MethodNotAllowed { allowed } => {
                let routes = allowed.iter().filter(|_| allowed_at_all).filter_map(|&method| {
                    match self.find(sent, method) {
                        Found::Route { index, .. } => self.policy.route(index),
                        Found::NoRoute | Found::MethodNotAllowed { .. } | Found::Ambiguous => None,
                    }
                });
                let mut modes = routes.map(|route| route.mode);
                mode = modes.next().filter(|first| modes.all(|other| other == *first));
                owned(allowed)
            }
            Found::NoRoute | Found::Route { .. } | Found::Ambiguous => match self.find(sent, NO_METHOD) {
                Found::MethodNotAllowed { allowed } => owned(allowed),
                Found::NoRoute | Found::Route { .. } | Found::Ambiguous => {
                    owned(route::sorted(self.policy.form.allowed_methods.iter().map(String::as_str)))
                }
            },
        };
        let method = String::from_utf8_lossy(self.request.method).into_owned();
        (FormFault::MethodNotAllowed { method, allowed }, mode)
    }

    fn target(
        &self,
        covering: Option<Covering>,
        sought: &str,
        faults: &mut Vec<FormFault>,
    ) -> Option<Target<'v>> {
        let raw = match self.request.path {
            Some(raw) => raw,
            // CONNECT has no path (RFC 9110 section 9.3.6); its method is refused anyway.
            None if self.request.method == b"CONNECT" => return None,
            None => {
                faults.push(FormFault::Malformed("No path"));
                return None;
            }
        };
        match Target::read(raw) {
            Ok(target) => Some(target),
            Err(problem @ TargetProblem::Malformed) => {
                faults.push(FormFault::Malformed(problem.text()));
                None
            }
            Err(TargetProblem::Ambiguous(reason)) => {
                let lifted = covering.filter(|_| self.policy.lifts_in_path);
                let lifted = lifted.and_then(|covering| self.lift(covering, raw, sought));
                match lifted.unwrap_or(Err(reason)) {
                    Ok(target) => Some(target),
                    Err(reason) => {
                        faults.push(FormFault::PathAmbiguous(reason.text()));
                        None
                    }
                }
            }
        }
    }

    /// The path, if its route allows what is refused elsewhere, and no other reading of it has another route. `None`
    /// if the route allows nothing of it.
    #[cold]
    #[inline(never)]
    fn lift(&self, covering: Covering, raw: &'v [u8], sought: &str) -> Option<Result<Target<'v>, Reason>> {
        let lifted = Lifted::read(raw)?;
        let table = &self.policy.table;
        let Found::Route { index, template } = table.find_covered(covering, lifted.target(), sought) else {
            return None;
        };
        let route = self.policy.route(index)?;
        if !template.permits(lifted.target().path(), lifted.lifts(), route.allowed_in_path) {
            return None;
        }
        let is_its_own = |path: &String| match table.find_reading(covering, path, sought) {
            Found::Route { index: other, .. } => other == index,
            Found::NoRoute => true,
            Found::MethodNotAllowed { .. } | Found::Ambiguous => false,
        };
        let is_clear = lifted.readings().is_some_and(|readings| readings.iter().all(is_its_own));
        Some(if is_clear { Ok(lifted.into_target()) } else { Err(Reason::OtherRoute) })
    }
}
