//! What do the client and the upstream see of a decision? Replies, headers, and edits of the request.
//!
//! Reply headers contain only constants, numbers and configured names, never text from a client. In a body such text is
//! escaped and cut. Envoy sends a gRPC client's message in a header.

pub mod forward;
pub mod rate_headers;
mod words;

use std::borrow::Cow;

use crate::code::Code;
use crate::denial::{Denial, FormFault};
use crate::guard::Revoked;
use crate::json::text::Object;
use crate::policy::{Detail, Policy, Replies};
use crate::verdict::Trail;

pub(crate) use words::cut;

/// When a client may try again for which there was no room, seconds: bodies that are held back come and go quickly.
const BUSY_RETRY_AFTER_SECONDS: &str = "1";
/// After a failure the store of the fleet is tried again as often.
const FLEET_RETRY_AFTER_SECONDS: &str = "1";
/// When a caller may try again whose revocation found no room, seconds: room comes as revoked tokens expire.
const FULL_RETRY_AFTER_SECONDS: &str = "60";

/// The most headers of a reply.
const MOST_HEADERS: usize = 8;
/// Room for a usual challenge, bytes.
const USUAL_CHALLENGE_BYTES: usize = 128;

/// A response header: its name in lower case, and its value.
pub type Header = (&'static str, Cow<'static, str>);

/// A response from api-guard itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// Response code details, for access logs.
    pub details: &'static str,
    /// The response headers.
    pub headers: Vec<Header>,
    /// The body, JSON.
    pub body: String,
    /// The status that a gRPC client gets (gRPC status codes, grpc/status.md).
    pub grpc_status: i32,
    /// The message that a gRPC client gets instead of the body, in a header or trailer: no text from the client.
    pub grpc_message: Cow<'static, str>,
}

impl Reply {
    /// The names and values of the response headers. What a gRPC client gets is a message and no JSON. Envoy writes the type
    /// itself, but where a filter before us has made gRPC of another request.
    pub fn headers_in(&self, is_grpc: bool) -> impl ExactSizeIterator<Item = (&[u8], &[u8])> + Clone {
        self.headers.iter().map(move |(name, value)| {
            let value = if is_grpc && *name == "content-type" { "text/plain" } else { value.as_ref() };
            (name.as_bytes(), value.as_bytes())
        })
    }
}

/// The reply to a refused request. `request_id`: the value of `x-request-id`.
pub fn refuse(policy: &Policy, denial: &Denial, request_id: Option<&[u8]>) -> Reply {
    let code = denial.code();
    let errors = words::errors(denial);
    let full = policy.replies.detail == Detail::Full;
    // Envoy generates the identifier, unless it is configured to keep the client's.
    let request_id = request_id.map(lossy);
    // RFC 9457, with a code, all errors and the request's identifier beside the standard members.
    let mut problem = Object::new();
    problem.text("type", code.urn());
    problem.text("title", code.title());
    problem.number("status", code.status().into());
    problem.text("code", code.as_str());
    if full {
        problem.text_if_any("detail", errors.first().map(AsRef::as_ref));
        problem.texts("errors", &errors);
    }
    problem.text_if_any("limit", denial.over_limit().map(|over| over.name.as_str()));
    problem.text_if_any("request_id", request_id.as_deref().map(cut));
    let mut headers = json_headers("application/problem+json");
    add_headers(&mut headers, &policy.replies, denial);
    rate_headers::add_of_refusal(&mut headers, policy, denial);
    Reply {
        status: code.status(),
        details: code.details(),
        headers,
        body: problem.end(),
        grpc_status: code.grpc_status(),
        grpc_message: if full { words::message(denial, errors) } else { code.as_str().into() },
    }
}

/// Everything that is wrong, in words, the deciding fault first. Never empty. May contain text from the client.
pub fn reasons(denial: &Denial) -> Vec<String> {
    words::errors(denial).into_iter().map(Cow::into_owned).collect()
}

/// The text, with U+FFFD for what is not UTF-8.
fn lossy(bytes: &[u8]) -> Cow<'_, str> {
    // The library looks at every character. This takes what is UTF-8, and nearly everything is, in larger steps.
    str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes), Cow::Borrowed)
}

/// The reply to a request that has revoked something. `trail`: that of the request, for the limits that admitted it.
pub fn revoked(policy: &Policy, revoked: Revoked, trail: &Trail) -> Reply {
    let mut headers = json_headers("application/json");
    if let Some(tightest) = rate_headers::tightest(policy, trail) {
        headers.extend(rate_headers::of_admission(policy, &tightest));
    }
    let expires_at = revoked.expires_at.map_or("null".to_owned(), |second| second.to_string());
    Reply {
        status: 200,
        details: "api_guard_revoked",
        headers,
        body: format!(r#"{{"revoked":true,"expires_at":{expires_at}}}"#),
        grpc_status: 0,
        grpc_message: "".into(),
    }
}

fn json_headers(content_type: &'static str) -> Vec<Header> {
    let mut headers = Vec::with_capacity(MOST_HEADERS);
    headers.push(("content-type", content_type.into()));
    headers.push(("cache-control", "no-store".into()));
    headers
}

fn add_headers(headers: &mut Vec<Header>, replies: &Replies, denial: &Denial) {
    if let Denial::Form(faults) = denial
        && let Some(fault) = faults.iter().next()
    {
        match fault {
            // RFC 9110 section 15.5.6: a 405 has to say what is allowed.
            FormFault::MethodNotAllowed { allowed, .. } => headers.push(("allow", allowed.join(", ").into())),
            FormFault::UnsupportedMediaType { accepted, post } => {
                headers.push(("accept", accepted.join(", ").into()));
                if *post {
                    headers.push(("accept-post", accepted.join(", ").into()));
                }
            }
            FormFault::Malformed(_)
            | FormFault::MethodParameter
            | FormFault::PathAmbiguous(_)
            | FormFault::HttpsRequired
            | FormFault::TooLarge { .. } => {}
        }
    }
    if let Denial::Busy(_) = denial {
        headers.push(("retry-after", BUSY_RETRY_AFTER_SECONDS.into()));
    }
    if let Denial::KeysUnavailable { retry_after_seconds } = denial {
        headers.push(("retry-after", retry_after_seconds.to_string().into()));
    }
    if let Denial::FleetUnavailable(_) = denial {
        headers.push(("retry-after", FLEET_RETRY_AFTER_SECONDS.into()));
    }
    if let Denial::RevocationFull = denial {
        headers.push(("retry-after", FULL_RETRY_AFTER_SECONDS.into()));
    }
    if let Some(challenge) = challenge(replies, denial) {
        headers.push(("www-authenticate", challenge.into()));
    }
}

/// The `WWW-Authenticate` of a refusal (RFC 6750 section 3, RFC 9728 section 5.1). Without a credential the challenge has
/// no error code.
fn challenge(replies: &Replies, denial: &Denial) -> Option<String> {
    let code = denial.code();
    let scope =
        if let Denial::PermissionMissing { needed, .. } = denial { Some(needed.join(" ")) } else { None };
    if scope.is_none() && code.status() != 401 {
        return None;
    }
    let error = match scope {
        Some(_) => Some("insufficient_scope"),
        None => (code != Code::TokenMissing).then_some("invalid_token"),
    };
    let description = words::challenge_description(code).filter(|_| replies.detail == Detail::Full);
    let mut challenge = String::with_capacity(USUAL_CHALLENGE_BYTES);
    challenge.extend(["Bearer realm=\"", &replies.realm, "\""]);
    for (name, value) in [
        ("error", error),
        ("error_description", description),
        ("scope", scope.as_deref()),
        ("resource_metadata", replies.resource_metadata.as_deref()),
    ] {
        if let Some(value) = value {
            challenge.extend([", ", name, "=\"", value, "\""]);
        }
    }
    Some(challenge)
}
