//! The examples of the RFCs, as far as HMAC with SHA-256 goes.

/// A token that an RFC shows.
#[derive(Debug)]
pub struct Example {
    /// Where it stands.
    pub source: &'static str,
    /// The key that goes with it, base64url.
    pub key: &'static str,
    /// The key's identifier.
    pub kid: Option<&'static str>,
    /// As it would be sent.
    pub token: &'static str,
    /// The code of the verdict where no claim is required, before any of them expires; `ok` for none.
    pub code: &'static str,
    /// Whether its MAC holds, so that the payload decides.
    pub has_true_mac: bool,
}

const KEY_OF_7515: &str =
    "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow";
const KEY_OF_7520: &str = "hJtXIZ2uSN5kbQfbtTNWbpdmhkV8FJG-Onbc6mxCcYg";
const KID_OF_7520: Option<&str> = Some("018c0ae5-4d9b-471b-bfd6-eef314bc7037");

/// Tokens of RFC 7515, 7519, 7520 and 7797. The first expires at the Unix second 1300819380.
pub const EXAMPLES: &[Example] = &[
    Example {
        source: "RFC 7515 appendix A.1, RFC 7519 section 3.1",
        key: KEY_OF_7515,
        kid: None,
        token: "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
        code: "ok",
        has_true_mac: true,
    },
    Example {
        source: "RFC 7515 appendix A.5, RFC 7519 section 6.1: no signature",
        key: KEY_OF_7515,
        kid: None,
        token: "eyJhbGciOiJub25lIn0.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.",
        code: "token_algorithm_refused",
        has_true_mac: false,
    },
    Example {
        source: "RFC 7515 appendix E: an unknown critical header",
        key: KEY_OF_7515,
        kid: None,
        token: "eyJhbGciOiJub25lIiwNCiAiY3JpdCI6WyJodHRwOi8vZXhhbXBsZS5jb20vVU5ERUZJTkVEIl0sDQogImh0dHA6Ly9leGFtcGxlLmNvbS9VTkRFRklORUQiOnRydWUNCn0.RkFJTA.",
        code: "token_malformed",
        has_true_mac: false,
    },
    Example {
        source: "RFC 7520 section 4.4.3: the compact form, of prose",
        key: KEY_OF_7520,
        kid: KID_OF_7520,
        token: "eyJhbGciOiJIUzI1NiIsImtpZCI6IjAxOGMwYWU1LTRkOWItNDcxYi1iZmQ2LWVlZjMxNGJjNzAzNyJ9.SXTigJlzIGEgZGFuZ2Vyb3VzIGJ1c2luZXNzLCBGcm9kbywgZ29pbmcgb3V0IHlvdXIgZG9vci4gWW91IHN0ZXAgb250byB0aGUgcm9hZCwgYW5kIGlmIHlvdSBkb24ndCBrZWVwIHlvdXIgZmVldCwgdGhlcmXigJlzIG5vIGtub3dpbmcgd2hlcmUgeW91IG1pZ2h0IGJlIHN3ZXB0IG9mZiB0by4.s0h6KThzkfBBBkLspW1h84VsJZFTsPPqMDA7g1Md7p0",
        code: "token_malformed",
        has_true_mac: true,
    },
    Example {
        source: "RFC 7520 section 4.4.3: the flattened form",
        key: KEY_OF_7520,
        kid: KID_OF_7520,
        token: r#"{"payload":"SXTigJlzIGEgZGFuZ2Vyb3VzIGJ1c2luZXNzLCBGcm9kbywgZ29pbmcgb3V0IHlvdXIgZG9vci4gWW91IHN0ZXAgb250byB0aGUgcm9hZCwgYW5kIGlmIHlvdSBkb24ndCBrZWVwIHlvdXIgZmVldCwgdGhlcmXigJlzIG5vIGtub3dpbmcgd2hlcmUgeW91IG1pZ2h0IGJlIHN3ZXB0IG9mZiB0by4","protected":"eyJhbGciOiJIUzI1NiIsImtpZCI6IjAxOGMwYWU1LTRkOWItNDcxYi1iZmQ2LWVlZjMxNGJjNzAzNyJ9","signature":"s0h6KThzkfBBBkLspW1h84VsJZFTsPPqMDA7g1Md7p0"}"#,
        code: "credentials_ambiguous",
        has_true_mac: false,
    },
    Example {
        source: "RFC 7520 section 4.5.3: the content is detached",
        key: KEY_OF_7520,
        kid: KID_OF_7520,
        token: "eyJhbGciOiJIUzI1NiIsImtpZCI6IjAxOGMwYWU1LTRkOWItNDcxYi1iZmQ2LWVlZjMxNGJjNzAzNyJ9..s0h6KThzkfBBBkLspW1h84VsJZFTsPPqMDA7g1Md7p0",
        code: "token_malformed",
        has_true_mac: false,
    },
    Example {
        source: "RFC 7797 section 4.2: a payload that is not encoded, detached",
        key: KEY_OF_7515,
        kid: None,
        token: "eyJhbGciOiJIUzI1NiIsImI2NCI6ZmFsc2UsImNyaXQiOlsiYjY0Il19..A5dxf2s96_n5FLueVuW1Z_vh161FwXZC4YLPff6dmDY",
        code: "token_malformed",
        has_true_mac: false,
    },
];

/// A MAC of a key that is long enough for a token.
#[derive(Debug)]
pub struct Mac {
    /// Where it stands.
    pub source: &'static str,
    /// The key.
    pub key: &'static [u8],
    /// What is signed.
    pub message: &'static [u8],
    /// The whole MAC.
    pub mac: [u8; 32],
}

/// The HMAC-SHA-256 of RFC 4868 and RFC 4231.
pub const MACS: &[Mac] = &[
    Mac {
        source: "RFC 4868 section 2.7.2.1, AUTH256-1",
        key: &[0x0b; 32],
        message: b"Hi There",
        mac: bytes("198a607eb44bfbc69903a0f1cf2bbdc5ba0aa3f3d9ae3c1c7a3b1696a0b68cf7"),
    },
    Mac {
        source: "RFC 4868 section 2.7.2.1, AUTH256-2",
        key: b"JefeJefeJefeJefeJefeJefeJefeJefe",
        message: b"what do ya want for nothing?",
        mac: bytes("167f928588c5cc2eef8e3093caa0e87c9ff566a14794aa61648d81621a2a40c6"),
    },
    Mac {
        source: "RFC 4868 section 2.7.2.1, AUTH256-3",
        key: &[0xaa; 32],
        message: &[0xdd; 50],
        mac: bytes("cdcb1220d1ecccea91e53aba3092f962e549fe6ce9ed7fdc43191fbde45c30b0"),
    },
    Mac {
        source: "RFC 4231 section 4.7: a key longer than a block",
        key: &[0xaa; 131],
        message: b"Test Using Larger Than Block-Size Key - Hash Key First",
        mac: bytes("60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"),
    },
    Mac {
        source: "RFC 4231 section 4.8: key and data longer than a block",
        key: &[0xaa; 131],
        message: b"This is a test using a larger than block-size key and a larger than block-size data. The key needs to be hashed before being used by the HMAC algorithm.",
        mac: bytes("9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2"),
    },
];

/// The bytes of hexadecimal digits in lower case.
const fn bytes(hex: &str) -> [u8; 32] {
    const fn digit(byte: u8) -> u8 {
        if byte.is_ascii_digit() { byte.wrapping_sub(b'0') } else { byte.wrapping_sub(b'a').wrapping_add(10) }
    }
    let mut digits = hex.as_bytes();
    let mut bytes = [0; 32];
    let mut rest: &mut [u8] = &mut bytes;
    while let ([high, low, after @ ..], Some((first, behind))) = (digits, rest.split_first_mut()) {
        *first = (digit(*high) << 4) | digit(*low);
        (digits, rest) = (after, behind);
    }
    bytes
}
