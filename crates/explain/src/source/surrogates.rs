//! JSON writes a character beyond 16 bits as two escapes, a pair of surrogates. YAML, as which JSON is read here for its
//! positions, does not have them.

use serde::de::IgnoredAny;

use super::tree::{self, Content, Malformed, Node};

/// The documents of a text of YAML, or of JSON with whatever escapes.
///
/// # Errors
///
/// Why it is neither, and where.
pub(super) fn read(text: &str) -> Result<Vec<Node>, Malformed> {
    tree::read(text).or_else(|_| {
        let mut documents = tree::read(&replaced(text))?;
        if serde_json::from_str::<IgnoredAny>(text).is_ok() {
            let mut strings = strings(text).into_iter();
            documents.iter_mut().for_each(|document| put_back(document, &mut strings));
        }
        Ok(documents)
    })
}

/// The text with escaped surrogates replaced by other escapes of the same length, so that positions stay.
pub(super) fn replaced(text: &str) -> String {
    if !text.contains("\\ud") && !text.contains("\\uD") {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        out.push_str(before);
        let is_surrogate = after.get(..2).is_some_and(|start| start.eq_ignore_ascii_case("ud"))
            && after.get(2..3).is_some_and(|digit| "89abcdefABCDEF".contains(digit));
        // Skips the escaped character too, which may itself be a backslash.
        let taken = if is_surrogate { 5 } else { after.chars().next().map_or(0, char::len_utf8) };
        let (escape, after) = after.split_at_checked(taken).unwrap_or((after, ""));
        out.push('\\');
        out.push_str(if is_surrogate { "ufffd" } else { escape });
        rest = after;
    }
    out.push_str(rest);
    out
}

/// All strings of a text of JSON, decoded, in their order. Half of a pair is U+FFFD.
fn strings(text: &str) -> Vec<String> {
    let mut strings = Vec::new();
    let mut rest = text;
    while let Some((_, after)) = rest.split_once('"') {
        let mut escaped = false;
        let end = after.find(|letter| {
            let ends = letter == '"' && !escaped;
            escaped = letter == '\\' && !escaped;
            ends
        });
        let (string, after) = after.split_at_checked(end.unwrap_or(after.len())).unwrap_or((after, ""));
        let quoted = format!("\"{string}\"");
        let decoded = serde_json::from_str(&quoted).or_else(|_| serde_json::from_str(&replaced(&quoted)));
        strings.push(decoded.unwrap_or_default());
        rest = after.strip_prefix('"').unwrap_or_default();
    }
    strings
}

/// Gives each string of a document of JSON, names included, the next of `strings`.
fn put_back(node: &mut Node, strings: &mut impl Iterator<Item = String>) {
    match &mut node.content {
        Content::Scalar { plain: true, .. } => {}
        Content::Scalar { text, plain: false } => *text = strings.next().unwrap_or_default(),
        Content::List(items) => items.iter_mut().for_each(|item| put_back(item, strings)),
        Content::Map(members) => {
            for (key, value) in members {
                key.name = strings.next().unwrap_or_default();
                put_back(value, strings);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_of_surrogates_are_the_character_that_they_stand_for() {
        for (text, expected) in [
            (
                r#"{"\ud83d\ude00":["\uD83D\uDE00\"\\ud83d", 1, true, "b"]}"#,
                r#"{"😀":["😀\"\\ud83d",1,true,"b"]}"#,
            ),
            (r#"{"a":"\ud83d","b":"\\","c":"\ud83d\ude00"}"#, r#"{"a":"�","b":"\\","c":"😀"}"#),
            (r#"["\ud83d\ude00","",{"":null}]"#, r#"["😀","",{"":null}]"#),
        ] {
            assert_eq!(read(text).unwrap().remove(0).to_json(), expected);
        }
        let document = read(r#"{"a":"\ud83d\ude00","b":1}"#).unwrap().remove(0);
        assert_eq!(document.locate("/b").column, 21);
    }
}
