//! What do operators see? Counters and log lines, the latter sampled in a flood.
//!
//! All of it is derived from a verdict afterwards. Nothing here decides about a request.

pub mod counters;
pub mod line;
pub mod sampler;
pub mod tally;
