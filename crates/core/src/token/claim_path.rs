//! How is a claim named? By a text whose dots lead into objects, and in which `\.` is a dot of a name itself.
//!
//! Many issuers name their claims by URLs, whose dots are easily taken for steps into objects. A name that looks like
//! such a mistake is refused, with the spelling that was probably meant.

/// The member names that lead to a claim: first that of the claim itself, then those within it. Never empty, and no
/// name is empty. Each path has exactly one spelling.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimPath(Vec<String>);

/// Why a text names no claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClaimPathFault {
    /// It is empty, or it has an empty name before, between or after its dots.
    EmptyName,
    /// It has control characters.
    HasControls,
    /// A backslash stands before something else than a dot or a backslash.
    UnknownEscape,
    /// A dot of a URL is not escaped. Contains the spelling in which it is.
    UnescapedUrl(String),
}

impl ClaimPath {
    /// Reads a claim's name as the configuration spells it.
    ///
    /// # Errors
    ///
    /// [`ClaimPathFault`] says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, ClaimPathFault> {
        if text.chars().any(char::is_control) {
            return Err(ClaimPathFault::HasControls);
        }
        let mut names = Vec::new();
        let mut name = String::new();
        let mut letters = text.chars();
        while let Some(letter) = letters.next() {
            match letter {
                '.' => names.push(std::mem::take(&mut name)),
                '\\' => match letters.next() {
                    Some(escaped @ ('.' | '\\')) => name.push(escaped),
                    Some(_) | None => return Err(ClaimPathFault::UnknownEscape),
                },
                other => name.push(other),
            }
        }
        names.push(name);
        if let Some(escaped) = with_url_escaped(text) {
            return Err(ClaimPathFault::UnescapedUrl(escaped));
        }
        if names.iter().any(String::is_empty) {
            return Err(ClaimPathFault::EmptyName);
        }
        Ok(Self(names))
    }

    /// The name of the claim itself, and the names that lead from its value to the one that is meant.
    pub(super) fn split(&self) -> (&str, &[String]) {
        self.0.split_first().map_or(("", &[]), |(claim, within)| (claim.as_str(), within))
    }
}

/// The text with every dot escaped that stands between a `://` and the last `/`; `None` if all of them are.
fn with_url_escaped(text: &str) -> Option<String> {
    const AFTER_SCHEME: &str = "://";
    let start = text.find(AFTER_SCHEME)?.saturating_add(AFTER_SCHEME.len());
    let end = text.rfind('/')?;
    let url = text.get(start..end)?;
    let mut escaped = text.get(..start)?.to_owned();
    let mut found = false;
    let mut is_escaped = false;
    for letter in url.chars() {
        if letter == '.' && !is_escaped {
            found = true;
            escaped.push('\\');
        }
        is_escaped = letter == '\\' && !is_escaped;
        escaped.push(letter);
    }
    escaped.push_str(text.get(end..)?);
    found.then_some(escaped)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<String> {
        ClaimPath::parse(text).unwrap().0
    }

    #[test]
    fn a_dot_leads_into_an_object_and_an_escaped_one_does_not() {
        assert_eq!(names("sub"), ["sub"]);
        assert_eq!(names("realm_access.roles"), ["realm_access", "roles"]);
        assert_eq!(
            names(r"resource_access.com\.example\.orders.roles"),
            ["resource_access", "com.example.orders", "roles"]
        );
        assert_eq!(names(r"a\\.b"), [r"a\", "b"]);
        assert_eq!(names(r"a\\\.b"), [r"a\.b"]);
        assert_eq!(names(r"\."), ["."]);
        assert_eq!(names("cognito:groups"), ["cognito:groups"]);
    }

    #[test]
    fn a_claim_may_be_named_by_a_url() {
        assert_eq!(
            names(r"https://hasura\.io/jwt/claims.x-hasura-role"),
            ["https://hasura.io/jwt/claims", "x-hasura-role"]
        );
        assert_eq!(names(r"https://example\.com/v1\.2/roles"), ["https://example.com/v1.2/roles"]);
        assert_eq!(names("https://localhost/roles"), ["https://localhost/roles"]);
        assert_eq!(names(r"a.https://b\.c/d"), ["a", "https://b.c/d"]);
        // Nothing stands between :// and the last slash, which is its own.
        assert_eq!(names("https://example.com"), ["https://example", "com"]);
    }

    #[test]
    fn an_unescaped_dot_of_a_url_is_refused_with_the_spelling_that_was_meant() {
        for (text, meant) in [
            ("https://hasura.io/jwt/claims.x-role", r"https://hasura\.io/jwt/claims.x-role"),
            ("https://a.b.c/v1.2/roles", r"https://a\.b\.c/v1\.2/roles"),
            (r"https://a\.b.c/roles", r"https://a\.b\.c/roles"),
            (r"https://a\\.b/roles", r"https://a\\\.b/roles"),
            ("x.urn://a.b/c.d", r"x.urn://a\.b/c.d"),
            ("https://a..b/c", r"https://a\.\.b/c"),
            ("a://b.c://d.e/f", r"a://b\.c://d\.e/f"),
        ] {
            let fault = ClaimPath::parse(text).unwrap_err();
            assert_eq!(fault, ClaimPathFault::UnescapedUrl(meant.to_owned()), "{text}");
            assert!(ClaimPath::parse(meant).is_ok(), "{meant}");
        }
    }

    #[test]
    fn what_names_no_claim_is_refused() {
        for (text, fault) in [
            ("", ClaimPathFault::EmptyName),
            (".", ClaimPathFault::EmptyName),
            ("a..b", ClaimPathFault::EmptyName),
            (".a", ClaimPathFault::EmptyName),
            ("a.", ClaimPathFault::EmptyName),
            (r"a\", ClaimPathFault::UnknownEscape),
            (r"a\n", ClaimPathFault::UnknownEscape),
            (r"a\/b", ClaimPathFault::UnknownEscape),
            ("a\nb", ClaimPathFault::HasControls),
        ] {
            assert_eq!(ClaimPath::parse(text), Err(fault), "{text:?}");
        }
    }
}
