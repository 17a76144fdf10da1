//! What is shown as it stands now? Each gauge is one value of the whole process.

/// A gauge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gauge {
    /// What the process holds back of request bodies, bytes.
    HeldBytes,
}

impl Gauge {
    /// Every gauge.
    pub const ALL: &[Self] = &[Self::HeldBytes];

    /// Its name in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::HeldBytes => "api_guard_held_bytes",
        }
    }
}
