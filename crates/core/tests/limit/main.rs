//! Rate limits from outside: the window against a naive log, the table and its bounds, several limits at once, leases.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    unreachable_pub,
    reason = "a test may panic, in its helpers too, and is its own public"
)]

mod clock;
mod limiter;
mod shares;
mod sharing;
mod window;
