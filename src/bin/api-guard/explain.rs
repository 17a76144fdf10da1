//! `api-guard explain`: what would Envoy do with a request, and which rule decides?

mod report;

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use api_guard_core::cells::MemoryCells;
use api_guard_core::policy::Policy;
use api_guard_core::request::Request;
use api_guard_core::time::UnixNanos;
use api_guard_explain::explain::judge::Bench;
use api_guard_explain::explain::request::{self, Parts, pairs};
use api_guard_explain::explain::{Explained, report as machine};

use crate::cases::moment;
use crate::jwks::Jwks;
use crate::keygen;
use crate::outcome::{self, Failure, Outcome, print, say};
use crate::source::Configuration;
use crate::{clock, input, source};

/// Explain what Envoy would do with a request: each step, and the rule that decides.
///
/// The code that runs in Envoy judges it, with counters and revocations as they are after a start. Secrets come from
/// the environment, as the configuration says, and the keys of a set that Envoy would fetch from the file of --jwks. Exit code 0: allowed, 1: refused.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  api-guard explain --config envoy.yaml --method GET --path /health
  api-guard explain --config api-guard.json --method GET --path /orders/42 --token \"$(api-guard mint --sub user-7)\"
  api-guard explain --config api-guard.json --method POST --path /orders --header content-type:text/plain --body x --json")]
pub(crate) struct Explain {
    /// The configuration: plugin JSON, or a manifest that contains it
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    #[command(flatten)]
    jwks: Jwks,
    /// The method, in capitals
    #[arg(long, value_name = "M", default_value = "GET")]
    method: String,
    /// The path, with its query if it has one; or a whole URL, which is taken apart
    #[arg(long, value_name = "P")]
    path: String,
    /// A token, with or without "Bearer " before it, sent in the configuration's first source; - reads it from standard input
    #[arg(long, value_name = "T")]
    token: Option<String>,
    /// A header; may be repeated. The default of host is localhost
    #[arg(long = "header", value_name = "NAME:VALUE", value_parser = request::header)]
    headers: Vec<(String, String)>,
    /// The client's address
    #[arg(long, value_name = "A", default_value = "127.0.0.1")]
    client_ip: IpAddr,
    /// A body, whose length is declared unless there is a header transfer-encoding
    #[arg(long, value_name = "TEXT")]
    body: Option<String>,
    /// The time of the request (RFC 3339); now if it is left out
    #[arg(long, value_name = "T", value_parser = moment)]
    time: Option<UnixNanos>,
    /// Send the request this many times and explain the last one, to see limits at work
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    repeat: u32,
    /// Print a JSON object
    #[arg(long)]
    json: bool,
}

impl Explain {
    /// Prints the decision.
    pub(crate) fn run(&self) -> outcome::Result {
        let token = self.token.as_deref().map(Path::new);
        input::once(std::iter::once(self.config.as_path()).chain(token).chain(self.jwks.paths()))?;
        let Configuration { raw, policy, unset, .. } = source::configuration(&self.config)?;
        let token = self.token.as_deref().map(input::token).transpose()?;
        let parts = Parts {
            method: &self.method,
            path: &self.path,
            headers: &self.headers,
            token: token.as_deref(),
            body: self.body.as_deref(),
        };
        let sent = pairs(parts, raw.tokens.sources.first());
        let fetched = self.jwks.read(&policy, &raw)?;
        let mut bench = bench(policy, self.client_ip)?;
        bench.put_key_sets(fetched.given);
        let now = self.time.unwrap_or_else(clock::now);
        let bytes = sent.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
        let request = Request::read(bench.policy().header_plan(), bytes, self.body.is_some());
        let mut judges_token = false;
        for _ in 1..self.repeat {
            judges_token |= bench.admit(&request, now).trail.token.is_some();
        }
        let judged = bench.judge(&request, self.body.as_deref(), now);
        judges_token |= judged.verdict.trail.token.is_some();
        // Without its secret a key is as unknown as if the configuration did not have it.
        if let (true, Some(unset)) = (judges_token, unset) {
            return Err(unset);
        }
        let explained = Explained::new(&raw, &bench, &request, &judged, &fetched.unknown, now);
        if self.json {
            let object = serde_json::to_string_pretty(&machine::json(&explained));
            print(&object.map_err(|error| Failure::failed(error.to_string()))?);
        } else {
            print(&report::text(&explained, &self.method, &self.path));
        }
        if !self.method.bytes().all(|letter| letter.is_ascii_uppercase() || letter == b'-') {
            say("note: methods are case-sensitive and usually written in capitals");
        }
        Ok(if explained.denial.is_some() { Outcome::Refused } else { Outcome::Done })
    }
}

/// A guard as it is after a start: nothing has been counted or revoked.
pub(crate) fn bench(policy: Policy, client: IpAddr) -> Result<Bench, Failure> {
    Bench::new(policy, client, MemoryCells::new(), keygen::random::<16>()?)
        .map_err(|_| Failure::failed("the shared cells cannot be opened"))
}
