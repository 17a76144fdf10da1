//! What do many Envoys share, and how?
//!
//! Limits and revocations of a fleet stand in one store, Redis or Valkey.
//!
//! - `link.rs`: our side of the store, call by call; `member.rs`: how the workers of a process share it.
//! - `accounts.rs`, `account.rs`: what it knows of callers' limits, and what it has in hand; `units.rs`: what that is counted in.
//! - `sharing.rs`: revocations, told and read; `record.rs`: what the process knows of them, and who reads;
//!   `seen.rs`: what the store has.
//! - `notice.rs`: what a program that is no Envoy tells.
//! - `nodes.rs`: how many Envoys there are.
//! - `circuit.rs`: when the store is called; `outcome.rs`: how that can end.
//! - `rule.rs`: what the operator says.
//! - `names.rs`: the names under which the store keeps what it is told.
//! - `script.rs` and the `.lua` files: what the store does in one step.
//! - `resp.rs`: commands for the store, and its replies, as bytes.

mod account;
mod accounts;
mod circuit;
mod link;
mod member;
mod names;
mod nodes;
mod notice;
mod outcome;
mod record;
mod resp;
mod rule;
pub mod script;
mod seen;
mod sharing;
mod units;

pub use accounts::Standing;
pub use link::{Call, Ended, Link, Told};
pub use member::{Member, SharedLink};
pub use names::{Names, Revoked};
pub use notice::{NotTold, Notice};
pub use outcome::{CallOutcome, CallResponse, CallUse};
pub use record::{Knowledge, View};
pub use resp::MOST_REPLY_BYTES;
pub use rule::{AtStart, FleetLimit, FleetRule, Password, SharedRevocations, WhenUnreachable};
pub use units::{Demand, Unit};
