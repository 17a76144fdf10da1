//! Step 1: has the request the form that its route asks for? All faults are found, not only the first.

use super::{BodyPlan, LARGEST_HELD, Proxy, Verdict, Visit, Worker};
use crate::decision::{FormFault, FormFaults};
use crate::policy::{Access, CorsPreflight, Mode, Route};
use crate::request::target::{Target, TargetProblem};
use crate::route::template::Template;
use crate::route::{self, Covering, Found};

/// What step 1 finds out about a request.
pub(super) struct Form<'v> {
    /// What is wrong with it.
    pub(super) faults: Option<FormFaults>,
    /// The root where the path cannot be read, which is a fault.
    pub(super) target: Target<'v>,
    pub(super) route: Option<&'v Route>,
    pub(super) template: Option<&'v Template>,
    pub(super) access: Access,
    pub(super) method: &'v str,
}

/// No method: asks the table only what a path allows.
const NO_METHOD: &str = "";

impl<'v, P: Proxy> Visit<'v, '_, P> {
    pub(super) fn check_form(&self, worker: &mut Worker, verdict: &mut Verdict) -> Form<'v> {
        let request = self.request;
        let form = &self.policy.form;
        let mut faults = Vec::new();
        let method = std::str::from_utf8(request.method).unwrap_or(NO_METHOD);
        let target = self.target(&mut faults);
        let table = &self.policy.table;
        let covering = worker.hosts.covering(request.authority, table);
        if covering.is_none() {
            faults.push(FormFault::Malformed("Host is missing or malformed"));
        }
        if form.https_only
            && !request.forwarded_proto.is_some_and(|proto| proto.eq_ignore_ascii_case(b"https"))
        {
            faults.push(FormFault::HttpsRequired);
        }
        let preflight = form.cors_preflight == CorsPreflight::Forward && request.is_preflight();
        let sought = match (preflight, request.preflight_method) {
            (true, Some(method)) => std::str::from_utf8(method).unwrap_or(NO_METHOD),
            _ => method,
        };
        let found = match (covering, &target) {
            (Some(covering), Some(target)) => table.find_covered(covering, target.path(), sought),
            _ => Found::NoRoute,
        };
        let allowed_at_all = preflight || form.allowed_methods.iter().any(|allowed| allowed == method);
        let (route, template) = match found {
            Found::Route { index, template } if allowed_at_all => {
                verdict.route = Some(index);
                (self.policy.route(index), Some(template))
            }
            Found::NoRoute if allowed_at_all => (None, None),
            found @ (Found::Route { .. } | Found::MethodNotAllowed { .. } | Found::NoRoute) => {
                let place = covering.zip(target.as_ref().map(Target::path));
                if let Some(fault) = self.refuse_method(found, allowed_at_all, preflight, place, verdict) {
                    faults.push(fault);
                }
                (None, None)
            }
        };
        if let Some(route) = route {
            verdict.mode = route.mode;
            // A preflight asks whether the endpoint may be called; it calls nothing.
            verdict.revokes = route.revokes && !preflight;
        }
        self.check_body(route, &mut faults, verdict);
        if target.is_none() && faults.is_empty() {
            // CONNECT where a configuration could allow it: there is nothing to route.
            faults.push(FormFault::Malformed("No path"));
        }
        let access = match (route.map_or(self.policy.unmatched, |route| route.access), preflight) {
            (Access::Authenticated | Access::Public, true) | (Access::Public, false) => Access::Public,
            (Access::Deny, _) => Access::Deny,
            (Access::Authenticated, false) => Access::Authenticated,
        };
        let faults = if faults.is_empty() { None } else { FormFaults::new(faults) };
        Form { faults, target: target.unwrap_or_else(Target::root), route, template, access, method }
    }

    /// What is wrong with a method for which the path has no route, or which no path allows.
    #[cold]
    #[inline(never)]
    fn refuse_method(
        &self,
        found: Found<'_>,
        allowed_at_all: bool,
        preflight: bool,
        place: Option<(Covering, &str)>,
        verdict: &mut Verdict,
    ) -> Option<FormFault> {
        let find = |method| match place {
            Some((covering, path)) => self.policy.table.find_covered(covering, path, method),
            None => Found::NoRoute,
        };
        let owned = |methods: Vec<&str>| methods.into_iter().map(str::to_owned).collect();
        let allowed = match found {
            Found::MethodNotAllowed { allowed } if !preflight => {
                // It is the path's routes that refuse, so it is for them to say whether it is carried out.
                let routes =
                    allowed.iter().filter(|_| allowed_at_all).filter_map(|&method| match find(method) {
                        Found::Route { index, .. } => self.policy.route(index),
                        Found::NoRoute | Found::MethodNotAllowed { .. } => None,
                    });
                let mut modes = routes.map(|route| route.mode);
                if let Some(mode) = modes.next()
                    && modes.all(|other| other == mode)
                {
                    verdict.mode = mode;
                }
                owned(allowed)
            }
            Found::NoRoute | Found::MethodNotAllowed { .. } | Found::Route { .. } if allowed_at_all => {
                return None;
            }
            Found::NoRoute | Found::MethodNotAllowed { .. } | Found::Route { .. } => match find(NO_METHOD) {
                Found::MethodNotAllowed { allowed } => owned(allowed),
                Found::NoRoute | Found::Route { .. } => {
                    owned(route::sorted(self.policy.form.allowed_methods.iter().map(String::as_str)))
                }
            },
        };
        let method = String::from_utf8_lossy(self.request.method).into_owned();
        Some(FormFault::MethodNotAllowed { method, allowed })
    }

    fn target(&self, faults: &mut Vec<FormFault>) -> Option<Target<'v>> {
        let raw = match self.request.path {
            Some(raw) => raw,
            // CONNECT has no path (RFC 9110 section 9.3.6); its method says it all.
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

    fn check_body(&self, route: Option<&Route>, faults: &mut Vec<FormFault>, verdict: &mut Verdict) {
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
        // HTTP/2 may leave the stream open after saying that nothing comes.
        if !request.has_body || declared == Some(0) {
            return;
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
        verdict.body = if request.upgrade && request.method == b"GET" {
            // What follows belongs to the other protocol.
            BodyPlan::Pass
        } else if declared.is_some()
            || request.is_grpc()
            || max_bytes > LARGEST_HELD
            || verdict.mode == Mode::Report
        {
            // A declared size is kept by the codec. A gRPC stream must flow both ways to get anywhere.
            BodyPlan::Count(max_bytes)
        } else {
            BodyPlan::Hold(max_bytes)
        };
    }
}
