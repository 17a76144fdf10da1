//! The command as a user meets it: the built binary, its output and its exit codes.

mod command;
mod help;
mod keygen;
mod mint;
