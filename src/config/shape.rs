//! Has a JSON tree the shape that a type demands, and if not, where not?
//!
//! The library's own reading of a tree knows no places, quotes what it finds, and is lenient where the README is not:
//! it takes a list for an object, by the order of the fields, and an object for a name. Here an error knows its place,
//! and nothing of the document but that gets into it.

use std::fmt;

use serde::de::value::BorrowedStrDeserializer;
use serde::de::{
    self, Deserialize, DeserializeSeed, Deserializer, Expected, MapAccess, SeqAccess, Unexpected, Visitor,
};
use serde_json::{Map, Value, map};

use crate::json::{Pointer, Step};

/// Where a tree does not fit, and what would.
#[derive(Debug)]
pub(super) struct Misfit {
    /// From the place up to the root.
    way: Vec<Step>,
    /// Why.
    pub(super) reason: Reason,
}

/// Why a place does not fit.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reason {
    /// The object has no such field; what it has.
    UnknownField(String),
    /// The value is another type's, or none of those that there are; what is expected.
    Wrong(String),
}

/// Reads `tree` into a type.
pub(super) fn read<'de, T: Deserialize<'de>>(tree: &'de Value) -> Result<T, Misfit> {
    T::deserialize(Node(tree))
}

impl Misfit {
    fn wrong(expected: &str) -> Self {
        Self { way: Vec::new(), reason: Reason::Wrong(expected.to_owned()) }
    }

    fn below(mut self, step: Step) -> Self {
        self.way.push(step);
        self
    }

    /// Where.
    pub(super) fn at(&self) -> Pointer {
        Pointer::from_steps(self.way.iter().rev().cloned().collect())
    }
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.reason {
            Reason::UnknownField(known) => write!(f, "{}: unknown field, expected {known}", self.at()),
            Reason::Wrong(expected) => write!(f, "{}: expected {expected}", self.at()),
        }
    }
}

impl std::error::Error for Misfit {}

impl de::Error for Misfit {
    fn custom<T: fmt::Display>(_: T) -> Self {
        // The text may hold the value.
        Self::wrong("what the configuration reference says")
    }

    fn invalid_type(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::wrong(&expected.to_string())
    }

    fn invalid_value(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::wrong(&expected.to_string())
    }

    fn unknown_variant(_: &str, variants: &'static [&'static str]) -> Self {
        Self::wrong(&one_of(variants))
    }

    fn unknown_field(_: &str, fields: &'static [&'static str]) -> Self {
        Self { way: Vec::new(), reason: Reason::UnknownField(one_of(fields)) }
    }
}

fn one_of(names: &[&str]) -> String {
    match names {
        [] => "nothing".to_owned(),
        [name] => format!("\"{name}\""),
        [first, second] => format!("\"{first}\" or \"{second}\""),
        more => format!("one of \"{}\"", more.join("\", \"")),
    }
}

/// A value of the tree. Each kind of type is offered the one kind of value that fits it.
struct Node<'de>(&'de Value);

impl<'de> Deserializer<'de> for Node<'de> {
    type Error = Misfit;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        match self.0 {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Number(number) => match number.as_u64() {
                Some(whole) => visitor.visit_u64(whole),
                None => Err(de::Error::invalid_type(Unexpected::Other("number"), &visitor)),
            },
            Value::String(text) => visitor.visit_borrowed_str(text),
            Value::Array(elements) => visitor.visit_seq(Elements::of(elements)),
            Value::Object(members) => visitor.visit_map(Members::of(members)),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        let value = self.0.as_bool().ok_or_else(|| Misfit::wrong("true or false"))?;
        visitor.visit_bool(value)
    }

    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        let number = self.0.as_u64().ok_or_else(|| Misfit::wrong("a whole number"))?;
        visitor.visit_u64(number)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        let text = self.0.as_str().ok_or_else(|| Misfit::wrong("a text"))?;
        visitor.visit_borrowed_str(text)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        if self.0.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        let elements = self.0.as_array().ok_or_else(|| Misfit::wrong("a list"))?;
        visitor.visit_seq(Elements::of(elements))
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        let members = self.0.as_object().ok_or_else(|| Misfit::wrong("an object"))?;
        visitor.visit_map(Members::of(members))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        self.deserialize_map(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        let name = self.0.as_str().ok_or_else(|| Misfit::wrong(&one_of(variants)))?;
        visitor.visit_enum(BorrowedStrDeserializer::new(name))
    }

    serde::forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 u8 u16 u32 u128 f32 f64 char bytes byte_buf unit unit_struct newtype_struct tuple
        tuple_struct identifier ignored_any
    }
}

struct Elements<'de>(std::iter::Enumerate<std::slice::Iter<'de, Value>>);

impl<'de> Elements<'de> {
    fn of(elements: &'de [Value]) -> Self {
        Self(elements.iter().enumerate())
    }
}

impl<'de> SeqAccess<'de> for Elements<'de> {
    type Error = Misfit;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Misfit> {
        let Some((place, value)) = self.0.next() else { return Ok(None) };
        seed.deserialize(Node(value)).map(Some).map_err(|misfit| misfit.below(Step::Index(place)))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.0.len())
    }
}

struct Members<'de> {
    rest: map::Iter<'de>,
    /// The member whose name was read last.
    current: Option<(&'de str, &'de Value)>,
}

impl<'de> Members<'de> {
    fn of(members: &'de Map<String, Value>) -> Self {
        Self { rest: members.iter(), current: None }
    }
}

impl<'de> MapAccess<'de> for Members<'de> {
    type Error = Misfit;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Misfit> {
        self.current = self.rest.next().map(|(name, value)| (name.as_str(), value));
        let Some((name, _)) = self.current else { return Ok(None) };
        let key = seed.deserialize(BorrowedStrDeserializer::<Misfit>::new(name));
        key.map(Some).map_err(|misfit| misfit.below(Step::Field(name.to_owned())))
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Misfit> {
        let (name, value) = self.current.take().ok_or_else(|| Misfit::wrong("a member"))?;
        seed.deserialize(Node(value)).map_err(|misfit| misfit.below(Step::Field(name.to_owned())))
    }
}
