//! A JSON value that borrows from its text (RFC 8259).
//!
//! No tree is built. Every value is read to its end and checked; an array or an object is then kept as its text and
//! read again when its contents are asked for. The second reading uses the same reader at the same depth or less, so it
//! finds the same values and no fault.

use std::borrow::Cow;

use serde_json::Value;

use super::number::Number;
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

    /// Whether any object in this value repeats a name.
    pub fn repeats_a_name(&self) -> bool {
        match self {
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::Text(_) => false,
            // Most lists hold no objects.
            Self::List(List(text)) if !text.contains('{') => false,
            // The text was checked before, so it has no fault; a fault would count as a repetition.
            Self::List(List(text)) | Self::Object(Object(text)) => {
                Scanner::new(text).repeats_a_name(DEEPEST) != Ok(false)
            }
        }
    }

    /// The value as a serde_json tree, in which the last of equal names counts.
    pub fn to_value(&self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Bool(value) => Value::Bool(*value),
            Self::Number(number) => number.to_value(),
            Self::Text(text) => Value::String(text.clone().into_owned()),
            Self::List(List(text)) | Self::Object(Object(text)) => {
                super::read(text.as_bytes(), &mut Vec::new()).unwrap_or_default()
            }
        }
    }
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
    use serde_json::json;

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
        assert_eq!(list.elements().map(|value| value.to_value()).collect::<Vec<_>>(), [json!(1), json!([])]);
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
