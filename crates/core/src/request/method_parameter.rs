//! Does the query name another method than the request's own? Some frameworks obey a parameter `_method`.
//!
//! Readers differ in what they take for that name, so that everything which any of them takes for it counts.

use super::credential::{decode, split_at_byte};

/// Whether a parameter of `query` is `_method` to some reader.
pub(crate) fn is_in(query: &[u8]) -> bool {
    // Some readers separate parameters by `;` as well.
    query.split(|&byte| matches!(byte, b'&' | b';')).any(|parameter| is_it(split_at_byte(parameter, b'=').0))
}

fn is_it(name: &[u8]) -> bool {
    let spaced: Vec<u8> = name.iter().map(|&byte| if byte == b'+' { b' ' } else { byte }).collect();
    // A reader behind another one may decode a second time.
    let decoded = decode(&decode(&spaced));
    // PHP drops spaces before a name, ends it at `[` or NUL, and makes `_` of a space or a dot.
    let name = decoded.trim_ascii_start().split(|&byte| matches!(byte, b'[' | 0)).next().unwrap_or_default();
    let folded = |&byte: &u8| if matches!(byte, b' ' | b'.') { b'_' } else { byte };
    name.iter().map(folded).eq(*b"_method")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parameter_is_found_however_it_is_written() {
        for query in [
            "_method=DELETE",
            "_method",
            "a=b&_method=DELETE&c",
            "a=b;_method=DELETE",
            "%5Fmethod=DELETE",
            "%5fmetho%64=DELETE",
            "_%6d%65%74%68%6f%64=x",
            "%255Fmethod=DELETE",
            "_method[]=DELETE",
            "_method%5B0%5D=DELETE",
            "_method%00x=DELETE",
            ".method=DELETE",
            "+_method=DELETE",
            "%20_method=DELETE",
        ] {
            assert!(is_in(query.as_bytes()), "{query}");
        }
    }

    #[test]
    fn other_parameters_are_not_it() {
        for query in [
            "",
            "&",
            "method=a",
            "_methods=a",
            "__method=a",
            "a=_method",
            "_Method=a",
            "x_method",
            "[_method]",
        ] {
            assert!(!is_in(query.as_bytes()), "{query}");
        }
    }
}
