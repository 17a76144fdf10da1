//! What the page asks, and what is typed in it.

use serde::{Deserialize, Serialize};

/// A question of the page.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Question {
    /// What to do.
    pub act: Act,
    /// What is typed.
    pub state: State,
    /// The time of day, milliseconds since 1970.
    pub now: u64,
    /// Random bytes that stay the same as long as the page is open, in hexadecimal digits.
    pub random: String,
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Act {
    /// Judge the request, and leave counters and revocations as they are.
    Try,
    /// Judge the request, and count it.
    Send,
    /// Forget what was counted and revoked, and try.
    Reset,
    /// The state without its secrets, for a link.
    Link,
}

/// What is typed. Everything may be empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct State {
    /// The configuration: JSON, JSON with comments, or YAML.
    pub configuration: String,
    /// The method.
    pub method: String,
    /// A path with its query, or a whole URL.
    pub url: String,
    /// Headers, one a line.
    pub headers: String,
    /// The body.
    pub body: String,
    /// The client's address.
    pub address: String,
    /// The time of the request (RFC 3339); empty: now.
    pub time: String,
    /// Claims that the page signs.
    pub claims: String,
    /// A key set (JWKS) that stands for what Envoy would fetch.
    pub key_set: String,
    /// The configuration's first secret.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub secret: String,
    /// A token that is sent as it is.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub token: String,
}
