//! What do operators see? Counters, gauges, and log lines, which are sampled in a flood.
//!
//! All of it is derived from a verdict afterwards. Nothing here decides about a request.

pub mod counters;
pub mod gauges;
pub mod line;
pub mod sampler;
pub mod tally;
