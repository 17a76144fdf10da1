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
        done = mark.index.saturating_add(extent(rest, value));
    }
    out.extend(letters.get(done..).unwrap_or_default());
    out
}

/// How many letters a value takes.
fn extent(rest: &[char], value: &str) -> usize {
    // A tag or an anchor stands before the value.
    if let Some('!' | '&') = rest.first() {
        let is_value = |from: usize| rest.get(from).is_some_and(|letter| !letter.is_whitespace());
        let word = rest.iter().position(|letter| letter.is_whitespace()).unwrap_or(rest.len());
        let start = (word..rest.len()).find(|from| is_value(*from)).unwrap_or(rest.len());
        return start.saturating_add(extent(rest.get(start..).unwrap_or_default(), value));
    }
    let line = rest.iter().position(|letter| *letter == '\n').unwrap_or(rest.len());
    match rest.first() {
        Some('"') => quoted(rest, |before, letter, _| letter == '"' && !before),
        Some('\'') => quoted(rest, |_, letter, next| letter == '\'' && next != Some('\'')),
        Some(_) | None => unquoted(rest, value).unwrap_or_else(|| {
            // The mark may be that of `|` or `>`, before the lines of the value.
            let below = rest.get(line..).and_then(|below| unquoted(below, value));
            line.saturating_add(below.unwrap_or_default())
        }),
    }
}

/// The length of a value without quotes; `None` if another one stands there. YAML folds lines and cuts what they are
/// indented by, so the letters between the spaces are all that is compared.
fn unquoted(rest: &[char], value: &str) -> Option<usize> {
    let mut written = rest.iter().enumerate().filter(|(_, letter)| !letter.is_whitespace());
    let mut length = 0_usize;
    for letter in value.chars().filter(|letter| !letter.is_whitespace()) {
        let (index, _) = written.next().filter(|(_, known)| **known == letter)?;
        length = index.saturating_add(1);
    }
    Some(length)
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

/// A text that cannot be read, so that nobody knows where its secrets are: without whatever may be one. `names`: what their
/// names contain, in lower case.
pub(super) fn mask_guessed(text: &str, names: &[&str]) -> String {
    // Whether the value of such a name is still to come.
    let mut is_due = false;
    let masked = text.split_inclusive('\n').map(|line| {
        let lower = line.to_ascii_lowercase();
        let named =
            names.iter().filter_map(|name| lower.find(name).map(|at| at.saturating_add(name.len()))).min();
        let at = if is_due && !line.trim().is_empty() { Some(0) } else { named };
        let Some((before, after)) = at.and_then(|at| line.split_at_checked(at)) else {
            return words::without_long_words(line, 20);
        };
        let last =
            names.iter().filter_map(|name| lower.rfind(name).map(|at| at.saturating_add(name.len()))).max();
        let value = last.and_then(|at| line.get(at..)).unwrap_or(after);
        is_due = !value.contains(char::is_alphanumeric);
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
