//! A condition of a route in words.

use api_guard_core::config::raw::{RawCondition, RawScalar};

/// What a condition asks, in words.
pub(super) fn condition_text(condition: &RawCondition) -> String {
    let claim = condition.claim.as_deref().unwrap_or_default();
    let listed = |values: &[RawScalar], word: &str| {
        let texts: Vec<String> = values.iter().map(scalar_text).collect();
        texts.join(word)
    };
    if let Some(values) = &condition.is {
        format!("the claim {claim} must be {}", listed(values, " or "))
    } else if let Some(values) = &condition.any {
        format!("the claim {claim} must have {}", listed(values, " or "))
    } else if let Some(values) = &condition.all {
        format!("the claim {claim} must have {}", listed(values, " and "))
    } else {
        let header = condition.equals_header.as_deref().unwrap_or_default();
        format!("the claim {claim} must be the header {header}, which stands once")
    }
}

fn scalar_text(value: &RawScalar) -> String {
    match value {
        RawScalar::Text(text) => format!("{text:?}"),
        RawScalar::Integer(digits) => digits.clone(),
        RawScalar::Bool(value) => value.to_string(),
    }
}
