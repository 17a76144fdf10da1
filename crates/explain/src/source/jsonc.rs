//! JSON with comments and trailing commas, as editors allow them, into JSON of the same length: what is not JSON becomes
//! spaces, so that every position stays.

/// The text without comments and trailing commas.
pub(super) fn plain(text: &str) -> String {
    without_trailing_commas(&without_comments(text))
}

/// Whether a text is meant as JSON: an object whose first name is quoted. YAML's own objects have names without quotes.
pub(super) fn is_meant(text: &str) -> bool {
    let text = without_comments(text);
    let inside = text.trim_start().strip_prefix('{');
    inside.is_some_and(|inside| inside.trim_start().starts_with(['"', '}']) || inside.trim().is_empty())
}

fn without_comments(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut letters = text.chars().peekable();
    let mut in_string = false;
    while let Some(letter) = letters.next() {
        match (in_string, letter, letters.peek()) {
            (true, '\\', _) => {
                out.push(letter);
                out.extend(letters.next());
                continue;
            }
            (_, '"', _) => in_string = !in_string,
            (false, '/', Some('/')) => {
                out.push(' ');
                while let Some(skipped) = letters.next_if(|letter| *letter != '\n') {
                    out.push(blank(skipped));
                }
                continue;
            }
            (false, '/', Some('*')) => {
                // The star that begins a comment does not end it.
                letters.next();
                out.push_str("  ");
                let mut before = ' ';
                for skipped in letters.by_ref() {
                    out.push(blank(skipped));
                    if before == '*' && skipped == '/' {
                        break;
                    }
                    before = skipped;
                }
                continue;
            }
            (true | false, _, _) => {}
        }
        out.push(letter);
    }
    out
}

/// Line breaks stay, so that lines are counted as before.
const fn blank(letter: char) -> char {
    if letter == '\n' || letter == '\r' { letter } else { ' ' }
}

fn without_trailing_commas(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text.chars();
    let mut in_string = false;
    while let Some(letter) = rest.next() {
        if in_string && letter == '\\' {
            out.push(letter);
            out.extend(rest.next());
            continue;
        }
        if letter == '"' {
            in_string = !in_string;
        }
        let ends = || matches!(rest.as_str().trim_start().chars().next(), Some('}' | ']'));
        out.push(if letter == ',' && !in_string && ends() { ' ' } else { letter });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_json_becomes_spaces_and_the_rest_keeps_its_place() {
        for (written, plain_text) in [
            ("{ // c\n\"a\": 1, }", "{     \n\"a\": 1  }"),
            ("{ /* a */ \"b\": [1, /*,*/ ] }", "{         \"b\": [1        ] }"),
            (r#"{"a//b": "/* \" // */", "c": ",]"}"#, r#"{"a//b": "/* \" // */", "c": ",]"}"#),
            ("/**/{}", "    {}"),
            ("/*/ */{}", "      {}"),
            ("{} // ü", "{}     "),
        ] {
            assert_eq!(plain(written), plain_text, "{written}");
            assert_eq!(written.chars().count(), plain_text.chars().count());
        }
    }

    #[test]
    fn json_is_told_from_the_objects_of_yaml() {
        for json in ["{}", " {\"a\": 1}", "// c\n{ \"a\"", "{", "/* c */ { // d\n \"a\": 1 }"] {
            assert!(is_meant(json), "{json}");
        }
        for other in ["{a: 1}", "a: 1", "", "# c\na: {\"b\": 1}"] {
            assert!(!is_meant(other), "{other}");
        }
    }
}
