//! The command as a user meets it: the built binary, its output and its exit codes.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

mod command;
mod help;
mod keygen;
mod mint;
