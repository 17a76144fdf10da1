//! The request and the token as they are typed.

use std::net::IpAddr;

use api_guard_core::config::raw::RawConfig;
use api_guard_core::time::UnixNanos;
use api_guard_explain::explain::request::{Parts, header, pairs};
use api_guard_explain::issue::Issuer;
use api_guard_explain::rfc3339;
use serde_json::{Map, Value, json};

use crate::keys;
use crate::state::State;

/// What is wrong with a textbox: its name in [`State`], and what to write.
pub(crate) type Wrong = Map<String, Value>;

/// A request that can be sent.
pub(crate) struct Sent {
    pub(crate) pairs: Vec<(String, String)>,
    pub(crate) body: Option<String>,
    pub(crate) client: IpAddr,
    pub(crate) now: UnixNanos,
    /// The token that the page has made of the claims.
    pub(crate) made: Option<String>,
}

/// Whether claims are to be signed.
pub(crate) fn signs(state: &State) -> bool {
    state.token.trim().is_empty() && !state.claims.trim().is_empty()
}

/// Reads what is typed, or says everything that is wrong with it. `has_own`: whether a key set has the page's own key.
pub(crate) fn read(
    state: &State,
    raw: &RawConfig,
    has_own: bool,
    lookup: &dyn Fn(&str) -> Option<Vec<u8>>,
    now: UnixNanos,
) -> Result<Sent, Wrong> {
    let mut wrong = Wrong::new();
    let mut note = |field: &str, problem: String| drop(wrong.insert(field.to_owned(), json!(problem)));
    let time = state.time.trim();
    let now = if time.is_empty() { Ok(now) } else { rfc3339::moment(time) };
    let address = state.address.trim();
    let client = if address.is_empty() { "127.0.0.1" } else { address }.parse();
    let client: Result<IpAddr, _> =
        client.map_err(|_| "not an address: write one such as 203.0.113.7 or 2001:db8::1".to_owned());
    let headers = headers(&state.headers);
    let made = if signs(state) { sign(state, raw, has_own, lookup).map(Some) } else { Ok(None) };
    let url = state.url.trim();
    if let Err(problem) = &now {
        note("time", problem.clone());
    }
    if let Err(problem) = &client {
        note("address", problem.clone());
    }
    if let Err(problem) = &headers {
        note("headers", problem.clone());
    }
    if let Err((field, problem)) = &made {
        note(field, problem.clone());
    }
    let (Ok(now), Ok(client), Ok(headers), Ok(made)) = (now, client, headers, made) else {
        return Err(wrong);
    };
    let is_chunked = headers.iter().any(|(name, _)| name == "transfer-encoding");
    let body = (!state.body.is_empty() || is_chunked).then(|| state.body.clone());
    let pasted = Some(state.token.trim()).filter(|token| !token.is_empty());
    let parts = Parts {
        method: &state.method,
        path: if url.is_empty() { "/" } else { url },
        headers: &headers,
        token: made.as_deref().or(pasted),
        body: body.as_deref(),
    };
    let pairs = pairs(parts, raw.tokens.sources.first());
    Ok(Sent { pairs, body, client, now, made })
}

/// Headers, one a line.
fn headers(text: &str) -> Result<Vec<(String, String)>, String> {
    let mut headers = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        if line.trim().is_empty() {
            continue;
        }
        let read = header(line.trim_start()).map_err(|_| {
            format!(
                "line {number}: write a name without spaces, a colon and a value, such as content-type: application/json"
            )
        })?;
        headers.push(read);
    }
    Ok(headers)
}

/// A token of the claims, or the textbox that is wrong and why.
fn sign(
    state: &State,
    raw: &RawConfig,
    has_own: bool,
    lookup: &dyn Fn(&str) -> Option<Vec<u8>>,
) -> Result<String, (&'static str, String)> {
    let claims: Value =
        serde_json::from_str(&state.claims).map_err(|error| ("claims", format!("not JSON: {error}")))?;
    if !claims.is_object() {
        return Err(("claims", "not an object: write one such as {\"sub\": \"user-7\"}".to_owned()));
    }
    if let Some(issuer) = Issuer::of(raw, lookup) {
        return Ok(issuer.sign(&state.claims));
    }
    if raw.tokens.keys.iter().any(|key| key.secret.is_some()) {
        return Err(("secret", "write the secret with which the claims are to be signed".to_owned()));
    }
    if raw.tokens.key_sets.is_empty() {
        let text =
            "the configuration has no secret with which the page could sign them: paste a token into Token";
        return Err(("claims", text.to_owned()));
    }
    if !has_own {
        let text = "the page signs with ES256, which no key set that Envoy fetches accepts: paste a token into Token";
        return Err(("claims", text.to_owned()));
    }
    keys::sign(&state.claims).ok_or_else(|| ("claims", "the page cannot sign them".to_owned()))
}
