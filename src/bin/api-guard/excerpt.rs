//! The line of a file that something is said about, with a mark under the place. No secret is shown.

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use crate::source::tree::Mark;
use crate::style::Style;

/// A longer line is not shown: nobody would find the mark.
const LONGEST_LINE: usize = 240;

/// The lines of a file, without its secrets.
pub(crate) struct Excerpts {
    lines: Vec<Vec<char>>,
}

impl Excerpts {
    /// `secrets`: where values begin that may be secrets; `None` if the file could not be read, so that nobody knows.
    pub(crate) fn new(text: &str, secrets: Option<&[Mark]>) -> Self {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut lines: Vec<Vec<char>> = text.lines().map(|line| line.chars().collect()).collect();
        match secrets {
            Some(marks) => marks.iter().for_each(|mark| hide(&mut lines, *mark)),
            None => lines.iter_mut().for_each(|line| hide_words(line)),
        }
        Self { lines }
    }

    /// The line at a position, with a mark under what begins there. Empty if there is nothing to show.
    pub(crate) fn at(&self, mark: Mark, style: Style) -> String {
        let Some(line) = mark.line.checked_sub(1).and_then(|index| self.lines.get(index)) else {
            return String::new();
        };
        if line.len() > LONGEST_LINE || line.iter().all(|letter| letter.is_whitespace()) {
            return String::new();
        }
        let start = mark.column.saturating_sub(1).min(line.len());
        let end = start.saturating_add(extent(line.get(start..).unwrap_or_default()));
        let bytes = |count: usize| line.iter().take(count).map(|letter| letter.len_utf8()).sum::<usize>();
        let text: String = line.iter().collect();
        let snippet = Snippet::source(text)
            .line_start(mark.line)
            .annotation(AnnotationKind::Primary.span(bytes(start)..bytes(end)));
        let renderer = if style.is_coloured() { Renderer::styled() } else { Renderer::plain() };
        let group = Group::with_level(Level::ERROR).element(snippet);
        let shown = renderer.render(&[group]);
        let lines: Vec<&str> = shown.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
        lines.join("\n")
    }
}

/// How many characters belong to the value or name that begins here: at least one.
fn extent(rest: &[char]) -> usize {
    let quote = rest.first().copied().filter(|first| *first == '"' || *first == '\'');
    let length = match quote {
        Some(quote) => end_of_quoted(rest.get(1..).unwrap_or_default(), quote)
            .map_or(rest.len(), |length| length.saturating_add(1)),
        None => rest.iter().position(|letter| " ,:[]{}\"\t".contains(*letter)).unwrap_or(rest.len()),
    };
    length.max(1)
}

/// How many characters belong to the rest of a quoted text, its last quote included; `None` if it does not end here. YAML
/// doubles a single quote that does not end the text.
fn end_of_quoted(rest: &[char], quote: char) -> Option<usize> {
    let mut letters = rest.iter().enumerate().peekable();
    while let Some((index, letter)) = letters.next() {
        let is_doubled = quote == '\'' && letters.peek().is_some_and(|(_, next)| **next == quote);
        if (*letter == '\\' && quote == '"') || (*letter == quote && is_doubled) {
            letters.next();
        } else if *letter == quote {
            return Some(index.saturating_add(1));
        }
    }
    None
}

/// Hides the value that begins at a mark, in all its lines.
fn hide(lines: &mut [Vec<char>], mark: Mark) {
    let mut lines = lines.iter_mut().skip(mark.line.saturating_sub(1));
    let Some(line) = lines.next() else { return };
    let rest = line.get_mut(mark.column.saturating_sub(1)..).unwrap_or_default();
    match rest.split_first_mut() {
        Some((quote @ ('"' | '\''), mut rest)) => loop {
            let end = end_of_quoted(rest, *quote);
            let length = end.map_or(rest.len(), |end| end.saturating_sub(1));
            rest.iter_mut().take(length).for_each(|letter| *letter = '*');
            match lines.next() {
                Some(next) if end.is_none() => rest = next,
                Some(_) | None => return,
            }
        },
        Some(('|' | '>', rest)) => {
            rest.fill('*');
            lines.for_each(|line| line.fill('*'));
        }
        Some(_) => {
            // A plain text of YAML may have commas and braces in it; numbers and words of JSON have none.
            let word: String = rest.iter().take(extent(rest)).collect();
            let is_json = serde_json::from_str::<serde::de::IgnoredAny>(&word).is_ok();
            let length = if is_json { word.len() } else { rest.len() };
            rest.iter_mut().take(length).for_each(|letter| *letter = '*');
            if !is_json {
                hide_continued(lines);
            }
        }
        None => {}
    }
}

/// Hides the lines in which a plain text of YAML goes on: up to what ends it between braces, or to the next field.
fn hide_continued<'l>(lines: impl Iterator<Item = &'l mut Vec<char>>) {
    for line in lines {
        let end = line.iter().position(|letter| ",:]}".contains(*letter));
        if end.and_then(|end| line.get(end)) == Some(&':') {
            return;
        }
        line.iter_mut().take(end.unwrap_or(usize::MAX)).for_each(|letter| *letter = '*');
        if end.is_some() {
            return;
        }
    }
}

/// Hides every word that is not the name of a field: lower case, at the beginning of a line or after `{`, `,` or `-`, and
/// before a colon.
fn hide_words(line: &mut [char]) {
    let is_part = |letter: &char| !letter.is_whitespace() && !"{}[],:\"'".contains(*letter);
    let is_between = |letter: &&char| !letter.is_whitespace() && !"\"'".contains(**letter);
    let (mut start, mut before) = (0, None);
    while let Some(first) = line.get(start).copied() {
        let length = line.iter().skip(start).take_while(|letter| is_part(letter)).count();
        if length == 0 {
            before = if is_between(&&first) { Some(first) } else { before };
            start = start.saturating_add(1);
            continue;
        }
        let end = start.saturating_add(length);
        let (done, rest) = line.split_at_mut(end);
        let word = done.get_mut(start..).unwrap_or_default();
        let is_lower = word.iter().all(|letter| letter.is_ascii_lowercase() || *letter == '_');
        let begins = matches!(before, None | Some('{' | ',' | '-'));
        let is_name = is_lower && begins && rest.iter().find(is_between) == Some(&':');
        before = Some(word.last().copied().unwrap_or_default());
        if !is_name && *word != ['-'] {
            word.fill('*');
        }
        start = end;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(line: usize, column: usize) -> Mark {
        Mark { line, column, index: 0 }
    }

    #[test]
    fn a_line_is_shown_with_a_mark_under_the_whole_name() {
        let excerpts = Excerpts::new("{\n  \"rätes\": [1] }\n", Some(&[]));
        assert_eq!(excerpts.at(mark(2, 3), Style::plain()), "  |\n2 |   \"rätes\": [1] }\n  |   ^^^^^^^");
        assert_eq!(excerpts.at(mark(9, 1), Style::plain()), "");
    }

    #[test]
    fn a_secret_is_hidden_wherever_it_is_written() {
        let shown = |text: &str, secrets: Option<&[Mark]>| {
            Excerpts::new(text, secrets).at(mark(1, 1), Style::plain())
        };
        let hidden = shown("{'value': 'ab''REST', x: 1}", Some(&[mark(1, 11)]));
        assert!(hidden.contains("{'value': '********', x: 1}"), "{hidden}");
        let hidden = shown("\u{feff}{\"value\": \"hunter2\"}", Some(&[mark(1, 11)]));
        assert!(hidden.contains(r#"{"value": "*******"}"#), "{hidden}");
        let long = "hunter2".repeat(20);
        assert!(!shown(&format!("value: {long}"), Some(&[mark(1, 8)])).contains("hunter2"));
        let hidden = shown(r#"{"number": 12345, "mode": 1}"#, Some(&[mark(1, 12)]));
        assert!(hidden.contains(r#"{"number": *****, "mode": 1}"#), "{hidden}");
        let several = Excerpts::new("a: \"hun\n  ter2\"", Some(&[mark(1, 4)])).at(mark(2, 3), Style::plain());
        assert!(several.contains("******\""), "{several}");
        let several =
            Excerpts::new("{a: hun\n  ter2, b: 1}", Some(&[mark(1, 5)])).at(mark(2, 9), Style::plain());
        assert!(several.contains("******, b: 1}"), "{several}");
        let next = Excerpts::new("a: hunter2\nb: 1", Some(&[mark(1, 4)])).at(mark(2, 1), Style::plain());
        assert!(next.contains("b: 1"), "{next}");
        let hidden = shown(r#"- "password":{"value":"Redis-Pw-2026!"} "secret""#, None);
        assert!(hidden.contains(r#"- "password":{"value":"**************"} "******""#), "{hidden}");
        let hidden = shown(r#"{"value": "hunter2"}"#, Some(&[mark(1, 11)]));
        assert!(hidden.contains(r#"{"value": "*******"}"#), "{hidden}");
        let hidden = shown("value: hunter2", Some(&[mark(1, 8)]));
        assert!(hidden.contains("value: *******"), "{hidden}");
        let hidden = shown("{\"value\": \"hunter2-hunter2-hunter2-hunter2}", None);
        assert!(!hidden.contains("hunter2"), "{hidden}");
    }
}
