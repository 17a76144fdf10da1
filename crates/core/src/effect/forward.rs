//! What changes in a request on its way to the upstream? The caller's identity is added, and whatever the client
//! claimed about it is removed.

use crate::guard::Caller;
use crate::policy::{ForwardToken, Policy};
use crate::request::Request;
use crate::request::credential::{self, Source, WEBSOCKET_PROTOCOL};
use crate::request::plan::HeaderPlan;
use crate::verdict::Grant;

/// One change of the request's headers. Removing and setting act on all entries of the name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edit<'a> {
    /// Remove the header.
    Remove(&'a [u8]),
    /// Add a header that the request does not have yet. Envoy need not search for it, which saves half of the cost.
    Add(&'a str, &'a [u8]),
    /// Set the header to this value alone.
    Set(&'a str, &'a [u8]),
}

/// Makes the changes to an admitted request, as few as possible: every change costs time and makes Envoy choose its
/// route again.
///
/// # Errors
///
/// The first error of `edit`. The changes after it are not made.
pub fn each_edit<E>(
    policy: &Policy,
    grant: &Grant,
    request: &Request<'_>,
    mut edit: impl FnMut(Edit<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let caller = grant.identity();
    if let Some(caller) = caller {
        for (name, value) in identity(policy, caller) {
            let is_there = request.removals.contains(&name.as_bytes());
            edit(if is_there { Edit::Set(name, value) } else { Edit::Add(name, value) })?;
        }
    }
    for sent in &request.removals {
        let is_set =
            caller.is_some_and(|caller| identity(policy, caller).any(|(name, _)| name.as_bytes() == *sent));
        if !is_set {
            edit(Edit::Remove(sent))?;
        }
    }
    match options_left(&policy.plan, &request.connections) {
        Some(rest) if rest.is_empty() => edit(Edit::Remove(b"connection"))?,
        Some(rest) => edit(Edit::Set("connection", &rest))?,
        None => {}
    }
    hide_protocol_tokens(policy, request, &mut edit)?;
    if policy.forward.token == ForwardToken::Strip { strip(policy, request, &mut edit) } else { Ok(()) }
}

/// Removes tokens from among the WebSocket subprotocols, where the upstream would take them for protocols to choose from.
fn hide_protocol_tokens<E>(
    policy: &Policy,
    request: &Request<'_>,
    edit: &mut impl FnMut(Edit<'_>) -> Result<(), E>,
) -> Result<(), E> {
    if request.websocket_protocols.is_empty() {
        return Ok(());
    }
    for source in &policy.sources {
        if let Source::WebSocketProtocol(name) = source
            && let Some(rest) = credential::protocols_without_token(&request.websocket_protocols, name)
        {
            return edit(Edit::Set(WEBSOCKET_PROTOCOL, &rest));
        }
    }
    Ok(())
}

/// What `connection` names (RFC 9110 section 7.6.1) besides headers about which a client is not believed; `None` if it
/// names none of those. Whoever comes next removes what it names, so that the caller's identity would be lost there.
/// Trims line ends too, as readers of lists do, though no codec lets them through.
fn options_left(plan: &HeaderPlan, lines: &[&[u8]]) -> Option<Vec<u8>> {
    let options = || lines.iter().flat_map(|line| line.split(|&byte| byte == b',')).map(<[u8]>::trim_ascii);
    let is_ours = |option: &&[u8]| plan.is_reserved(option);
    let rest = || options().filter(|option| !option.is_empty() && !is_ours(option));
    options().any(|option| is_ours(&option)).then(|| rest().collect::<Vec<_>>().join(&b", "[..]))
}

/// The trailers (RFC 9110 section 6.5) that must not reach the upstream, which may merge them into the headers.
pub(crate) fn forged_trailers<'a>(
    policy: &Policy,
    trailers: impl IntoIterator<Item = (&'a [u8], &'a [u8])>,
) -> impl Iterator<Item = &'a [u8]> {
    trailers.into_iter().map(|(name, _)| name).filter(|name| policy.plan.is_reserved(name))
}

/// The caller's identity as names and values of headers.
fn identity<'a>(policy: &'a Policy, caller: &'a Caller) -> impl Iterator<Item = (&'a str, &'a [u8])> {
    let forward = &policy.forward;
    let subject = forward.subject_header.as_deref().zip(caller.token.subject());
    let permissions = forward.permissions_header.as_deref().zip(Some(caller.token.permissions_text()));
    let issuer = forward.issuer_header.as_deref().zip(caller.token.issuer());
    let claims = forward
        .claims
        .iter()
        .filter_map(|(slot, name)| caller.token.claim(*slot).map(|claim| (name.as_str(), claim.text)));
    [subject, permissions, issuer]
        .into_iter()
        .flatten()
        .chain(claims)
        .map(|(name, value)| (name, value.as_bytes()))
        .filter(|(_, value)| arrives_as_it_is(value))
}

/// Whether the value reaches the upstream unchanged: Envoy answers 503 to control characters, and the upstream trims
/// spaces.
fn arrives_as_it_is(value: &[u8]) -> bool {
    let is_space = |byte: Option<&u8>| byte == Some(&b' ');
    !value.is_empty()
        && !is_space(value.first())
        && !is_space(value.last())
        && !value.iter().any(|byte| *byte < 0x20 || *byte == 0x7f)
}

fn strip<E>(
    policy: &Policy,
    request: &Request<'_>,
    edit: &mut impl FnMut(Edit<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let mut cookies = Vec::new();
    let mut parameters = Vec::new();
    for (index, source) in policy.sources.iter().enumerate() {
        match source {
            Source::Header { name, scheme } => {
                let mut values = request.token_headers.iter().filter(|(source, _)| *source == index);
                if values.any(|(_, value)| credential::carries(value, scheme.as_deref())) {
                    edit(Edit::Remove(name.as_bytes()))?;
                }
            }
            Source::Cookie(name) => cookies.push(name.as_str()),
            Source::Query(name) => parameters.push(name.as_str()),
            Source::WebSocketProtocol(_) => {}
        }
    }
    match credential::cookies_without(&request.cookies, &cookies) {
        Some(rest) if rest.is_empty() => edit(Edit::Remove(b"cookie"))?,
        Some(rest) => edit(Edit::Set("cookie", &rest))?,
        None => {}
    }
    match request.path.and_then(|path| credential::path_without(path, &parameters)) {
        Some(path) => edit(Edit::Set(":path", &path)),
        None => Ok(()),
    }
}
