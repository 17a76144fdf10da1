//! The configured lists: which tokens does the operator refuse, whatever the revocation endpoint was told?
//!
//! They are the durable way to revoke: what the endpoint enters ends with the process.

use crate::lookup::Lookup;
use crate::time::UnixNanos;

/// What `revocation.denied` of the configuration lists. Compared byte for byte.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Denied {
    /// Refused values of `jti`.
    pub(crate) jti: Lookup,
    /// Refused values of `sub`.
    pub(crate) sub: Lookup,
    /// For a `sub` that is refused at some issuers, an index in `issuers`.
    pub(crate) sub_of_issuer: Lookup,
    /// The issuers at which such a subject is refused.
    pub(crate) issuers: Vec<Vec<String>>,
    /// Refused values of the header's `kid`.
    pub(crate) kid: Lookup,
    /// For a `sub`, an index in `moments`.
    pub(crate) sub_issued_before: Lookup,
    /// The Unix second before which a subject's tokens are refused.
    pub(crate) moments: Vec<u64>,
}

impl Denied {
    /// Whether nothing is listed.
    pub fn is_empty(&self) -> bool {
        let lists = [&self.jti, &self.sub, &self.sub_of_issuer, &self.kid, &self.sub_issued_before];
        lists.into_iter().all(Lookup::is_empty)
    }

    /// Whether a verified token with these claims is refused. One without `iat` counts as older than any moment.
    pub fn refuses(
        &self,
        jti: Option<&str>,
        iss: Option<&str>,
        sub: Option<&str>,
        kid: Option<&str>,
        issued_at: Option<UnixNanos>,
    ) -> bool {
        let is_old = |before: u64| issued_at.is_none_or(|moment| moment.seconds() < before);
        jti.is_some_and(|jti| self.jti.contains(jti))
            || kid.is_some_and(|kid| self.kid.contains(kid))
            || sub.is_some_and(|sub| {
                let issuers = || self.issuers.get(self.sub_of_issuer.get(sub)?);
                let is_at = |issuers: &Vec<String>| issuers.iter().any(|issuer| iss == Some(issuer));
                self.sub.contains(sub)
                    || issuers().is_some_and(is_at)
                    || self.issued_before(sub).is_some_and(is_old)
            })
    }

    /// The Unix second before which a subject's tokens are refused.
    pub fn issued_before(&self, sub: &str) -> Option<u64> {
        self.moments.get(self.sub_issued_before.get(sub)?).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn denied() -> Denied {
        Denied {
            jti: Lookup::from_iter(["stolen"]),
            sub: Lookup::from_iter(["mallory"]),
            sub_of_issuer: Lookup::from_iter(["eve"]),
            issuers: vec![vec!["https://a".to_owned(), "https://b".to_owned()]],
            kid: Lookup::from_iter(["leaked"]),
            sub_issued_before: Lookup::from_iter(["user-7"]),
            moments: vec![1000],
        }
    }

    #[test]
    fn each_list_refuses_its_own_claim_only() {
        let denied = denied();
        assert!(denied.refuses(Some("stolen"), None, Some("alice"), Some("k1"), None));
        assert!(denied.refuses(None, None, Some("mallory"), None, None));
        assert!(denied.refuses(None, None, None, Some("leaked"), None));
        assert!(!denied.refuses(Some("mallory"), None, Some("leaked"), Some("stolen"), None));
        assert!(!denied.refuses(Some("Stolen"), None, Some("mallory "), Some(""), None));
        assert!(!denied.refuses(None, None, None, None, None));
    }

    #[test]
    fn a_subject_of_an_issuer_is_refused_there_alone() {
        let refuses = |iss, sub| denied().refuses(None, iss, Some(sub), None, None);
        assert!(refuses(Some("https://a"), "eve") && refuses(Some("https://b"), "eve"));
        assert!(
            !refuses(Some("https://c"), "eve")
                && !refuses(None, "eve")
                && !refuses(Some("https://a"), "eve2")
        );
        assert!(refuses(Some("https://a"), "mallory") && refuses(None, "mallory"));
    }

    #[test]
    fn a_subject_is_refused_for_tokens_issued_before_the_moment_and_for_those_that_do_not_say() {
        let denied = denied();
        let refuses =
            |nanos| denied.refuses(None, None, Some("user-7"), None, Some(UnixNanos::from_nanos(nanos)));
        assert!(refuses(0));
        assert!(refuses(999_999_999_999));
        assert!(!refuses(1_000_000_000_000));
        assert!(denied.refuses(None, None, Some("user-7"), None, None));
        assert!(!denied.refuses(None, None, Some("user-70"), None, Some(UnixNanos::from_seconds(0))));
    }

    #[test]
    fn empty_lists_refuse_nothing() {
        assert!(!Denied::default().refuses(Some(""), None, Some(""), Some(""), None));
    }
}
