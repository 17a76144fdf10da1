//! A plugin configuration that knows where in its file everything in it stands.

use serde::de::IgnoredAny;

use super::tree::{self, Content, Mark, Node};

/// One plugin configuration.
pub(crate) struct Plugin {
    /// Its JSON text, as the module gets it.
    pub(crate) text: String,
    /// The text with places; `None` where it is no JSON.
    tree: Option<Node>,
    places: Places,
}

/// Where characters of the text are in the file.
enum Places {
    /// The tree's places are the file's.
    OfFile,
    /// The text was written as a scalar: the place of each of its characters.
    OfEach(Vec<Mark>),
}

impl Plugin {
    /// A file that holds nothing else.
    pub(crate) fn of_file(text: String) -> Self {
        let tree = json_tree(&text);
        Self { text, tree, places: Places::OfFile }
    }

    /// A part of a manifest: a text with JSON in it, or the configuration as the manifest's own values.
    pub(crate) fn of_node(node: &Node, file: &[char]) -> Self {
        match &node.content {
            Content::Scalar { text, .. } => {
                let places = align(text, node.mark, file);
                Self { text: text.clone(), tree: json_tree(text), places: Places::OfEach(places) }
            }
            Content::List(_) | Content::Map(_) => {
                Self { text: node.to_json(), tree: Some(node.clone()), places: Places::OfFile }
            }
        }
    }

    /// The place of what a JSON pointer names.
    pub(crate) fn locate(&self, pointer: &str) -> Mark {
        let mark = self.tree.as_ref().map_or(Mark::START, |tree| tree.locate(pointer));
        self.in_file(mark)
    }

    /// What makes the text no JSON, and where.
    pub(crate) fn json_error(&self) -> Option<(Mark, String)> {
        let error = serde_json::from_str::<IgnoredAny>(&self.text).err()?;
        let full = error.to_string();
        let problem = full.split(" at line ").next().unwrap_or_default().to_owned();
        let before: usize =
            self.text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(chars).sum();
        let index = before.saturating_add(error.column().saturating_sub(1));
        let mark = Mark { line: error.line().max(1), column: error.column().max(1), index };
        Some((self.in_file(mark), problem))
    }

    fn in_file(&self, mark: Mark) -> Mark {
        match &self.places {
            Places::OfFile => mark,
            Places::OfEach(places) => places.get(mark.index).or(places.last()).copied().unwrap_or(mark),
        }
    }
}

fn chars(text: &str) -> usize {
    text.chars().count()
}

/// JSON is YAML but for one thing: it writes characters beyond 16 bits as two escapes.
fn json_tree(text: &str) -> Option<Node> {
    serde_json::from_str::<IgnoredAny>(text).ok()?;
    tree::read(&without_surrogates(text)).ok()?.into_iter().next()
}

/// The text with escaped surrogates replaced by others of the same length; only places matter.
pub(super) fn without_surrogates(text: &str) -> String {
    if !text.contains("\\ud") && !text.contains("\\uD") {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        out.push_str(before);
        let is_surrogate = after.get(..2).is_some_and(|start| start.eq_ignore_ascii_case("ud"))
            && after.get(2..3).is_some_and(|digit| "89abcdefABCDEF".contains(digit));
        // An escape is the backslash and what it escapes, which may be a backslash.
        let taken = if is_surrogate { 5 } else { after.chars().next().map_or(0, char::len_utf8) };
        let (escape, after) = after.split_at_checked(taken).unwrap_or((after, ""));
        out.push('\\');
        out.push_str(if is_surrogate { "ufffd" } else { escape });
        rest = after;
    }
    out.push_str(rest);
    out
}

/// The place in the file of each character of a scalar's text, and of its end. White space and escapes are written
/// in many ways in YAML, the other characters of JSON in one: each is looked for from the one before it on.
fn align(text: &str, start: Mark, file: &[char]) -> Vec<Mark> {
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
            // A letter that is not written as itself: the place stays where it was.
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

/// Where a text ends.
pub(super) fn end_of(text: &str) -> Mark {
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
    fn surrogates_do_not_hide_the_places_of_the_rest() {
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
}
