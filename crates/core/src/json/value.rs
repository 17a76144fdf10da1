//! A JSON value that borrows from its text (RFC 8259).
//!
//! No tree is built. Every value is read to its end and checked; an array or an object is then kept as its text and
//! read again when its contents are asked for. The second reading uses the same reader at the same depth or less, so it
//! finds the same values and no fault.

use std::borrow::Cow;

use super::number::Number;
use super::pointer::{Path, Pointer, Step};
use super::scan::{DEEPEST, NotJson, Scanner};

/// A JSON value.
#[derive(Debug, Clone, PartialEq)]
pub enum Json<'t> {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number that fits a double or a 64-bit integer.
    Number(Number<'t>),
    /// A string, borrowed if it has no escapes.
    Text(Cow<'t, str>),
    /// An array.
    List(List<'t>),
    /// An object.
    Object(Object<'t>),
}

/// The text of an array, already checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct List<'t>(pub(super) &'t str);

/// The text of an object, already checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Object<'t>(pub(super) &'t str);

/// A member of an object: its name and its value.
pub type Member<'t> = (Cow<'t, str>, Json<'t>);

impl<'t> Json<'t> {
    /// Reads all of `text`.
    ///
    /// # Errors
    ///
    /// The text is not one JSON value.
    pub fn read(text: &'t str) -> Result<Self, NotJson> {
        let mut scanner = Scanner::new(text);
        let value = scanner.value(DEEPEST)?;
        scanner.end().map(|()| value)
    }

    /// The line and the column, both from 1, at which `text`, which is not one JSON value, cannot be read on. Columns are
    /// characters.
    pub fn fault(text: &str) -> (usize, usize) {
        let mut scanner = Scanner::new(text);
        let _ = scanner.value(DEEPEST).and_then(|_| scanner.end());
        let before = text.get(..scanner.offset()).unwrap_or(text);
        let line = before.bytes().filter(|byte| *byte == b'\n').count();
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count();
        (line.saturating_add(1), column.saturating_add(1))
    }

    /// The text of a string.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::List(_) | Self::Object(_) => None,
        }
    }

    /// The first member `name` of an object.
    #[inline(never)]
    pub fn member(&self, name: &str) -> Option<Self> {
        let Self::Object(object) = self else { return None };
        object.members().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    /// The value that a list of member names leads to, through nested objects.
    pub fn at(&self, way: &[String]) -> Option<Self> {
        let (first, further) = way.split_first()?;
        further.iter().try_fold(self.member(first)?, |value, name| value.member(name))
    }

    /// The value that `pointer` leads to; of equal names the last one.
    pub fn point(self, pointer: &Pointer) -> Option<Self> {
        pointer.steps().iter().try_fold(self, |value, step| match (step, value) {
            (Step::Field(name), Self::Object(object)) => {
                object.members().filter(|(known, _)| known == name).last().map(|(_, value)| value)
            }
            (Step::Index(index), Self::List(list)) => list.elements().nth(*index),
            (Step::Field(_) | Step::Index(_), _) => None,
        })
    }

    /// Whether any object in this value repeats a name.
    pub fn repeats_a_name(&self) -> bool {
        let mut repeats = false;
        self.find_repeated(&mut |_| repeats = true);
        repeats
    }

    /// The names that objects in this value repeat.
    pub fn repeated_names(&self) -> Vec<Pointer> {
        let mut repeated = Vec::new();
        self.find_repeated(&mut |at| repeated.push(at.pointer()));
        repeated
    }

    fn find_repeated(&self, found: &mut dyn FnMut(Path<'_>)) {
        match self {
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::Text(_) => {}
            // Most lists hold no objects.
            Self::List(List(text)) if !text.contains('{') => {}
            // The text was checked before, so it has no fault; a fault would count as a repetition.
            Self::List(List(text)) | Self::Object(Object(text)) => {
                if Scanner::new(text).repeated_names(DEEPEST, Path::Root, found).is_err() {
                    found(Path::Root);
                }
            }
        }
    }
}

/// Sorts members by name.
#[inline(never)]
pub(super) fn sort_by_name(members: &mut [Member<'_>]) {
    members.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
}

impl<'t> List<'t> {
    /// The elements, in their order.
    pub fn elements(self) -> Elements<'t> {
        Elements { scanner: Scanner::new(self.0), is_first: true }
    }
}

/// The elements of an array.
#[derive(Debug)]
pub struct Elements<'t> {
    scanner: Scanner<'t>,
    is_first: bool,
}

impl<'t> Iterator for Elements<'t> {
    type Item = Json<'t>;

    // Not inlined: it has many callers, and each copy would make the module larger.
    #[inline(never)]
    fn next(&mut self) -> Option<Json<'t>> {
        if self.is_first {
            self.scanner.pass(1);
        }
        // After the closing bracket the scanner finds nothing, and so no element either.
        let element = self.scanner.element(self.is_first, DEEPEST).ok().flatten();
        self.is_first = false;
        element
    }
}

impl<'t> Object<'t> {
    /// The members, in their order; names may repeat.
    pub fn members(self) -> impl Iterator<Item = Member<'t>> {
        Members::of(self.0).map_while(Result::ok)
    }
}

/// The members of a text that should be one object, checked while they are read. The text is one object only if the
/// iterator ends without an error; until then, broken JSON may still follow.
#[derive(Debug)]
pub struct Members<'t> {
    scanner: Scanner<'t>,
    is_first: bool,
    is_over: bool,
}

impl<'t> Members<'t> {
    /// The members of `text`.
    pub fn of(text: &'t str) -> Self {
        Self { scanner: Scanner::new(text), is_first: true, is_over: false }
    }

    // Not inlined, for the same reason as `Elements::next`.
    #[inline(never)]
    fn read(&mut self) -> Result<Option<Member<'t>>, NotJson> {
        if self.is_first {
            self.scanner.expect(b'{')?;
        }
        let member = self.scanner.member(self.is_first, DEEPEST.saturating_sub(1))?;
        self.is_first = false;
        if member.is_none() {
            self.scanner.end()?;
        }
        Ok(member)
    }
}

impl<'t> Iterator for Members<'t> {
    type Item = Result<Member<'t>, NotJson>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over {
            return None;
        }
        let member = self.read().transpose();
        self.is_over = !matches!(member, Some(Ok(_)));
        member
    }
}

#[cfg(test)]
mod tests {
    use super::super::text::text_of;
    use super::*;

    #[test]
    fn members_are_kept_in_their_order_and_borrow_where_they_can() {
        let json = Json::read(r#" {"b":"x", "a":"\u0078","b":[ 1,[]]} "#).unwrap();
        let Json::Object(object) = &json else { panic!("no object") };
        let members: Vec<Member<'_>> = object.members().collect();
        let names: Vec<&str> = members.iter().map(|(name, _)| name.as_ref()).collect();
        assert_eq!(names, ["b", "a", "b"]);
        assert!(matches!(members[0].1, Json::Text(Cow::Borrowed("x"))));
        let Json::List(list) = members[2].1 else { panic!("no list") };
        assert_eq!(list.elements().map(|value| text_of(&value)).collect::<Vec<_>>(), ["1", "[]"]);
        assert_eq!(json.member("a").as_ref().and_then(Json::as_text), Some("x"));
        assert_eq!((json.member("c"), Json::Null.member("a"), Json::Null.as_text()), (None, None, None));
    }

    #[test]
    fn members_come_while_they_are_read_and_what_is_wrong_behind_them_too() {
        let members = |text| {
            let mut members = Members::of(text);
            let come = members.by_ref().map(|member| member.is_ok()).collect();
            assert!(members.next().is_none(), "{text}: over is over");
            come
        };
        for (text, come) in [
            ("{}", &[][..]),
            (" { } ", &[]),
            (r#"{"a":1,"b":[{}]}"#, &[true, true]),
            (r#"{"a":1}x"#, &[true, false]),
            (r#"{"a":1}{}"#, &[true, false]),
            (r#"{"a":1,}"#, &[true, false]),
            (r#"{"a":1"#, &[true, false]),
            (r#"{"a":[1}"#, &[false]),
            ("{", &[false]),
            (r#"{{"a":1}"#, &[false]),
            (r#"{"a":-,"b":1}"#, &[false]),
        ] {
            let all: Vec<bool> = members(text);
            assert_eq!(all, come, "{text}");
        }
        for text in ["", "[]", "1", "\"{\""] {
            let all: Vec<bool> = members(text);
            assert_eq!(all, [false], "{text}");
        }
        for (depth, is_read) in [(126, true), (127, false)] {
            let text = format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
            assert_eq!(Members::of(&text).all(|member| member.is_ok()), is_read, "{depth}");
            assert_eq!(Json::read(&text).is_ok(), is_read, "{depth}");
        }
    }

    #[test]
    fn repeated_names_are_told_with_their_pointers() {
        let json = Json::read(r#"{"a":[{"b":1,"\u0062":2}],"c":1,"c":2}"#).unwrap();
        let pointers: Vec<String> = json.repeated_names().iter().map(Pointer::to_string).collect();
        assert_eq!(pointers, ["/a/0/b", "/c"]);
    }

    #[test]
    fn a_pointer_leads_to_a_value_and_a_fault_has_a_line_and_a_column() {
        let json = Json::read(r#"{"a":1,"b":[true,{"c":null}],"a":"x"}"#).unwrap();
        let root = Pointer::root();
        let at = |pointer: &Pointer| json.clone().point(pointer);
        assert_eq!(at(&root), Some(json.clone()));
        assert_eq!(at(&root.field("a")), Some(Json::Text("x".into())));
        assert_eq!(at(&root.field("b").index(1).field("c")), Some(Json::Null));
        for none in [root.field("c"), root.index(0), root.field("b").index(2), root.field("a").field("x")] {
            assert_eq!(at(&none), None, "{none}");
        }
        for (text, fault) in [
            ("", (1, 1)),
            ("{} x", (1, 4)),
            ("{\n  \"é\": tru\n}", (2, 8)),
            ("{\"a\": 1,}", (1, 9)),
            ("[1,\n2", (2, 2)),
        ] {
            assert!(Json::read(text).is_err());
            assert_eq!(Json::fault(text), fault, "{text}");
        }
    }

    #[test]
    fn a_repeated_name_is_found_at_any_depth_and_under_any_spelling() {
        for text in [r#"{"a":1,"b":1,"a":1}"#, r#"[[{"a":1,"\u0061":2}]]"#, r#"{"a":{"b":[0,{"":1,"":2}]}}"#]
        {
            assert!(Json::read(text).unwrap().repeats_a_name(), "{text}");
        }
        for text in [
            r#"{"a":{"a":1},"b":{"a":1}}"#,
            r#"[{"a":1},{"a":1}]"#,
            r#""a""#,
            "{}",
            "[]",
            "null",
            "true",
            "1",
        ] {
            assert!(!Json::read(text).unwrap().repeats_a_name(), "{text}");
        }
    }
}
