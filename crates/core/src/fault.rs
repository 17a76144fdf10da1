//! What goes wrong on our side or the host's: never the caller's doing.
//!
//! A fault refuses the request (500) and is counted. Nothing about it is told to the caller but that it happened.

/// A fault that is not the caller's. It refuses, and is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The proxy did not give the request's headers, or gave something else.
    Headers,
    /// Shared data could not be read or written, or held something else than ours.
    SharedData,
    /// Shared data stayed contended.
    Contended,
    /// The body of a revocation request never came.
    Body,
    /// The proxy did not accept a change of the request.
    Edit,
}

impl Fault {
    /// Every kind there is.
    pub const ALL: &[Self] = &[Self::Headers, Self::SharedData, Self::Contended, Self::Body, Self::Edit];

    /// The kind as metrics show it.
    pub const fn kind(self) -> &'static str {
        match self {
            Self::Headers => "headers",
            Self::SharedData => "shared_data",
            Self::Contended => "contended",
            Self::Body => "body",
            Self::Edit => "edit",
        }
    }
}
