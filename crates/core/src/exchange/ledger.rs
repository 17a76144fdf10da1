//! How a request is counted, logged, written into filter state and answered. Every refusal, in any phase, goes through
//! this module.

use std::net::IpAddr;

use crate::denial::Denial;
use crate::effect::forward::Edit;
use crate::effect::{self, Reply};
use crate::engine::Engine;
use crate::fault::Fault;
use crate::host::{Action, StreamHost};
use crate::limit::Standing;
use crate::policy::SubjectState;
use crate::request::Request;
use crate::request::shown::{self, Shown};
use crate::telemetry::line::{self, Line, LoggedRequest};
use crate::telemetry::sampler::Topic;
use crate::time::UnixNanos;
use crate::token::Age;
use crate::verdict::{Decision, Grant, Trail, Verdict};

/// What is kept of an admitted request for later phases, when its headers are gone.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) grant: Grant,
    /// When the headers came.
    pub(super) headers_at: UnixNanos,
    reported: Option<Denial>,
    trail: Trail,
    client_ip: Option<IpAddr>,
    shown: shown::Kept,
    is_grpc: bool,
}

impl Kept {
    /// What is kept of a verdict; `None` if it is a refusal, of which nothing is.
    pub(super) fn of(
        engine: &Engine,
        host: &impl StreamHost,
        request: &Request<'_>,
        verdict: Verdict,
        headers_at: UnixNanos,
    ) -> Option<Box<Self>> {
        let Verdict { decision, reported, trail } = verdict;
        let Decision::Admit(grant) = decision else { return None };
        let client_ip = Source::Headers(request).client_ip(engine, host, &trail);
        let (shown, is_grpc) = (Shown::of(request).keep(), request.is_grpc());
        Some(Box::new(Self { grant, headers_at, reported, trail, client_ip, shown, is_grpc }))
    }

    pub(super) fn about(&self) -> About<'_, '_> {
        About { trail: &self.trail, source: Source::Kept(self) }
    }

    /// Counts a request that passes: as allowed, or as one that would have been refused.
    pub(super) fn pass(&self, engine: &Engine, host: &mut impl StreamHost, now: UnixNanos) {
        pass(engine, host, self.reported.as_ref(), &self.about(), now);
    }

    /// Refuses the request for what turned out later, or reports it in report mode. Returns whether it is refused. Our own
    /// faults refuse in any mode.
    pub(super) fn carry_out(
        &self,
        engine: &Engine,
        denial: &Denial,
        host: &mut impl StreamHost,
        now: UnixNanos,
    ) -> bool {
        let refuses = self.grant.enforces() || matches!(denial, Denial::Fault(_));
        if refuses {
            refuse(engine, host, denial, &self.about(), now);
        } else {
            would_refuse(engine, host, denial, &self.about(), now);
        }
        refuses
    }
}

/// The request that counters, lines and answers are about.
pub(super) struct About<'a, 'r> {
    pub(super) trail: &'a Trail,
    pub(super) source: Source<'a, 'r>,
}

/// Where the facts about the request come from.
#[derive(Clone, Copy)]
pub(super) enum Source<'a, 'r> {
    /// Its headers.
    Headers(&'a Request<'r>),
    /// What was kept of them.
    Kept(&'a Kept),
    /// Nothing: the request could not be read.
    Unread,
}

impl Source<'_, '_> {
    fn client_ip(self, engine: &Engine, host: &impl StreamHost, trail: &Trail) -> Option<IpAddr> {
        match self {
            // A limit may have asked already, and asking the host costs a call that returns bytes.
            Self::Headers(request) => {
                trail.address.unwrap_or_else(|| engine.guard.client_address(request, host))
            }
            Self::Kept(kept) => kept.client_ip,
            Self::Unread => None,
        }
    }

    fn shown(&self) -> Shown<'_> {
        match self {
            Self::Headers(request) => Shown::of(request),
            Self::Kept(kept) => kept.shown.shown(),
            Self::Unread => Shown::default(),
        }
    }

    fn logged(self, client_ip: Option<IpAddr>) -> LoggedRequest {
        let lossy = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let cut = |bytes: &[u8]| effect::cut(&String::from_utf8_lossy(bytes)).to_owned();
        let Shown { method, path, request_id } = self.shown();
        LoggedRequest { method: cut(method), path: lossy(path), request_id: cut(request_id), client_ip }
    }

    /// Names the headers of a request that access logs take for ours. A request that was kept lost them before.
    fn each_forged(self, remove: impl FnMut(&[u8])) {
        match self {
            Self::Headers(request) => request.removals.iter().copied().for_each(remove),
            Self::Kept(_) | Self::Unread => {}
        }
    }

    fn is_grpc(self) -> bool {
        match self {
            Self::Headers(request) => request.is_grpc(),
            Self::Kept(kept) => kept.is_grpc,
            Self::Unread => false,
        }
    }

    fn request_id(&self) -> Option<&[u8]> {
        match self {
            Self::Headers(request) => request.request_id,
            Self::Kept(kept) => Some(kept.shown.shown().request_id),
            Self::Unread => None,
        }
    }
}

/// Carries out an action whose failure is no reason to refuse.
fn act(host: &mut impl StreamHost, action: Action<'_>) {
    let _ = host.act(action);
}

/// Refuses the request: counts, logs and answers.
pub(super) fn refuse(
    engine: &Engine,
    host: &mut impl StreamHost,
    denial: &Denial,
    about: &About<'_, '_>,
    now: UnixNanos,
) {
    stays_here(engine, host, about);
    report(engine, host, denial, about, true, now);
    let reply = effect::refuse(engine.guard.policy(), denial, about.source.request_id());
    answer(host, &reply, about);
}

/// Refuses a request whose headers could not be read. Any of them that access logs take for ours is removed.
pub(super) fn refuse_unread(engine: &Engine, host: &mut impl StreamHost, fault: Fault, now: UnixNanos) {
    for name in engine.guard.policy().forward.header_names() {
        act(host, Action::Edit(Edit::Remove(name.as_bytes())));
    }
    let about = About { trail: &Trail::default(), source: Source::Unread };
    refuse(engine, host, &Denial::Fault(fault), &about, now);
}

/// Answers the request instead of the upstream.
pub(super) fn answer(host: &mut impl StreamHost, reply: &Reply, about: &About<'_, '_>) {
    act(host, Action::Reply { reply, is_grpc: about.source.is_grpc() });
}

/// Reports a refusal that is not carried out.
pub(super) fn would_refuse(
    engine: &Engine,
    host: &mut impl StreamHost,
    denial: &Denial,
    about: &About<'_, '_>,
    now: UnixNanos,
) {
    name_unforwarded(engine, host, about.trail);
    report(engine, host, denial, about, false, now);
}

/// Counts, logs and writes into filter state a refusal that is carried out, or would have been. Does not answer.
fn report(
    engine: &Engine,
    host: &mut impl StreamHost,
    denial: &Denial,
    about: &About<'_, '_>,
    carried_out: bool,
    now: UnixNanos,
) {
    let policy = engine.guard.policy();
    engine.counters.refused(denial, carried_out, |counter| act(host, Action::Count(counter)));
    let code = denial.code();
    let mut tell = |name, value: &str| act(host, Action::FilterState { name, value: value.as_bytes() });
    tell("api_guard.code", code.as_str());
    if let Some(label) = policy.route_label(about.trail.form.route) {
        tell("api_guard.route", label);
    }
    if let Some(over) = denial.over_limit() {
        tell("api_guard.limit", &over.name);
    }
    if let Some(request) = sampled(engine, host, about, Topic::Refusal(code), now) {
        let line = line::refused(policy, denial, about.trail, &request, carried_out);
        act(host, Action::Log(&line));
    }
    engine.hand_over_entered(host, now);
}

/// Counts a request that passes: as allowed, or as one that would have been refused.
pub(super) fn pass(
    engine: &Engine,
    host: &mut impl StreamHost,
    reported: Option<&Denial>,
    about: &About<'_, '_>,
    now: UnixNanos,
) {
    match reported {
        Some(denial) => would_refuse(engine, host, denial, about, now),
        None => act(host, Action::Count(engine.counters.allowed())),
    }
}

/// Records what was found on the way, whatever the decision: counters, the caller for later filters, and lines about
/// old tokens and limits that are nearly used up.
pub(super) fn passed_through(
    engine: &Engine,
    host: &mut impl StreamHost,
    about: &About<'_, '_>,
    now: UnixNanos,
) {
    let policy = engine.guard.policy();
    let trail = about.trail;
    engine.counters.passed_through(trail, |counter| act(host, Action::Count(counter)));
    if policy.forward.filter_state == SubjectState::All {
        name_subject(host, trail);
    }
    if trail.token.as_ref().is_some_and(|token| token.age == Age::Old)
        && let Some(request) = sampled(engine, host, about, Topic::OldToken, now)
    {
        act(host, Action::Log(&line::old_token(policy, trail, &request)));
    }
    for judged in trail.limits.iter().filter(|judged| judged.outcome.standing == Standing::Warned) {
        if let Some(request) = sampled(engine, host, about, Topic::NearLimit, now) {
            act(host, Action::Log(&line::near_limit(policy, judged, trail, &request)));
        }
    }
}

/// Prepares a request that the upstream never gets for access logs: they see its caller, and nothing that the client
/// says of itself.
pub(super) fn stays_here(engine: &Engine, host: &mut impl StreamHost, about: &About<'_, '_>) {
    about.source.each_forged(|name| act(host, Action::Edit(Edit::Remove(name))));
    name_unforwarded(engine, host, about.trail);
}

/// Names the caller of a refusal in filter state, unless every request names its caller.
fn name_unforwarded(engine: &Engine, host: &mut impl StreamHost, trail: &Trail) {
    if engine.guard.policy().forward.filter_state == SubjectState::Refusals {
        name_subject(host, trail);
    }
}

/// Names the caller in filter state, if there is one.
fn name_subject(host: &mut impl StreamHost, trail: &Trail) {
    if let Some(subject) = trail.identity().and_then(|caller| caller.token.subject()) {
        act(host, Action::FilterState { name: "api_guard.subject", value: subject.as_bytes() });
    }
}

/// Logs what the operator has to change in the host's configuration.
pub(super) fn advise(host: &mut impl StreamHost, text: &str) {
    act(host, Action::Log(&Line { level: log::Level::Error, text: text.to_owned() }));
}

/// The request for a log line about this client and topic; `None` if the sampler leaves the line out.
fn sampled(
    engine: &Engine,
    host: &impl StreamHost,
    about: &About<'_, '_>,
    topic: Topic,
    now: UnixNanos,
) -> Option<LoggedRequest> {
    let client_ip = about.source.client_ip(engine, host, about.trail);
    let mut sampler = engine.sampler.try_borrow_mut().ok()?;
    sampler.admits(topic, client_ip, now).then(|| about.source.logged(client_ip))
}
