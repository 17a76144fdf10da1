//! What must the body of a request be like, as far as its headers tell? What it is like is judged when it comes
//! ([`crate::exchange`]).

use super::Visit;
use crate::bytes::is_same_in_any_case;
use crate::denial::FormFault;
use crate::host::Host;
use crate::policy::{Mode, Route};
use crate::verdict::{BodyPlan, BodyRules, LARGEST_HELD};

impl<H: Host> Visit<'_, '_, H> {
    /// The rules for the body. What the headers show to be wrong with it goes to `faults`.
    pub(super) fn check_body(
        &self,
        route: Option<&Route>,
        mode: Mode,
        faults: &mut Vec<FormFault>,
    ) -> BodyRules {
        let request = self.request;
        let form = &self.policy.form;
        let max_bytes = route.and_then(|route| route.max_bytes).unwrap_or(form.max_bytes);
        let is_grpc = request.is_grpc();
        // The revocation endpoint reads its body, whatever type it has.
        let counts_messages = is_grpc && !route.is_some_and(|route| route.revokes);
        let declared = match request.declared_size() {
            Ok(declared) => declared,
            Err(_) => {
                faults.push(FormFault::Malformed("Content-Length is not a size"));
                None
            }
        };
        if declared.is_some_and(|size| size > max_bytes) && !counts_messages {
            faults.push(FormFault::TooLarge { max_bytes });
        }
        // An HTTP/2 stream may stay open although its content-length is 0.
        if !request.has_body || declared == Some(0) {
            return BodyRules::none();
        }
        let mut type_fault = if is_grpc { None } else { self.type_fault(route) };
        // A body without a declared size may turn out empty, and then has no type.
        if declared.is_some() {
            faults.extend(type_fault.take());
        }
        let plan = if request.upgrade && request.method == b"GET" {
            // What follows the headers belongs to the other protocol.
            BodyPlan::Pass
        } else if counts_messages {
            BodyPlan::CountMessages(max_bytes)
        } else if declared.is_some() || mode == Mode::Report {
            // The codec enforces a declared size.
            BodyPlan::Count(max_bytes)
        } else if type_fault.is_some() {
            BodyPlan::Hold(max_bytes)
        } else if route.is_some_and(|route| route.streams)
            || request.has_streaming_type()
            || max_bytes > LARGEST_HELD
        {
            BodyPlan::Count(max_bytes)
        } else {
            BodyPlan::Hold(max_bytes)
        };
        BodyRules { plan, type_fault: type_fault.map(Box::new) }
    }

    /// What is wrong with the media type of a body in this request.
    fn type_fault(&self, route: Option<&Route>) -> Option<FormFault> {
        let request = self.request;
        let of_route = route.and_then(|route| route.content_types.as_ref());
        let accepted = of_route.unwrap_or(&self.policy.form.content_types);
        if accepted.is_empty() || !matches!(request.method, b"POST" | b"PUT" | b"PATCH") {
            return None;
        }
        let media_type = request.media_type();
        let is_known = media_type
            .is_some_and(|sent| accepted.iter().any(|known| is_same_in_any_case(sent, known.as_bytes())));
        let post = request.method == b"POST";
        (!is_known).then(|| FormFault::UnsupportedMediaType { accepted: accepted.clone(), post })
    }
}
