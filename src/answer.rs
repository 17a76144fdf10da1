//! What is answered in place of the upstream, and what is noted of a request that passes.

use proxy_wasm::types::Action;

use crate::account::{Origin, report};
use crate::cells::CurrentStream;
use crate::host;
use crate::root::Shared;
use api_guard_core::decision::{Denial, Fault, FormFault, FormFaults};
use api_guard_core::effect::{self, Reply};
use api_guard_core::event::Subject;
use api_guard_core::guard::Verdict;
use api_guard_core::request::Request;
use api_guard_core::time::UnixNanos;

/// The request was answered: nothing of it goes on.
pub(crate) struct Answered;

/// What was found out from the headers, for when they are gone.
pub(crate) struct Judgement {
    pub(crate) verdict: Verdict,
    pub(crate) subject: Subject,
    grpc: bool,
}

impl Judgement {
    pub(crate) fn new(shared: &Shared, request: &Request<'_>, verdict: &mut Verdict) -> Self {
        let origin = Origin::Headers(request);
        let subject = origin.subject(origin.client_ip(shared, verdict));
        let verdict = std::mem::take(verdict);
        Self { verdict, subject, grpc: request.is_grpc() }
    }
}

/// Refuses a request that could not even be judged.
pub(crate) fn refuse_unread(shared: &Shared, fault: Fault) -> Answered {
    let denial = Denial::Fault(fault);
    let metrics = &shared.metrics;
    metrics.counters.decided(Some(&denial), true, |place| metrics.add(place));
    log::error!("api-guard: internal fault: {}", fault.kind());
    host::set_filter_state("api_guard.code", denial.code().as_str().as_bytes());
    host::send_reply(&effect::refuse(shared.guard.policy(), &denial, None), false);
    Answered
}

pub(crate) fn refuse_size(shared: &Shared, judged: &Judgement, max_bytes: u64) -> Action {
    answer_denial(shared, judged, &too_large(max_bytes));
    Action::Pause
}

pub(crate) fn too_large(max_bytes: u64) -> Denial {
    Denial::Form(FormFaults::one(FormFault::TooLarge { max_bytes }))
}

fn answer_denial(shared: &Shared, judged: &Judgement, denial: &Denial) {
    report(shared, denial, &judged.verdict, Origin::Kept(&judged.subject), true, host::now());
    let request_id = judged.subject.request_id.as_bytes();
    answer(judged, &effect::refuse(shared.guard.policy(), denial, Some(request_id)));
}

fn answer(judged: &Judgement, reply: &Reply) {
    host::send_reply(reply, judged.grpc);
}

pub(crate) fn revoke_with_body(shared: &Shared, judged: &Judgement, max_bytes: u64) {
    let length = usize::try_from(max_bytes).unwrap_or(usize::MAX).saturating_add(1);
    match host::request_body(length) {
        Ok(body) => revoke(shared, judged, &body, host::now()),
        Err(fault) => answer_denial(shared, judged, &Denial::Fault(fault)),
    }
}

pub(crate) fn revoke(shared: &Shared, judged: &Judgement, body: &[u8], now: UnixNanos) {
    let result = match &judged.verdict.caller {
        None => Err(Denial::TokenMissing),
        Some(caller) => match shared.worker().as_deref_mut() {
            Ok(Some(worker)) => shared.guard.revoke(worker, caller, body, &CurrentStream::default(), now),
            Ok(None) => Err(Denial::Fault(Fault::SharedData)),
            Err(fault) => Err(Denial::Fault(*fault)),
        },
    };
    let metrics = &shared.metrics;
    metrics.counters.revoked(result.as_ref().map(drop), |place| metrics.add(place));
    match result {
        Ok(revoked) => {
            pass_judged(shared, judged);
            answer(judged, &effect::revoked(revoked));
        }
        Err(denial) => answer_denial(shared, judged, &denial),
    }
}

/// Counts a request that passes, once: as allowed, or as one that would have been refused.
pub(crate) fn pass(shared: &Shared, verdict: &Verdict, origin: Origin<'_, '_>, now: UnixNanos) {
    match &verdict.reported {
        Some(denial) => report(shared, denial, verdict, origin, false, now),
        None => {
            let metrics = &shared.metrics;
            metrics.counters.decided(None, false, |place| metrics.add(place));
        }
    }
}

pub(crate) fn pass_judged(shared: &Shared, judged: &Judgement) {
    // Only a report asks for the time.
    let now = if judged.verdict.reported.is_some() { host::now() } else { UnixNanos::default() };
    pass(shared, &judged.verdict, Origin::Kept(&judged.subject), now);
}
