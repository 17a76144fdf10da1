//! How an error in a configuration is told: with the field that was probably meant, and in words for a person at a shell.

use api_guard_core::config::error::ConfigError;

/// Names as near as this are proposed: 1 is the same name.
const NEAR: f64 = 0.8;

/// What is wrong, with the value that is.
pub fn problem(error: &ConfigError) -> String {
    if let Some((unset, _)) = error.problem.split_once(" in the VM's environment") {
        return unset.to_owned();
    }
    let value = error.value.as_ref().map(|value| format!("{value}: ")).unwrap_or_default();
    format!("{value}{}", error.problem)
}

/// What to write instead.
pub fn instead(error: &ConfigError) -> String {
    // Whoever runs the command has a shell; the module's words are for whoever starts Envoy.
    let unset = error.problem.strip_prefix("the variable ").and_then(|rest| rest.split_once(" is not set"));
    if let Some((name, _)) = unset {
        if error.at.to_string().ends_with("/public_key/env") {
            return format!(
                "export {name}=\"$(cat public.pem)\" here, with the issuer's public key as PEM or a JSON Web Key; of a private key \
                 of your own: openssl pkey -in private.pem -pubout"
            );
        }
        return format!("export {name}=\"...\" here, or make one: export {name}=\"$(api-guard keygen)\"");
    }
    match meant(error) {
        Some(meant) => format!("did you mean \"{meant}\"? {}", error.instead),
        None => error.instead.clone(),
    }
}

/// The known field, of those that the error lists, that is nearest to the unknown one.
pub fn meant(error: &ConfigError) -> Option<&str> {
    if error.problem != "unknown field" {
        return None;
    }
    let written = error.at.to_string();
    let written = written.rsplit('/').next().unwrap_or_default();
    let written = written.replace("~1", "/").replace("~0", "~").to_lowercase().replace('-', "_");
    let known: Vec<&str> = error.instead.split('"').skip(1).step_by(2).collect();
    // `methods` is a part of `allowed_methods`, though more letters of `method_override` are its own.
    let mut whole = known.iter().filter(|known| format!("_{known}_").contains(&format!("_{written}_")));
    if let (Some(known), None) = (whole.next(), whole.next()) {
        return Some(known);
    }
    let near = known.into_iter().map(|known| (strsim::jaro_winkler(&written, known), known));
    near.filter(|(nearness, _)| *nearness >= NEAR)
        .max_by(|one, other| one.0.total_cmp(&other.0))
        .map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use api_guard_core::policy::Policy;

    use super::*;

    #[test]
    fn the_field_that_was_meant_is_the_nearest_or_the_only_one_that_has_the_word() {
        for (text, expected) in [
            (r#"{"request": {"methods": []}}"#, Some("allowed_methods")),
            (r#"{"request": {"content-type": []}}"#, Some("content_types")),
            (r#"{"tokens": {"skew": 1}}"#, Some("clock_skew_seconds")),
            (r#"{"tokens": {"permision_claim": "a"}}"#, Some("permissions_claim")),
            (r#"{"rate_limit": []}"#, Some("rate_limits")),
            (r#"{"zzz": 1}"#, None),
        ] {
            let errors = Policy::parse_shape(text.as_bytes()).unwrap_err();
            let unknown = errors.0.iter().find(|error| error.problem == "unknown field").unwrap();
            assert_eq!(meant(unknown), expected, "{text}");
        }
    }
}
