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
            Self::Subject { sub, issued_before } => {
                f.debug_struct("Subject").field("sub", sub).field("issued_before", issued_before).finish()
            }
        }
    }
}

/// The members that a body may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Member {
    /// `token`: a compact JWT.
    Token,
    /// `jti`: a string.
    Jti,
    /// `expires_at`: a NumericDate (RFC 7519, section 2).
    ExpiresAt,
    /// `sub`: a string.
    Sub,
    /// `issued_before`: a NumericDate.
    IssuedBefore,
}

impl Member {
    const ALL: [Self; 5] = [Self::Token, Self::Jti, Self::ExpiresAt, Self::Sub, Self::IssuedBefore];

    /// The member's name in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Jti => "jti",
            Self::ExpiresAt => "expires_at",
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
    UnknownMember,
    /// A member is there twice.
    Repeated(Member),
    /// A member's value has another type.
    WrongType(Member),
    /// A date below 0 or past the year 9999.
    DateOutOfRange(Member),
    /// `jti` or `sub` is an empty string.
    Empty(Member),
    /// `sub` is over 256 bytes.
    SubjectTooLong,
    /// `sub` holds control characters.
    SubjectHasControls,
    /// Only a part of a request: this member is missing.
    Missing(Member),
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
            Self::UnknownMember => f.write_str("body has an unknown field"),
            Self::Repeated(member) => write!(f, "field {} is repeated", member.name()),
            Self::WrongType(member @ (Member::ExpiresAt | Member::IssuedBefore)) => {
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
                "body must have exactly one of token, jti with expires_at, sub with issued_before, or be empty",
            ),
        }
    }
}

impl std::error::Error for BodyProblem {}

impl RevocationRequest {
    /// Reads a whole body. White space alone is an empty one.
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
        let (mut token, mut jti, mut expires_at, mut sub, mut issued_before) = (None, None, None, None, None);
        for (name, value) in members {
            let member = Member::ALL.into_iter().find(|member| member.name() == name);
            let member = member.ok_or(BodyProblem::UnknownMember)?;
            let is_repeated = match member {
                Member::Token => token.replace(string(member, value)?).is_some(),
                Member::Jti => jti.replace(string(member, value)?).is_some(),
                Member::ExpiresAt => expires_at.replace(date(member, &value)?).is_some(),
                Member::Sub => sub.replace(string(member, value)?).is_some(),
                Member::IssuedBefore => issued_before.replace(date(member, &value)?).is_some(),
            };
            if is_repeated {
                return Err(BodyProblem::Repeated(member));
            }
        }
        match (token, jti, expires_at, sub, issued_before) {
            (Some(token), None, None, None, None) => Ok(Self::Token(token)),
            (None, Some(jti), Some(expires_at), None, None) => {
                named(Member::Jti, jti).map(|jti| Self::Jti { jti, expires_at })
            }
            (None, None, None, Some(sub), Some(issued_before)) => {
                named_subject(sub).map(|sub| Self::Subject { sub, issued_before })
            }
            (None, Some(_), None, None, None) => Err(BodyProblem::Missing(Member::ExpiresAt)),
            (None, None, Some(_), None, None) => Err(BodyProblem::Missing(Member::Jti)),
            (None, None, None, Some(_), None) => Err(BodyProblem::Missing(Member::IssuedBefore)),
            (None, None, None, None, Some(_)) => Err(BodyProblem::Missing(Member::Sub)),
            _ => Err(BodyProblem::NotOneRequest),
        }
    }
}

fn string(member: Member, value: Json<'_>) -> Result<String, BodyProblem> {
    let Json::Text(text) = value else { return Err(BodyProblem::WrongType(member)) };
    Ok(text.into_owned())
}

fn named(member: Member, text: String) -> Result<String, BodyProblem> {
    if text.is_empty() { Err(BodyProblem::Empty(member)) } else { Ok(text) }
}

fn named_subject(sub: String) -> Result<String, BodyProblem> {
    match subject::check(&sub) {
        Ok(()) => Ok(sub),
        Err(SubjectFault::Empty) => Err(BodyProblem::Empty(Member::Sub)),
        Err(SubjectFault::TooLong) => Err(BodyProblem::SubjectTooLong),
        Err(SubjectFault::HasControls) => Err(BodyProblem::SubjectHasControls),
    }
}

/// A NumericDate as whole seconds, rounded up.
fn date(member: Member, value: &Json<'_>) -> Result<u64, BodyProblem> {
    match NumericDate::read(value) {
        Ok(date) => Ok(date.seconds_rounded_up()),
        Err(DateFault::NotANumber) => Err(BodyProblem::WrongType(member)),
        Err(DateFault::BelowZero | DateFault::TooLate) => Err(BodyProblem::DateOutOfRange(member)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(body: &str) -> Result<RevocationRequest, BodyProblem> {
        RevocationRequest::parse(body.as_bytes())
    }

    fn expiry(number: &str) -> Result<u64, BodyProblem> {
        let request = parse(&format!(r#"{{"jti":"j","expires_at":{number}}}"#))?;
        let RevocationRequest::Jti { expires_at, .. } = request else { panic!("{request:?}") };
        Ok(expires_at)
    }

    #[test]
    fn nothing_but_white_space_asks_for_the_callers_own_token() {
        for body in ["", " ", "\r\n\t  "] {
            assert_eq!(parse(body), Ok(RevocationRequest::Own));
        }
        assert_eq!(parse("\u{a0}"), Err(BodyProblem::NotJson));
    }

    #[test]
    fn each_request_is_read() {
        assert_eq!(
            parse(r#"{"token":""}"#),
            Ok(RevocationRequest::Token("".into())),
            "for the verifier to refuse"
        );
        assert_eq!(parse(r#" {"token":"a.b.c"} "#), Ok(RevocationRequest::Token("a.b.c".into())));
        assert_eq!(
            parse(r#"{"\u006ati":"\u00e9","expires_at":1800000000}"#),
            Ok(RevocationRequest::Jti { jti: "é".into(), expires_at: 1_800_000_000 })
        );
        assert_eq!(
            parse(r#"{"issued_before":0,"sub":"user-7"}"#),
            Ok(RevocationRequest::Subject { sub: "user-7".into(), issued_before: 0 })
        );
    }

    #[test]
    fn a_body_that_is_not_exactly_one_request_is_refused() {
        use BodyProblem::*;
        let cases = [
            ("{}", NotOneRequest),
            ("[]", NotAnObject),
            ("null", NotAnObject),
            (r#""token""#, NotAnObject),
            ("{", NotJson),
            (r#"{"token":"a"}x"#, NotJson),
            (r#"{"token":"a"}{}"#, NotJson),
            (r#"{"token":"a",}"#, NotJson),
            (r#"{"token":"\ud800"}"#, NotJson),
            ("\u{feff}{\"token\":\"a\"}", NotJson),
            (r#"{"token":"a","admin":true}"#, UnknownMember),
            (r#"{"Token":"a"}"#, UnknownMember),
            (r#"{"token":"a","token":"a"}"#, Repeated(Member::Token)),
            (r#"{"sub":"a","s\u0075b":"b","issued_before":1}"#, Repeated(Member::Sub)),
            (r#"{"token":"a","jti":"b","expires_at":1}"#, NotOneRequest),
            (r#"{"token":"a","expires_at":1}"#, NotOneRequest),
            (r#"{"jti":"a","issued_before":1}"#, NotOneRequest),
            (r#"{"sub":"a","issued_before":1,"expires_at":1}"#, NotOneRequest),
            (r#"{"jti":"a"}"#, Missing(Member::ExpiresAt)),
            (r#"{"expires_at":1}"#, Missing(Member::Jti)),
            (r#"{"sub":"a"}"#, Missing(Member::IssuedBefore)),
            (r#"{"issued_before":1}"#, Missing(Member::Sub)),
            (r#"{"token":null}"#, WrongType(Member::Token)),
            (r#"{"token":["a"]}"#, WrongType(Member::Token)),
            (r#"{"jti":7,"expires_at":1}"#, WrongType(Member::Jti)),
            (r#"{"jti":"a","expires_at":"1"}"#, WrongType(Member::ExpiresAt)),
            (r#"{"sub":"a","issued_before":null}"#, WrongType(Member::IssuedBefore)),
            (r#"{"jti":"","expires_at":1}"#, Empty(Member::Jti)),
            (r#"{"sub":"","issued_before":1}"#, Empty(Member::Sub)),
            (r#"{"sub":"a\u0000","issued_before":1}"#, SubjectHasControls),
            (r#"{"sub":"a\u0085","issued_before":1}"#, SubjectHasControls),
        ];
        for (body, problem) in cases {
            assert_eq!(parse(body), Err(problem), "{body}");
        }
        assert_eq!(RevocationRequest::parse(b"{\"token\":\"\xff\"}"), Err(NotUtf8));
    }

    #[test]
    fn a_subject_has_at_most_256_bytes() {
        let body = |sub: String| format!(r#"{{"sub":"{sub}","issued_before":1}}"#);
        assert!(parse(&body("é".repeat(128))).is_ok());
        assert_eq!(parse(&body("é".repeat(128) + "a")), Err(BodyProblem::SubjectTooLong));
    }

    #[test]
    fn a_body_has_at_most_16_kib() {
        let largest = format!(r#"{{"token":"{}"}}"#, "a".repeat(MAX_BODY_BYTES - 12));
        assert_eq!(largest.len(), MAX_BODY_BYTES);
        assert!(parse(&largest).is_ok());
        assert_eq!(parse(&(largest + " ")), Err(BodyProblem::TooLarge));
        assert_eq!(parse(&" ".repeat(MAX_BODY_BYTES + 1)), Err(BodyProblem::TooLarge));
    }

    #[test]
    fn a_fraction_of_a_second_is_rounded_up() {
        for (number, seconds) in [
            ("1000", 1000),
            ("1000.0", 1000),
            ("1000.000001", 1001),
            ("1800000000.5", 1_800_000_001),
            ("1.8e9", 1_800_000_000),
            ("0", 0),
            ("-0", 0),
            ("-0.0", 0),
            ("1e-9", 1),
            ("253402300799", 253_402_300_799),
            ("253402300799.5", 253_402_300_800),
        ] {
            assert_eq!(expiry(number), Ok(seconds), "{number}");
        }
    }

    #[test]
    fn a_date_below_zero_or_past_the_year_9999_is_refused() {
        let out_of_range = Err(BodyProblem::DateOutOfRange(Member::ExpiresAt));
        for number in
            ["-1", "-0.5", "-1e-300", "253402300800", "1800000000000", "18446744073709551616", "1e300"]
        {
            assert_eq!(expiry(number), out_of_range, "{number}");
        }
        assert_eq!(expiry("1e400"), Err(BodyProblem::NotJson));
        for number in ["01", "+1", "NaN", "0x10", "1."] {
            assert_eq!(expiry(number), Err(BodyProblem::NotJson), "{number}");
        }
    }

    #[test]
    fn nesting_without_end_is_refused() {
        for name in ["token", "other"] {
            let body = format!(r#"{{"{name}":{}"#, "[".repeat(MAX_BODY_BYTES - 20));
            assert_eq!(parse(&body), Err(BodyProblem::NotJson));
        }
    }

    #[test]
    fn a_problem_is_told_without_the_clients_words() {
        assert_eq!(parse(r#"{"<script>":1}"#).unwrap_err().to_string(), "body has an unknown field");
        assert_eq!(
            parse(r#"{"jti":"a","expires_at":"<script>"}"#).unwrap_err().to_string(),
            "field expires_at must be a number of seconds"
        );
    }

    #[test]
    fn debug_output_does_not_show_a_token() {
        assert_eq!(format!("{:?}", parse(r#"{"token":"a.b.c"}"#)), "Ok(Token(<secret>))");
    }

    #[test]
    fn no_text_of_the_json_test_suite_is_a_request() {
        let folder = std::env::var_os("API_GUARD_VECTORS").map_or_else(
            || std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/vectors"),
            std::path::PathBuf::from,
        );
        let Ok(files) = std::fs::read_dir(folder.join("JSONTestSuite")) else {
            eprintln!("skipped: no JSONTestSuite in {}", folder.display());
            return;
        };
        let mut texts = 0;
        for file in
            files.map(|file| file.unwrap().path()).filter(|path| path.extension() == Some("json".as_ref()))
        {
            let body = std::fs::read(&file).unwrap();
            let parsed = RevocationRequest::parse(&body);
            if body.trim_ascii().is_empty() {
                assert_eq!(parsed, Ok(RevocationRequest::Own), "{}", file.display());
            } else {
                assert!(parsed.is_err(), "{}", file.display());
            }
            texts += 1;
        }
        assert!(texts > 300, "{texts} texts");
    }
}
