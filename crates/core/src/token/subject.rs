//! The form of a subject, both in a token's `sub` (RFC 7519 section 4.1.2) and in a revocation request.

/// The longest subject, in bytes.
pub const LONGEST_SUBJECT_BYTES: usize = 256;

/// Why a text is not a subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SubjectFault {
    /// It is empty.
    Empty,
    /// It has more than [`LONGEST_SUBJECT_BYTES`].
    TooLong,
    /// It has control characters, which would get into headers and log lines.
    HasControls,
}

/// Checks that `text` can be a subject.
///
/// # Errors
///
/// The first rule that it breaks.
pub fn check(text: &str) -> Result<(), SubjectFault> {
    if text.is_empty() {
        return Err(SubjectFault::Empty);
    }
    if text.len() > LONGEST_SUBJECT_BYTES {
        return Err(SubjectFault::TooLong);
    }
    if text.chars().any(char::is_control) {
        return Err(SubjectFault::HasControls);
    }
    Ok(())
}
