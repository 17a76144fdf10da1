//! What changes in a request on its way to the upstream: who the caller is, and nothing that the client says of it.

use std::borrow::Cow;

use crate::config::Policy;
use crate::config::raw::ForwardToken;
use crate::guard::{Caller, Verdict};
use crate::request::Request;
use crate::request::credential::{self, Source};

/// One change of the request's headers. Both act on all entries of the name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Edit<'a> {
    /// The header goes.
    Remove(&'a [u8]),
    /// The header has this value alone.
    Set(&'a str, Cow<'a, [u8]>),
}

/// The changes, as few as will do: each one costs, and makes Envoy choose its route again.
pub fn edits<'a>(policy: &'a Policy, verdict: &'a Verdict, request: &Request<'a>) -> Vec<Edit<'a>> {
    let mut edits = Vec::new();
    if let Some(caller) = verdict.identity() {
        set_identity(policy, caller, &mut edits);
    }
    for &name in &request.removals {
        let is_set = |edit: &Edit<'_>| matches!(edit, Edit::Set(set, _) if set.as_bytes() == name);
        if !edits.iter().any(is_set) {
            edits.push(Edit::Remove(name));
        }
    }
    if policy.forward.token == ForwardToken::Strip {
        strip(policy, request, &mut edits);
    }
    edits
}

fn set_identity<'a>(policy: &'a Policy, caller: &'a Caller, edits: &mut Vec<Edit<'a>>) {
    let forward = &policy.forward;
    let mut set = |name: Option<&'a str>, value: Option<&'a str>| {
        // Envoy answers 503 to control characters, and the upstream cuts spaces off: such a value would arrive as
        // another one.
        if let (Some(name), Some(value)) = (name, value)
            && !value.is_empty()
            && value.trim_matches(' ') == value
            && !value.bytes().any(|byte| byte < 0x20 || byte == 0x7f)
        {
            edits.push(Edit::Set(name, Cow::Borrowed(value.as_bytes())));
        }
    };
    set(forward.subject_header.as_deref(), caller.token.subject());
    set(forward.permissions_header.as_deref(), Some(caller.token.permissions_text()));
    for (slot, name) in &forward.claims {
        set(Some(name), caller.token.claim(*slot).map(|claim| claim.text.as_str()));
    }
}

fn strip<'a>(policy: &'a Policy, request: &Request<'a>, edits: &mut Vec<Edit<'a>>) {
    let mut cookies = Vec::new();
    let mut parameters = Vec::new();
    for (place, source) in policy.sources.iter().enumerate() {
        match source {
            Source::Header { name, scheme } => {
                let mut values = request.token_headers.iter().filter(|(source, _)| *source == place);
                if values.any(|(_, value)| credential::carries(value, scheme.as_deref())) {
                    edits.push(Edit::Remove(name.as_bytes()));
                }
            }
            Source::Cookie(name) => cookies.push(name.as_str()),
            Source::Query(name) => parameters.push(name.as_str()),
        }
    }
    match credential::cookies_without(&request.cookies, &cookies) {
        Some(rest) if rest.is_empty() => edits.push(Edit::Remove(b"cookie")),
        Some(rest) => edits.push(Edit::Set("cookie", Cow::Owned(rest))),
        None => {}
    }
    if let Some(path) = request.path.and_then(|path| credential::path_without(path, &parameters)) {
        edits.push(Edit::Set(":path", Cow::Owned(path)));
    }
}
