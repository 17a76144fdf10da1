//! What of the page may stand in a link: everything but what gives access to something.
//!
//! A secret of the configuration is replaced by a text of the same use, so that the link shows the same decisions. Of the
//! rest, credentials are left out: headers and parameters by their names and by the configuration's own sources of tokens,
//! tokens wherever they stand, and the page's own secret and token wherever they are repeated.

mod mask;
mod sources;
mod words;

use api_guard_explain::source::secrets::texts;
use api_guard_explain::source::{documents, of_text};
use serde_json::Value;

use crate::answer;
use crate::session::written;
use crate::state::State;
use mask::{mask, mask_guessed};
use sources::Sources;

/// Names in a configuration before what may be a secret.
const SECRET_FIELDS: [&str; 4] = ["value", "base64url", "password", "secret"];

/// The state without its secrets.
pub fn without_secrets(state: &State) -> Value {
    let own = [state.secret.trim(), state.token.trim()];
    let mut own: Vec<String> = own.into_iter().filter(|text| text.len() >= 8).map(str::to_owned).collect();
    let source = of_text(state.configuration.clone());
    let configuration = match texts(&source) {
        Some(secrets) => {
            own.extend(secrets.iter().map(|(_, text)| text.clone()).filter(|text| text.len() >= 8));
            mask(&state.configuration, &secrets)
        }
        None => mask_guessed(&state.configuration, &SECRET_FIELDS),
    };
    let sources = Sources::of(&state.configuration, written(source).plugin.as_ref());
    let clean = |text: &str| {
        let text = own.iter().fold(text.to_owned(), |text, own| text.replace(own, ""));
        words::without_tokens(&words::without_private_keys(&text))
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

/// A URL without a user's name and password, without what follows `#`, and without parameters that are credentials.
fn url(text: &str, sources: &Sources) -> String {
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
fn parameters(text: &str, sources: &Sources) -> String {
    let kept = text.split('&').filter(|pair| {
        // Some services separate parameters by a semicolon.
        !pair.split(';').any(|pair| {
            let name = words::decoded(pair.split('=').next().unwrap_or_default());
            sources.has_parameter(&name) || words::is_credential(&name)
        })
    });
    kept.collect::<Vec<_>>().join("&")
}

/// Headers without those that are credentials, or that nobody can read.
fn headers(text: &str, sources: &Sources) -> String {
    let kept = text.lines().filter_map(|line| {
        let indentation = line.len().saturating_sub(line.trim_start().len());
        // The name of a pseudo-header begins with a colon.
        let start = indentation.saturating_add(usize::from(line.trim_start().starts_with(':')));
        let Some((name, value)) = line.get(start..)?.split_once(':') else {
            return line.trim().is_empty().then(|| line.to_owned());
        };
        let is_credential = sources.has_header(name.trim()) || words::is_credential_header(name.trim());
        let address = value.trim();
        let is_address = ["/", "http://", "https://"].iter().any(|start| address.starts_with(start));
        if is_credential {
            None
        } else if is_address {
            Some(format!("{}: {}", line.get(..start.saturating_add(name.len()))?, url(address, sources)))
        } else {
            Some(line.to_owned())
        }
    });
    kept.collect::<Vec<_>>().join("\n")
}

/// A body without members, or parameters of a form, that are credentials.
fn body(text: &str, sources: &Sources) -> String {
    let is_form = !text.trim_start().starts_with(['{', '[', '<', '-'])
        && text.contains('=')
        && !text.trim_end().contains('\n');
    if is_form { parameters(text, sources) } else { members(text, &words::is_credential) }
}

/// JSON without the values of members with such names. Of what cannot be read, whatever may be a credential goes.
fn members(text: &str, is_credential: &dyn Fn(&str) -> bool) -> String {
    let Ok(documents) = documents(text) else { return mask_guessed(text, &words::GUESSED) };
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
