//! The grammars of names in HTTP: methods, header names, media types.

use crate::request::is_tchar;

/// A token of RFC 9110 section 5.6.2: methods and header names.
pub(super) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(is_tchar)
}

/// Methods are case-sensitive (RFC 9110 section 9.1), and all methods in use are in capitals. `*` is a token too, but
/// whoever writes it means every method.
pub(super) fn is_method(text: &str) -> bool {
    let known = |byte: u8| matches!(byte, b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_');
    !text.is_empty() && text.bytes().all(known)
}

/// `type/subtype` in lower case, without parameters and wildcards (RFC 9110 section 8.3.1).
pub(super) fn is_media_type(text: &str) -> bool {
    text.split_once('/').is_some_and(|(kind, sub)| is_token(kind) && is_token(sub))
        && !text.bytes().any(|byte| byte == b'*' || byte.is_ascii_uppercase())
}
