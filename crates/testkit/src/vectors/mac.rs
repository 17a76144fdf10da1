//! What can be done to a good token without its secret, or with it and in the wrong way.

use ct_codecs::{Base64UrlSafeNoPadding, Decoder, Encoder, Hex};

use crate::sign_with;

/// A token that must not be accepted.
#[derive(Debug, Clone)]
pub struct Forgery {
    /// What was done.
    pub what: &'static str,
    /// The token.
    pub token: String,
    /// The code of the refusal.
    pub code: &'static str,
}

const HEADER: &[u8] = br#"{"alg":"HS256"}"#;

/// Forgeries of the token that has these claims, a JSON object, and is signed with `secret`.
///
/// # Panics
///
/// If the secret is too short.
pub fn forgeries(secret: &[u8], claims: &[u8]) -> Vec<Forgery> {
    let encode = |bytes: &[u8]| Base64UrlSafeNoPadding::encode_to_string(bytes).expect("memory");
    let good = sign_with(secret, HEADER, claims);
    let (input, mac) = good.rsplit_once('.').expect("three parts");
    let (header, payload) = input.split_once('.').expect("three parts");
    let bytes = Base64UrlSafeNoPadding::decode_to_vec(mac, None).expect("base64url");
    let (cut, last) = mac.split_at(mac.len().saturating_sub(1));

    let flipped = |index: usize, bit: u8| {
        let mut bytes = bytes.clone();
        if let Some(byte) = bytes.get_mut(index) {
            *byte ^= bit;
        }
        format!("{input}.{}", encode(&bytes))
    };
    // The next character of the alphabet: of the last one's six bits two are no part of the MAC, and zero.
    let spare_bit_set = char::from(last.as_bytes().first().map_or(0, |byte| byte.wrapping_add(1)));
    let of_another = sign_with(secret, HEADER, br#"{"sub":"another"}"#);
    let (_, mac_of_another) = of_another.rsplit_once('.').expect("three parts");
    let with_header = |header: &[u8]| format!("{}.{payload}.{mac}", encode(header));
    let signed_with_header = |header: &[u8]| sign_with(secret, header, claims);
    let hex = Hex::encode_to_string(&bytes).expect("memory");

    let wrong_mac = [
        ("the first bit of the MAC is flipped", flipped(0, 0x80)),
        ("the last bit of the MAC is flipped", flipped(31, 1)),
        ("the MAC is cut to 128 bits", format!("{input}.{}", encode(bytes.split_at(16).0))),
        ("the MAC lacks a byte", format!("{input}.{}", encode(bytes.split_at(31).0))),
        ("the MAC has a byte more", format!("{input}.{}", encode(&[&bytes[..], &[0]].concat()))),
        ("the MAC stands twice", format!("{input}.{}", encode(&[&bytes[..], &bytes].concat()))),
        ("the MAC is all zeros", format!("{input}.{}", encode(&[0; 32]))),
        ("the MAC is empty", format!("{input}.")),
        ("the MAC is that of another token", format!("{input}.{mac_of_another}")),
        ("the MAC is written in hexadecimal", format!("{input}.{hex}")),
        ("the payload is another", format!("{header}.{}.{mac}", encode(br#"{"sub":"root"}"#))),
    ];
    let malformed = [
        ("the MAC lacks two characters", format!("{input}.{}", mac.split_at(41).0)),
        ("a bit behind the MAC's last is set", format!("{input}.{cut}{spare_bit_set}")),
        ("the MAC is padded", format!("{good}=")),
        ("the MAC is of the other alphabet", format!("{input}.+/{}", mac.split_at(2).1)),
        ("a character stands in the MAC that is none of base64url", format!("{input}.?{mac}")),
        ("white space stands in the MAC", format!("{input}.\t{mac}")),
        ("there is no MAC, nor its dot", input.to_owned()),
        ("there is no payload", format!("{header}..{mac}")),
        ("there is no header", format!(".{payload}.{mac}")),
        ("a fourth part is empty", format!("{good}.")),
        ("a fourth part is the MAC again", format!("{good}.{mac}")),
        ("there are five parts, as of an encrypted token", format!("{good}.{payload}.{mac}")),
        ("it begins with a dot", format!(".{good}")),
        ("the header is padded", format!("{header}=.{payload}.{mac}")),
        ("the algorithm is a list", signed_with_header(br#"{"alg":["HS256"]}"#)),
        ("the algorithm is named twice", signed_with_header(br#"{"alg":"HS256","alg":"HS256"}"#)),
        ("the header has a critical extension", signed_with_header(br#"{"alg":"HS256","crit":["exp"]}"#)),
        ("the payload is not encoded", signed_with_header(br#"{"alg":"HS256","b64":false}"#)),
        ("the header is no object", signed_with_header(b"[]")),
        ("the header is empty, and signed", signed_with_header(b"")),
    ];
    let other_algorithm = [
        ("header and payload have changed places", format!("{payload}.{header}.{mac}")),
        ("the algorithm is changed to none", with_header(br#"{"alg":"none"}"#)),
        ("the algorithm is none, and signed", signed_with_header(br#"{"alg":"none"}"#)),
        ("the algorithm is None, and signed", signed_with_header(br#"{"alg":"None"}"#)),
        ("the algorithm is in lower case", signed_with_header(br#"{"alg":"hs256"}"#)),
        ("the algorithm is another of the family", signed_with_header(br#"{"alg":"HS512"}"#)),
        ("the algorithm is of a public key", signed_with_header(br#"{"alg":"RS256"}"#)),
        ("the algorithm is missing", signed_with_header(b"{}")),
    ];
    let unknown_key = [("the key is unknown", signed_with_header(br#"{"alg":"HS256","kid":"unknown"}"#))];
    let of_code = |code: &'static str, forged: &[(&'static str, String)]| -> Vec<Forgery> {
        forged.iter().map(|(what, token)| Forgery { what, token: token.clone(), code }).collect()
    };
    [
        of_code("token_signature_invalid", &wrong_mac),
        of_code("token_malformed", &malformed),
        of_code("token_algorithm_refused", &other_algorithm),
        of_code("token_key_unknown", &unknown_key),
    ]
    .concat()
}
