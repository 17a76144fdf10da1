//! What do many Envoys share, and how?
//!
//! Limits and revocations of a fleet stand in one store, Redis or Valkey.
//!
//! - `resp.rs`: commands for the store, and its replies, as bytes.
//! - `script.rs` and the `.lua` files: what the store does in one step.
//! - `names.rs`: the names under which it keeps what it is told.

mod names;
mod resp;
pub mod script;

pub use names::{Names, Revoked};
pub use resp::MOST_REPLY_BYTES;
