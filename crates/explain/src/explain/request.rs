//! The request as it reaches the filter.

use api_guard_core::config::raw::RawSource;

/// What a request consists of.
pub struct Parts<'p> {
    /// The method, as it is sent.
    pub method: &'p str,
    /// A path with its query, or a whole URL.
    pub path: &'p str,
    /// Names in lower case.
    pub headers: &'p [(String, String)],
    /// A token, which is sent where the configuration looks for it.
    pub token: Option<&'p str>,
    /// The body, if there is one.
    pub body: Option<&'p str>,
}

/// Headers in Envoy's order: the pseudo-headers of HTTP/2 first, names in lower case. The token is where `source` has it.
pub fn pairs(parts: Parts<'_>, source: Option<&RawSource>) -> Vec<(String, String)> {
    let Parts { method, path, headers, token, body } = parts;
    let mut headers = headers.to_vec();
    let (authority, mut path) = match taken_apart(path) {
        Some((scheme, authority, path)) => {
            // Envoy tells the scheme in this header.
            if !headers.iter().any(|(name, _)| name == PROTO) {
                headers.push((PROTO.to_owned(), scheme));
            }
            (authority, path)
        }
        None => ("localhost".to_owned(), path.to_owned()),
    };
    if let (Some(token), Some(source)) = (token, source) {
        carry(token, source, &mut path, &mut headers);
    }
    // A header of one's own says more than a URL.
    let host = headers.iter().find(|(name, _)| name == "host").map(|(_, value)| value.clone());
    headers.retain(|(name, _)| name != "host");
    let pseudo = [(":method", method.to_owned()), (":path", path), (":authority", host.unwrap_or(authority))];
    let mut pairs: Vec<(String, String)> = pseudo.map(|(name, value)| (name.to_owned(), value)).into();
    if let Some(body) = body
        && !headers.iter().any(|(name, _)| name == "content-length" || name == "transfer-encoding")
    {
        headers.push(("content-length".to_owned(), body.len().to_string()));
    }
    pairs.extend(headers);
    pairs
}

const PROTO: &str = "x-forwarded-proto";

/// The scheme, in lower case, the authority and the path of a URL; `None` for a path alone. What follows `#` never reaches a server.
fn taken_apart(text: &str) -> Option<(String, String, String)> {
    let (scheme, rest) = text.split_once("://")?;
    let scheme = scheme.to_ascii_lowercase();
    if scheme != "http" && scheme != "https" {
        return None;
    }
    let rest = rest.split('#').next().unwrap_or_default();
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at_checked(end)?;
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    Some((scheme, authority.to_owned(), path))
}

/// Adds a token where a source has it: to the headers, or to the path.
pub fn carry(token: &str, source: &RawSource, path: &mut String, headers: &mut Vec<(String, String)>) {
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
///
/// # Errors
///
/// What to write.
pub fn header(text: &str) -> Result<(String, String), String> {
    const FORM: &str = "write NAME:VALUE, such as content-type:application/json";
    let (pseudo, rest) = match text.strip_prefix(':') {
        Some(rest) => (":", rest),
        None => ("", text),
    };
    let (name, value) = rest.split_once(':').ok_or(FORM)?;
    if name.is_empty() || name.contains(char::is_whitespace) {
        return Err(FORM.to_owned());
    }
    // Only these may stand around a value and are no part of it (RFC 9110 section 5.5).
    let value = value.trim_matches([' ', '\t']);
    Ok((format!("{pseudo}{}", name.to_ascii_lowercase()), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_taken_apart() {
        let parts = |text: &str| taken_apart(text).unwrap();
        let own =
            |scheme: &str, host: &str, path: &str| (scheme.to_owned(), host.to_owned(), path.to_owned());
        assert_eq!(
            parts("https://api.example.com/orders/42?x=1#y"),
            own("https", "api.example.com", "/orders/42?x=1")
        );
        assert_eq!(parts("HTTP://[::1]:80"), own("http", "[::1]:80", "/"));
        assert_eq!(parts("http://a?x=/"), own("http", "a", "/?x=/"));
        assert_eq!(taken_apart("/a?u=http://b"), None);
    }

    #[test]
    fn a_header_is_a_name_and_a_value() {
        let parsed = |text: &str| header(text).unwrap();
        assert_eq!(parsed("X-A: b:c "), ("x-a".to_owned(), "b:c".to_owned()));
        assert_eq!(parsed("x-a:\tb\u{a0}"), ("x-a".to_owned(), "b\u{a0}".to_owned()));
        assert_eq!(parsed(":authority:h:80"), (":authority".to_owned(), "h:80".to_owned()));
        assert!(header("x-a").is_err() && header(":x").is_err() && header(" x:1").is_err());
    }
}
