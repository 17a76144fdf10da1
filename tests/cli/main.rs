//! The command as a user meets it: the built binary, its output and its exit codes.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::as_conversions,
    clippy::disallowed_methods,
    clippy::arithmetic_side_effects
)]

mod cases;
mod chart;
mod check;
mod command;
mod diff;
mod emit;
mod explain;
mod files;
mod help;
mod import;
mod inspect;
mod key_sets;
mod keygen;
mod mint;
mod playground;
mod refused;
mod revoke;
#[cfg(unix)]
mod run;
mod schema;
mod shells;
