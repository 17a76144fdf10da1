//! The request as the core sees it: bytes from a client, settled once at the door.
//!
//! Letter case, percent-encoding and everything that two readers could read in two ways is decided here;
//! nothing later compares raw strings.

pub mod host;
pub mod target;
