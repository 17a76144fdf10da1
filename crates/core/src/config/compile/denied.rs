//! Section `revocation.denied`.

use super::problems::Problems;
use crate::config::raw::{RawDenied, RawSubject, RawSubjectOfIssuer};
use crate::json::Path;
use crate::revocation::denied::Denied;
use crate::token::date::LATEST_SECOND;

/// Compiles the list of tokens that the configuration itself refuses.
pub(super) fn compile(problems: &mut Problems, raw: RawDenied, at: &Path<'_>) -> Denied {
    for (name, list) in [("jti", &raw.jti), ("kid", &raw.kid)] {
        problems.claim_values(&at.field(name), list);
    }
    let issued_before = &at.field("sub_issued_before");
    for (sub, second) in &raw.sub_issued_before {
        problems.within(&issued_before.field(sub), *second, 0, LATEST_SECOND, "seconds since 1970");
    }
    let mut denied = Denied {
        jti: raw.jti.iter().map(String::as_str).collect(),
        kid: raw.kid.iter().map(String::as_str).collect(),
        sub_issued_before: raw.sub_issued_before.iter().map(|(sub, _)| sub.as_str()).collect(),
        moments: raw.sub_issued_before.iter().map(|(_, second)| *second).collect(),
        ..Denied::default()
    };
    for (index, subject) in raw.sub.into_iter().enumerate() {
        add_subject(problems, subject, &at.field("sub").index(index), &mut denied);
    }
    denied
}

fn add_subject(problems: &mut Problems, raw: RawSubject, at: &Path<'_>, denied: &mut Denied) {
    let (iss, sub) = match raw {
        RawSubject::OfAny(sub) => (None, filled(problems, Some(sub), at)),
        RawSubject::OfIssuer(RawSubjectOfIssuer { iss, sub }) => {
            let Some(iss) = filled(problems, iss, &at.field("iss")) else { return };
            (Some(iss), filled(problems, sub, &at.field("sub")))
        }
    };
    let Some(sub) = sub else { return };
    let is_repeated = match iss {
        None => denied.sub.enter(&sub, 0).is_some(),
        Some(iss) => {
            let index = denied.sub_of_issuer.enter(&sub, denied.issuers.len()).unwrap_or_else(|| {
                denied.issuers.push(Vec::new());
                denied.issuers.len().saturating_sub(1)
            });
            let issuers = denied.issuers.get_mut(index);
            issuers.is_some_and(|issuers| {
                let is_repeated = issuers.contains(&iss);
                issuers.push(iss);
                is_repeated
            })
        }
    };
    if is_repeated {
        problems.repeated(at);
    }
}

/// A value that a claim is compared with, which cannot be empty.
fn filled(problems: &mut Problems, value: Option<String>, at: &Path<'_>) -> Option<String> {
    let value = value.filter(|value| !value.is_empty());
    if value.is_none() {
        problems.empty(at);
    }
    value
}
