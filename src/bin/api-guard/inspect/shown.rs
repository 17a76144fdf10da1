//! JSON of a token as it was signed: numbers digit for digit, and a name that stands twice, twice.

/// JSON with a line for each value. `json` is known to be well-formed. What a terminal would obey, or would show in another
/// order, is escaped.
pub(super) fn pretty(json: &str) -> String {
    let mut out = String::with_capacity(json.len().saturating_mul(2));
    let mut depth = 0_usize;
    let (mut is_text, mut is_escaped) = (false, false);
    let mut letters = json.chars().peekable();
    while let Some(letter) = letters.next() {
        if is_text {
            let ends = letter == '"' && !is_escaped;
            is_escaped = letter == '\\' && !is_escaped;
            is_text = !ends;
            if is_obeyed(letter) {
                out.push_str(&format!("\\u{:04x}", u32::from(letter)));
            } else {
                out.push(letter);
            }
            continue;
        }
        match letter {
            '{' | '[' => {
                out.push(letter);
                while letters.next_if(|next| next.is_ascii_whitespace()).is_some() {}
                if let Some(end) = letters.next_if(|next| matches!(next, '}' | ']')) {
                    out.push(end);
                } else {
                    depth = depth.saturating_add(1);
                    begin_line(&mut out, depth);
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                begin_line(&mut out, depth);
                out.push(letter);
            }
            ',' => {
                out.push(letter);
                begin_line(&mut out, depth);
            }
            ':' => out.push_str(": "),
            space if space.is_ascii_whitespace() => {}
            other => {
                is_text = other == '"';
                out.push(other);
            }
        }
    }
    out
}

fn begin_line(out: &mut String, depth: usize) {
    out.push('\n');
    out.push_str(&"  ".repeat(depth));
}

/// Control characters beyond those that JSON escapes anyway, and those that turn the direction of what follows.
fn is_obeyed(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_has_a_line_for_each_value() {
        let json = r#"{ "a":[1,{}, [ ],"x,{\"\\"], "b" :{"c":null}}"#;
        let value: serde_json::Value = serde_json::from_str(json).unwrap();
        assert_eq!(pretty(json), serde_json::to_string_pretty(&value).unwrap());
    }

    #[test]
    fn nothing_is_lost_and_nothing_is_obeyed() {
        let shown = pretty("{\"n\":12345678901234567890123,\"n\":1.50,\"t\":\"a\u{9b}31m\u{202e}ü\"}");
        assert_eq!(
            shown,
            "{\n  \"n\": 12345678901234567890123,\n  \"n\": 1.50,\n  \"t\": \"a\\u009b31m\\u202eü\"\n}"
        );
    }
}
