//! YAML (and JSON, which is YAML) as a tree with positions.

mod read;

use saphyr_parser::Marker;

pub use read::read;

/// A position in a text; lines and columns count from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark {
    /// The line.
    pub line: usize,
    /// The column, in characters.
    pub column: usize,
    /// The number of characters before it.
    pub index: usize,
}

impl Mark {
    /// The first character.
    pub const START: Self = Self { line: 1, column: 1, index: 0 };

    fn of(marker: Marker) -> Self {
        Self { line: marker.line(), column: marker.col().saturating_add(1), index: marker.index() }
    }
}

/// A value and where it begins.
#[derive(Debug, Clone)]
pub struct Node {
    /// Where it begins.
    pub mark: Mark,
    /// What it is.
    pub content: Content,
}

/// The content of a value.
#[derive(Debug, Clone)]
pub enum Content {
    /// `plain`: without quotes, so that it may be a number, a boolean or null.
    Scalar {
        /// Its text, without quotes and escapes.
        text: String,
        /// Whether it stands without quotes.
        plain: bool,
    },
    /// A list.
    List(Vec<Node>),
    /// Repeated names are kept.
    Map(Vec<(Key, Node)>),
}

/// A name in an object.
#[derive(Debug, Clone)]
pub struct Key {
    /// The name, without quotes and escapes.
    pub name: String,
    /// Where it begins.
    pub mark: Mark,
}

/// Why a text is not YAML.
#[derive(Debug)]
pub struct Malformed {
    /// Where the text goes wrong.
    pub mark: Mark,
    /// What is wrong there.
    pub problem: String,
}

impl Node {
    fn size(&self) -> usize {
        let below: usize = match &self.content {
            Content::Scalar { .. } => 0,
            Content::List(items) => items.iter().map(Self::size).sum(),
            Content::Map(members) => members.iter().map(|(_, node)| node.size()).sum(),
        };
        below.saturating_add(1)
    }

    /// The same value with other positions: each is the one that `marks` has for its character.
    pub(crate) fn moved(&self, marks: &[Mark]) -> Self {
        let moved = |mark: Mark| marks.get(mark.index).or(marks.last()).copied().unwrap_or(mark);
        let content = match &self.content {
            Content::Scalar { text, plain } => Content::Scalar { text: text.clone(), plain: *plain },
            Content::List(items) => Content::List(items.iter().map(|item| item.moved(marks)).collect()),
            Content::Map(members) => {
                let member = |(key, node): &(Key, Self)| {
                    (Key { name: key.name.clone(), mark: moved(key.mark) }, node.moved(marks))
                };
                Content::Map(members.iter().map(member).collect())
            }
        };
        Self { mark: moved(self.mark), content }
    }

    /// The text of a scalar.
    pub fn text(&self) -> Option<&str> {
        match &self.content {
            Content::Scalar { text, .. } => Some(text),
            Content::List(_) | Content::Map(_) => None,
        }
    }

    /// Whether this is `true`.
    pub fn is_true(&self) -> bool {
        matches!(self.text(), Some("true" | "True" | "TRUE"))
    }

    /// Whether this is `false`.
    pub fn is_false(&self) -> bool {
        matches!(self.text(), Some("false" | "False" | "FALSE"))
    }

    /// A whole number, as protobuf's JSON form takes it: it may stand in quotes, or have a fraction of zero.
    pub fn number(&self) -> Option<u64> {
        let text = self.text()?;
        let of_fraction = || {
            let number = text.parse::<f64>().ok().filter(|number| number.fract() == 0.0)?;
            format!("{number:.0}").parse().ok()
        };
        text.parse().ok().or_else(of_fraction)
    }

    /// The elements of a list; empty for anything else.
    pub fn items(&self) -> &[Self] {
        match &self.content {
            Content::List(items) => items,
            Content::Scalar { .. } | Content::Map(_) => &[],
        }
    }

    /// The members of an object; empty for anything else.
    pub fn members(&self) -> &[(Key, Self)] {
        match &self.content {
            Content::Map(members) => members,
            Content::Scalar { .. } | Content::List(_) => &[],
        }
    }

    /// The member of this name, which protobuf's JSON form may also spell in camel case.
    pub fn field(&self, name: &str) -> Option<&Self> {
        let camel = camel(name);
        self.members().iter().rfind(|(key, _)| key.name == name || key.name == camel).map(|(_, node)| node)
    }

    /// The value that a list of names leads to.
    pub fn path(&self, names: &[&str]) -> Option<&Self> {
        names.iter().try_fold(self, |node, name| node.field(name))
    }

    /// Shows this value and all values in it to `visit`, each with its JSON pointer below `pointer`.
    pub fn walk<'n>(&'n self, pointer: &str, visit: &mut impl FnMut(&str, &'n Self)) {
        visit(pointer, self);
        for (key, member) in self.members() {
            member.walk(&format!("{pointer}/{}", step(&key.name)), visit);
        }
        for (index, item) in self.items().iter().enumerate() {
            item.walk(&format!("{pointer}/{index}"), visit);
        }
    }

    /// The value at a JSON pointer.
    pub fn at(&self, pointer: &str) -> Option<&Self> {
        pointer.split('/').skip(1).try_fold(self, |node, step| node.below(step).map(|(below, _)| below))
    }

    /// The position of the value at a JSON pointer: that of its name, or else of the deepest value on the way to it.
    pub fn locate(&self, pointer: &str) -> Mark {
        let (mut node, mut mark) = (self, self.mark);
        for step in pointer.split('/').skip(1) {
            let Some(found) = node.below(step) else { break };
            (node, mark) = found;
        }
        mark
    }

    /// What one step of a JSON pointer leads to, and where it is.
    fn below(&self, step: &str) -> Option<(&Self, Mark)> {
        let step = step.replace("~1", "/").replace("~0", "~");
        match &self.content {
            Content::Scalar { .. } => None,
            Content::List(items) => {
                step.parse().ok().and_then(|index: usize| items.get(index)).map(|item| (item, item.mark))
            }
            Content::Map(members) => {
                let named = |name: &str| members.iter().rfind(|(key, _)| key.name == name);
                named(&step).or_else(|| named(&camel(&step))).map(|(key, value)| (value, key.mark))
            }
        }
    }

    /// The value as JSON, repeated names included.
    pub fn to_json(&self) -> String {
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        match &self.content {
            Content::Scalar { text, plain: false } => quoted(text),
            Content::Scalar { text, plain: true } => match text.as_str() {
                "" | "~" | "null" | "Null" | "NULL" => "null".to_owned(),
                "true" | "True" | "TRUE" => "true".to_owned(),
                "false" | "False" | "FALSE" => "false".to_owned(),
                number if serde_json::from_str::<serde_json::Number>(number).is_ok() => number.to_owned(),
                text => quoted(text),
            },
            Content::List(items) => {
                let items: Vec<String> = items.iter().map(Self::to_json).collect();
                format!("[{}]", items.join(","))
            }
            Content::Map(members) => {
                let member = |(key, node): &(Key, Self)| format!("{}:{}", quoted(&key.name), node.to_json());
                let members: Vec<String> = members.iter().map(member).collect();
                format!("{{{}}}", members.join(","))
            }
        }
    }
}

/// A name as a step of a JSON pointer (RFC 6901 section 3).
pub fn step(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

fn camel(name: &str) -> String {
    let mut words = name.split('_');
    let mut camel = words.next().unwrap_or_default().to_owned();
    for word in words {
        let mut letters = word.chars();
        camel.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        camel.push_str(letters.as_str());
    }
    camel
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> Node {
        read(text).unwrap().remove(0)
    }

    #[test]
    fn everything_is_found_where_it_stands() {
        let tree = one("a:\n  - {b: 1}\n  - c/d: x\n");
        for (pointer, line, column) in [
            ("", 1, 1),
            ("/a", 1, 1),
            ("/a/0", 2, 5),
            ("/a/0/b", 2, 6),
            ("/a/1/c~1d", 3, 5),
            ("/a/7/x", 1, 1),
        ] {
            let mark = tree.locate(pointer);
            assert_eq!((mark.line, mark.column), (line, column), "{pointer}");
        }
    }

    #[test]
    fn plain_scalars_become_what_they_stand_for_and_repeated_names_stay() {
        let tree = one("a: 1\nb: '1'\nc: true\nd:\ne: x y\na: [1.5, -2]\n");
        assert_eq!(tree.to_json(), r#"{"a":1,"b":"1","c":true,"d":null,"e":"x y","a":[1.5,-2]}"#);
    }

    #[test]
    fn a_field_is_found_in_both_spellings_of_protobuf() {
        let tree = one(r#"{"useRemoteAddress": true, "merge_slashes": false}"#);
        assert!(tree.field("use_remote_address").unwrap().is_true());
        assert!(!tree.field("merge_slashes").unwrap().is_true());
    }

    #[test]
    fn a_whole_number_may_be_written_in_all_forms_of_protobuf() {
        for (text, number) in [
            ("32768", Some(32_768)),
            ("'32768'", Some(32_768)),
            ("32768.0", Some(32_768)),
            ("3.2768e4", Some(32_768)),
            ("18446744073709551615", Some(u64::MAX)),
            ("0", Some(0)),
            ("0.5", None),
            ("-1", None),
            ("1e30", None),
            (".inf", None),
            ("inf", None),
            ("nan", None),
            ("all", None),
            ("''", None),
            ("[1]", None),
        ] {
            assert_eq!(one(text).number(), number, "{text}");
        }
    }

    #[test]
    fn a_walk_meets_every_value_under_the_pointer_by_which_it_is_found() {
        let tree = one("a:\n  - {b: 1}\n  - c/d: x\n    e~f: y\n");
        let mut met = Vec::new();
        tree.walk("", &mut |pointer, _| met.push(pointer.to_owned()));
        assert_eq!(met, ["", "/a", "/a/0", "/a/0/b", "/a/1", "/a/1/c~1d", "/a/1/e~0f"]);
    }

    #[test]
    fn what_grows_without_end_is_refused() {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for (below, level) in (1..10).enumerate() {
            let aliases = vec![format!("*a{below}"); 10].join(", ");
            text.push_str(&format!("a{level}: &a{level} [{aliases}]\n"));
        }
        assert!(read(&text).is_err());
        assert!(read(&"[".repeat(1000)).is_err());
    }
}
