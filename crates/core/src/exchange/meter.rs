//! What has come of a body that is counted while it streams, and is it still within its limit?

use crate::denial::Denial;
use crate::fault::Fault;
use crate::grpc::{Messages, TooLong};
use crate::host::StreamHost;
use crate::verdict::{BodyPlan, BodyRules, too_large};

/// The most bytes that are read of a piece at a time: enough for the prefixes of many short messages, and little beside
/// a long one, which is passed over.
const WINDOW_BYTES: usize = 4096;

/// How a body is counted.
#[derive(Debug)]
pub(super) enum Meter {
    /// All of it together: so many bytes may still come.
    Sum { left: u64, max_bytes: u64 },
    /// Each gRPC message for itself.
    Messages(Messages),
}

impl Meter {
    /// The meter of a body by its rules. A body that should have been held is counted as a whole.
    pub(super) const fn begin(rules: &BodyRules) -> Self {
        match rules.plan {
            BodyPlan::CountMessages(max_bytes) => Self::Messages(Messages::new(max_bytes)),
            BodyPlan::Count(max_bytes) | BodyPlan::Hold(max_bytes) => {
                Self::Sum { left: max_bytes, max_bytes }
            }
            BodyPlan::Pass => Self::Sum { left: 0, max_bytes: 0 },
        }
    }

    /// Counts the next piece, of `size` bytes, which `host` has at hand.
    ///
    /// # Errors
    ///
    /// Why it must not go on: it is too large, or the host does not hand it over.
    pub(super) fn count(&mut self, size: u64, host: &impl StreamHost) -> Result<(), Denial> {
        match self {
            Self::Sum { left, max_bytes } => {
                *left = left.checked_sub(size).ok_or_else(|| too_large(*max_bytes))?;
                Ok(())
            }
            Self::Messages(messages) => read(messages, size, host),
        }
    }
}

/// Reads the prefixes of the messages in a piece.
fn read(messages: &mut Messages, size: u64, host: &impl StreamHost) -> Result<(), Denial> {
    let mut at = 0;
    loop {
        let rest = size.saturating_sub(at);
        let skipped = messages.skip(rest);
        at = at.saturating_add(skipped);
        let unread = rest.saturating_sub(skipped);
        if unread == 0 {
            return Ok(());
        }
        let start = usize::try_from(at).map_err(|_| Denial::Fault(Fault::Body))?;
        let most = usize::try_from(unread).unwrap_or(usize::MAX).min(WINDOW_BYTES);
        let bytes = host.request_body(start, most).map_err(Denial::Fault)?;
        if bytes.len() != most {
            // What is not seen could be the prefix of anything.
            return Err(Denial::Fault(Fault::Body));
        }
        messages.read(&bytes).map_err(|TooLong| too_large(messages.max_bytes()))?;
        at = at.saturating_add(u64::try_from(most).unwrap_or(u64::MAX));
    }
}
