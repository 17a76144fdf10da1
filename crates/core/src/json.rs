//! JSON, read strictly (RFC 8259): every value is decoded, and repeated names are found.
//!
//! serde_json's own tree keeps the last of two equal names, and when it skips a value it accepts escapes that it
//! refuses when decoding. Either way, two readers could read one text differently.

mod number;
mod scan;
pub(crate) mod text;
mod value;

use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

pub use number::Number;
pub use scan::NotJson;
pub use value::{Elements, Json, List, Member, Members, Object};

/// The path to a value of a JSON document: a JSON Pointer (RFC 6901).
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pointer(Vec<Step>);

/// One step down: into an object or into an array.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// The element of an array at this index.
    Index(usize),
    /// The member of this name of an object.
    Field(String),
}

impl Pointer {
    /// The whole document.
    pub const fn root() -> Self {
        Self(Vec::new())
    }

    /// The pointer to the member `name` of the object here.
    #[must_use]
    pub fn field(&self, name: &str) -> Self {
        self.step(Step::Field(name.to_owned()))
    }

    /// The pointer to the element `index` of the array here.
    #[must_use]
    pub fn index(&self, index: usize) -> Self {
        self.step(Step::Index(index))
    }

    pub(crate) fn step(&self, step: Step) -> Self {
        let mut steps = self.0.clone();
        steps.push(step);
        Self(steps)
    }

    pub(crate) fn steps(&self) -> &[Step] {
        &self.0
    }

    pub(crate) fn starts_with(&self, other: &Self) -> bool {
        self.0.starts_with(&other.0)
    }
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|step| match step {
            Step::Index(index) => write!(f, "/{index}"),
            Step::Field(name) => write!(f, "/{}", name.replace('~', "~0").replace('/', "~1")),
        })
    }
}

/// Reads one JSON text into a tree and adds the pointers of repeated names to `repeated` (the last value is kept).
/// The text must be UTF-8, end after its value, and nest at most 127 deep.
///
/// # Errors
///
/// The text is not one JSON value of that kind.
pub fn read(text: &[u8], repeated: &mut Vec<Pointer>) -> Result<Value, serde_json::Error> {
    let mut json = serde_json::Deserializer::from_slice(text);
    let tree = Tree { path: Path::Root, repeated }.deserialize(&mut json)?;
    json.end().map(|()| tree)
}

/// Reads any JSON value into a tree and notes repeated names. Its path is kept on the stack, so that a document without
/// repetitions allocates nothing for paths.
struct Tree<'p, 'r> {
    path: Path<'p>,
    repeated: &'r mut Vec<Pointer>,
}

/// The path from the root to a value, as a linked list on the stack.
#[derive(Clone, Copy)]
pub(crate) enum Path<'p> {
    Root,
    Index(&'p Path<'p>, usize),
    Field(&'p Path<'p>, &'p str),
}

impl Path<'_> {
    pub(crate) fn pointer(&self) -> Pointer {
        match self {
            Self::Root => Pointer::root(),
            Self::Index(parent, index) => parent.pointer().index(*index),
            Self::Field(parent, name) => parent.pointer().field(name),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Tree<'_, '_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Tree<'_, '_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        loop {
            let element = Tree { path: Path::Index(&self.path, values.len()), repeated: &mut *self.repeated };
            match seq.next_element_seed(element)? {
                Some(value) => values.push(value),
                None => return Ok(Value::Array(values)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut members = Map::new();
        while let Some(name) = map.next_key::<String>()? {
            let path = Path::Field(&self.path, &name);
            if members.contains_key(&name) {
                self.repeated.push(path.pointer());
            }
            let value = map.next_value_seed(Tree { path, repeated: &mut *self.repeated })?;
            members.insert(name, value);
        }
        Ok(Value::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_names_are_found_at_any_depth_and_under_any_spelling() {
        let mut repeated = Vec::new();
        read(br#"{"a":[{"b":1,"\u0062":2}],"c":1,"c":2}"#, &mut repeated).unwrap();
        let pointers: Vec<String> = repeated.iter().map(Pointer::to_string).collect();
        assert_eq!(pointers, ["/a/0/b", "/c"]);
    }
}
