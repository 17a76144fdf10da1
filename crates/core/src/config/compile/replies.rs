//! Section `replies`.

use super::Path;
use super::problems::Problems;
use crate::config::raw::RawReplies;
use crate::policy::Replies;

/// The longest realm, bytes.
const LONGEST_REALM: usize = 64;

/// Compiles how much replies tell.
pub(super) fn compile(problems: &mut Problems, raw: RawReplies, at: &Path<'_>) -> Replies {
    if !is_realm(&raw.realm) {
        let instead =
            format!("write 1 to {LONGEST_REALM} printable ASCII characters without quote and backslash");
        problems.add(&at.field("realm"), "not a realm", instead);
    }
    if raw.resource_metadata.as_deref().is_some_and(|url| !is_https_url(url)) {
        let instead = r#"write an https URL without fragment, such as "https://api.example.com/.well-known/oauth-protected-resource""#;
        problems.add(&at.field("resource_metadata"), "not an https URL", instead);
    }
    Replies {
        detail: raw.detail,
        rate_limit_headers: raw.rate_limit_headers,
        realm: raw.realm,
        resource_metadata: raw.resource_metadata,
    }
}

/// Whether the text can stand in a quoted-string as it is (RFC 9110 section 5.6.4).
fn is_realm(text: &str) -> bool {
    let is_good = |byte: u8| (0x20..=0x7e).contains(&byte) && byte != b'"' && byte != b'\\';
    (1..=LONGEST_REALM).contains(&text.len()) && text.bytes().all(is_good)
}

/// Whether the text has the characters and the form of an https URL with a host (RFC 3986, RFC 9110 section 4.2.2). None
/// of the characters ends a quoted-string.
fn is_https_url(text: &str) -> bool {
    let is_good = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:/?[]@!$&'()*+,;=%".contains(&byte);
    let Some(rest) = text.strip_prefix("https://") else { return false };
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    text.bytes().all(is_good)
        && !authority.is_empty()
        && !authority.starts_with(':')
        && !authority.contains('@')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_realm_can_stand_between_quotes() {
        for good in ["api-guard", "a", " ", "Orders API, v2 (test)", &"x".repeat(64)] {
            assert!(is_realm(good), "{good:?}");
        }
        for bad in ["", "a\"b", "a\\b", "a\nb", "\u{7f}", "é", &"x".repeat(65)] {
            assert!(!is_realm(bad), "{bad:?}");
        }
    }

    #[test]
    fn a_url_is_https_and_has_a_host_and_no_fragment() {
        for good in ["https://a", "https://a.example:8443/b/c?d=e%20f", "https://[::1]/a", "https://a?b"] {
            assert!(is_https_url(good), "{good:?}");
        }
        for bad in [
            "",
            "a",
            "http://a",
            "HTTPS://a",
            "https:/a",
            "https://",
            "https:///a",
            "https://:1/",
            "https://?a",
            "https://a/b#c",
            "https://a\"b",
            "https://a/\\",
            "https://a b",
            "https://a@b",
            "https://é",
            "https://a\n",
        ] {
            assert!(!is_https_url(bad), "{bad:?}");
        }
    }
}
