//! What is to be revoked, as the fleet's entry for it: the entry that an Envoy makes, by the same code.

use api_guard_core::cells::MemoryCells;
use api_guard_core::fleet::Names;
use api_guard_core::json::Json;
use api_guard_core::revocation::{Authority, Lifetime, Revocable, Revocations, SharedEntry};
use api_guard_core::time::UnixNanos;
use api_guard_core::token::claim_path::ClaimPath;
use api_guard_core::token::claims::{Claims, ClaimsReader};
use api_guard_core::token::compact::{Compact, decode};
use api_guard_core::token::date::NumericDate;
use api_guard_core::token::identity::{SigningDigest, TokenIdentity};
use api_guard_core::token::subject;
use serde_json::Value;

use crate::outcome::Failure;

/// The largest `tokens.clock_skew_seconds`.
pub(super) const LARGEST_SKEW: u64 = 86_400;
/// Room for entries, of which there is one.
const CAPACITY: u32 = 1024;

/// What is to be revoked.
#[derive(Debug)]
pub(super) enum Object {
    Token(Token),
    Jti { jti: String, expires_at: u64 },
    Subject { issuer: Option<String>, sub: String, issued_before: u64 },
}

/// A token that was read, and not verified.
pub(super) struct Token {
    signing_input: Vec<u8>,
    issuer: Option<String>,
    subject: Option<String>,
    jti: Option<String>,
    expires_at: Option<UnixNanos>,
    issued_at: Option<UnixNanos>,
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("<secret>")
    }
}

/// A revocation, as the store gets it.
pub(super) struct Revocation {
    /// What is revoked, in words.
    pub(super) told: String,
    /// When what is revoked ends, Unix seconds; `None`: never.
    pub(super) ends_at: Option<u64>,
    /// Until when the store keeps it; `None`: for good.
    pub(super) kept_until: Option<u64>,
    /// `None` if no Envoy can accept it any more.
    pub(super) entry: Option<SharedEntry>,
}

impl Object {
    /// A token, with or without a signature that anybody could verify.
    pub(super) fn token(text: &str, subject_claim: &ClaimPath) -> Result<Self, String> {
        Token::read(text, subject_claim).map(Self::Token).map_err(|why| format!("--token: {why}"))
    }

    pub(super) fn jti(jti: &str, expires_at: u64) -> Result<Self, String> {
        if jti.is_empty() {
            return Err("--jti: it is empty".to_owned());
        }
        Ok(Self::Jti { jti: jti.to_owned(), expires_at })
    }

    pub(super) fn subject(issuer: Option<&str>, sub: &str, issued_before: u64) -> Result<Self, String> {
        if issuer.is_some_and(str::is_empty) {
            return Err("--iss: it is empty; leave it out for every issuer".to_owned());
        }
        if subject::check(sub).is_err() {
            return Err("--sub: write 1 to 256 bytes without control characters".to_owned());
        }
        Ok(Self::Subject { issuer: issuer.map(str::to_owned), sub: sub.to_owned(), issued_before })
    }

    /// A name for it, for machines.
    pub(super) const fn kind(&self) -> &'static str {
        match self {
            Self::Token(_) => "token",
            Self::Jti { .. } => "jti",
            Self::Subject { .. } => "subject",
        }
    }

    /// The entry, under the names of the fleet. `clock_skew`: seconds.
    pub(super) fn revocation(
        &self,
        names: &Names,
        clock_skew: u64,
        now: UnixNanos,
    ) -> Result<Revocation, Failure> {
        let fault =
            |_| Failure::failed("the entry cannot be made; please report this as a fault of api-guard");
        let cells = MemoryCells::new();
        // What is shared is the same under every seed.
        let mut revocations = Revocations::open(&cells, names.seed(), CAPACITY).map_err(fault)?;
        revocations.share_under(names);
        let ends_at = |end: Option<UnixNanos>| end.map(|end| end.nanos().div_ceil(1_000_000_000));
        let mut revoke = |revocable, lifetime| {
            let revoked = revocations.revoke(&cells, revocable, lifetime, Authority::Holder, now);
            revoked.map(|()| revocations.take_entered().first().copied())
        };
        let (told, end, lifetime, entered) = match self {
            Self::Token(token) => {
                let digest = SigningDigest::of(&token.signing_input, &names.seed());
                let identity = match token.jti.as_deref() {
                    None | Some("") => TokenIdentity::Signed(digest),
                    Some(jti) => TokenIdentity::Numbered {
                        issuer: token.issuer.as_deref(),
                        subject: token.subject.as_deref(),
                        jti,
                    },
                };
                let lifetime = Lifetime::of_token(token.expires_at, clock_skew);
                let marks =
                    Revocations::open(&cells, names.seed(), CAPACITY).map_err(fault).map(|mut view| {
                        view.share_under(names);
                        view.marks(&identity, token.issuer.as_deref(), token.subject.as_deref())
                    })?;
                let revocable = Revocable::Token { marks: &marks, issued_at: token.issued_at };
                (token.told(), ends_at(token.expires_at), lifetime, revoke(revocable, lifetime))
            }
            Self::Jti { jti, expires_at } => {
                let lifetime = Lifetime::outliving(UnixNanos::from_seconds(*expires_at), clock_skew);
                let told = format!("every token with the jti {}", quoted(jti));
                (told, Some(*expires_at), lifetime, revoke(Revocable::Jti(jti), lifetime))
            }
            Self::Subject { issuer, sub, issued_before } => {
                let revocable =
                    Revocable::Subject { issuer: issuer.as_deref(), sub, issued_before: *issued_before };
                let of = issuer.as_ref().map(|issuer| format!(" of {}", quoted(issuer))).unwrap_or_default();
                let before = crate::words::moment(*issued_before, now.seconds());
                let told =
                    format!("every token of the subject {}{of} that was issued before {before}", quoted(sub));
                // For how long tokens live is not known here.
                (told, None, Lifetime::ForGood, revoke(revocable, Lifetime::ForGood))
            }
        };
        let entry = entered.map_err(|_| {
            Failure::failed("the entry cannot be made; please report this as a fault of api-guard")
        })?;
        let kept_until = match lifetime {
            Lifetime::UntilSecond(second) => Some(second),
            Lifetime::ForGood => None,
        };
        Ok(Revocation { told, ends_at: end, kept_until, entry })
    }
}

impl Token {
    /// Reads what an Envoy reads of a token, and refuses what no Envoy accepts.
    fn read(text: &str, subject_claim: &ClaimPath) -> Result<Self, String> {
        const NO_JWT: &str = "not a JWT, header.claims.signature (RFC 7519)";
        let compact = Compact::read(text.as_bytes(), usize::MAX).map_err(|_| NO_JWT)?;
        let header = decode(compact.header).map_err(|_| NO_JWT)?;
        if !serde_json::from_slice::<Value>(&header).is_ok_and(|header| header.is_object()) {
            return Err(NO_JWT.to_owned());
        }
        let payload = decode(compact.payload).map_err(|_| NO_JWT)?;
        let mut reader = ClaimsReader::default();
        let mut slot = |name: &str| ClaimPath::parse(name).map(|path| reader.slot(&path)).map_err(|_| NO_JWT);
        let (exp, iat, iss, jti) = (slot("exp")?, slot("iat")?, slot("iss")?, slot("jti")?);
        let sub = reader.slot(subject_claim);
        let claims = Claims::read(&reader, &payload).map_err(
            |_| "its claims are not one JSON object without repeated names, so no Envoy accepts it",
        )?;
        let date = |slot, name: &str| match claims.value(slot) {
            None => Ok(None),
            Some(value) => match NumericDate::read(value) {
                Ok(date) => Ok(Some(date.moment())),
                Err(_) => Err(format!("{name} is no date up to the year 9999, so no Envoy accepts it")),
            },
        };
        let string = |slot, name: &str| match claims.value(slot) {
            None => Ok(None),
            Some(value) => match value.as_text() {
                Some(text) => Ok(Some(text.to_owned())),
                None => Err(format!("{name} is not a text, so no Envoy accepts it")),
            },
        };
        let subject = match claims.value(sub) {
            None => None,
            Some(Json::Text(text)) => Some(text.to_string()),
            Some(Json::Number(number)) if number.is_natural() => Some(number.text().to_owned()),
            Some(_) => {
                return Err("its subject is neither a text nor an integer, so no Envoy accepts it".to_owned());
            }
        };
        Ok(Self {
            signing_input: compact.signing_input.to_vec(),
            issuer: string(iss, "iss")?,
            subject,
            jti: string(jti, "jti")?,
            expires_at: date(exp, "exp")?,
            issued_at: date(iat, "iat")?,
        })
    }

    fn told(&self) -> String {
        let of = |text: &Option<String>, what: &str| {
            text.as_ref().map(|text| format!(" {what} {}", quoted(text))).unwrap_or_default()
        };
        match self.jti.as_deref() {
            None | Some("") => {
                format!("the token{}, by what was signed", of(&self.subject, "of the subject"))
            }
            Some(jti) => {
                format!("the token with the jti {}{}", quoted(jti), of(&self.subject, "of the subject"))
            }
        }
    }
}

/// A text from outside, on one line.
fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}
