//! Does a JSON tree have the shape that a type demands, and if not, where does it differ?
//!
//! One walk reads the tree into the types of [`super::raw`] and never stops at an error: a value that does not fit is
//! noted with its pointer and replaced by the default. Unlike a derived `Deserialize`, this accepts no list for an
//! object and no object for a name. Errors contain pointers into the document, never its text.
//!
//! serde is not used because its generated readers made up a quarter of the module.

use serde_json::{Map, Value};

use crate::json::{Path, Pointer};

/// A type that can be read from the configuration.
pub(super) trait Shape: Sized {
    /// Reads `value`; `None`, and a noted misfit, if it has another form.
    fn read(value: &Value, at: Path<'_>, misfits: &mut Misfits) -> Option<Self>;
}

/// The members of an object whose names are free, sorted by name; no name occurs twice.
pub(super) type Named<T> = Vec<(String, T)>;

/// A value that does not fit.
pub(super) struct Misfit {
    /// Where.
    pub(super) at: Pointer,
    /// Why.
    pub(super) reason: Reason,
}

/// Why a value does not fit.
pub(super) enum Reason {
    /// The object has no such field. Holds the fields that it has, in words.
    UnknownField(String),
    /// The value should have this form, in words.
    Wrong(String),
}

/// All misfits found so far.
#[derive(Default)]
pub(super) struct Misfits(pub(super) Vec<Misfit>);

impl Misfits {
    /// Notes that the value here should be `expected`.
    pub(super) fn wrong<T>(&mut self, at: Path<'_>, expected: &str) -> Option<T> {
        self.0.push(Misfit { at: at.pointer(), reason: Reason::Wrong(expected.to_owned()) });
        None
    }

    /// Notes that the text here should be one of `names`.
    pub(super) fn no_name<T>(&mut self, at: Path<'_>, names: &[&str]) -> Option<T> {
        self.wrong(at, &one_of(names))
    }

    /// Notes an unknown field; `known`: the fields that exist.
    pub(super) fn unknown(&mut self, at: Path<'_>, known: &[&str]) {
        self.0.push(Misfit { at: at.pointer(), reason: Reason::UnknownField(one_of(known)) });
    }

    /// The members of the object here.
    pub(super) fn object<'v>(&mut self, value: &'v Value, at: Path<'_>) -> Option<&'v Map<String, Value>> {
        value.as_object().or_else(|| self.wrong(at, "an object"))
    }
}

/// Reads a member into its field, which keeps its default if the member does not fit.
pub(super) fn fill<T: Shape>(field: &mut T, value: &Value, at: Path<'_>, misfits: &mut Misfits) {
    if let Some(read) = T::read(value, at, misfits) {
        *field = read;
    }
}

/// Implements [`Shape`] for a struct with a default: an object with these fields. Every field must be listed. `then`: a
/// method that is given the members and completes defaults that depend on other fields.
macro_rules! fields {
    ($type:ident { $($field:ident),* } $(then $complete:ident)?) => {
        impl Shape for $type {
            fn read(value: &Value, at: Path<'_>, misfits: &mut Misfits) -> Option<Self> {
                let members = misfits.object(value, at)?;
                let mut read = Self::default();
                for (name, value) in members {
                    let at = Path::Field(&at, name);
                    match name.as_str() {
                        $(stringify!($field) => shape::fill(&mut read.$field, value, at, misfits),)*
                        _ => misfits.unknown(at, &[$(stringify!($field)),*]),
                    }
                }
                let Self { $($field: _),* } = &read;
                $(read.$complete(members);)?
                Some(read)
            }
        }
    };
}
pub(super) use fields;

/// Implements [`Shape`] for an enum: one of these strings.
macro_rules! names {
    ($type:ident { $($name:literal => $variant:ident),* }) => {
        impl Shape for $type {
            fn read(value: &Value, at: Path<'_>, misfits: &mut Misfits) -> Option<Self> {
                match value.as_str() {
                    $(Some($name) => Some(Self::$variant),)*
                    Some(_) | None => misfits.no_name(at, &[$($name),*]),
                }
            }
        }
    };
}
pub(super) use names;

impl Shape for bool {
    fn read(value: &Value, at: Path<'_>, misfits: &mut Misfits) -> Option<Self> {
        value.as_bool().or_else(|| misfits.wrong(at, "true or false"))
    }
}

impl Shape for u64 {
    fn read(value: &Value, at: Path<'_>, misfits: &mut Misfits) -> Option<Self> {
        value.as_u64().or_else(|| misfits.wrong(at, "a whole number"))
    }
}

impl Shape for String {
    fn read(value: &Value, at: Path<'_>, misfits: &mut Misfits) -> Option<Self> {
        value.as_str().map(str::to_owned).or_else(|| misfits.wrong(at, "a string"))
    }
}

impl<T: Shape> Shape for Option<T> {
    fn read(value: &Value, at: Path<'_>, misfits: &mut Misfits) -> Option<Self> {
        if value.is_null() { Some(None) } else { T::read(value, at, misfits).map(Some) }
    }
}

/// An element that does not fit is replaced by the default, so that later elements keep their indexes.
impl<T: Shape + Default> Shape for Vec<T> {
    fn read(value: &Value, at: Path<'_>, misfits: &mut Misfits) -> Option<Self> {
        let Some(elements) = value.as_array() else { return misfits.wrong(at, "a list") };
        let mut read = Self::with_capacity(elements.len());
        for (index, value) in elements.iter().enumerate() {
            read.push(T::read(value, Path::Index(&at, index), misfits).unwrap_or_default());
        }
        Some(read)
    }
}

impl<T: Shape> Shape for Named<T> {
    fn read(value: &Value, at: Path<'_>, misfits: &mut Misfits) -> Option<Self> {
        let mut read = Self::new();
        for (name, value) in misfits.object(value, at)? {
            if let Some(value) = T::read(value, Path::Field(&at, name), misfits) {
                read.push((name.clone(), value));
            }
        }
        Some(read)
    }
}

fn one_of(names: &[&str]) -> String {
    match names {
        [first, second] => ["\"", first, "\" or \"", second, "\""].concat(),
        names => ["one of \"", &names.join("\", \""), "\""].concat(),
    }
}
