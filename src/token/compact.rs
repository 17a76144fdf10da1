//! The outer form of a token: three base64url parts, and a JOSE header that asks for nothing unusual (RFC 7515).
//!
//! Knows no keys and no claims. Refuses most of what is not a token in one pass over its bytes.

use ct_codecs::{Base64UrlSafeNoPadding, Decoder};
use serde_json::Value;

use super::TokenFault;
use crate::json;

/// A token cut into its parts, still encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compact<'a> {
    /// The JOSE header.
    pub header: &'a [u8],
    /// The claims.
    pub payload: &'a [u8],
    /// The MAC; may be empty.
    pub signature: &'a [u8],
    /// Header, dot, payload: what the MAC is over (RFC 7515 section 5.2).
    pub signing_input: &'a [u8],
}

impl<'a> Compact<'a> {
    /// Cuts `token`. Length, alphabet and number of dots are settled here.
    pub fn read(token: &'a [u8], max_bytes: usize) -> Result<Self, TokenFault> {
        if token.len() > max_bytes {
            return Err(TokenFault::Malformed("longer than allowed"));
        }
        let known = |byte: &u8| matches!(byte, b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.');
        if !token.iter().all(known) {
            return Err(TokenFault::Malformed("a character that no token has"));
        }
        let mut parts = token.splitn(4, |&byte| byte == b'.');
        let (Some(header), Some(payload), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(TokenFault::Malformed("not three parts"));
        };
        if header.is_empty() || payload.is_empty() {
            return Err(TokenFault::Malformed("an empty part"));
        }
        let signed = header.len().saturating_add(1).saturating_add(payload.len());
        let signing_input = token.get(..signed).unwrap_or_default();
        Ok(Self { header, payload, signature, signing_input })
    }
}

/// Decodes one part. Strict: no padding, no other alphabet, spare bits zero.
pub fn decode(part: &[u8]) -> Result<Vec<u8>, TokenFault> {
    // Three bytes for every four characters are always enough.
    let mut bytes = vec![0; part.len()];
    let length = Base64UrlSafeNoPadding::decode(&mut bytes, part, None)
        .map_err(|_| TokenFault::Malformed("a part is not base64url"))?
        .len();
    bytes.truncate(length);
    Ok(bytes)
}

/// A JOSE header that api-guard accepts, before its key is known.
#[derive(Debug, PartialEq, Eq)]
pub struct Header {
    /// The algorithm as the token names it.
    pub alg: String,
    /// The key that the token names: attacker's input, only ever compared.
    pub kid: Option<String>,
}

/// The members that are read.
const MEMBERS: [&str; 5] = ["alg", "kid", "typ", "crit", "b64"];

impl Header {
    /// Reads the decoded header. Members that bring keys along (`jwk`, `jku`, `x5c`...) are never used.
    pub fn read(bytes: &[u8]) -> Result<Self, TokenFault> {
        const FORM: TokenFault = TokenFault::Malformed("header is not a JSON object of the right form");
        let text = std::str::from_utf8(bytes).map_err(|_| TokenFault::Malformed("header is not UTF-8"))?;
        let number = |name: &str| MEMBERS.iter().position(|known| *known == name);
        let members = json::members(text, &number).map_err(|_| FORM)?;
        let members = members.ok_or(TokenFault::Malformed("header is not a JSON object"))?;
        let mut values = MEMBERS.map(|_| None);
        for member in members {
            // RFC 7515 section 4: names are unique.
            if values.get_mut(member.number).is_none_or(|value| value.replace(member.value).is_some()) {
                return Err(FORM);
            }
        }
        let text = |value: Option<Value>| match value {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(FORM),
        };
        let [alg, kid, typ, crit, b64] = values;
        let (alg, kid, typ) = (text(alg)?, text(kid)?, text(typ)?);
        let unencoded = match b64 {
            None | Some(Value::Bool(true)) => false,
            Some(Value::Bool(false)) => true,
            Some(_) => return Err(FORM),
        };
        let alg = alg.ok_or(TokenFault::AlgorithmRefused)?;
        if crit.is_some() {
            return Err(TokenFault::Malformed("critical extensions are not accepted"));
        }
        if unencoded {
            return Err(TokenFault::Malformed("unencoded payloads are not accepted"));
        }
        // RFC 8725 section 3.11: one kind of JWT is not accepted as another.
        if typ.is_some_and(|typ| !typ.eq_ignore_ascii_case("JWT") && !typ.eq_ignore_ascii_case("at+jwt")) {
            return Err(TokenFault::Malformed("a type that is not accepted"));
        }
        Ok(Self { alg, kid })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_three_parts_of_the_alphabet_make_a_token() {
        let read = |token: &'static str| Compact::read(token.as_bytes(), 64);
        assert!(read("a.b.c").is_ok() && read("a.b.").is_ok());
        for bad in [
            "",
            "a",
            "a.b",
            "a.b.c.d",
            "a.b.c.d.e",
            ".b.c",
            "a..c",
            "a.b.c ",
            "a.b.c=",
            "a.b.\u{200b}c",
            "..",
            "{}",
        ] {
            assert!(matches!(read(bad), Err(TokenFault::Malformed(_))), "{bad:?}");
        }
        assert!(Compact::read(&[b'a'; 65], 64).is_err());
        let cut = read("ab.cde.f").unwrap();
        assert_eq!(cut.signing_input, b"ab.cde");
    }

    #[test]
    fn a_header_that_asks_for_something_unusual_is_refused() {
        for good in [
            r#"{"alg":"HS256"}"#,
            r#" {"typ":"at+JWT","alg":"HS256","kid":"a"}"#,
            r#"{"alg":"HS256","typ":"jwt","b64":true,"jku":"https://x/"}"#,
        ] {
            assert!(Header::read(good.as_bytes()).is_ok(), "{good}");
        }
        for bad in [
            r#"["HS256"]"#,
            r#"{"alg":"HS256","crit":[]}"#,
            r#"{"alg":"HS256","crit":null}"#,
            r#"{"alg":"HS256","b64":false}"#,
            r#"{"alg":"HS256","b64":0}"#,
            r#"{"alg":"HS256","typ":"logout+jwt"}"#,
            r#"{"alg":"HS256","typ":"dpop+jwt"}"#,
            r#"{"alg":"HS256","typ":1}"#,
            r#"{"alg":"HS256","alg":"HS256"}"#,
            r#"{"alg":"HS256","\u0061lg":"none"}"#,
            r#"{"alg":"HS256","kid":1}"#,
            r#"{"alg":["HS256"]}"#,
            r#"{"alg":"HS256"}x"#,
            r#"{"alg":"HS256","x":"\ud800"}"#,
            "{}",
            "",
            "null",
        ] {
            assert!(Header::read(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
