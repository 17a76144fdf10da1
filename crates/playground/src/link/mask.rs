//! Values that are taken out of a text, which stays readable.

use api_guard_explain::source::tree::Mark;

use super::words;

/// What stands in place of a secret: long enough for each algorithm, and base64 in both alphabets.
fn substitute(number: usize) -> String {
    let number = format!("{number}-");
    number.chars().chain("removed-from-this-link-".chars().cycle()).take(88).collect()
}

/// The text with other values at these positions. Each comes with the value that stands there now.
pub(super) fn mask(text: &str, values: &[(Mark, String)]) -> String {
    let letters: Vec<char> = text.strip_prefix('\u{feff}').unwrap_or(text).chars().collect();
    let mut values: Vec<&(Mark, String)> = values.iter().filter(|(_, value)| !value.is_empty()).collect();
    values.sort_by_key(|(mark, _)| mark.index);
    let mut out = String::with_capacity(text.len());
    let mut done = 0;
    for (number, (mark, value)) in values.into_iter().enumerate() {
        if mark.index < done {
            continue;
        }
        out.extend(letters.get(done..mark.index).unwrap_or_default());
        let rest = letters.get(mark.index..).unwrap_or_default();
        let quote = rest.first().filter(|first| **first == '"' || **first == '\'');
        let new = substitute(number);
        out.push_str(&quote.map_or_else(|| new.clone(), |quote| format!("{quote}{new}{quote}")));
        done = mark.index.saturating_add(extent(rest, value, indentation(&letters, mark.index)));
    }
    out.extend(letters.get(done..).unwrap_or_default());
    out
}

/// How many letters a value takes. `indentation`: that of the line in which it begins.
fn extent(rest: &[char], value: &str, indentation: usize) -> usize {
    match rest.first() {
        Some('"') => quoted(rest, |before, letter, _| letter == '"' && !before),
        Some('\'') => quoted(rest, |_, letter, next| letter == '\'' && next != Some('\'')),
        Some('|' | '>') => block(rest, indentation),
        Some(_) | None => {
            let written: Vec<char> = value.chars().collect();
            if rest.starts_with(&written) {
                written.len()
            } else {
                rest.iter().position(|letter| *letter == '\n').unwrap_or(rest.len())
            }
        }
    }
}

/// The length of a quoted text. `ends`: whether a letter ends it; it is told whether the letter is escaped.
fn quoted(rest: &[char], ends: impl Fn(bool, char, Option<char>) -> bool) -> usize {
    let mut escaped = false;
    let mut letters = rest.iter().enumerate().skip(1);
    while let Some((index, letter)) = letters.next() {
        let next = rest.get(index.saturating_add(1)).copied();
        if ends(escaped, *letter, next) {
            return index.saturating_add(1);
        }
        if *letter == '\'' && next == Some('\'') {
            letters.next();
        }
        escaped = *letter == '\\' && !escaped;
    }
    rest.len()
}

/// The length of a block of lines that are further in than the line where it begins.
fn block(rest: &[char], indentation: usize) -> usize {
    let mut length = 0_usize;
    for (number, line) in rest.split_inclusive(|letter| *letter == '\n').enumerate() {
        let spaces = line.iter().take_while(|letter| **letter == ' ').count();
        let is_empty = line.iter().all(|letter| letter.is_whitespace());
        if number > 0 && !is_empty && spaces <= indentation {
            return length.saturating_sub(1);
        }
        length = length.saturating_add(line.len());
    }
    length
}

/// The spaces at the beginning of the line that an index is in.
fn indentation(letters: &[char], index: usize) -> usize {
    let before = letters.get(..index).unwrap_or_default();
    let start = before.iter().rposition(|letter| *letter == '\n').map_or(0, |at| at.saturating_add(1));
    letters.get(start..).unwrap_or_default().iter().take_while(|letter| **letter == ' ').count()
}

/// A configuration that cannot be read, so that nobody knows where its secrets are: without whatever may be one.
pub(super) fn mask_guessed(text: &str) -> String {
    let masked = text.split_inclusive('\n').map(|line| {
        let lower = line.to_ascii_lowercase();
        let named = ["value", "base64url", "password", "secret"];
        let at =
            named.iter().filter_map(|name| lower.find(name).map(|at| at.saturating_add(name.len()))).min();
        let Some((before, after)) = at.and_then(|at| line.split_at_checked(at)) else {
            return words::without_long_words(line, 20);
        };
        // The names of variables stay, as all short words do; what is quoted after such a name does not.
        let after = words::without_long_words(after, 20);
        let is_variable = lower.contains("\"env\"") || lower.contains("env:");
        if is_variable {
            format!("{before}{after}")
        } else {
            format!("{before}{}", words::without_long_words(&after, 6))
        }
    });
    masked.collect()
}
