//! What many Envoys share, held to a real store where there is one, and simulated where there is none.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    reason = "a test that cannot go on fails"
)]

mod crowd;
mod limit_script;
mod model;
mod modes;
mod replies;
mod requests;
mod revocations;
mod roles;
mod several;
mod simulation;
mod slow;
mod store;
mod workers;
