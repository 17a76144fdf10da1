//! Many requests, each with the verdict that the contract gives it: all that differ are shown at once.

use crate::ask::{Ask, Protocol};
use crate::process::Envoy;

/// Sends each request over each protocol and compares its verdict with the expected one, which is a status with or
/// without a code, several with `|` between them. A refusal must be whole (status, headers, body, nothing forwarded)
/// where it is the module's own; a 200 must have reached the service.
#[track_caller]
pub(crate) fn judge<N: AsRef<str>>(
    envoy: &Envoy,
    protocols: &[Protocol],
    rows: impl IntoIterator<Item = (N, Ask, &'static str)>,
) {
    let mut wrong = Vec::new();
    for (name, ask, expected) in rows {
        for protocol in protocols {
            let (test, outcome) = ask.try_send(envoy, *protocol);
            let verdict = outcome.as_ref().map_or_else(|cut| format!("{cut:?}"), |reply| reply.verdict());
            if !fits(&verdict, expected) {
                let body = outcome.map(|reply| reply.text()).unwrap_or_default();
                wrong.push(format!("{} over {protocol:?}: {verdict}, not {expected}: {body}", name.as_ref()));
                continue;
            }
            match (outcome, verdict.split_once(' ')) {
                (Ok(reply), Some((_, code))) => drop(reply.refused(envoy, reply.status, code)),
                (Ok(reply), None) if reply.status == 200 => drop(reply.forwarded(envoy)),
                _ => assert!(envoy.upstream.heard(&test).is_empty(), "{} was forwarded", name.as_ref()),
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    envoy.assert_healthy();
}

pub(crate) fn fits(verdict: &str, expected: &str) -> bool {
    expected.split('|').any(|one| {
        let rest = verdict.strip_prefix(one);
        // `401` fits `401 token_missing`, and `cut` any end without a reply.
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
            || (one == "cut" && !verdict.starts_with(|first: char| first.is_ascii_digit()))
    })
}
