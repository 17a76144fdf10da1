//! The command `api-guard`: mints tokens, checks configurations, explains decisions.
//!
//! Each subcommand has a file. All of them judge with the core that runs in Envoy and repeat none of its rules.
//! Exit codes: 0 done or allowed, 1 refused or failed, 2 wrong usage.

mod cases;
mod check;
mod clock;
mod diff;
mod emit;
mod excerpt;
mod explain;
mod import;
mod input;
mod inspect;
mod jwks;
mod keygen;
mod mint;
mod outcome;
mod playground;
mod private_key;
mod revoke;
mod run;
mod schema;
mod shells;
mod source;
mod store;
mod style;
mod test;
mod upstream;

use std::process::ExitCode;

use api_guard_explain::{issue, limits, wording, words};

use clap::{CommandFactory, Parser, Subcommand};

use outcome::{Failure, Outcome};

/// API security for Envoy: tokens, permissions, request form, rate limits, revocation.
#[derive(Parser)]
#[command(name = "api-guard", version, propagate_version = true, arg_required_else_help = true)]
#[command(after_help = "Exit codes: 0 done or allowed, 1 refused or failed, 2 wrong usage.")]
struct Cli {
    /// Colour: on a terminal (unless NO_COLOR is set), always or never
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    color: clap::ColorChoice,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Run(run::Run),
    Keygen(keygen::Keygen),
    Mint(mint::Mint),
    Inspect(inspect::Inspect),
    Revoke(revoke::Revoke),
    Check(check::Check),
    Explain(explain::Explain),
    Test(test::Test),
    Diff(diff::Diff),
    Import(import::Import),
    Schema(schema::Schema),
    Emit(emit::Emit),
    Playground(playground::Playground),
    Completions(shells::Completions),
    Man(shells::Man),
}

fn main() -> ExitCode {
    if let Some(why) = run::tether::follow() {
        return Failure::failed(why).report();
    }
    // clap answers --help and --version itself with 0, wrong usage with 2.
    let Cli { color, command } = Cli::parse();
    style::choose(color);
    let result = match command {
        Command::Run(run) => run.run(),
        Command::Keygen(keygen) => keygen.run(),
        Command::Mint(mint) => mint.run(),
        Command::Inspect(inspect) => inspect.run(),
        Command::Revoke(revoke) => revoke.run(),
        Command::Check(check) => check.run(),
        Command::Explain(explain) => explain.run(),
        Command::Test(test) => test.run(),
        Command::Diff(diff) => diff.run(),
        Command::Import(import) => import.run(),
        Command::Schema(schema) => schema.run(),
        Command::Emit(emit) => emit.run(),
        Command::Playground(playground) => playground.run(),
        Command::Completions(completions) => completions.run(Cli::command()),
        Command::Man(man) => man.run(Cli::command()),
    };
    match result {
        Ok(Outcome::Done) if outcome::is_printed() => ExitCode::SUCCESS,
        Ok(Outcome::Done | Outcome::Refused) => ExitCode::FAILURE,
        Err(failure) => failure.report(),
    }
}
