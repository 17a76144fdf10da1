//! The body of a revocation: what does the caller of the endpoint ask for?
//!
//! Strict JSON (RFC 8259) in UTF-8: an object with exactly the members of one request, each once, or nothing at all.
//! Whether the token verifies and whether the caller may do this is asked elsewhere.

use std::fmt;

use crate::json::{self, Json};
use crate::token::date::{DateFault, NumericDate};
use crate::token::subject::{self, LONGEST_SUBJECT_BYTES, SubjectFault};

/// The longest body that is read, in bytes.
pub const MAX_BODY_BYTES: usize = 16 * 1024;

/// What the caller wants revoked.
#[derive(Clone, PartialEq, Eq)]
pub enum RevocationRequest {
    /// No body: the token that the request itself carries.
    Own,
    /// This token, as the client wrote it; not verified yet.
    Token(String),
    /// Every token with this `jti`.
    Jti {
        /// Not empty.
        jti: String,
        /// The token's end in Unix seconds; a fraction was rounded up.
        expires_at: u64,
    },
    /// Every token of this `sub` issued before a moment.
    Subject {
        /// The only issuer whose subject is meant, not empty; `None`: that depends on the caller.
        iss: Option<String>,
        /// Not empty, at most 256 bytes, no control characters.
        sub: String,
        /// Unix seconds; a fraction was rounded up.
        issued_before: u64,
    },
}

impl fmt::Debug for RevocationRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Own => f.write_str("Own"),
            Self::Token(_) => f.write_str("Token(<secret>)"),
            Self::Jti { jti, expires_at } => {
                f.debug_struct("Jti").field("jti", jti).field("expires_at", expires_at).finish()
            }
            Self::Subject { iss, sub, issued_before } => f
                .debug_struct("Subject")
                .field("iss", iss)
                .field("sub", sub)
                .field("issued_before", issued_before)
                .finish(),
        }
    }
}

/// A member that a body may have; its text calls it a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// `token`: a compact JWT.
    Token,
    /// `jti`: a string.
    Jti,
    /// `expires_at`: a NumericDate (RFC 7519, section 2).
    ExpiresAt,
    /// `iss`: a string, beside `sub`.
    Iss,
    /// `sub`: a string.
    Sub,
    /// `issued_before`: a NumericDate.
    IssuedBefore,
}

impl Field {
    const ALL: [Self; 6] =
        [Self::Token, Self::Jti, Self::ExpiresAt, Self::Iss, Self::Sub, Self::IssuedBefore];

    /// The member's name in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Jti => "jti",
            Self::ExpiresAt => "expires_at",
            Self::Iss => "iss",
            Self::Sub => "sub",
            Self::IssuedBefore => "issued_before",
        }
    }
}

/// What is wrong with a body. Its text names members of ours at most, never what the client wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyProblem {
    /// More than [`MAX_BODY_BYTES`].
    TooLarge,
    /// Not UTF-8.
    NotUtf8,
    /// Not one JSON text.
    NotJson,
    /// JSON, but no object.
    NotAnObject,
    /// A member of another name.
    UnknownField,
    /// A member is there twice.
    Repeated(Field),
    /// A member's value has another type.
    WrongType(Field),
    /// A date below 0 or past the year 9999.
    DateOutOfRange(Field),
    /// `jti`, `iss` or `sub` is an empty string.
    Empty(Field),
    /// `sub` is over 256 bytes.
    SubjectTooLong,
    /// `sub` holds control characters.
    SubjectHasControls,
    /// Only a part of a request: this member is missing.
    Missing(Field),
    /// Nothing to revoke is named, or members of several requests are there.
    NotOneRequest,
}

impl fmt::Display for BodyProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge => write!(f, "body exceeds maximum: {MAX_BODY_BYTES} bytes"),
            Self::NotUtf8 => f.write_str("body is not UTF-8"),
            Self::NotJson => f.write_str("body is not valid JSON"),
            Self::NotAnObject => f.write_str("body must be a JSON object"),
            Self::UnknownField => f.write_str("body has an unknown field"),
            Self::Repeated(member) => write!(f, "field {} is repeated", member.name()),
            Self::WrongType(member @ (Field::ExpiresAt | Field::IssuedBefore)) => {
                write!(f, "field {} must be a number of seconds", member.name())
            }
            Self::WrongType(member) => write!(f, "field {} must be a string", member.name()),
            Self::DateOutOfRange(member) => {
                write!(f, "field {} must be seconds since 1970, up to the year 9999", member.name())
            }
            Self::Empty(member) => write!(f, "field {} is empty", member.name()),
            Self::SubjectTooLong => write!(f, "field sub exceeds maximum: {LONGEST_SUBJECT_BYTES} bytes"),
            Self::SubjectHasControls => f.write_str("field sub contains control characters"),
            Self::Missing(member) => write!(f, "field {} is missing", member.name()),
            Self::NotOneRequest => f.write_str(
                "body must have exactly one of token, jti with expires_at, sub (perhaps of an iss) with issued_before, or be empty",
            ),
        }
    }
}

impl std::error::Error for BodyProblem {}

impl RevocationRequest {
    /// Reads a whole body. White space alone is an empty one.
    ///
    /// # Errors
    ///
    /// [`BodyProblem`] says what is wrong with the body.
    pub fn parse(body: &[u8]) -> Result<Self, BodyProblem> {
        if body.len() > MAX_BODY_BYTES {
            return Err(BodyProblem::TooLarge);
        }
        let text = std::str::from_utf8(body).map_err(|_| BodyProblem::NotUtf8)?;
        if text.bytes().all(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r')) {
            return Ok(Self::Own);
        }
        let Json::Object(object) = Json::read(text).map_err(|_| BodyProblem::NotJson)? else {
            return Err(BodyProblem::NotAnObject);
        };
        Self::from_members(object.members())
    }

    fn from_members<'t>(members: impl Iterator<Item = json::Member<'t>>) -> Result<Self, BodyProblem> {
        let (mut token, mut jti, mut expires_at) = (None, None, None);
        let (mut iss, mut sub, mut issued_before) = (None, None, None);
        for (name, value) in members {
            let member = Field::ALL.into_iter().find(|member| member.name() == name);
            let member = member.ok_or(BodyProblem::UnknownField)?;
            let is_repeated = match member {
                Field::Token => token.replace(string(member, value)?).is_some(),
                Field::Jti => jti.replace(string(member, value)?).is_some(),
                Field::ExpiresAt => expires_at.replace(date(member, &value)?).is_some(),
                Field::Iss => iss.replace(string(member, value)?).is_some(),
                Field::Sub => sub.replace(string(member, value)?).is_some(),
                Field::IssuedBefore => issued_before.replace(date(member, &value)?).is_some(),
            };
            if is_repeated {
                return Err(BodyProblem::Repeated(member));
            }
        }
        let iss = iss.map(|iss| named(Field::Iss, iss)).transpose()?;
        match (token, jti, expires_at, &iss, sub, issued_before) {
            (Some(token), None, None, None, None, None) => Ok(Self::Token(token)),
            (None, Some(jti), Some(expires_at), None, None, None) => {
                named(Field::Jti, jti).map(|jti| Self::Jti { jti, expires_at })
            }
            (None, None, None, _, Some(sub), Some(issued_before)) => {
                named_subject(sub).map(|sub| Self::Subject { iss, sub, issued_before })
            }
            (None, Some(_), None, None, None, None) => Err(BodyProblem::Missing(Field::ExpiresAt)),
            (None, None, Some(_), None, None, None) => Err(BodyProblem::Missing(Field::Jti)),
            (None, None, None, _, Some(_), None) => Err(BodyProblem::Missing(Field::IssuedBefore)),
            (None, None, None, _, None, Some(_)) => Err(BodyProblem::Missing(Field::Sub)),
            _ => Err(BodyProblem::NotOneRequest),
        }
    }
}

fn string(member: Field, value: Json<'_>) -> Result<String, BodyProblem> {
    let Json::Text(text) = value else { return Err(BodyProblem::WrongType(member)) };
    Ok(text.into_owned())
}

fn named(member: Field, text: String) -> Result<String, BodyProblem> {
    if text.is_empty() { Err(BodyProblem::Empty(member)) } else { Ok(text) }
}

fn named_subject(sub: String) -> Result<String, BodyProblem> {
    match subject::check(&sub) {
        Ok(()) => Ok(sub),
        Err(SubjectFault::Empty) => Err(BodyProblem::Empty(Field::Sub)),
        Err(SubjectFault::TooLong) => Err(BodyProblem::SubjectTooLong),
        Err(SubjectFault::HasControls) => Err(BodyProblem::SubjectHasControls),
    }
}

/// A NumericDate as whole seconds, rounded up.
fn date(member: Field, value: &Json<'_>) -> Result<u64, BodyProblem> {
    match NumericDate::read(value) {
        Ok(date) => Ok(date.seconds_rounded_up()),
        Err(DateFault::NotANumber) => Err(BodyProblem::WrongType(member)),
        Err(DateFault::BelowZero | DateFault::TooLate) => Err(BodyProblem::DateOutOfRange(member)),
    }
}

#[cfg(test)]
mod tests;
