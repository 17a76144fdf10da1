//! The signature algorithms (RFC 7518 section 3), and everything that differs between them.
//!
//! The key determines the algorithm (RFC 8725 section 3.1); the token cannot choose it.

#[cfg(feature = "schema")]
use schemars::JsonSchema;

/// A signature algorithm.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename_all = "UPPERCASE"))]
pub enum Algorithm {
    /// HMAC with SHA-256 (RFC 7518 section 3.2).
    #[default]
    Hs256,
    /// HMAC with SHA-384.
    Hs384,
    /// HMAC with SHA-512.
    Hs512,
}

impl Algorithm {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Hs256, Self::Hs384, Self::Hs512];

    /// Its name in `alg`, which is case-sensitive (RFC 7515 section 4.1.1).
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hs256 => "HS256",
            Self::Hs384 => "HS384",
            Self::Hs512 => "HS512",
        }
    }

    /// The length of a signature, in bytes.
    pub const fn signature_bytes(self) -> usize {
        match self {
            Self::Hs256 => 32,
            Self::Hs384 => 48,
            Self::Hs512 => 64,
        }
    }

    /// The length of the shortest secret, in bytes: that of the hash (RFC 7518 section 3.2).
    pub const fn least_secret_bytes(self) -> usize {
        self.signature_bytes()
    }
}
