//! A plugin configuration with the position of each of its values in the file.

use api_guard_core::json::Json;
use serde::de::IgnoredAny;

use super::secrets::secrets_of_plugin;
use super::surrogates;
use super::tree::{self, Content, Mark, Node};

/// One plugin configuration.
pub struct Plugin {
    /// Its JSON text, as the module gets it.
    pub text: String,
    /// The text as a tree with positions; `None` if it is not JSON.
    tree: Option<Node>,
    positions: Positions,
}

/// Where the characters of the text are in the file.
enum Positions {
    /// The tree's positions are those in the file.
    OfFile,
    /// Likewise, but the text was made of the tree, and is nowhere in the file.
    Made,
    /// The text was written as a scalar: the position of each of its characters.
    OfEach(Vec<Mark>),
}

impl Plugin {
    /// A file that contains only the configuration.
    pub fn of_file(text: String) -> Self {
        let tree = json_tree(&text);
        Self { text, tree, positions: Positions::OfFile }
    }

    /// A file that contains only the configuration, and its tree, which counts if the text is JSON.
    pub(super) fn of_json(text: String, tree: Node) -> Self {
        let is_json = serde_json::from_str::<IgnoredAny>(&text).is_ok();
        Self { text, tree: is_json.then_some(tree), positions: Positions::OfFile }
    }

    /// A file that contains only the configuration, as YAML.
    pub fn of_document(document: &Node) -> Self {
        Self { text: document.to_json(), tree: Some(document.clone()), positions: Positions::Made }
    }

    /// Where in the file values begin that may be secrets; `None` if nobody knows.
    pub fn secrets(&self) -> Option<Vec<Mark>> {
        let marks = secrets_of_plugin(&self.text, self.tree.as_ref()?);
        Some(marks.into_iter().map(|mark| self.in_file(mark)).collect())
    }

    /// A part of a manifest: a string that contains JSON, or the configuration as the manifest's own values.
    pub fn of_node(node: &Node, file: &[char]) -> Self {
        match &node.content {
            Content::Scalar { text, .. } => {
                let marks = align(text, node.mark, file);
                Self { text: text.clone(), tree: json_tree(text), positions: Positions::OfEach(marks) }
            }
            Content::List(_) | Content::Map(_) => {
                Self { text: node.to_json(), tree: Some(node.clone()), positions: Positions::Made }
            }
        }
    }

    /// The position of the value at a JSON pointer.
    pub fn locate(&self, pointer: &str) -> Mark {
        let mark = self.tree.as_ref().map_or(Mark::START, |tree| tree.locate(pointer));
        self.in_file(mark)
    }

    /// Why the text is not JSON, and where; `None` if it is.
    pub fn json_error(&self) -> Option<(Mark, String)> {
        let Err(error) = serde_json::from_str::<IgnoredAny>(&self.text) else { return self.unread() };
        let full = error.to_string();
        let problem = full.split(" at line ").next().unwrap_or_default().to_owned();
        Some((self.at(error.line(), error.column()), problem))
    }

    /// Where the guard, which decodes every value and goes only so deep, stops reading what is JSON.
    fn unread(&self) -> Option<(Mark, String)> {
        Json::read(&self.text).err()?;
        let problem = "half of a pair of surrogates, a number past all bounds, or lists and objects too deep in one another";
        if let Positions::Made = self.positions {
            return Some((Mark::START, problem.to_owned()));
        }
        let (line, column) = Json::fault(&self.text);
        Some((self.at(line, column), problem.to_owned()))
    }

    /// The position in the file of a line and a column of the text, of which the first are 1.
    fn at(&self, line: usize, column: usize) -> Mark {
        let before: usize = self.text.split_inclusive('\n').take(line.saturating_sub(1)).map(chars).sum();
        let index = before.saturating_add(column.saturating_sub(1));
        self.in_file(Mark { line: line.max(1), column: column.max(1), index })
    }

    /// The text as a tree; `None` if it is not JSON.
    pub(super) fn tree(&self) -> Option<&Node> {
        self.tree.as_ref()
    }

    pub(super) fn in_file(&self, mark: Mark) -> Mark {
        match &self.positions {
            Positions::OfFile | Positions::Made => mark,
            Positions::OfEach(marks) => marks.get(mark.index).or(marks.last()).copied().unwrap_or(mark),
        }
    }
}

fn chars(text: &str) -> usize {
    text.chars().count()
}

/// Reads JSON as YAML. The only difference is that JSON writes characters beyond 16 bits as pairs of escapes.
fn json_tree(text: &str) -> Option<Node> {
    serde_json::from_str::<IgnoredAny>(text).ok()?;
    tree::read(&surrogates::replaced(text)).ok()?.into_iter().next()
}

/// The position in the file of each character of a scalar's text, and of its end. YAML has many ways to write white
/// space and escapes, but only one for the other characters of JSON, so each of those is searched for after the one
/// before it.
pub(super) fn align(text: &str, start: Mark, file: &[char]) -> Vec<Mark> {
    let mut marks = Vec::with_capacity(text.len().saturating_add(1));
    let mut mark = start;
    let next = |mark: &mut Mark| {
        let newline = file.get(mark.index) == Some(&'\n');
        mark.index = mark.index.saturating_add(1);
        if newline {
            mark.line = mark.line.saturating_add(1);
            mark.column = 1;
        } else {
            mark.column = mark.column.saturating_add(1);
        }
    };
    for letter in text.chars() {
        if !letter.is_whitespace() {
            let mut ahead = mark;
            while file.get(ahead.index).is_some_and(|found| *found != letter) {
                next(&mut ahead);
            }
            // A character that is not written as itself: the position stays the same.
            if ahead.index < file.len() {
                mark = ahead;
            }
        }
        marks.push(mark);
        if !letter.is_whitespace() {
            next(&mut mark);
        }
    }
    marks.push(mark);
    marks
}

/// The position of the end of a text.
pub fn end_of(text: &str) -> Mark {
    let line = text.matches('\n').count().saturating_add(1);
    let column = chars(text.rsplit('\n').next().unwrap_or_default()).saturating_add(1);
    Mark { line, column, index: chars(text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where `/routes/0/path` is, as the characters found there.
    fn found(manifest: &str) -> String {
        let tree = tree::read(manifest).unwrap().remove(0);
        let file: Vec<char> = manifest.chars().collect();
        let mark = Plugin::of_node(tree.field("v").unwrap(), &file).locate("/routes/0/path");
        let line = manifest.lines().nth(mark.line.saturating_sub(1)).unwrap();
        let by_index: String = file[mark.index..].iter().take(6).collect();
        let by_column: String = line.chars().skip(mark.column.saturating_sub(1)).take(6).collect();
        assert_eq!(by_index, by_column);
        by_column
    }

    #[test]
    fn a_place_is_found_however_the_text_is_written() {
        for manifest in [
            "v: |\n  {\n    \"routes\": [\n      {\"path\": 1}]\n  }\n",
            "v: >-\n  {\n  \"routes\": [\n      {\"path\": 1}]\n  }\n",
            "v: '{\"it''s\": 0, \"routes\": [{\"path\": 1}]}'\n",
            "v: {routes: [{\"path\": 1}]}\n",
            "v:\n  routes:\n  - \"path\": 1\n",
        ] {
            assert_eq!(found(manifest), "\"path\"", "{manifest}");
        }
        let escaped = "v: \"{\\n \\\"routes\\\":\\n [{\\\"path\\\": 1}]}\"\n";
        assert_eq!(found(escaped), "\"path\\");
    }

    #[test]
    fn surrogates_do_not_hide_the_positions_of_the_rest() {
        let plugin = Plugin::of_file(r#"{"a":"\\ud83d \ud83d\ude00","b":1}"#.to_owned());
        assert_eq!(plugin.locate("/b").column, 29);
    }

    #[test]
    fn an_error_of_json_has_its_place_in_the_file() {
        let manifest = "a: 1\nv: |\n  {\n    \"routes\": [}\n  }\n";
        let tree = tree::read(manifest).unwrap().remove(0);
        let file: Vec<char> = manifest.chars().collect();
        let (mark, problem) = Plugin::of_node(tree.field("v").unwrap(), &file).json_error().unwrap();
        assert_eq!((mark.line, mark.column, problem.as_str()), (4, 16, "expected value"));
    }

    #[test]
    fn what_the_guard_does_not_read_has_its_place_too() {
        for (text, line, column) in [
            ("{\n \"a\": \"\\ud800\"}".to_owned(), 2, 14),
            (format!("{{\"a\":\n{}{}}}", "[".repeat(150), "]".repeat(150)), 2, 127),
            ("{\"a\": 1e999}".to_owned(), 1, 12),
        ] {
            let (mark, problem) = Plugin::of_file(text.clone()).json_error().unwrap();
            assert_eq!((mark.line, mark.column), (line, column), "{text}");
            assert!(problem.starts_with("half of a pair"), "{problem}");
        }
        assert!(Plugin::of_file("{\"a\": \"\\ud83d\\ude00\"}".to_owned()).json_error().is_none());
    }
}
