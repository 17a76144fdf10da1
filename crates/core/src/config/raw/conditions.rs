//! Conditions of a route on claims.

use crate::config::shape::{self, Misfits, Shape, fields};
use crate::json::{Json, Path};

#[cfg(feature = "schema")]
use schemars::JsonSchema;

/// One condition: a claim, and exactly one of is, any, all, equals_header.
#[derive(Debug, Default)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[cfg_attr(feature = "schema", schemars(default, deny_unknown_fields))]
#[cfg_attr(feature = "schema", schemars(extend("required" = ["claim"])))]
pub struct RawCondition {
    /// The claim; dots go into objects.
    #[cfg_attr(feature = "schema", schemars(required))]
    pub claim: Option<String>,
    /// Values, one of which the claim equals.
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    pub is: Option<Vec<RawScalar>>,
    /// Values, one of which is an entry of the claim's list, or a word of its text.
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    pub any: Option<Vec<RawScalar>>,
    /// Values, all of which are entries of the claim's list, or words of its text.
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    pub all: Option<Vec<RawScalar>>,
    /// A request header, which stands once and has the claim's value.
    pub equals_header: Option<String>,
}

fields!(RawCondition { claim, is, any, all, equals_header });

/// A value that a claim is compared with, including its JSON type.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[cfg_attr(feature = "schema", schemars(untagged))]
pub enum RawScalar {
    /// A text.
    Text(String),
    /// A whole number.
    Integer(#[cfg_attr(feature = "schema", schemars(with = "i64"))] String),
    /// True or false.
    Bool(bool),
}

impl Default for RawScalar {
    fn default() -> Self {
        Self::Bool(false)
    }
}

impl RawScalar {
    /// Takes `value`, if it is one. Whether it is.
    pub(super) fn take(&mut self, value: &Json<'_>) -> bool {
        *self = match value {
            Json::Text(text) => Self::Text(text.as_ref().to_owned()),
            Json::Bool(value) => Self::Bool(*value),
            Json::Number(number) if number.is_integer() => Self::Integer(number.text().to_owned()),
            Json::Null | Json::Number(_) | Json::List(_) | Json::Object(_) => return false,
        };
        true
    }
}

impl Shape for RawScalar {
    fn read(&mut self, value: &Json<'_>, at: &Path<'_>, misfits: &mut Misfits) -> bool {
        self.take(value) || misfits.wrong(at, "a text, a whole number, true or false")
    }
}
