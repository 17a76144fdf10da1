//! `api-guard keygen`: a random secret of sufficient length.

use ct_codecs::{Base64UrlSafeNoPadding, Encoder};

use crate::outcome::{self, Failure, Outcome, print};

/// Print a fresh 32-byte secret as base64url.
///
/// The printed text itself can be the secret (43 characters, as {"env": ...} or {"value": ...}), or its 32 bytes
/// (as {"base64url": ...}). `api-guard mint` signs with the text.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  export API_GUARD_SECRET=\"$(api-guard keygen)\"")]
pub(crate) struct Keygen {}

impl Keygen {
    /// Prints the secret.
    pub(crate) fn run(&self) -> outcome::Result {
        print(&base64url(&random::<32>()?));
        Ok(Outcome::Done)
    }
}

/// Random bytes from the system.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], Failure> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)
        .map(|()| bytes)
        .map_err(|error| Failure::failed(format!("the system has no random bytes: {error}")))
}

/// Base64url without padding (RFC 4648 section 5).
pub(crate) fn base64url(bytes: &[u8]) -> String {
    // Encoding fails only if memory is exhausted.
    Base64UrlSafeNoPadding::encode_to_string(bytes).unwrap_or_default()
}
