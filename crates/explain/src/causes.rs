//! Which errors of a configuration are only the consequence of another one, or say the same again?
//!
//! The core reads a default where a field is wrong or misspelt, and so finds that others do not fit it.

use api_guard_core::config::error::ConfigError;

use crate::wording;

/// What the core says of a value that does not fit a field, and that field. `is_whole`: what is wrong within the field does
/// not matter.
struct Consequence {
    says: &'static str,
    field: &'static [&'static str],
    is_whole: bool,
}

const CONSEQUENCES: [Consequence; 4] = [
    Consequence {
        says: "request.allowed_methods does not list",
        field: &["request", "allowed_methods"],
        is_whole: false,
    },
    Consequence {
        says: "does not have tokens.permission_format",
        field: &["tokens", "permission_format"],
        is_whole: true,
    },
    Consequence { says: "needs the section fleet, which is null", field: &["fleet"], is_whole: true },
    Consequence { says: "no limit of rate_limits has this name", field: &["rate_limits"], is_whole: true },
];
/// No more methods and hosts of a route are listed than these.
const MOST_LISTED: usize = 8;

/// The errors without those that another one causes, and those of one route told once.
pub fn causes(errors: Vec<ConfigError>) -> Vec<ConfigError> {
    let known = |problem: &str| CONSEQUENCES.iter().find(|one| problem.ends_with(one.says));
    let is_caused = |error: &ConfigError| {
        known(&error.problem)
            .is_some_and(|consequence| errors.iter().any(|other| is_wrong(consequence, other)))
    };
    let kept: Vec<ConfigError> = errors.iter().filter(|error| !is_caused(error)).cloned().collect();
    joined(kept)
}

/// Whether this error is why the core has not read the field of a consequence.
fn is_wrong(consequence: &Consequence, error: &ConfigError) -> bool {
    let Consequence { field, is_whole, .. } = consequence;
    let pointer = error.at.to_string();
    let steps: Vec<&str> = pointer.split('/').skip(1).collect();
    let fits = |(step, name): (&&str, &&str)| step == name;
    if error.problem == "unknown field" {
        let parent = steps.len().saturating_sub(1);
        return steps.iter().zip(*field).take(parent).all(fits)
            && field.get(parent).is_some_and(|name| wording::meant(error) == Some(*name));
    }
    (steps.len() <= field.len() || !is_whole) && steps.iter().zip(*field).all(fits)
}

/// The errors, those of a route that another one has taken the methods of in one.
fn joined(errors: Vec<ConfigError>) -> Vec<ConfigError> {
    const TAKEN: &str = " is taken by ";
    let mut joined: Vec<(ConfigError, Vec<String>)> = Vec::with_capacity(errors.len());
    for error in errors {
        let again = joined.last_mut().filter(|(first, _)| {
            let rest = |problem: &str| problem.split_once(TAKEN).map(|(_, rest)| rest.to_owned());
            first.at == error.at && rest(&error.problem).is_some_and(|own| rest(&first.problem) == Some(own))
        });
        match (again, error.problem.split_once(TAKEN)) {
            (Some((_, others)), Some((method, _))) => others.push(method.to_owned()),
            (None, _) | (Some(_), None) => joined.push((error, Vec::new())),
        }
    }
    let told = joined.into_iter().map(|(error, others)| {
        let more = match others.as_slice() {
            [] => return error,
            [other] => format!(", and so is {other}"),
            _ if others.len() > MOST_LISTED => format!(", and so are {} others", others.len()),
            _ => format!(", and so are {}", others.join(", ")),
        };
        ConfigError { problem: format!("{}{more}", error.problem), ..error }
    });
    told.collect()
}
