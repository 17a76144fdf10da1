//! What do operators see? Counters, gauges, and log lines, which are sampled in a flood.
//!
//! All of it is derived from a verdict afterwards. Nothing here decides about a request.

/// The version of api-guard, as metrics and logs show it.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

pub mod counters;
pub mod gauges;
pub mod line;
pub mod sampler;
pub mod tally;
