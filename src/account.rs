//! What is told of a request: counters, filter state for access logs and later filters, log lines.

use std::net::IpAddr;

use crate::cells::CurrentStream;
use crate::host;
use crate::root::Shared;
use api_guard_core::decision::{Code, Denial};
use api_guard_core::effect;
use api_guard_core::event::{self, Line, Subject};
use api_guard_core::guard::Verdict;
use api_guard_core::limit::Standing;
use api_guard_core::request::Request;
use api_guard_core::time::UnixNanos;
use api_guard_core::token::Age;

/// Where a log line finds its request: in the headers, or in what was kept of them.
#[derive(Clone, Copy)]
pub(crate) enum Origin<'a, 'r> {
    Headers(&'a Request<'r>),
    Kept(&'a Subject),
}

impl Origin<'_, '_> {
    pub(crate) fn client_ip(self, shared: &Shared, verdict: &Verdict) -> Option<IpAddr> {
        match self {
            // Asking Envoy costs a call that returns bytes, and a limit may have asked already.
            Self::Headers(request) => verdict
                .address
                .unwrap_or_else(|| shared.guard.client_address(request, &CurrentStream::default())),
            Self::Kept(subject) => subject.client_ip,
        }
    }

    /// Whether to write a line about this client and code, and if so, about what.
    fn sampled(self, shared: &Shared, verdict: &Verdict, code: Code, now: UnixNanos) -> Option<Subject> {
        let client_ip = self.client_ip(shared, verdict);
        let mut sampler = shared.sampler.try_borrow_mut().ok()?;
        sampler.admits(code, client_ip, now).then(|| self.subject(client_ip))
    }

    pub(crate) fn subject(self, client_ip: Option<IpAddr>) -> Subject {
        let lossy = |bytes: &[u8]| effect::cut(&String::from_utf8_lossy(bytes)).to_owned();
        match self {
            Self::Headers(request) => Subject {
                method: lossy(request.method),
                path: request.logged_path(),
                request_id: lossy(request.request_id.unwrap_or_default()),
                client_ip,
            },
            Self::Kept(subject) => subject.clone(),
        }
    }
}

/// Everything but the reply: count, filter state, log.
pub(crate) fn report(
    shared: &Shared,
    denial: &Denial,
    verdict: &Verdict,
    origin: Origin<'_, '_>,
    carried_out: bool,
    now: UnixNanos,
) {
    let policy = shared.guard.policy();
    let metrics = &shared.metrics;
    metrics.counters.decided(Some(denial), carried_out, |place| metrics.add(place));
    let code = denial.code();
    host::set_filter_state("api_guard.code", code.as_str().as_bytes());
    if let Some(label) = policy.route_label(verdict.route) {
        host::set_filter_state("api_guard.route", label.as_bytes());
    }
    if let Some(over) = denial.over_limit() {
        host::set_filter_state("api_guard.limit", over.name.as_bytes());
    }
    if let Some(subject) = origin.sampled(shared, verdict, code, now) {
        write(&event::refused(policy, denial, verdict, &subject, carried_out));
    }
}

/// Lines for what passes and should be known.
pub(crate) fn log_passing(shared: &Shared, verdict: &Verdict, origin: Origin<'_, '_>, now: UnixNanos) {
    let policy = shared.guard.policy();
    if verdict.age == Age::Old
        && let Some(subject) = origin.sampled(shared, verdict, Code::TokenTooOld, now)
    {
        write(&event::old_token(policy, verdict, &subject));
    }
    for judged in verdict.limits.iter().filter(|judged| judged.outcome.standing == Standing::Warned) {
        let subject = origin.subject(origin.client_ip(shared, verdict));
        write(&event::near_limit(policy, judged, verdict, &subject));
    }
}

fn write(line: &Line) {
    log::log!(line.level, "{}", line.text);
}
