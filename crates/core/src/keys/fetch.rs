//! What is fetched, and what does the answer bring?

use crate::index::KeySetIndex;
use crate::token::algorithm::PublicAlgorithms;
use crate::token::key_set::{KeySet, KeySetFault, MAX_SET_BYTES, ReadSet, Skipped};

/// A GET for a key set, which the host sends. Its end is told to [`Engine::on_fetched`](crate::engine::Engine::on_fetched),
/// whatever it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fetch<'p> {
    /// The set.
    pub set: KeySetIndex,
    /// The proxy's cluster.
    pub cluster: &'p str,
    /// `:path`
    pub path: &'p str,
    /// `:authority`
    pub authority: &'p str,
    /// After so many milliseconds the host gives up.
    pub timeout_milliseconds: u32,
}

impl<'p> Fetch<'p> {
    /// The request's headers. Some issuers' firewalls refuse who does not say what it is, and a server may compress for
    /// whoever does not say that it must not (RFC 9110 section 12.5.3).
    pub fn headers(&self) -> [(&'static str, &'p str); 6] {
        [
            (":method", "GET"),
            (":path", self.path),
            (":authority", self.authority),
            ("user-agent", concat!("api-guard/", env!("CARGO_PKG_VERSION"))),
            ("accept", "*/*"),
            ("accept-encoding", "identity"),
        ]
    }
}

/// How a fetch ended, as the host has seen it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Response<'b> {
    /// A response with this status came whole. Of a body that is longer than [`Response::MOST_BYTES`] that many bytes are
    /// enough.
    Complete {
        /// The status.
        status: u16,
        /// The body.
        body: &'b [u8],
    },
    /// None came in time.
    TimedOut,
    /// The connection was refused or reset, or the fetch could not be sent.
    Reset,
}

impl Response<'_> {
    /// As many bytes of a body as anybody reads: one more than a set may have.
    pub const MOST_BYTES: usize = MAX_SET_BYTES.saturating_add(1);
}

/// Defines the outcomes with their labels and numbers.
macro_rules! outcomes {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $text:literal;)*) => {
        /// How a fetch ended.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum FetchOutcome { $($(#[$doc])* $name,)* }

        impl FetchOutcome {
            /// Every outcome.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The outcome as metrics and logs show it.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// One more than its index among all.
            pub(super) const fn number(self) -> u32 {
                match self { $(Self::$name => $number,)* }
            }
        }
    };
}

outcomes! {
    /// It brought a set.
    Ok = 1, "ok";
    /// The status was not 200.
    Status = 2, "status";
    /// No response came in time.
    Timeout = 3, "timeout";
    /// There was no connection, or it broke.
    Reset = 4, "reset";
    /// The body is no key set.
    Malformed = 5, "malformed";
    /// The body is too long, or has too many keys.
    TooLarge = 6, "too_large";
    /// None of the keys can be used.
    Unusable = 7, "unusable";
}

/// A fetch that has ended.
#[derive(Debug, PartialEq, Eq)]
pub struct Ended {
    /// How.
    pub outcome: FetchOutcome,
    /// The response's status, if that is what is wrong with it.
    pub status: Option<u16>,
    /// The number of keys in force, which is 0 if there is no set.
    pub keys: usize,
    /// The keys of the response that are not used.
    pub skipped: Vec<Skipped>,
    /// Whether anything is different from what the fetch before it has brought.
    pub is_news: bool,
}

/// The set that a response brings, or why it brings none, and the keys that are not used.
pub(super) fn judge(
    response: Response<'_>,
    accepted: PublicAlgorithms,
) -> (Result<KeySet, FetchOutcome>, Vec<Skipped>) {
    let outcome = match response {
        Response::TimedOut => FetchOutcome::Timeout,
        Response::Reset => FetchOutcome::Reset,
        Response::Complete { status: 200, body } => match KeySet::read(body, accepted) {
            Ok(ReadSet { set, skipped }) => return (set.ok_or(FetchOutcome::Unusable), skipped),
            Err(KeySetFault::TooLarge) => FetchOutcome::TooLarge,
            Err(KeySetFault::Malformed) => FetchOutcome::Malformed,
        },
        Response::Complete { .. } => FetchOutcome::Status,
    };
    (Err(outcome), Vec::new())
}
