//! `api-guard explain`: what would Envoy do with a request, and which rule decides?

mod body;
mod condition;
mod report;
mod request;
mod rule;
mod steps;

use std::net::IpAddr;
use std::path::PathBuf;

use api_guard_core::cells::MemoryCells;
use api_guard_core::config::raw::RawConfig;
use api_guard_core::denial::Denial;
use api_guard_core::effect;
use api_guard_core::effect::Reply;
use api_guard_core::guard::{Guard, Memory, Revoked};
use api_guard_core::host::Host;
use api_guard_core::policy::Policy;
use api_guard_core::request::Request;
use api_guard_core::time::UnixNanos;
use api_guard_core::token::native::NativeSignatures;
use api_guard_core::token::signature::{SignatureCheck, SignatureFault, SignatureHost};
use api_guard_core::verdict::{Destination, Grant, Trail, Verdict};

use crate::jwks::Jwks;
use crate::outcome::{self, Failure, Outcome, print, say};
use crate::source::Configuration;
use crate::{clock, keygen, source};
use request::Sent;

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
    /// The path, with its query if it has one
    #[arg(long, value_name = "P")]
    path: String,
    /// A token, sent in the configuration's first source
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
    /// Send the request this many times and explain the last one, to see limits at work
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    repeat: u32,
    /// Print a JSON object
    #[arg(long)]
    json: bool,
}

/// The host that replaces Envoy.
struct Machine {
    cells: MemoryCells,
    address: String,
}

impl SignatureHost for Machine {
    fn verify_signature(&self, check: &SignatureCheck<'_>) -> Result<bool, SignatureFault> {
        NativeSignatures.verify_signature(check)
    }
}

impl Host for Machine {
    type Cells = MemoryCells;
    type Bytes = Vec<u8>;

    fn cells(&self) -> &MemoryCells {
        &self.cells
    }

    fn peer_address(&self) -> Option<Vec<u8>> {
        Some(self.address.clone().into_bytes())
    }
}

/// A request that was judged.
struct Explained<'e, 'r> {
    raw: &'e RawConfig,
    policy: &'e Policy,
    request: &'e Request<'r>,
    /// What each step found.
    trail: &'e Trail,
    /// The proof that it may pass, if it goes on to the upstream.
    grant: Option<&'e Grant>,
    /// The first refusal that was not carried out because of report mode.
    reported: Option<&'e Denial>,
    /// The response from api-guard itself, if there is one.
    reply: Option<Reply>,
    /// The refusal that is carried out.
    denial: Option<&'e Denial>,
    /// What to say of the key sets that are not known here.
    unknown_sets: &'e [String],
}

impl Explain {
    /// Prints the decision.
    pub(crate) fn run(&self) -> outcome::Result {
        let Configuration { raw, policy, .. } = source::configuration(&self.config, self.token.is_some())?;
        let sent = Sent::new(self, &raw);
        let guard = Guard::new(policy);
        let machine = Machine { cells: MemoryCells::new(), address: source_address(self.client_ip) };
        let fault = |_| Failure::failed("the shared cells cannot be opened");
        let mut memory =
            Memory::open(guard.policy(), &machine.cells, keygen::random::<16>()?).map_err(fault)?;
        let fetched = self.jwks.read(guard.policy(), &raw)?;
        for (index, set) in fetched.given {
            memory.put_key_set(index, set);
        }
        let request = Request::read(guard.policy().header_plan(), sent.pairs(), self.body.is_some());
        let now = clock::now();
        let mut verdict = guard.admit(&mut memory, &request, &machine, now);
        for _ in 1..self.repeat {
            verdict = guard.admit(&mut memory, &request, &machine, now);
        }
        let bad_body = self.judge_body(&mut verdict);
        let revoked = match bad_body {
            Some(_) => None,
            None => self.revoke(&guard, &mut memory, &verdict, &machine, now),
        };
        let late = revoked.as_ref().and_then(|answer| answer.as_ref().err());
        if late.is_some() {
            verdict.trail.revocation_refused();
        }
        let denial = verdict.denial().or(bad_body.as_ref()).or(late);
        let reply = match (&revoked, denial) {
            (_, Some(denial)) => Some(effect::refuse(guard.policy(), denial, request.request_id)),
            (Some(Ok(done)), None) => Some(effect::revoked(*done)),
            (Some(Err(_)) | None, None) => None,
        };
        let explained = Explained {
            raw: &raw,
            policy: guard.policy(),
            request: &request,
            trail: &verdict.trail,
            grant: verdict.grant().filter(|_| reply.is_none()),
            reported: verdict.reported.as_ref(),
            reply,
            denial,
            unknown_sets: &fetched.unknown,
        };
        if self.json {
            print(&report::json(&explained)?);
        } else {
            print(&report::text(&explained, &self.method, &self.path));
        }
        if !self.method.bytes().all(|letter| letter.is_ascii_uppercase() || letter == b'-') {
            say("note: methods are case-sensitive and usually written in capitals");
        }
        Ok(if denial.is_some() { Outcome::Refused } else { Outcome::Done })
    }

    /// Why the body of an admitted request is refused, if it is; in report mode that is only noted.
    fn judge_body(&self, verdict: &mut Verdict) -> Option<Denial> {
        let grant = verdict.grant()?;
        let denial = grant.judge_body(self.body.as_deref()?.as_bytes()).err()?;
        let enforces = grant.enforces();
        verdict.trail.body_refused(enforces);
        if enforces {
            return Some(denial);
        }
        verdict.reported.get_or_insert(denial);
        None
    }

    /// The revocation endpoint's answer, if the request is admitted to it.
    fn revoke(
        &self,
        guard: &Guard,
        memory: &mut Memory,
        verdict: &Verdict,
        machine: &Machine,
        now: UnixNanos,
    ) -> Option<Result<Revoked, Denial>> {
        let grant = verdict.grant()?;
        if grant.destination() != Destination::RevocationEndpoint {
            return None;
        }
        let body = self.body.as_deref().unwrap_or_default();
        Some(guard.revoke(memory, grant.identity()?, body.as_bytes(), now, machine, now))
    }
}

/// The address as Envoy writes it, with a port.
fn source_address(address: IpAddr) -> String {
    std::net::SocketAddr::new(address, 0).to_string()
}
