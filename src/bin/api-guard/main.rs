//! The command `api-guard`: mints tokens, checks configurations, explains decisions.
//!
//! One file for each subcommand. All of them judge with the core that runs in Envoy; nothing of it is repeated here.
//! Exit codes: 0 done or allowed, 1 refused or failed, 2 wrong usage.

mod clock;
mod keygen;
mod mint;
mod outcome;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use outcome::Outcome;

/// API security for Envoy: tokens, permissions, request form, rate limits, revocation.
#[derive(Parser)]
#[command(name = "api-guard", version, propagate_version = true, arg_required_else_help = true)]
#[command(after_help = "Exit codes: 0 done or allowed, 1 refused or failed, 2 wrong usage.")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Keygen(keygen::Keygen),
    Mint(mint::Mint),
}

fn main() -> ExitCode {
    // clap answers --help and --version itself with 0, wrong usage with 2.
    let result = match Cli::parse().command {
        Command::Keygen(keygen) => keygen.run(),
        Command::Mint(mint) => mint.run(),
    };
    match result {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}
