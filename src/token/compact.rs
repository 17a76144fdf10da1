//! The outer form of a token: three base64url parts, and a JOSE header that asks for nothing unusual (RFC 7515).
//!
//! Knows no keys and no claims. Refuses most of what is not a token in one pass over its bytes.

use std::borrow::Cow;
use std::fmt;

use ct_codecs::{Base64UrlSafeNoPadding, Decoder};
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};

use super::TokenFault;
use crate::json::Checked;

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
pub struct Header<'a> {
    /// The algorithm as the token names it.
    pub alg: Cow<'a, str>,
    /// The key that the token names: attacker's input, only ever compared.
    pub kid: Option<Cow<'a, str>>,
}

impl<'a> Header<'a> {
    /// Reads the decoded header. Members that bring keys along (`jwk`, `jku`, `x5c`...) are never used.
    pub fn read(bytes: &'a [u8]) -> Result<Self, TokenFault> {
        let text = std::str::from_utf8(bytes).map_err(|_| TokenFault::Malformed("header is not UTF-8"))?;
        // A JSON array would be read as a struct by position; the first character settles it.
        if !text.trim_start_matches([' ', '\t', '\n', '\r']).starts_with('{') {
            return Err(TokenFault::Malformed("header is not a JSON object"));
        }
        let members: Members<'a> = serde_json::from_str(text)
            .map_err(|_| TokenFault::Malformed("header is not a JSON object of the right form"))?;
        let Some(alg) = members.alg else { return Err(TokenFault::AlgorithmRefused) };
        if members.crit {
            return Err(TokenFault::Malformed("critical extensions are not accepted"));
        }
        if members.unencoded {
            return Err(TokenFault::Malformed("unencoded payloads are not accepted"));
        }
        // RFC 8725 section 3.11: one kind of JWT is not accepted as another.
        if members
            .typ
            .is_some_and(|typ| !typ.eq_ignore_ascii_case("JWT") && !typ.eq_ignore_ascii_case("at+jwt"))
        {
            return Err(TokenFault::Malformed("a type that is not accepted"));
        }
        Ok(Self { alg, kid: members.kid })
    }
}

/// The members that are read. RFC 7515 section 4: names are unique.
#[derive(Default)]
struct Members<'a> {
    alg: Option<Cow<'a, str>>,
    kid: Option<Cow<'a, str>>,
    typ: Option<Cow<'a, str>>,
    crit: bool,
    unencoded: bool,
    seen: u8,
}

/// A string, borrowed from the header where it has no escapes.
struct Text<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Text<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }
            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Either)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Members<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = Members::default();
                while let Some(Text(name)) = map.next_key()? {
                    let bit = match &*name {
                        "alg" => {
                            members.alg = Some(map.next_value::<Text<'de>>()?.0);
                            1
                        }
                        "kid" => {
                            members.kid = Some(map.next_value::<Text<'de>>()?.0);
                            2
                        }
                        "typ" => {
                            members.typ = Some(map.next_value::<Text<'de>>()?.0);
                            4
                        }
                        "crit" => {
                            map.next_value::<Checked>()?;
                            members.crit = true;
                            8
                        }
                        "b64" => {
                            members.unencoded = !map.next_value::<bool>()?;
                            16
                        }
                        _ => {
                            map.next_value::<Checked>()?;
                            continue;
                        }
                    };
                    if members.seen & bit != 0 {
                        return Err(A::Error::custom("repeated name"));
                    }
                    members.seen |= bit;
                }
                Ok(members)
            }
        }
        deserializer.deserialize_map(Object)
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
