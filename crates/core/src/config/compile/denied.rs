//! Section `revocation.denied`.

use super::problems::Problems;
use crate::config::raw::RawDenied;
use crate::json::Pointer;
use crate::revocation::denied::Denied;
use crate::token::date::LATEST_SECOND;

/// Compiles the list of tokens that the configuration itself refuses.
pub(super) fn compile(problems: &mut Problems, raw: RawDenied, at: &Pointer) -> Denied {
    for (name, list) in [("jti", &raw.jti), ("sub", &raw.sub), ("kid", &raw.kid)] {
        problems.claim_values(&at.field(name), list);
    }
    for (sub, second) in &raw.sub_issued_before {
        let at = at.field("sub_issued_before").field(sub);
        problems.within(at, *second, 0, LATEST_SECOND, "seconds since 1970");
    }
    Denied {
        jti: raw.jti.iter().map(String::as_str).collect(),
        sub: raw.sub.iter().map(String::as_str).collect(),
        kid: raw.kid.iter().map(String::as_str).collect(),
        sub_issued_before: raw.sub_issued_before.iter().map(|(sub, _)| sub.as_str()).collect(),
        moments: raw.sub_issued_before.iter().map(|(_, second)| *second).collect(),
    }
}
