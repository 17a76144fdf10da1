//! The values of a token beside those that are taken: quoted, each once, and never so short that two different ones look alike.

use serde_json::Value;

use crate::words::{LONGEST_QUOTE, quoted};

/// So many values are listed, and the others are counted.
pub(super) const MOST_LISTED: usize = 8;

/// So many of them stand before the first one by which a long value differs from another.
const ALIKE_SHOWN: usize = 32;

/// What the configuration takes.
pub(super) struct Taken<'v> {
    /// Who takes these values, or all that there is to say if there are none.
    pub(super) who: String,
    pub(super) values: Vec<&'v str>,
    /// The word between two values.
    pub(super) between: &'static str,
}

impl<'v> Taken<'v> {
    /// Values of which one is enough.
    pub(super) fn any(who: String, values: impl IntoIterator<Item = &'v str>) -> Self {
        Self { who, values: values.into_iter().collect(), between: " or " }
    }

    /// Nothing but this.
    pub(super) const fn nothing(who: String) -> Self {
        Self { who, values: Vec::new(), between: "" }
    }
}

/// What a header or claims have by this name, and what is taken in its place.
pub(super) fn beside(object: &Value, name: &str, taken: &[Taken<'_>]) -> String {
    let own: Vec<&str> = match object.get(name) {
        Some(Value::Array(values)) => values.iter().filter_map(Value::as_str).collect(),
        Some(value) => value.as_str().into_iter().collect(),
        None => Vec::new(),
    };
    let of_taken = taken.iter().flat_map(|taken| taken.values.iter().copied());
    let all: Vec<&str> = own.iter().copied().chain(of_taken).collect();
    let has = match own.as_slice() {
        [] => format!("the token has no {name}"),
        own => format!("the token's {name} is {}", listed(own, &all, " and ")),
    };
    let taken: Vec<String> = taken
        .iter()
        .map(|Taken { who, values, between }| match values.as_slice() {
            [] => who.clone(),
            values => format!("{who} {}", listed(values, &all, between)),
        })
        .collect();
    format!("{has}; {}", taken.join(", and "))
}

/// The values, each once. `all`: whatever is shown beside them.
fn listed(values: &[&str], all: &[&str], between: &str) -> String {
    let mut once: Vec<&str> = Vec::new();
    for value in values {
        if !once.contains(value) {
            once.push(value);
        }
    }
    let mut shown: Vec<String> = once.iter().take(MOST_LISTED).map(|value| shown(value, all)).collect();
    let others = once.len().saturating_sub(MOST_LISTED);
    if others > 0 {
        shown.push(format!("{others} more"));
    }
    shown.join(between)
}

/// A value, quoted. Of a long one that begins like another the part is shown in which they differ.
fn shown(value: &str, all: &[&str]) -> String {
    if value.chars().nth(LONGEST_QUOTE).is_none() {
        return quoted(value);
    }
    let others = all.iter().filter(|other| **other != value);
    let alike = others.map(|other| alike(value, other)).max().unwrap_or_default();
    if alike < LONGEST_QUOTE {
        return quoted(value);
    }
    let part: String = value.chars().skip(alike.saturating_sub(ALIKE_SHOWN)).collect();
    format!("…{}", quoted(&part))
}

/// So many characters of two values are the same from the beginning.
fn alike(one: &str, other: &str) -> usize {
    one.chars().zip(other.chars()).take_while(|(one, other)| one == other).count()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn said(own: &str, taken: &[&str]) -> String {
        let taken = Taken::any("the keys take".to_owned(), taken.iter().copied());
        beside(&json!({ "iss": own }), "iss", &[taken])
    }

    #[test]
    fn a_value_of_256_characters_is_shown_whole_and_a_longer_one_with_a_mark() {
        let whole = "ä".repeat(256);
        assert_eq!(said(&whole, &["b"]), format!("the token's iss is {whole:?}; the keys take \"b\""));
        assert_eq!(
            said(&format!("{whole}ä"), &["b"]),
            format!("the token's iss is {whole:?}…; the keys take \"b\"")
        );
    }

    #[test]
    fn of_long_values_that_begin_alike_the_part_is_shown_in_which_they_differ() {
        let start = "a".repeat(300);
        let (part, tail) = ("a".repeat(32), "z".repeat(300));
        assert_eq!(
            said(&format!("{start}1{tail}"), &[&format!("{start}2")]),
            format!("the token's iss is …\"{part}1{}\"…; the keys take …\"{part}2\"", "z".repeat(223))
        );
        // One that ends where the other goes on.
        let short = "a".repeat(256);
        let long = format!("{short}/");
        assert_eq!(
            said(&long, &[short.as_str()]),
            format!("the token's iss is …\"{part}/\"; the keys take {short:?}")
        );
    }

    #[test]
    fn of_equal_values_one_is_listed_and_of_many_the_first_eight() {
        let names: Vec<String> = (0..10).map(|number| number.to_string()).collect();
        let taken: Vec<&str> = names.iter().flat_map(|name| [name.as_str(), name.as_str()]).collect();
        let eight = "\"0\" or \"1\" or \"2\" or \"3\" or \"4\" or \"5\" or \"6\" or \"7\"";
        assert_eq!(said("x", &taken), format!("the token's iss is \"x\"; the keys take {eight} or 2 more"));
    }
}
