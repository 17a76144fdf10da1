//! Do a token's claims meet what a route asks of them?
//!
//! A condition depends on the token alone, so it is judged once, when the token is verified; a route then looks the
//! answer up.

use super::claims::{Claims, Slot};
use crate::json::Json;

/// A condition on one claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Condition {
    pub(crate) slot: Slot,
    pub(crate) test: Test,
}

/// What is asked of a claim. A claim that is absent or null never passes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Test {
    /// The claim is equal to one of these.
    Is(Vec<Scalar>),
    /// One of these is among its entries.
    Any(Vec<Scalar>),
    /// All of these are among its entries.
    All(Vec<Scalar>),
}

/// A value that claims are compared with, including its JSON type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Scalar {
    /// A text.
    Text(String),
    /// The digits of an integer, as JSON writes it.
    Integer(String),
    /// `true` or `false`.
    Bool(bool),
}

impl Condition {
    /// Whether the claims of a token meet the condition.
    pub(super) fn holds(&self, claims: &Claims<'_>) -> bool {
        let Some(claim) = claims.value(self.slot) else { return false };
        match &self.test {
            Test::Is(values) => values.iter().any(|value| value.is(claim)),
            Test::Any(values) => values.iter().any(|value| value.is_among(claim)),
            Test::All(values) => values.iter().all(|value| value.is_among(claim)),
        }
    }
}

impl Scalar {
    /// Whether `json` is the same, of the same type. An integer is written in one way only.
    pub(super) fn is(&self, json: &Json<'_>) -> bool {
        match (self, json) {
            (Self::Text(text), Json::Text(sent)) => text == sent,
            (Self::Integer(digits), Json::Number(number)) => number.is_integer() && number.text() == digits,
            (Self::Bool(value), Json::Bool(sent)) => value == sent,
            (Self::Text(_) | Self::Integer(_) | Self::Bool(_), _) => false,
        }
    }

    /// Whether this is an entry of a list, or a word of a text.
    fn is_among(&self, json: &Json<'_>) -> bool {
        match (self, json) {
            (_, Json::List(list)) => list.elements().any(|entry| self.is(&entry)),
            (Self::Text(word), Json::Text(text)) => {
                !word.is_empty() && text.split(' ').any(|sent| sent == word)
            }
            (Self::Text(_) | Self::Integer(_) | Self::Bool(_), _) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::claim_path::ClaimPath;
    use super::super::claims::ClaimsReader;
    use super::*;

    fn holds(test: Test, claims: &str) -> bool {
        let mut reader = ClaimsReader::default();
        let condition = Condition { slot: reader.slot(&ClaimPath::parse("c").unwrap()), test };
        condition.holds(&Claims::read(&reader, claims.as_bytes()).unwrap())
    }

    fn text(text: &str) -> Scalar {
        Scalar::Text(text.to_owned())
    }

    fn seven() -> Scalar {
        Scalar::Integer("7".to_owned())
    }

    #[test]
    fn a_claim_is_equal_only_to_a_value_of_its_type() {
        let values = || vec![text("7"), text("true"), Scalar::Bool(true), seven()];
        for (index, equal) in [r#""7""#, r#""true""#, "true", "7"].into_iter().enumerate() {
            for (other, value) in values().into_iter().enumerate() {
                let claims = format!(r#"{{"c":{equal}}}"#);
                assert_eq!(holds(Test::Is(vec![value]), &claims), index == other, "{claims} {other}");
            }
        }
        for claims in [
            r#"{"c":7.0}"#,
            r#"{"c":7e0}"#,
            r#"{"c":["7"]}"#,
            r#"{"c":[7]}"#,
            r#"{"c":null}"#,
            r#"{"c":{"7":7}}"#,
            r#"{"c":"TRUE"}"#,
            r#"{"c":"7 true"}"#,
            "{}",
        ] {
            assert!(!holds(Test::Is(values()), claims), "{claims}");
        }
    }

    #[test]
    fn entries_of_a_list_and_words_of_a_text_are_looked_through() {
        let wanted = || vec![text("a"), seven()];
        for (claims, any, all) in [
            (r#"{"c":["a",7,"b"]}"#, true, true),
            (r#"{"c":["b",7]}"#, true, false),
            (r#"{"c":["a","7"]}"#, true, false),
            (r#"{"c":["b","7",[7],["a"]]}"#, false, false),
            (r#"{"c":"b  a"}"#, true, false),
            (r#"{"c":"a 7"}"#, true, false),
            (r#"{"c":"ab"}"#, false, false),
            (r#"{"c":7}"#, false, false),
            (r#"{"c":{"a":7}}"#, false, false),
            (r#"{"c":null}"#, false, false),
            (r#"{"c":[]}"#, false, false),
            ("{}", false, false),
        ] {
            assert_eq!(holds(Test::Any(wanted()), claims), any, "{claims}");
            assert_eq!(holds(Test::All(wanted()), claims), all, "{claims}");
        }
        assert!(holds(Test::All(vec![text("a"), text("b")]), r#"{"c":"b c a"}"#));
    }
}
