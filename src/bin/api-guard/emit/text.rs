//! JSON text embedded in YAML.

use serde_json::Value;

/// The template with `{{name}}` replaced. If a name begins with a space or ends with a line break, the template's space
/// or line break there is replaced too.
pub(super) fn fill(template: &str, values: &[(&str, &str)]) -> String {
    let mut out = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        let Some((name, after)) = after.split_once("}}") else { break };
        let (mut before, mut after) = (before, after);
        let found = values.iter().find(|(known, _)| known.trim() == name);
        if let Some((known, _)) = found {
            if known.starts_with(' ') {
                before = before.strip_suffix(' ').unwrap_or(before);
            }
            if known.ends_with('\n') {
                after = after.strip_prefix('\n').unwrap_or(after);
            }
        }
        out.push_str(before);
        out.push_str(found.map(|(_, value)| *value).unwrap_or_default());
        rest = after;
    }
    out.push_str(rest);
    out
}

/// The text as a YAML scalar, quoted if YAML would otherwise read something else.
pub(super) fn quoted(text: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "/._-:@".contains(letter);
    let harmless = text.chars().next().is_some_and(|first| first.is_ascii_alphanumeric() || first == '/');
    if harmless && text.chars().all(plain) && !text.ends_with(':') && !text.contains("::") && !is_value(text)
    {
        text.to_owned()
    } else {
        Value::from(text).to_string()
    }
}

/// Words that YAML 1.1 or 1.2 reads as null or as a truth value, in any letter case.
const WORDS: [&str; 9] = ["null", "true", "false", "yes", "no", "on", "off", "y", "n"];

/// Whether YAML may read a value that is no text. Numbers of any base, times and dates all begin with a digit.
fn is_value(text: &str) -> bool {
    let is_address = text.parse::<std::net::IpAddr>().is_ok();
    WORDS.iter().any(|word| word.eq_ignore_ascii_case(text))
        || (text.starts_with(|first: char| first.is_ascii_digit()) && !is_address)
}

/// Texts as the items of a list in YAML's flow style.
pub(super) fn items(texts: &[String]) -> String {
    texts.iter().map(|text| quoted(text)).collect::<Vec<_>>().join(", ")
}

/// JSON as the lines of a literal block.
pub(super) fn block(json: &str, indent: usize) -> String {
    indented(&printable(json), indent)
}

/// JSON as values of the manifest, in YAML's flow style, which includes JSON.
pub(super) fn values(json: &str, indent: usize) -> String {
    // YAML does not know the pairs of escapes that JSON uses for characters beyond 16 bits.
    let has_surrogates = json.to_ascii_lowercase().contains("\\ud");
    let json = match serde_json::from_str::<Value>(json) {
        Ok(value) if has_surrogates => {
            serde_json::to_string_pretty(&value).unwrap_or_else(|_| json.to_owned())
        }
        Ok(_) | Err(_) => json.to_owned(),
    };
    indented(&printable(&json), indent)
}

/// The JSON with escapes for characters that YAML does not allow, and without tabs, which YAML does not allow as
/// indentation. In JSON the former occur only in strings, and the latter only as white space.
fn printable(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for letter in json.trim().chars() {
        match letter {
            '\t' => out.push_str("  "),
            '\r' => {}
            '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}' => {
                out.push_str(&format!("\\u{:04x}", u32::from(letter)));
            }
            letter => out.push(letter),
        }
    }
    out
}

/// Each line of the text moved to the right; lines of white space are empty.
pub(super) fn indented(text: &str, indent: usize) -> String {
    let line = |line: &str| match line.trim_end() {
        "" => String::new(),
        line => format!("{:indent$}{line}", ""),
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

/// The variables of a container, each a key of this Secret.
pub(super) fn secret_variables(names: &[String], secret: &str) -> String {
    let variable = |name: &String| {
        let name = quoted(name);
        format!(
            "\n            - name: {name}\n              valueFrom: {{ secretKeyRef: {{ name: {}, key: {name} }} }}",
            quoted(secret)
        )
    };
    names.iter().map(variable).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_is_filled_and_takes_its_spaces_along() {
        assert_eq!(fill("a: {{b}}\n{{c}}\nd {{e}}", &[("b", "1"), ("c\n", ""), (" e", "")]), "a: 1\nd");
    }

    #[test]
    fn what_yaml_could_misread_is_quoted() {
        for plain in [
            "dist/api_guard.wasm",
            "nullable",
            "E5",
            "oci://a.example:5000/b:1",
            "10.0.0.1",
            "orders.internal",
        ] {
            assert_eq!(quoted(plain), plain);
        }
        for odd in ["::1", "a#b", "123", "*x", "a:", "{x}", "null", "True", "NO", "on", "y"] {
            assert_eq!(quoted(odd), format!("\"{odd}\""));
        }
        for odd in ["1e5", "0x1f", "0o17", "1_000", "1.5", "1:30", "2026-11-30", "12e03abc"] {
            assert_eq!(quoted(odd), format!("\"{odd}\""));
        }
    }

    #[test]
    fn json_keeps_its_meaning_in_yaml() {
        let json = "{\r\n\t\"a\u{7f}\": \"\\ud83d\\ude00\",\r\n\r\n\t\"b\": [1,\t2]\r\n}";
        let expected: Value = serde_json::from_str(json).unwrap();
        for text in [block(json, 2), values(json, 2)] {
            assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), expected);
            assert!(!text.contains('\t') && !text.contains('\r'), "{text}");
        }
        assert!(!values(json, 2).contains("\\ud"));
    }
}
