//! The signature algorithms (RFC 7518 section 3), and everything that differs between them.
//!
//! The key determines the algorithm (RFC 8725 section 3.1); the token cannot choose it.

/// A signature algorithm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// HMAC with SHA-256 (RFC 7518 section 3.2).
    Hs256,
}

impl Algorithm {
    /// Its name in `alg`, which is case-sensitive (RFC 7515 section 4.1.1).
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hs256 => "HS256",
        }
    }

    /// The length of a signature, in bytes.
    pub const fn signature_bytes(self) -> usize {
        match self {
            Self::Hs256 => 32,
        }
    }

    /// The length of the shortest secret, in bytes: that of the hash (RFC 7518 section 3.2).
    pub const fn least_secret_bytes(self) -> usize {
        match self {
            Self::Hs256 => 32,
        }
    }
}
