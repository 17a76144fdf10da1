//! Which parameters of a query might a framework take for one of a certain name?
//!
//! Some frameworks run a POST as the method that a parameter `_method` names, and some read a token from the query. They
//! read a parameter's name in their own ways, so every spelling that one of them takes for it counts.

use super::Request;
use super::credential::decode;
use crate::bytes::is_same_in_any_case;

/// The parameter.
const METHOD: &[u8] = b"_method";

/// Whether the query has a parameter that overrides the method.
pub(crate) fn overrides_method(request: &Request<'_>) -> bool {
    let path = request.path.unwrap_or_default();
    let mut parts = path.splitn(2, |byte| *byte == b'?').skip(1);
    parts.next().is_some_and(|query| {
        query.split(|byte| matches!(byte, b'&' | b';')).any(|it| is_spelling(it, METHOD))
    })
}

/// Whether a parameter has this name for some reader: decoded, with a `+` for a space. PHP reads a space, a dot and a bracket as `_`,
/// skips spaces before the name and ends it at a NUL; Rack and qs take the name out of brackets.
pub(super) fn is_spelling(parameter: &[u8], wanted: &[u8]) -> bool {
    let name = parameter.split(|byte| *byte == b'=').next().unwrap_or_default();
    // Every reading is as long as it was written, or shorter. A query may have tens of thousands of parameters.
    if name.len() < wanted.len() {
        return false;
    }
    let name: Vec<u8> = name.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
    // A reader behind another one may decode a second time.
    let name = decode(&decode(&name));
    let name = name.split(|byte| *byte == 0).next().unwrap_or_default().trim_ascii();
    let without_brackets: Vec<u8> =
        name.iter().copied().filter(|byte| !matches!(byte, b'[' | b']')).collect();
    is_same_in_any_case(&in_php(name), &in_php(wanted)) || is_same_in_any_case(&without_brackets, wanted)
}

/// A name as PHP reads it, of a parameter or of a cookie.
pub(super) fn in_php(name: &[u8]) -> Vec<u8> {
    name.iter().map(|byte| if matches!(byte, b' ' | b'.' | b'[') { b'_' } else { *byte }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn overrides(path: &str) -> bool {
        overrides_method(&Request { path: Some(path.as_bytes()), ..Request::default() })
    }

    #[test]
    fn every_spelling_that_a_framework_takes_for_the_parameter_counts() {
        for path in [
            "/a?_method=DELETE",
            "/a?_method",
            "/a?x=1&_method=PUT",
            "/a?x=1;_method=PUT",
            "/a?%5Fmethod=PUT",
            "/a?%5f%6D%65%74%68%6f%64=PUT",
            "/a?_METHOD=PUT",
            "/a?+_method=PUT",
            "/a?%20_method=PUT",
            "/a?%255Fmethod=PUT",
            "/a?.method=PUT",
            "/a?%2Emethod=PUT",
            "/a?[method=PUT",
            "/a?_method[]=PUT",
            "/a?[_method]=PUT",
            "/a?%5B_method%5D=PUT",
            "/a?_method%00=PUT",
            "/a?_method%00x=PUT",
            "/a/../b?_method=PUT",
            "?_method=PUT",
            "/a?b?c&_method=PUT",
        ] {
            assert!(overrides(path), "{path}");
        }
        for path in [
            "/a",
            "/_method",
            "/a?",
            "/a?x=_method",
            "/a?method=PUT",
            "/a?x_method=PUT",
            "/a?_methods=PUT",
            "/a?_meth",
            "/a?=_method",
            "/a?x=1&y=2",
        ] {
            assert!(!overrides(path), "{path}");
        }
    }
}
