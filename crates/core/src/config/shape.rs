//! Does a JSON document have the shape that a type demands, and if not, where does it differ?
//!
//! One walk reads the document into the types of [`super::raw`] and never stops at an error: a value that does not fit is
//! noted with its pointer and replaced by the default. Unlike a derived `Deserialize`, this accepts no list for an
//! object and no object for a name. Errors contain pointers into the document, never its text.
//!
//! serde is not used because its generated readers made up a quarter of the module. For the same reason the names of a
//! type's fields are a table, and only what reads one field is generated.

use crate::json::{Json, Path, Pointer};

/// A type that can be read from the configuration.
pub(super) trait Shape: Default {
    /// Reads `value` into this. If it has another form, notes a misfit and returns false. Values are read where they stay,
    /// because moving them would be a tenth of the module.
    fn read(&mut self, value: &Json<'_>, at: &Path<'_>, misfits: &mut Misfits) -> bool;
}

/// The members of an object whose names are free, in their order.
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
    /// Notes that the value here should be `expected`. Returns false.
    #[inline(never)]
    pub(super) fn wrong(&mut self, at: &Path<'_>, expected: &str) -> bool {
        self.0.push(Misfit { at: at.pointer(), reason: Reason::Wrong(expected.to_owned()) });
        false
    }

    /// Notes an unknown field; `known`: the fields that exist.
    pub(super) fn unknown(&mut self, at: &Path<'_>, known: &[&str]) {
        self.0.push(Misfit { at: at.pointer(), reason: Reason::UnknownField(one_of(known)) });
    }
}

/// Reads the members of the object here. `read` is given each member's index in `names`, its value and its path.
#[inline(never)]
pub(super) fn members(
    value: &Json<'_>,
    at: &Path<'_>,
    misfits: &mut Misfits,
    names: &[&str],
    read: &mut dyn FnMut(usize, &Json<'_>, &Path<'_>, &mut Misfits),
) -> bool {
    let Json::Object(object) = value else { return misfits.wrong(at, "an object") };
    for (name, value) in object.members() {
        let at = at.field(&name);
        match names.iter().position(|known| *known == name) {
            Some(index) => read(index, &value, &at, misfits),
            None => misfits.unknown(&at, names),
        }
    }
    true
}

/// Implements [`Shape`] for a struct with a default: an object with these fields. Every field must be listed. `then`: a
/// method that is given the object and completes defaults that depend on other fields.
macro_rules! fields {
    ($type:ident { $($field:ident),* } $(then $complete:ident)?) => {
        impl Shape for $type {
            fn read(&mut self, value: &Json<'_>, at: &Path<'_>, misfits: &mut Misfits) -> bool {
                const NAMES: &[&str] = &[$(stringify!($field)),*];
                const READ: &[fn(&mut $type, &Json<'_>, &Path<'_>, &mut Misfits) -> bool] =
                    &[$(|read, value, at, misfits| read.$field.read(value, at, misfits)),*];
                let is_read = shape::members(value, at, misfits, NAMES, &mut |index, value, at, misfits| {
                    if let Some(read) = READ.get(index) {
                        read(self, value, at, misfits);
                    }
                });
                let Self { $($field: _),* } = self;
                $(self.$complete(value);)?
                is_read
            }
        }
    };
}
pub(super) use fields;

/// Implements [`Shape`] for an enum: one of these strings.
macro_rules! names {
    ($type:ident { $($name:literal => $variant:ident),* }) => {
        impl Shape for $type {
            fn read(&mut self, value: &Json<'_>, at: &Path<'_>, misfits: &mut Misfits) -> bool {
                const VALUES: &[$type] = &[$($type::$variant),*];
                let value = shape::name(value, at, misfits, &[$($name),*]).and_then(|index| VALUES.get(index));
                if let Some(value) = value {
                    *self = *value;
                }
                value.is_some()
            }
        }
    };
}
pub(super) use names;

/// The index in `names` of the text here.
#[inline(never)]
pub(super) fn name(value: &Json<'_>, at: &Path<'_>, misfits: &mut Misfits, names: &[&str]) -> Option<usize> {
    let index = value.as_text().and_then(|text| names.iter().position(|name| *name == text));
    if index.is_none() {
        misfits.wrong(at, &one_of(names));
    }
    index
}

impl Shape for bool {
    fn read(&mut self, value: &Json<'_>, at: &Path<'_>, misfits: &mut Misfits) -> bool {
        let Json::Bool(value) = value else { return misfits.wrong(at, "true or false") };
        *self = *value;
        true
    }
}

impl Shape for u64 {
    #[inline(never)]
    fn read(&mut self, value: &Json<'_>, at: &Path<'_>, misfits: &mut Misfits) -> bool {
        let number = if let Json::Number(number) = value { number.as_u64() } else { None };
        let Some(number) = number else { return misfits.wrong(at, "a whole number, 0 or more") };
        *self = number;
        true
    }
}

impl Shape for String {
    #[inline(never)]
    fn read(&mut self, value: &Json<'_>, at: &Path<'_>, misfits: &mut Misfits) -> bool {
        let Json::Text(text) = value else { return misfits.wrong(at, "a string") };
        text.as_ref().clone_into(self);
        true
    }
}

impl<T: Shape> Shape for Option<T> {
    #[inline(never)]
    fn read(&mut self, value: &Json<'_>, at: &Path<'_>, misfits: &mut Misfits) -> bool {
        if *value == Json::Null {
            *self = None;
            return true;
        }
        let is_read = self.insert(T::default()).read(value, at, misfits);
        if !is_read {
            *self = None;
        }
        is_read
    }
}

/// An element that does not fit is replaced by the default, so that later elements keep their indexes.
impl<T: Shape> Shape for Vec<T> {
    #[inline(never)]
    fn read(&mut self, value: &Json<'_>, at: &Path<'_>, misfits: &mut Misfits) -> bool {
        let Json::List(list) = value else { return misfits.wrong(at, "a list") };
        self.clear();
        for (index, value) in list.elements().enumerate() {
            self.push(T::default());
            if let Some(element) = self.last_mut() {
                element.read(&value, &at.index(index), misfits);
            }
        }
        true
    }
}

impl<T: Shape> Shape for Named<T> {
    #[inline(never)]
    fn read(&mut self, value: &Json<'_>, at: &Path<'_>, misfits: &mut Misfits) -> bool {
        let Json::Object(object) = value else { return misfits.wrong(at, "an object") };
        self.clear();
        for (name, value) in object.members() {
            let mut read = T::default();
            if read.read(&value, &at.field(&name), misfits) {
                self.push((name.into_owned(), read));
            }
        }
        true
    }
}

fn one_of(names: &[&str]) -> String {
    match names {
        [first, second] => ["\"", first, "\" or \"", second, "\""].concat(),
        names => ["one of \"", &names.join("\", \""), "\""].concat(),
    }
}
