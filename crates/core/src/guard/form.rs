//! Does the request have the form that its route requires? Finds all faults, not only the first.

use super::{Memory, Visit};
use crate::denial::{FormFault, FormFaults};
use crate::host::Host;
use crate::index::RouteIndex;
use crate::policy::{Access, CorsPreflight, Mode, Route};
use crate::request::method_parameter;
use crate::request::target::{Target, TargetProblem};
use crate::route::template::Template;
use crate::route::{self, Covering, Found};
use crate::verdict::{BodyPlan, FormFacts, LARGEST_HELD};

/// What the first step finds out about a request. The step spends nothing and gives the same result when repeated.
pub(super) struct Form<'v> {
    /// What is wrong with the request.
    pub(super) faults: Option<FormFaults>,
    /// The root if the path cannot be read, which is a fault.
    pub(super) target: Target<'v>,
    pub(super) route: Option<&'v Route>,
    pub(super) template: Option<&'v Template>,
    pub(super) method: &'v str,
    pub(super) body: BodyPlan,
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

impl<'v, H: Host> Visit<'v, '_, H> {
    pub(super) fn check_form(&self, memory: &mut Memory) -> Form<'v> {
        let request = self.request;
        let form = &self.policy.form;
        let mut faults = Vec::new();
        let method = std::str::from_utf8(request.method).unwrap_or(NO_METHOD);
        let target = self.target(&mut faults);
        faults.extend(self.method_parameter(&target));
        let covering = memory.hosts.covering(request.authority, &self.policy.table);
        if covering.is_none() {
            faults.push(FormFault::Malformed("Host is missing or malformed"));
        }
        if form.https_only
            && !request.forwarded_proto.is_some_and(|proto| proto.eq_ignore_ascii_case(b"https"))
        {
            faults.push(FormFault::HttpsRequired);
        }
        let preflight = form.cors_preflight == CorsPreflight::Forward && request.is_preflight();
        let Routed { index, template, fault, mode } = self.find_route(method, preflight, covering, &target);
        faults.extend(fault);
        let route = index.and_then(|index| self.policy.route(index));
        let mode = route.map(|route| route.mode).or(mode).unwrap_or(self.policy.mode);
        let body = self.check_body(route, mode, &mut faults);
        if target.is_none() && faults.is_empty() {
            // CONNECT has no path to route, even if a configuration could allow it.
            faults.push(FormFault::Malformed("No path"));
        }
        let access = match (route.map_or(self.policy.unmatched, |route| route.access), preflight) {
            (Access::Authenticated | Access::Public, true) | (Access::Public, false) => Access::Public,
            (Access::Deny, _) => Access::Deny,
            (Access::Authenticated, false) => Access::Authenticated,
        };
        // A preflight only asks whether the endpoint may be called.
        let revokes = route.is_some_and(|route| route.revokes) && !preflight;
        Form {
            faults: if faults.is_empty() { None } else { FormFaults::new(faults) },
            target: target.unwrap_or_else(Target::root),
            route,
            template,
            method,
            body,
            facts: FormFacts { route: index, access, revokes, mode },
        }
    }

    fn find_route(
        &self,
        method: &str,
        preflight: bool,
        covering: Option<Covering>,
        target: &Option<Target<'_>>,
    ) -> Routed<'v> {
        let policy = self.policy;
        let sought = match (preflight, self.request.preflight_method) {
            (true, Some(method)) => std::str::from_utf8(method).unwrap_or(NO_METHOD),
            _ => method,
        };
        let path = covering.zip(target.as_ref().map(Target::path));
        let found = match path {
            Some((covering, path)) => policy.table.find_covered(covering, path, sought),
            None => Found::NoRoute,
        };
        let allowed_at_all = preflight || policy.form.allowed_methods.iter().any(|allowed| allowed == method);
        match found {
            Found::Route { index, template } if allowed_at_all => {
                Routed { index: Some(index), template: Some(template), fault: None, mode: None }
            }
            Found::NoRoute if allowed_at_all => {
                Routed { index: None, template: None, fault: None, mode: None }
            }
            found @ (Found::Route { .. } | Found::MethodNotAllowed { .. } | Found::NoRoute) => {
                let (fault, mode) = self.refuse_method(found, allowed_at_all, preflight, path);
                Routed { index: None, template: None, fault, mode }
            }
        }
    }

    /// The fault of a method that the path or the configuration does not allow, and the mode of the path's routes, if
    /// they agree: the refusal is theirs, so their mode decides whether it is carried out.
    #[cold]
    #[inline(never)]
    fn refuse_method(
        &self,
        found: Found<'_>,
        allowed_at_all: bool,
        preflight: bool,
        path: Option<(Covering, &str)>,
    ) -> (Option<FormFault>, Option<Mode>) {
        let find = |method| match path {
            Some((covering, path)) => self.policy.table.find_covered(covering, path, method),
            None => Found::NoRoute,
        };
        let owned = |methods: Vec<&str>| methods.into_iter().map(str::to_owned).collect();
        let mut mode = None;
        let allowed = match found {
            Found::MethodNotAllowed { allowed } if !preflight => {
                let routes =
                    allowed.iter().filter(|_| allowed_at_all).filter_map(|&method| match find(method) {
                        Found::Route { index, .. } => self.policy.route(index),
                        Found::NoRoute | Found::MethodNotAllowed { .. } => None,
                    });
                let mut modes = routes.map(|route| route.mode);
                mode = modes.next().filter(|first| modes.all(|other| other == *first));
                owned(allowed)
            }
            Found::NoRoute | Found::MethodNotAllowed { .. } | Found::Route { .. } if allowed_at_all => {
                return (None, None);
            }
            Found::NoRoute | Found::MethodNotAllowed { .. } | Found::Route { .. } => match find(NO_METHOD) {
                Found::MethodNotAllowed { allowed } => owned(allowed),
                Found::NoRoute | Found::Route { .. } => {
                    owned(route::sorted(self.policy.form.allowed_methods.iter().map(String::as_str)))
                }
            },
        };
        let method = String::from_utf8_lossy(self.request.method).into_owned();
        (Some(FormFault::MethodNotAllowed { method, allowed }), mode)
    }

    fn target(&self, faults: &mut Vec<FormFault>) -> Option<Target<'v>> {
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
            Err(problem @ TargetProblem::Ambiguous(_)) => {
                faults.push(FormFault::PathAmbiguous(problem.text()));
                None
            }
        }
    }

    /// The fault of a query that names another method than the one that is judged. Nobody obeys it on GET and HEAD.
    fn method_parameter(&self, target: &Option<Target<'_>>) -> Option<FormFault> {
        if matches!(self.request.method, b"GET" | b"HEAD") || !self.policy.form.refuses_method_parameter {
            return None;
        }
        method_parameter::is_in(target.as_ref()?.query()?)
            .then_some(FormFault::Malformed("The query parameter _method is not accepted"))
    }

    fn check_body(&self, route: Option<&Route>, mode: Mode, faults: &mut Vec<FormFault>) -> BodyPlan {
        let request = self.request;
        let form = &self.policy.form;
        let max_bytes = route.and_then(|route| route.max_bytes).unwrap_or(form.max_bytes);
        let declared = match request.declared_size() {
            Ok(declared) => declared,
            Err(_) => {
                faults.push(FormFault::Malformed("Content-Length is not a size"));
                None
            }
        };
        if declared.is_some_and(|size| size > max_bytes) {
            faults.push(FormFault::TooLarge { max_bytes });
        }
        // An HTTP/2 stream may stay open although its content-length is 0.
        if !request.has_body || declared == Some(0) {
            return BodyPlan::Pass;
        }
        let accepted = route.and_then(|route| route.content_types.as_ref()).unwrap_or(&form.content_types);
        let typed = matches!(request.method, b"POST" | b"PUT" | b"PATCH");
        if typed && !accepted.is_empty() && !request.is_grpc() {
            let media_type = request.media_type();
            let known = media_type.is_some_and(|sent| accepted.iter().any(|known| known.as_bytes() == sent));
            if !known {
                let post = request.method == b"POST";
                faults.push(FormFault::UnsupportedMediaType { accepted: accepted.clone(), post });
            }
        }
        if request.upgrade && request.method == b"GET" {
            // What follows the headers belongs to the other protocol.
            BodyPlan::Pass
        } else if declared.is_some() || request.is_grpc() || max_bytes > LARGEST_HELD || mode == Mode::Report
        {
            // The codec enforces a declared size. A gRPC stream needs to flow both ways while it is open.
            BodyPlan::Count(max_bytes)
        } else {
            BodyPlan::Hold(max_bytes)
        }
    }
}
