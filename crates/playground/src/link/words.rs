//! Names of what is a credential, and tokens in the middle of a text.

use ct_codecs::{Base64UrlSafeNoPadding, Decoder};
use serde_json::{Map, Value};

/// Parts of names that say so.
const PARTS: [&str; 10] = [
    "token",
    "secret",
    "passw",
    "passphrase",
    "credential",
    "session",
    "signature",
    "jwt",
    "apikey",
    "bearer",
];
/// Whole names, without `-` and `_`.
const NAMES: [&str; 21] = [
    "key",
    "code",
    "sig",
    "auth",
    "authorization",
    "accesskey",
    "assertion",
    "privatekey",
    "pwd",
    "cookie",
    "otp",
    "saml",
    "authentication",
    "csrf",
    "dpop",
    "hmac",
    "pass",
    "pin",
    "sid",
    "subscriptionkey",
    "ticket",
];
/// Last words of headers' names that say so, as in `x-functions-key`.
const LAST_WORDS: [&str; 8] = ["auth", "authentication", "csrf", "hmac", "key", "otp", "pwd", "sid"];
/// Headers whose names only look so.
const HARMLESS: [&str; 2] = ["idempotency-key", "sec-websocket-key"];
/// What a name contains before a credential in a text that cannot be read.
pub(super) const GUESSED: [&str; 9] =
    ["token", "secret", "passw", "credential", "session", "signature", "jwt", "apikey", "api_key"];

/// A name without what is written in different ways.
pub(super) fn plain(name: &str) -> String {
    name.chars().filter(|letter| !"-_.".contains(*letter)).collect::<String>().to_ascii_lowercase()
}

/// Whether what has this name gives access to something.
pub(super) fn is_credential(name: &str) -> bool {
    let name = plain(name);
    NAMES.contains(&name.as_str()) || PARTS.iter().any(|part| name.contains(part))
}

/// The same for a header.
pub(super) fn is_credential_header(name: &str) -> bool {
    let plain = plain(name);
    let is_named = ["authorization", "cookie", "authtoken", "secwebsocketprotocol"]
        .iter()
        .any(|part| plain.contains(part));
    let last = name.rsplit(['-', '_', '.']).next().unwrap_or_default();
    let is_last = LAST_WORDS.iter().any(|word| word.eq_ignore_ascii_case(last));
    is_named || is_credential(name) || (is_last && !HARMLESS.contains(&name.to_ascii_lowercase().as_str()))
}

/// The same for a claim: `token_type` is none.
pub(super) fn is_credential_claim(name: &str) -> bool {
    let plain = plain(name);
    ["accesstoken", "idtoken", "refreshtoken", "secret", "password", "clientsecret", "apikey", "privatekey"]
        .contains(&plain.as_str())
}

/// The members of private and of shared keys (RFC 7518 section 6).
pub(super) fn is_private_member(name: &str) -> bool {
    ["d", "p", "q", "dp", "dq", "qi", "oth", "k"].contains(&name)
}

/// A name in a query or a form as it is meant.
pub(super) fn decoded(name: &str) -> String {
    let mut bytes = Vec::with_capacity(name.len());
    let mut rest = name.bytes();
    while let Some(byte) = rest.next() {
        let digits = rest.as_slice_of_two();
        match (byte, digits) {
            (b'%', Some(value)) => {
                bytes.push(value);
                rest.nth(1);
            }
            (b'+', _) => bytes.push(b' '),
            (other, _) => bytes.push(other),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Two hexadecimal digits ahead.
trait Ahead {
    fn as_slice_of_two(&self) -> Option<u8>;
}

impl Ahead for std::str::Bytes<'_> {
    fn as_slice_of_two(&self) -> Option<u8> {
        let mut ahead = self.clone();
        let (first, second) = (ahead.next()?, ahead.next()?);
        let text = [first, second];
        u8::from_str_radix(std::str::from_utf8(&text).ok()?, 16).ok()
    }
}

const fn is_token_letter(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.')
}

/// A text without tokens in their compact form (RFC 7515 section 7.1, RFC 7516 section 7.1).
pub(super) fn without_tokens(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let end =
            rest.find(|letter: char| !is_token_letter(letter)).unwrap_or(rest.len()).max(first.len_utf8());
        let (word, after) = rest.split_at_checked(end).unwrap_or((rest, ""));
        if !is_token(word) {
            out.push_str(word);
        }
        rest = after;
    }
    out
}

/// Whether the first piece of a word is a header of a token. What stands before it, up to a dot, is no part of it.
fn is_token(word: &str) -> bool {
    let mut pieces = word.split('.').filter(|piece| piece.len() >= 8);
    word.len() >= 20
        && word.contains('.')
        && pieces.any(|piece| {
            let decoded = Base64UrlSafeNoPadding::decode_to_vec(piece, None).unwrap_or_default();
            serde_json::from_slice::<Map<String, Value>>(&decoded).is_ok()
        })
}

/// A text without private keys in PEM (RFC 7468).
pub(super) fn without_private_keys(text: &str) -> String {
    const BEGIN: &str = "-----BEGIN ";
    const PRIVATE: &str = "PRIVATE KEY-----";
    let mut pieces = text.split(BEGIN);
    let mut out = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let Some((label, key)) = piece.split_once(PRIVATE).filter(|(label, _)| label.len() <= 20) else {
            out.push_str(BEGIN);
            out.push_str(piece);
            continue;
        };
        let end = format!("-----END {label}{PRIVATE}");
        // One that was cut off goes on to the end.
        out.push_str(key.split_once(&end).map_or("", |(_, after)| after));
    }
    out
}

/// A configuration whose comments have no long words.
pub(super) fn without_secrets_in_comments(text: &str) -> String {
    // A path of YAML may have slashes and stars in it.
    let is_json = text.trim_start_matches('\u{feff}').trim_start().starts_with(['{', '[', '/']);
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, comment)) = rest.split_at_checked(comment_of(rest, is_json)) {
        let end = if comment.starts_with("/*") { "*/" } else { "\n" };
        let length = comment.find(end).map_or(comment.len(), |at| at.saturating_add(end.len()));
        let (comment, after) = comment.split_at_checked(length).unwrap_or((comment, ""));
        out.push_str(before);
        out.push_str(&without_long_words(comment, 24));
        rest = after;
        if rest.is_empty() {
            break;
        }
    }
    out
}

/// Where a comment begins in a text; its end if there is none.
fn comment_of(text: &str, is_json: bool) -> usize {
    let mut quote = None;
    let mut is_escaped = false;
    let mut before = ' ';
    for (index, letter) in text.char_indices() {
        let is_free = quote.is_none();
        let begins = |mark: &str| text.get(index..).is_some_and(|rest| rest.starts_with(mark));
        match letter {
            // An apostrophe in the middle of a line quotes nothing after it.
            '\n' => quote = None,
            '"' | '\'' if is_free => quote = Some(letter),
            _ if quote == Some(letter) && !is_escaped => quote = None,
            '#' if is_free && before.is_whitespace() => return index,
            '/' if is_free && is_json && (begins("//") || begins("/*")) => return index,
            _ => {}
        }
        is_escaped = letter == '\\' && !is_escaped;
        before = letter;
    }
    text.len()
}

/// Every word of so many letters or more that may be a secret becomes stars.
pub(super) fn without_long_words(text: &str, least: usize) -> String {
    let is_part = |letter: char| letter.is_alphanumeric() || "+/=_-.!".contains(letter);
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let end = rest.find(|letter: char| !is_part(letter)).unwrap_or(rest.len()).max(first.len_utf8());
        let (word, after) = rest.split_at_checked(end).unwrap_or((rest, ""));
        let count = word.chars().count();
        if count >= least {
            out.extend(std::iter::repeat_n('*', count))
        } else {
            out.push_str(word)
        }
        rest = after;
    }
    out
}
