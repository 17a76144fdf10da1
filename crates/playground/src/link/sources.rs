//! Where a configuration takes tokens from, be it as broken as it may.

use api_guard_core::config::Policy;
use api_guard_explain::source::plugin::Plugin;

use super::words;

/// Headers and parameters that carry tokens. Cookies and subprotocols are in headers that are credentials anyway.
#[derive(Default)]
pub(super) struct Sources {
    headers: Vec<String>,
    parameters: Vec<String>,
}

impl Sources {
    /// The sources that the configuration has, and whatever in the text looks like one: while it has errors, or is a
    /// manifest that cannot be read, nobody knows it as a whole.
    pub(super) fn of(text: &str, plugin: Option<&Plugin>) -> Self {
        let raw = plugin.and_then(|plugin| Policy::parse_shape(plugin.text.as_bytes()).ok());
        let known = raw.map(|raw| raw.tokens.sources).unwrap_or_default();
        let mut found = Self { headers: named(text, "header"), parameters: named(text, "query") };
        for source in known {
            found.headers.extend(source.header);
            found.parameters.extend(source.query);
        }
        found
    }

    /// Whether tokens come in a header. Services may read `x_token` as `x-token`.
    pub(super) fn has_header(&self, name: &str) -> bool {
        self.headers.iter().any(|known| words::plain(known) == words::plain(name))
    }

    /// Whether tokens come in a parameter of this name, decoded.
    pub(super) fn has_parameter(&self, name: &str) -> bool {
        self.parameters.iter().any(|known| known == name)
    }
}

/// The values of members of this name, in JSON, in JSON within a text, or in YAML.
fn named(text: &str, name: &str) -> Vec<String> {
    let mut values = Vec::new();
    for (at, _) in text.match_indices(name) {
        let before = text.get(..at).and_then(|before| before.chars().next_back());
        if before.is_some_and(|letter| letter.is_alphanumeric() || "-_.".contains(letter)) {
            continue;
        }
        let after = text.get(at.saturating_add(name.len())..).unwrap_or_default();
        let closed = after.trim_start_matches('\\').trim_start_matches(['"', '\'']);
        let Some(value) = closed.trim_start().strip_prefix(':') else { continue };
        // `header:x-a` is a part of a limit's key.
        let is_plain = closed.len() == after.len();
        if is_plain && !value.starts_with(|next: char| next.is_whitespace() || "\"'".contains(next)) {
            continue;
        }
        let value = value.trim_start().trim_start_matches(['\\', '"', '\'']);
        let end = value.find(|letter: char| letter.is_whitespace() || "\\\"',}]".contains(letter));
        values.push(value.get(..end.unwrap_or(value.len())).unwrap_or_default().to_owned());
    }
    values.retain(|value| !value.is_empty());
    values
}
