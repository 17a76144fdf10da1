//! What can go wrong on our side or the host's, through no fault of the caller?
//!
//! A fault refuses the request (500) and is counted. The caller is told only that it happened.

/// A fault that is not the caller's. It refuses the request and is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The proxy did not hand over the request's headers or trailers, or not in the expected form.
    Headers,
    /// Shared data could not be read or written, or was not written by api-guard.
    SharedData,
    /// Shared data stayed contended.
    Contended,
    /// The proxy did not deliver the body of a revocation request, or did not hand it over.
    Body,
    /// The proxy did not accept a change of the request.
    Edit,
    /// The proxy could not verify a signature.
    Signature,
    /// Code of ours panicked. Only an adapter that can catch a panic reports it; elsewhere it ends the VM.
    Panic,
}

impl Fault {
    /// Every kind.
    pub const ALL: &[Self] = &[
        Self::Headers,
        Self::SharedData,
        Self::Contended,
        Self::Body,
        Self::Edit,
        Self::Signature,
        Self::Panic,
    ];

    /// The kind as metrics show it.
    pub const fn kind(self) -> &'static str {
        match self {
            Self::Headers => "headers",
            Self::SharedData => "shared_data",
            Self::Contended => "contended",
            Self::Body => "body",
            Self::Edit => "edit",
            Self::Panic => "panic",
            Self::Signature => "signature",
        }
    }
}
