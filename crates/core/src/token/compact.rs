//! The outer form of a token: three base64url parts, and a JOSE header that demands nothing unusual (RFC 7515).
//!
//! Knows no keys and no claims. Refuses most texts that are not tokens in one pass over the bytes.

use std::borrow::Cow;

use super::TokenFault;
use crate::bytes;
use crate::json::{Json, Members};

/// A token, split into its parts, which are still encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compact<'a> {
    /// The JOSE header.
    pub header: &'a [u8],
    /// The claims.
    pub payload: &'a [u8],
    /// The signature; may be empty.
    pub signature: &'a [u8],
    /// Header, dot and payload, which are signed (RFC 7515 section 5.2).
    pub signing_input: &'a [u8],
}

impl<'a> Compact<'a> {
    /// Splits `token`, and checks its length and the number of its dots. `max_bytes`: the longest accepted token.
    ///
    /// # Errors
    ///
    /// [`TokenFault::Malformed`] if the token is too long, does not have three parts, or has an empty header or
    /// payload.
    pub fn read(token: &'a [u8], max_bytes: usize) -> Result<Self, TokenFault> {
        if token.len() > max_bytes {
            return Err(TokenFault::Malformed("longer than allowed"));
        }
        let parts = cut(token).and_then(|(header, rest)| Some((header, cut(rest)?)));
        let Some((header, (payload, signature))) =
            parts.filter(|(_, (_, signature))| cut(signature).is_none())
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

    /// Decodes payload and signature. Each has a result of its own, because a part that was cut short is reported only
    /// after other faults.
    ///
    /// # Errors
    ///
    /// [`NotBase64Url::Strange`], which is reported before any other fault.
    pub fn decode(&self) -> Result<Decoded, NotBase64Url> {
        let (payload, signature) = (decode(self.payload), decode(self.signature));
        if payload == Err(NotBase64Url::Strange) || signature == Err(NotBase64Url::Strange) {
            return Err(NotBase64Url::Strange);
        }
        Ok(Decoded { payload, signature })
    }
}

/// The text before and after the first dot.
fn cut(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let (before, rest) = text.split_at_checked(bytes::find(text, b'.')?)?;
    Some((before, rest.get(1..)?))
}

/// Why a part is not base64url (RFC 4648 section 5, without padding).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotBase64Url {
    /// A character outside the alphabet.
    Strange,
    /// One character too many, or spare bits that are not zero.
    CutShort,
}

impl From<NotBase64Url> for TokenFault {
    fn from(why: NotBase64Url) -> Self {
        Self::Malformed(match why {
            NotBase64Url::Strange => "a character that no token has",
            NotBase64Url::CutShort => "a part is not base64url",
        })
    }
}

/// The decoded payload and signature.
#[derive(Debug)]
pub struct Decoded {
    /// The claims, as JSON.
    pub payload: Result<Vec<u8>, NotBase64Url>,
    /// The signature.
    pub signature: Result<Vec<u8>, NotBase64Url>,
}

/// Decodes one part strictly: no padding, no other alphabet, spare bits zero.
///
/// # Errors
///
/// [`NotBase64Url`] says what is wrong with the part.
pub fn decode(part: &[u8]) -> Result<Vec<u8>, NotBase64Url> {
    let (fours, rest) = part.as_chunks::<4>();
    let (last, spare_bits, more) = match *rest {
        [] => ([b'A'; 4], 0, 0),
        [a, b] => ([a, b, b'A', b'A'], sextet(b) & 0b1111, 1),
        [a, b, c] => ([a, b, c, b'A'], sextet(c) & 0b11, 2),
        // A single character is less than a byte.
        _ => return Err(fault_of(part)),
    };
    let whole = fours.len().saturating_mul(3);
    let mut bytes = vec![0; whole.saturating_add(3)];
    let (threes, _) = bytes.as_chunks_mut::<3>();
    let (threes, end) = threes.split_at_mut_checked(fours.len()).unwrap_or_default();
    let is_known = decode_fours(fours, threes) & decode_fours(&[last], end);
    if !is_known || spare_bits != 0 {
        return Err(fault_of(part));
    }
    bytes.truncate(whole.saturating_add(more));
    Ok(bytes)
}

/// Decodes each four characters to three bytes, and returns whether all of them are in the alphabet.
fn decode_fours(fours: &[[u8; 4]], threes: &mut [[u8; 3]]) -> bool {
    let mut joined = 0;
    for (three, four) in threes.iter_mut().zip(fours) {
        let [a, b, c, d] = four.map(sextet);
        joined |= a | b | c | d;
        let [_, first, second, third] = (a << 18 | b << 12 | c << 6 | d).to_be_bytes();
        *three = [first, second, third];
    }
    joined < UNKNOWN
}

/// The value of a byte that is not in the alphabet; no other value has this bit.
const UNKNOWN: u32 = 0x80;

/// The six bits of a character (RFC 4648 section 5).
fn sextet(character: u8) -> u32 {
    SEXTETS.get(usize::from(character)).copied().map_or(UNKNOWN, u32::from)
}

#[expect(clippy::indexing_slicing, clippy::as_conversions, reason = "evaluated when compiling")]
static SEXTETS: [u8; 256] = {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut sextets = [UNKNOWN as u8; 256];
    let mut value: u8 = 0;
    while value < 64 {
        sextets[alphabet[value as usize] as usize] = value;
        value = value.wrapping_add(1);
    }
    sextets
};

#[cold]
fn fault_of(part: &[u8]) -> NotBase64Url {
    let known = |byte: &u8| matches!(byte, b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_');
    if part.iter().all(known) { NotBase64Url::CutShort } else { NotBase64Url::Strange }
}

/// A JOSE header that api-guard accepts, before its key is known.
#[derive(Debug, PartialEq, Eq)]
pub struct JoseHeader<'t> {
    /// The algorithm as the token names it.
    pub alg: Cow<'t, str>,
    /// The key that the token names. An attacker may have chosen it, so it is only compared.
    pub kid: Option<Cow<'t, str>>,
}

/// The accepted types: any JWT (RFC 7519 section 5.1), and access tokens in both spellings (RFC 9068 section 2.1).
const TYPES: [&str; 3] = ["JWT", "at+jwt", "application/at+jwt"];

/// The members that are read.
const MEMBERS: [&str; 5] = ["alg", "kid", "typ", "crit", "b64"];

impl<'t> JoseHeader<'t> {
    /// Reads the decoded header. Members that contain keys or refer to them (`jwk`, `jku`, `x5c`...) are never used.
    ///
    /// # Errors
    ///
    /// [`TokenFault::AlgorithmRefused`] if the header names no algorithm, otherwise [`TokenFault::Malformed`].
    pub fn read(bytes: &'t [u8]) -> Result<Self, TokenFault> {
        const FORM: TokenFault = TokenFault::Malformed("header is not a JSON object of the right form");
        let text = std::str::from_utf8(bytes).map_err(|_| TokenFault::Malformed("header is not UTF-8"))?;
        let mut values = MEMBERS.map(|_| None);
        for member in Members::of(text) {
            let (name, value) = member.map_err(|_| match Json::read(text) {
                Ok(_) => TokenFault::Malformed("header is not a JSON object"),
                Err(_) => FORM,
            })?;
            let mut known = MEMBERS.iter().zip(&mut values);
            let Some((_, member)) = known.find(|(known, _)| **known == name) else { continue };
            // RFC 7515 section 4: names are unique.
            if member.replace(value).is_some() {
                return Err(FORM);
            }
        }
        let text = |value: Option<Json<'t>>| match value {
            None => Ok(None),
            Some(Json::Text(text)) => Ok(Some(text)),
            Some(_) => Err(FORM),
        };
        let [alg, kid, typ, crit, b64] = values;
        let (alg, kid, typ) = (text(alg)?, text(kid)?, text(typ)?);
        let unencoded = match b64 {
            None | Some(Json::Bool(true)) => false,
            Some(Json::Bool(false)) => true,
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
        if typ.is_some_and(|typ| !TYPES.iter().any(|known| typ.eq_ignore_ascii_case(known))) {
            return Err(TokenFault::Malformed("a type that is not accepted"));
        }
        Ok(Self { alg, kid })
    }
}

#[cfg(test)]
mod tests {
    use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_part_is_decoded_as_the_library_decodes_it(part in "[A-Za-z0-9_-]{0,12}|[A-Z]{0,9}[+/=. é\\x00][A-Z]{0,9}|.{0,8}") {
            let library = BASE64_URL_SAFE_NO_PAD.decode(&part).ok();
            prop_assert_eq!(decode(part.as_bytes()).ok(), library, "{}", part);
        }

        #[test]
        fn what_was_encoded_is_decoded(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            prop_assert_eq!(decode(BASE64_URL_SAFE_NO_PAD.encode(&bytes).as_bytes()), Ok(bytes));
        }
    }

    #[test]
    fn no_byte_beyond_the_alphabet_is_decoded() {
        for byte in 0..=u8::MAX {
            let known = byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
            for index in 0..6 {
                let mut part = *b"AAAAAA";
                part[index] = byte;
                let spare = index == 5 && known && sextet(byte) & 0b1111 != 0;
                assert_eq!(decode(&part).is_ok(), known && !spare, "{byte} at {index}");
            }
        }
    }

    #[test]
    fn only_three_parts_of_the_alphabet_make_a_token() {
        let read = |token: &'static str| {
            let compact = Compact::read(token.as_bytes(), 64)?;
            compact.decode()?;
            decode(compact.header).map_err(TokenFault::from)
        };
        assert!(read("AA.b.c").is_ok() && read("AA.b.").is_ok());
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
        let too_long = Err(TokenFault::Malformed("longer than allowed"));
        for (bytes, is_too_long) in [(64, false), (65, true), (66, true)] {
            assert_eq!(Compact::read(&vec![b'a'; bytes], 64) == too_long, is_too_long, "{bytes}");
        }
        let cut = Compact::read(b"ab.cde.f", 64).unwrap();
        assert_eq!(cut.signing_input, b"ab.cde");
    }

    #[test]
    fn a_character_that_no_token_has_is_told_before_anything_else_wherever_it_is() {
        for strange in ["AA.b!.AA", "AA.AA.b!", "AA.b!.b!", "AA.b!.A", "AA.A.b!"] {
            let decoded = Compact::read(strange.as_bytes(), 64).unwrap().decode();
            assert_eq!(decoded.err(), Some(NotBase64Url::Strange), "{strange}");
        }
        let decode = |token: &'static [u8]| {
            let Decoded { payload, signature } = Compact::read(token, 64).unwrap().decode().unwrap();
            (payload.ok(), signature.ok())
        };
        assert_eq!(decode(b"AA.A.A"), (None, None), "cut short is not strange");
        assert_eq!(decode(b"AA.QUJD.RA"), (Some(b"ABC".to_vec()), Some(b"D".to_vec())));
        assert_eq!(decode(b"AA.A.RA"), (None, Some(b"D".to_vec())));
        assert_eq!(decode(b"AA.QUJD.A"), (Some(b"ABC".to_vec()), None));
    }

    #[test]
    fn a_header_that_is_json_but_no_object_is_told_from_one_that_is_not_json() {
        const NO_OBJECT: &str = "header is not a JSON object";
        const FORM: &str = "header is not a JSON object of the right form";
        for (header, why) in [
            (r#"["HS256"]"#, NO_OBJECT),
            ("null", NO_OBJECT),
            (r#" "alg" "#, NO_OBJECT),
            ("", FORM),
            ("[", FORM),
            ("{} {}", FORM),
            (r#"{"alg":"HS256"}x"#, FORM),
            (r#"{"alg":"HS256","x":{"y":1}"#, FORM),
            (r#"{"alg":"HS256","alg":"HS256"}"#, FORM),
        ] {
            assert_eq!(JoseHeader::read(header.as_bytes()), Err(TokenFault::Malformed(why)), "{header}");
        }
    }

    #[test]
    fn a_header_that_asks_for_something_unusual_is_refused() {
        for good in [
            r#"{"alg":"HS256"}"#,
            r#" {"typ":"at+JWT","alg":"HS256","kid":"a"}"#,
            r#"{"alg":"HS256","typ":"Application/at+JWT"}"#,
            r#"{"alg":"HS256","typ":"jwt","b64":true,"jku":"https://x/"}"#,
        ] {
            assert!(JoseHeader::read(good.as_bytes()).is_ok(), "{good}");
        }
        for bad in [
            r#"["HS256"]"#,
            r#"{"alg":"HS256","crit":[]}"#,
            r#"{"alg":"HS256","crit":null}"#,
            r#"{"alg":"HS256","b64":false}"#,
            r#"{"alg":"HS256","b64":0}"#,
            r#"{"alg":"HS256","typ":"logout+jwt"}"#,
            r#"{"alg":"HS256","typ":"dpop+jwt"}"#,
            r#"{"alg":"HS256","typ":"application/jwt"}"#,
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
            assert!(JoseHeader::read(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
