//! What operators see: counters, log lines, and which of them are left out in a flood.
//!
//! All of it is worked out from a verdict after the fact. Nothing in here decides anything about a request.

pub mod counters;
pub mod line;
pub mod sampler;
pub mod tally;
