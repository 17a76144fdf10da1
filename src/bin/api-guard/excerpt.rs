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
        let mut lines: Vec<Vec<char>> = text.lines().map(|line| line.chars().collect()).collect();
        match secrets {
            Some(marks) => marks.iter().for_each(|mark| hide(&mut lines, *mark)),
            None => lines.iter_mut().for_each(|line| hide_strings(line)),
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
        Some(quote) => {
            let mut escaped = false;
            let end = rest.iter().skip(1).position(|letter| {
                let ends = *letter == quote && !escaped;
                escaped = *letter == '\\' && !escaped;
                ends
            });
            end.map_or(rest.len(), |end| end.saturating_add(2))
        }
        None => rest.iter().position(|letter| " ,:[]{}\"\t".contains(*letter)).unwrap_or(rest.len()),
    };
    length.max(1)
}

/// Hides the value that begins at a mark. A value of several lines is hidden to the end of each of them.
fn hide(lines: &mut [Vec<char>], mark: Mark) {
    let Some(line) = mark.line.checked_sub(1).and_then(|index| lines.get_mut(index)) else { return };
    let start = mark.column.saturating_sub(1).min(line.len());
    let rest = line.get(start..).unwrap_or_default();
    let is_block = matches!(rest.first(), Some('|' | '>'));
    let quoted = matches!(rest.first(), Some('"' | '\''));
    let (from, length) =
        if quoted { (1, extent(rest).saturating_sub(2)) } else { (0, extent(rest).max(rest.len().min(64))) };
    for letter in line.iter_mut().skip(start.saturating_add(from)).take(length) {
        *letter = '*';
    }
    if is_block {
        lines.iter_mut().skip(mark.line).for_each(|line| line.fill('*'));
    }
}

/// Hides every quoted or plain word that is long enough to be a secret.
fn hide_strings(line: &mut [char]) {
    let is_part = |letter: &char| letter.is_alphanumeric() || "+/=_-.!".contains(*letter);
    let mut start = 0;
    while start < line.len() {
        let length = line.iter().skip(start).take_while(|letter| is_part(letter)).count();
        if length >= 24 {
            line.iter_mut().skip(start).take(length).for_each(|letter| *letter = '*');
        }
        start = start.saturating_add(length).saturating_add(1);
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
        let hidden = shown(r#"{"value": "hunter2"}"#, Some(&[mark(1, 11)]));
        assert!(hidden.contains(r#"{"value": "*******"}"#), "{hidden}");
        let hidden = shown("value: hunter2", Some(&[mark(1, 8)]));
        assert!(hidden.contains("value: *******"), "{hidden}");
        let hidden = shown("{\"value\": \"hunter2-hunter2-hunter2-hunter2}", None);
        assert!(!hidden.contains("hunter2"), "{hidden}");
    }
}
