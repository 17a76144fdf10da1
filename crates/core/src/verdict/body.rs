//! What must the body of a request be like, and what is done with it until that is known?

use crate::denial::{Denial, FormFault, FormFaults};
use crate::grpc::{Messages, TooLong};

/// How the body of a request that passes is treated.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum BodyPlan {
    /// Nothing to count: there is no body, or the connection is upgraded.
    #[default]
    Pass,
    /// Count it while it streams, and refuse it above this many bytes.
    Count(u64),
    /// Let it stream, and refuse it with the first gRPC message of more than this many bytes.
    CountMessages(u64),
    /// Hold the request until the body has ended, because its size was not declared: the upstream then never sees a
    /// body of more than this many bytes. At most [`LARGEST_HELD`], or the body has to be empty.
    Hold(u64),
}

/// The largest body that is held, bytes: hosts buffer this much for a filter by default. Larger bodies are counted
/// while they stream.
pub const LARGEST_HELD: u64 = 1_048_576;

/// The rules for the body of a request.
#[derive(Debug, Clone)]
pub(crate) struct BodyRules {
    pub(crate) plan: BodyPlan,
    /// What is wrong with its media type, if its size is not declared: it is refused with its first byte, because an
    /// empty body has no type.
    pub(crate) type_fault: Option<Box<FormFault>>,
}

impl BodyRules {
    /// The rules for a body that may be anything.
    pub(crate) const fn none() -> Self {
        Self { plan: BodyPlan::Pass, type_fault: None }
    }

    /// Judges the type of a body of which `size` bytes have come.
    ///
    /// # Errors
    ///
    /// The refusal, if there is a body and its type is not accepted.
    pub(crate) fn judge_type(&self, size: u64) -> Result<(), Denial> {
        match &self.type_fault {
            Some(fault) if size > 0 => Err(Denial::Form(FormFaults::one((**fault).clone()))),
            Some(_) | None => Ok(()),
        }
    }

    /// Judges what has come of a body that the host holds: `size` bytes. gRPC messages are judged once they stream.
    ///
    /// # Errors
    ///
    /// The refusal, if the type is not accepted, or the body is too large.
    pub(crate) fn judge_held(&self, size: u64) -> Result<(), Denial> {
        self.judge_type(size)?;
        match self.plan {
            BodyPlan::Count(max_bytes) | BodyPlan::Hold(max_bytes) if size > max_bytes => {
                Err(too_large(max_bytes))
            }
            BodyPlan::Count(_) | BodyPlan::Hold(_) | BodyPlan::CountMessages(_) | BodyPlan::Pass => Ok(()),
        }
    }

    /// Judges a whole body.
    ///
    /// # Errors
    ///
    /// The refusal, if the type is not accepted, or the body or one of its messages is too large.
    pub(crate) fn judge(&self, body: &[u8]) -> Result<(), Denial> {
        self.judge_held(u64::try_from(body.len()).unwrap_or(u64::MAX))?;
        match self.plan {
            BodyPlan::CountMessages(max_bytes) => {
                Messages::new(max_bytes).read(body).map_err(|TooLong| too_large(max_bytes))
            }
            BodyPlan::Count(_) | BodyPlan::Hold(_) | BodyPlan::Pass => Ok(()),
        }
    }
}

/// The refusal of a body or a message over its size limit, bytes.
pub(crate) fn too_large(max_bytes: u64) -> Denial {
    Denial::Form(FormFaults::one(FormFault::TooLarge { max_bytes }))
}
