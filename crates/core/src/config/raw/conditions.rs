//! Conditions of a route on claims.

use serde_json::Value;

use crate::config::shape::{self, Misfits, Shape, fields};
use crate::json::Path;

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
    pub(super) fn of(value: &Value) -> Option<Self> {
        match value {
            Value::String(text) => Some(Self::Text(text.clone())),
            Value::Bool(value) => Some(Self::Bool(*value)),
            Value::Number(number) if number.is_u64() || number.is_i64() => {
                Some(Self::Integer(number.to_string()))
            }
            Value::Null | Value::Number(_) | Value::Array(_) | Value::Object(_) => None,
        }
    }
}

impl Shape for RawScalar {
    fn read(value: &Value, at: Path<'_>, misfits: &mut Misfits) -> Option<Self> {
        Self::of(value).or_else(|| misfits.wrong(at, "a text, a whole number, true or false"))
    }
}
