//! List `tokens.sources`.

use super::grammar::is_token;
use super::problems::Problems;
use super::{Parts, Path};
use crate::config::raw::RawSource;
use crate::request::credential::{Source, WEBSOCKET_PROTOCOL};

/// Where a request may carry its token.
pub(super) fn compile(parts: &mut Parts<'_>, raw: Vec<RawSource>, at: &Path<'_>) -> Vec<Source> {
    if raw.is_empty() {
        let instead = r#"write at least one, such as {"header": "authorization", "scheme": "Bearer"}"#;
        parts.problems.add(at, "empty list", instead);
    }
    let mut sources: Vec<Source> = Vec::new();
    for (index, source) in raw.into_iter().enumerate() {
        let at = &at.index(index);
        let Some(source) = compile_source(&mut parts.problems, source, at) else { continue };
        if sources.iter().any(|known| is_same(known, &source)) {
            parts.problems.add(at, "the same as another source", "remove one of them");
        }
        match &source {
            Source::Header { name, .. } => parts.plan.token(name, sources.len()),
            Source::Cookie(_) => parts.plan.cookies(),
            Source::Query(_) => {}
            Source::WebSocketProtocol(_) => parts.plan.websocket_protocols(),
        }
        sources.push(source);
    }
    sources
}

fn compile_source(problems: &mut Problems, raw: RawSource, at: &Path<'_>) -> Option<Source> {
    match (raw.header, raw.cookie, raw.query, raw.websocket_protocol) {
        (Some(header), None, None, None) => Some(compile_header(problems, &header, raw.scheme, at)),
        (None, Some(cookie), None, None) if raw.scheme.is_none() => {
            if !is_token(&cookie) {
                let instead = r#"write a name such as "session""#;
                problems.add(&at.field("cookie"), "not a cookie name", instead);
            }
            Some(Source::Cookie(cookie))
        }
        (None, None, Some(query), None) if raw.scheme.is_none() => {
            if !is_query_name(&query) {
                let instead = r#"write a name such as "access_token""#;
                problems.add(&at.field("query"), "not a parameter name", instead);
            }
            Some(Source::Query(query))
        }
        (None, None, None, Some(protocol)) if raw.scheme.is_none() => {
            if !is_token(&protocol) {
                let instead = r#"write one word, such as "bearer""#;
                problems.add(&at.field("websocket_protocol"), "not a WebSocket subprotocol", instead);
            }
            Some(Source::WebSocketProtocol(protocol))
        }
        (_, _, _, _) => {
            let instead = r#"write one of {"header": ..., "scheme": ...}, {"cookie": ...}, {"query": ...}, {"websocket_protocol": ...}"#;
            problems.add(at, "not exactly one source of tokens", instead);
            None
        }
    }
}

fn compile_header(problems: &mut Problems, header: &str, scheme: Option<String>, at: &Path<'_>) -> Source {
    let name = header.to_ascii_lowercase();
    if !is_token(&name) {
        problems.add(&at.field("header"), "not a header name", r#"write a name such as "authorization""#);
    } else if name == "cookie" {
        let instead = r#"write {"cookie": "NAME"}"#;
        problems.add(&at.field("header"), "cookies are a source of their own", instead);
    }
    if scheme.as_ref().is_some_and(|scheme| !is_token(scheme)) {
        let instead = r#"write one word, such as "Bearer""#;
        problems.add(&at.field("scheme"), "not an authentication scheme", instead);
    }
    Source::Header { name, scheme }
}

/// Allows only characters that mean the same encoded and unencoded (RFC 3986 section 2.3).
fn is_query_name(text: &str) -> bool {
    let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    !text.is_empty() && text.bytes().all(unreserved)
}

/// A header is one source, whatever its scheme.
fn is_same(one: &Source, other: &Source) -> bool {
    match (one, other) {
        (Source::Header { name, .. }, Source::Header { name: other, .. }) => name == other,
        (Source::Header { name, .. }, Source::WebSocketProtocol(_))
        | (Source::WebSocketProtocol(_), Source::Header { name, .. }) => name == WEBSOCKET_PROTOCOL,
        (Source::WebSocketProtocol(_), Source::WebSocketProtocol(_)) => true,
        (_, _) => one == other,
    }
}
