//! What becomes of one request, and which rule decides: the guard's trail with the names and pointers of the
//! configuration.

mod body;
mod condition;
pub mod judge;
pub mod report;
pub mod request;
mod rule;
pub mod steps;

use api_guard_core::config::raw::RawConfig;
use api_guard_core::denial::Denial;
use api_guard_core::effect::Reply;
use api_guard_core::policy::Policy;
use api_guard_core::request::Request;
use api_guard_core::time::UnixNanos;
use api_guard_core::token::current::CurrentSets;
use api_guard_core::verdict::{Grant, Trail};

use judge::{Bench, Judged};

/// A request that was judged.
pub struct Explained<'e, 'r> {
    /// The configuration as it is written.
    pub raw: &'e RawConfig,
    /// What it means.
    pub policy: &'e Policy,
    /// The request.
    pub request: &'e Request<'r>,
    /// What each step found.
    pub trail: &'e Trail,
    /// The proof that it may pass, if it goes on to the upstream.
    pub grant: Option<&'e Grant>,
    /// The first refusal that was not carried out because of report mode.
    pub reported: Option<&'e Denial>,
    /// The response from api-guard itself, if there is one.
    pub reply: Option<Reply>,
    /// The refusal that is carried out.
    pub denial: Option<&'e Denial>,
    /// The key sets that are known.
    pub sets: CurrentSets,
    /// The time of the request.
    pub now: UnixNanos,
    /// What to say of the key sets that are not known here.
    pub unknown_sets: &'e [String],
}

impl<'e, 'r> Explained<'e, 'r> {
    /// A request that was judged by this guard at `now`.
    pub fn new(
        raw: &'e RawConfig,
        bench: &'e Bench,
        request: &'e Request<'r>,
        judged: &'e Judged,
        unknown_sets: &'e [String],
        now: UnixNanos,
    ) -> Self {
        let policy = bench.policy();
        let reply = judged.reply(policy, request);
        let verdict = &judged.verdict;
        Self {
            raw,
            policy,
            request,
            trail: &verdict.trail,
            grant: verdict.grant().filter(|_| reply.is_none()),
            reported: verdict.reported.as_ref(),
            denial: judged.denial(),
            reply,
            sets: bench.current_sets(),
            now,
            unknown_sets,
        }
    }
}
