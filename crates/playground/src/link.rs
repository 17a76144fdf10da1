//! What of the page may stand in a link: everything but what gives access to something.
//!
//! A secret of the configuration is replaced by a text of the same use, so that the link shows the same decisions. Of the
//! rest, credentials are left out: headers and parameters by their names and by the configuration's own sources of tokens,
//! tokens wherever they stand, and the page's own secret and token wherever they are repeated.

mod mask;
mod words;

use api_guard_core::config::Policy;
use api_guard_core::config::raw::RawSource;
use api_guard_explain::source::secrets::texts;
use api_guard_explain::source::{Source, documents, of_text};
use serde_json::Value;

use crate::answer;
use crate::state::State;
use mask::{mask, mask_guessed};

/// The state without its secrets.
pub fn without_secrets(state: &State) -> Value {
    let own = [state.secret.trim(), state.token.trim()];
    let mut own: Vec<String> = own.into_iter().filter(|text| text.len() >= 8).map(str::to_owned).collect();
    let source = of_text(state.configuration.clone());
    let sources = sources(&source);
    let configuration = match texts(&source) {
        Some(secrets) => {
            own.extend(secrets.iter().map(|(_, text)| text.clone()).filter(|text| text.len() >= 8));
            mask(&state.configuration, &secrets)
        }
        None => mask_guessed(&state.configuration),
    };
    let clean = |text: &str| {
        words::without_tokens(&own.iter().fold(text.to_owned(), |text, own| text.replace(own, "")))
    };
    let shared = State {
        configuration: clean(&words::without_secrets_in_comments(&configuration)),
        method: state.method.clone(),
        url: clean(&url(&state.url, &sources)),
        headers: clean(&headers(&state.headers, &sources)),
        body: clean(&body(&state.body, &sources)),
        address: clean(&state.address),
        time: clean(&state.time),
        claims: clean(&members(&state.claims, &words::is_credential_claim)),
        key_set: clean(&members(&state.key_set, &words::is_private_member)),
        secret: String::new(),
        token: String::new(),
    };
    answer::link(&shared)
}

/// Where the configuration takes tokens from.
fn sources(source: &Source) -> Vec<RawSource> {
    let Source::Plugin(plugin) = source else { return Vec::new() };
    Policy::parse_shape(plugin.text.as_bytes()).map(|raw| raw.tokens.sources).unwrap_or_default()
}

/// A URL without a user's name and password, without what follows `#`, and without parameters that are credentials.
fn url(text: &str, sources: &[RawSource]) -> String {
    let text = text.split('#').next().unwrap_or_default();
    let (before, query) = match text.split_once('?') {
        Some((before, query)) => (before, Some(query)),
        None => (text, None),
    };
    let mut out = match before.split_once("://") {
        Some((scheme, rest)) => {
            let (authority, path) =
                rest.split_at_checked(rest.find('/').unwrap_or(rest.len())).unwrap_or((rest, ""));
            let host = authority.rsplit('@').next().unwrap_or_default();
            format!("{scheme}://{host}{path}")
        }
        None => before.to_owned(),
    };
    if let Some(query) = query {
        out.push('?');
        out.push_str(&parameters(query, sources));
    }
    out
}

/// Parameters of a query or a form, without those that are credentials.
fn parameters(text: &str, sources: &[RawSource]) -> String {
    let kept = text.split('&').filter(|pair| {
        let name = words::decoded(pair.split('=').next().unwrap_or_default());
        let is_source = sources.iter().any(|source| source.query.as_ref() == Some(&name));
        !is_source && !words::is_credential(&name)
    });
    kept.collect::<Vec<_>>().join("&")
}

/// Headers without those that are credentials, or that nobody can read.
fn headers(text: &str, sources: &[RawSource]) -> String {
    let kept = text.lines().filter(|line| {
        let Some((name, _)) = line.trim_start().trim_start_matches(':').split_once(':') else {
            return line.trim().is_empty();
        };
        let name = name.trim().to_ascii_lowercase();
        let is_source = sources
            .iter()
            .any(|source| source.header.as_ref().is_some_and(|header| header.eq_ignore_ascii_case(&name)));
        !is_source && !words::is_credential_header(&name)
    });
    kept.map(
        |line| if line.trim_start().starts_with(":path") { without_query(line) } else { line.to_owned() },
    )
    .collect::<Vec<_>>()
    .join("\n")
}

/// A pseudo-header's path without its query.
fn without_query(line: &str) -> String {
    line.split('?').next().unwrap_or_default().to_owned()
}

/// A body without members, or parameters of a form, that are credentials.
fn body(text: &str, sources: &[RawSource]) -> String {
    let is_form =
        !text.trim_start().starts_with(['{', '[']) && text.contains('=') && !text.contains(['\n', ' ']);
    if is_form { parameters(text, sources) } else { members(text, &words::is_credential) }
}

/// JSON without the values of members with such names. What is no JSON stays as it is.
fn members(text: &str, is_credential: &dyn Fn(&str) -> bool) -> String {
    let Ok(documents) = documents(text) else { return text.to_owned() };
    let mut found = Vec::new();
    for document in &documents {
        document.walk("", &mut |pointer, node| {
            let is_below = pointer.split('/').any(is_credential);
            if let (true, Some(text)) = (is_below, node.text()) {
                found.push((node.mark, text.to_owned()));
            }
        });
    }
    mask(text, &found)
}

#[cfg(test)]
mod tests;
