//! Where the same subject of two issuers passes for one caller.

use api_guard_core::config::raw::{RawCondition, RawConfig, RawRoute, RawScalar};

use super::lint::Warnings;

/// The claim that names the issuer (RFC 7519 section 4.1.1).
const ISSUER: &str = "iss";

/// To be called where tokens of several issuers may be accepted.
pub(super) fn check(raw: &RawConfig, out: &mut Warnings) {
    let forward = &raw.forward;
    let is_claim = |(claim, header): &(String, Option<String>)| claim == ISSUER && header.is_some();
    if forward.issuer_header.is_none() && !forward.claims.iter().any(is_claim) {
        let text = "the same subject of two issuers is two users, and the service is not told the issuer; write a header, \
                    such as \"x-auth-issuer\"";
        out.add("issuer-not-forwarded", "/forward/issuer_header", text);
    }
    for (index, route) in raw.routes.iter().enumerate() {
        let subject = &raw.tokens.subject_claim;
        if binds(route, subject) && !binds(route, ISSUER) && !requires_issuer(route) {
            let text = format!(
                "a user of one issuer passes here as the user of another who has the same {subject}; bind {ISSUER} too, or \
                 add \"require\": [{{\"claim\": \"{ISSUER}\", \"is\": [\"https://login.example.com\"]}}]"
            );
            out.add("issuer-not-bound", format!("/routes/{index}/bind"), text);
        }
    }
}

fn binds(route: &RawRoute, claim: &str) -> bool {
    route.bind.iter().any(|(_, bound)| bound == claim)
}

/// Whether the route is for one issuer, or for one that the service is told too.
fn requires_issuer(route: &RawRoute) -> bool {
    route.require.iter().flatten().any(|condition| {
        let is_one =
            |values: &Option<Vec<RawScalar>>| values.as_ref().is_some_and(|values| values.len() == 1);
        let RawCondition { claim, is, any, all, equals_header } = condition;
        claim.as_deref() == Some(ISSUER)
            && (is_one(is) || is_one(any) || is_one(all) || equals_header.is_some())
    })
}
