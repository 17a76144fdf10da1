//! The request as it reaches the filter.

use api_guard_core::config::raw::{RawConfig, RawSource};

use super::Explain;

/// Headers in Envoy's order: the pseudo-headers of HTTP/2 first, names in lower case.
pub(super) struct Sent(Vec<(String, String)>);

impl Sent {
    pub(super) fn new(explain: &Explain, raw: &RawConfig) -> Self {
        let mut path = explain.path.clone();
        let mut headers = explain.headers.clone();
        if let (Some(token), Some(source)) = (&explain.token, raw.tokens.sources.first()) {
            carry(token, source, &mut path, &mut headers);
        }
        let mut pairs = vec![(":method".to_owned(), explain.method.clone()), (":path".to_owned(), path)];
        let host = headers.iter().find(|(name, _)| name == "host").map(|(_, value)| value.as_str());
        pairs.push((":authority".to_owned(), host.unwrap_or("localhost").to_owned()));
        headers.retain(|(name, _)| name != "host");
        if let Some(body) = &explain.body
            && !headers.iter().any(|(name, _)| name == "content-length" || name == "transfer-encoding")
        {
            headers.push(("content-length".to_owned(), body.len().to_string()));
        }
        pairs.extend(headers);
        Self(pairs)
    }

    /// The headers as bytes.
    pub(super) fn pairs(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.0.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()))
    }
}

/// Adds a token where a source has it: to the headers, or to the path.
pub(crate) fn carry(token: &str, source: &RawSource, path: &mut String, headers: &mut Vec<(String, String)>) {
    match source {
        RawSource { header: Some(name), scheme, .. } => {
            let scheme = scheme.as_ref().map(|scheme| format!("{scheme} ")).unwrap_or_default();
            headers.push((name.to_ascii_lowercase(), format!("{scheme}{token}")));
        }
        RawSource { cookie: Some(name), .. } => {
            headers.push(("cookie".to_owned(), format!("{name}={token}")));
        }
        RawSource { query: Some(name), .. } => {
            let mark = if path.contains('?') { '&' } else { '?' };
            path.push_str(&format!("{mark}{name}={token}"));
        }
        RawSource { websocket_protocol: Some(name), .. } => {
            headers.push(("sec-websocket-protocol".to_owned(), format!("{name}, {token}")));
        }
        RawSource { header: None, cookie: None, query: None, websocket_protocol: None, .. } => {}
    }
}

/// `NAME:VALUE`, with or without a space after the colon. A name may begin with a colon, as in HTTP/2.
pub(super) fn header(text: &str) -> Result<(String, String), String> {
    const FORM: &str = "write NAME:VALUE, such as content-type:application/json";
    let (pseudo, rest) = match text.strip_prefix(':') {
        Some(rest) => (":", rest),
        None => ("", text),
    };
    let (name, value) = rest.split_once(':').ok_or(FORM)?;
    if name.is_empty() || name.contains(char::is_whitespace) {
        return Err(FORM.to_owned());
    }
    Ok((format!("{pseudo}{}", name.to_ascii_lowercase()), value.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_a_name_and_a_value() {
        let parsed = |text: &str| header(text).unwrap();
        assert_eq!(parsed("X-A: b:c "), ("x-a".to_owned(), "b:c".to_owned()));
        assert_eq!(parsed(":authority:h:80"), (":authority".to_owned(), "h:80".to_owned()));
        assert!(header("x-a").is_err() && header(":x").is_err() && header(" x:1").is_err());
    }
}
