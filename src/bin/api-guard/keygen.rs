//! `api-guard keygen`: a random secret of sufficient length.

pub(crate) use api_guard_explain::issue::signing::base64url;
use serde_json::json;

use crate::outcome::{self, Failure, Outcome, print};

/// Print a fresh secret as base64url.
///
/// The printed text itself can be the secret (43 characters for 32 bytes, as {"env": ...} or {"value": ...}), or its
/// bytes (as {"base64url": ...}, or with "encoding": "base64"). `api-guard mint` signs with the text.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  export API_GUARD_SECRET=\"$(api-guard keygen)\"")]
pub(crate) struct Keygen {
    /// How many random bytes: 32 for HS256, 48 for HS384, 64 for HS512
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u16).range(32..=1024))]
    bytes: u16,
    /// Print a JSON object with the secret and the number of its random bytes
    #[arg(long)]
    json: bool,
}

impl Keygen {
    /// Prints the secret.
    pub(crate) fn run(&self) -> outcome::Result {
        let mut bytes = vec![0; usize::from(self.bytes)];
        fill(&mut bytes)?;
        let secret = base64url(&bytes);
        if self.json {
            print(&json!({ "secret": secret, "bytes": self.bytes }).to_string());
        } else {
            print(&secret);
        }
        Ok(Outcome::Done)
    }
}

/// Random bytes from the system.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], Failure> {
    let mut bytes = [0; N];
    fill(&mut bytes).map(|()| bytes)
}

fn fill(bytes: &mut [u8]) -> Result<(), Failure> {
    getrandom::fill(bytes)
        .map_err(|error| Failure::failed(format!("the system has no random bytes: {error}")))
}
