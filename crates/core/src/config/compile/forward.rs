//! Section `forward`.

use super::grammar::is_token;
use super::tokens::claim_text;
use super::{Parts, Path};
use crate::config::raw::RawForward;
use crate::lookup::Lookup;
use crate::policy::{Forward, ForwardToken};
use crate::request::credential::{Source, WEBSOCKET_PROTOCOL};
use crate::request::plan::fold;

/// Headers that control the proxy or the message framing. Claims must not be written into them.
const RESERVED: [&str; 14] = [
    "host",
    "connection",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "content-length",
    "content-type",
    "content-encoding",
    "expect",
    "x-request-id",
    "cookie",
];

/// Prefixes of further reserved names.
const RESERVED_PREFIXES: [&str; 2] = ["x-envoy-", "x-forwarded-"];

/// Compiles what the upstream is told. `sources`: where tokens come from.
pub(super) fn compile(parts: &mut Parts<'_>, raw: RawForward, sources: &[Source], at: &Path<'_>) -> Forward {
    if raw.token == ForwardToken::Strip {
        for source in sources {
            match source {
                Source::Header { name, .. } => parts.plan.removed_if_misspelt(name),
                Source::WebSocketProtocol(_) => parts.plan.removed_if_misspelt(WEBSOCKET_PROTOCOL),
                Source::Cookie(_) | Source::Query(_) => {}
            }
        }
    }
    let mut headers = Headers { sources, seen: Lookup::default() };
    let subject_header = headers.add(parts, raw.subject_header, &at.field("subject_header"));
    let permissions_header = headers.add(parts, raw.permissions_header, &at.field("permissions_header"));
    let issuer_header = headers.add(parts, raw.issuer_header, &at.field("issuer_header"));
    let mut claims = Vec::new();
    let at = &at.field("claims");
    for (claim, header) in raw.claims {
        let at = &at.field(&claim);
        let slot = claim_text(parts, &claim, at);
        if let Some(header) = headers.add(parts, header, at) {
            claims.push((slot, header));
        }
    }
    Forward {
        subject_header,
        permissions_header,
        issuer_header,
        claims,
        token: raw.token,
        filter_state: raw.filter_state,
    }
}

/// The headers that are written; no two settings may name the same one.
struct Headers<'s> {
    sources: &'s [Source],
    /// Their names as a service may read them ([`fold`]).
    seen: Lookup,
}

impl Headers<'_> {
    /// The header's name in lower case; the client's own copies of it will be removed.
    fn add(&mut self, parts: &mut Parts<'_>, name: Option<String>, at: &Path<'_>) -> Option<String> {
        let name = name?.to_ascii_lowercase();
        if !is_token(&name) {
            parts.problems.add(at, "not a header name", r#"write a name such as "x-auth-subject""#);
        } else if is_reserved(&name) {
            let instead = r#"choose another name, such as "x-auth-subject""#;
            parts.problems.add(at, "a header that the proxy itself relies on", instead);
        } else if self.carries_tokens(&name) {
            parts.problems.add(at, "the header that carries the token", "choose another name");
        } else if self.seen.enter(&fold(&name), 0).is_some() {
            parts.problems.add(at, "a header that is already set", "choose another name");
        } else {
            parts.plan.removed(&name);
        }
        Some(name)
    }

    fn carries_tokens(&self, header: &str) -> bool {
        self.sources.iter().any(|source| match source {
            Source::Header { name, .. } => fold(name) == fold(header),
            Source::WebSocketProtocol(_) => fold(WEBSOCKET_PROTOCOL) == fold(header),
            Source::Cookie(_) | Source::Query(_) => false,
        })
    }
}

fn is_reserved(header: &str) -> bool {
    let header = fold(header);
    RESERVED.contains(&header.as_str()) || RESERVED_PREFIXES.iter().any(|prefix| header.starts_with(prefix))
}
