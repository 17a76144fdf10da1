//! What came back, and what the contract says about it.

use std::io::ErrorKind;
use std::time::Duration;

use serde_json::{Value, json};

use crate::process::Envoy;
use crate::token::SECRET;
use crate::upstream::{BODY, Heard};

/// How long a client waits for the next byte.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A complete response, of either protocol.
#[derive(Clone, Default)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    /// In order, names in lower case, repeats kept; trailers follow.
    pub(crate) headers: Vec<(String, Vec<u8>)>,
    pub(crate) body: Vec<u8>,
    /// The request's `x-test-id`.
    pub(crate) test: String,
}

/// How an exchange ended without a complete response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    /// The connection was closed, with or without an HTTP/2 GOAWAY.
    Closed,
    /// The stream was reset with this HTTP/2 error code.
    Reset(u32),
}

impl std::fmt::Debug for Reply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.status)?;
        for (name, value) in &self.headers {
            write!(f, ", {name}: {}", value.escape_ascii())?;
        }
        write!(f, ", {}", self.body.escape_ascii())
    }
}

impl Cut {
    /// What it means that no more can be read. Silence is no way to end an exchange: it fails the test.
    pub(crate) fn by(error: &std::io::Error) -> Self {
        let silent = matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut);
        assert!(!silent, "neither a reply nor an end within {PATIENCE:?}");
        Self::Closed
    }
}

impl Reply {
    /// All values of one header.
    pub(crate) fn all(&self, name: &str) -> Vec<String> {
        let values = self.headers.iter().filter(|(found, _)| found == name);
        values.map(|(_, value)| String::from_utf8_lossy(value).into_owned()).collect()
    }

    /// The value of a header that must be there once.
    pub(crate) fn one(&self, name: &str) -> String {
        let values = self.all(name);
        assert_eq!(values.len(), 1, "{name} in {self:?}");
        values[0].clone()
    }

    /// The members of a comma-separated header, sorted.
    pub(crate) fn list(&self, name: &str) -> Vec<String> {
        let mut members: Vec<_> = self.one(name).split(',').map(|member| member.trim().to_owned()).collect();
        members.sort();
        members
    }

    /// The body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// In short: the status, and the code where the reply is a problem document.
    pub(crate) fn verdict(&self) -> String {
        let problem = serde_json::from_slice::<Value>(&self.body).unwrap_or_default();
        format!("{} {}", self.status, problem["code"].as_str().unwrap_or_default()).trim_end().to_owned()
    }

    /// The request reached the service behind Envoy, once, and this is the service's answer.
    #[track_caller]
    pub(crate) fn forwarded(&self, envoy: &Envoy) -> Heard {
        let heard = envoy.upstream.heard(&self.test);
        assert!(self.status == 200 && heard.len() == 1, "expected 200, got {self:?}, heard {heard:?}");
        assert!(heard[0].method == "HEAD" || self.body == BODY, "{self:?}");
        heard[0].clone()
    }

    /// The request was refused by api-guard with this status and code, exactly as the contract has it, and nothing was
    /// forwarded. Returns the problem document.
    #[track_caller]
    pub(crate) fn refused(&self, envoy: &Envoy, status: u16, code: &str) -> Value {
        assert!(
            self.status == status,
            "expected {status} {code}, got {} {self:?} {}",
            self.status,
            self.text()
        );
        let problem: Value =
            serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {self:?}"));
        assert_eq!(problem["code"], json!(code), "{problem}");
        assert_eq!(problem["status"], json!(status), "{problem}");
        assert_eq!(problem["type"], json!(format!("urn:api-guard:{code}")), "{problem}");
        let after = self.all("retry-after").iter().filter_map(|value| value.parse::<u64>().ok()).sum::<u64>();
        assert_eq!(after > 0, matches!(status, 429 | 503), "{self:?}");
        assert!(titles(status).contains(&problem["title"].as_str().unwrap()), "{problem}");
        let mut names: Vec<_> = problem.as_object().unwrap().keys().map(String::as_str).collect();
        names.sort_unstable();
        // Of a limit it says which one, as its headers can be off.
        names.retain(|name| status != 429 || *name != "limit");
        assert_eq!(names, ["code", "detail", "errors", "request_id", "status", "title", "type"], "{problem}");
        assert_eq!(problem["limit"].is_string(), status == 429, "{problem}");
        let errors = problem["errors"].as_array().unwrap();
        assert!(errors.contains(&problem["detail"]), "{problem}");
        assert!(errors.iter().all(Value::is_string), "{problem}");
        assert_eq!(self.one("content-type"), "application/problem+json");
        assert_eq!(self.one("cache-control"), "no-store");
        self.challenge_fits(status, code);
        assert_eq!(self.all("allow").len(), usize::from(status == 405), "{self:?}");
        assert_eq!(self.all("accept").len(), usize::from(status == 415), "{self:?}");
        assert!(envoy.upstream.heard(&self.test).is_empty(), "refused and forwarded: {self:?}");
        problem
    }

    /// `WWW-Authenticate` is there where the contract says, and only there (RFC 6750, section 3).
    #[track_caller]
    fn challenge_fits(&self, status: u16, code: &str) {
        let challenges = self.all("www-authenticate");
        match (status, code) {
            (401, "token_missing") => assert_eq!(challenges, [r#"Bearer realm="api-guard""#]),
            (401, _) => {
                assert_eq!(challenges.len(), 1, "{self:?}");
                let start = r#"Bearer realm="api-guard", error="invalid_token", error_description=""#;
                let description = challenges[0].strip_prefix(start).and_then(|rest| rest.strip_suffix('"'));
                let allowed = |byte: u8| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\';
                assert!(description.is_some_and(|text| text.bytes().all(allowed)), "{challenges:?}");
            }
            (403, "permission_missing") => {
                assert_eq!(challenges.len(), 1, "{self:?}");
                assert!(challenges[0].starts_with(r#"Bearer realm="api-guard", error="insufficient_scope""#));
            }
            _ => assert!(challenges.is_empty(), "{self:?}"),
        }
    }

    /// No reply, whoever wrote it, holds a token or the secret: every reply that these tests read passes here.
    pub(crate) fn keeps_secrets(self) -> Self {
        let headers = self.headers.iter().map(|(_, value)| String::from_utf8_lossy(value).into_owned());
        let all = headers.chain([self.text()]).collect::<Vec<_>>().join("\n");
        // "eyJ" begins every token: the base64url of `{"`.
        assert!(!all.contains(SECRET) && !all.contains("eyJ"), "{all}");
        self
    }
}

/// The reason phrases of RFC 9110; 413 has had two.
fn titles(status: u16) -> &'static [&'static str] {
    match status {
        400 => &["Bad Request"],
        401 => &["Unauthorized"],
        403 => &["Forbidden"],
        405 => &["Method Not Allowed"],
        408 => &["Request Timeout"],
        413 => &["Content Too Large", "Payload Too Large"],
        415 => &["Unsupported Media Type"],
        429 => &["Too Many Requests"],
        500 => &["Internal Server Error"],
        503 => &["Service Unavailable"],
        _ => &[],
    }
}
