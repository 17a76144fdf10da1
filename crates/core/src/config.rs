//! The configuration: always valid once it exists, and every error at once where it does not come to exist.
//!
//! Text becomes [`raw::RawConfig`] (shape), that becomes [`Policy`] (meaning). Nothing later than this module asks
//! whether a setting makes sense. What each setting means is in the README; defaults are in [`raw`].

mod compile;
mod document;
pub mod error;
pub mod raw;
mod rfc3339;
mod shape;

use crate::limit::Quota;
use crate::permission::PermissionBook;
use crate::request::credential::Source;
use crate::request::plan::HeaderPlan;
use crate::revocation::denied::Denied;
use crate::route::RouteTable;
use crate::seed::Seed;
use crate::time::UnixNanos;
use crate::token::claims::TextSlot;
use crate::token::keys::KeyId;
use crate::token::{TokenFault, TokenPolicy, Verified};
use error::ConfigErrors;
use raw::{Access, AddressFrom, CorsPreflight, ForwardToken, Mode, RawConfig, RawReplies};

/// The name under which failed authentications are counted and shown; no configured limit may have it.
pub(crate) const AUTH_FAILURES: &str = "auth-failures";

/// A valid configuration, ready to judge requests.
#[derive(Debug)]
pub struct Policy {
    pub(crate) mode: Mode,
    pub(crate) tokens: TokenPolicy,
    pub(crate) sources: Vec<Source>,
    /// Which headers matter.
    pub(crate) plan: HeaderPlan,
    pub(crate) form: FormPolicy,
    pub(crate) routes: Vec<Route>,
    pub(crate) table: RouteTable,
    pub(crate) unmatched: Access,
    pub(crate) book: PermissionBook,
    /// Every limit, those for all routes and those of single routes.
    pub(crate) limits: Vec<LimitRule>,
    /// Places in `limits` of the ones for all routes.
    pub(crate) limits_for_all: Vec<usize>,
    pub(crate) auth_failures: Option<Quota>,
    pub(crate) client_ip: ClientIp,
    pub(crate) limiter_capacity: u32,
    pub(crate) denied: Denied,
    pub(crate) endpoint: Option<Endpoint>,
    pub(crate) revocation_capacity: u32,
    pub(crate) forward: Forward,
    pub(crate) replies: RawReplies,
}

/// The form that requests must have where a route does not say otherwise.
#[derive(Debug)]
pub(crate) struct FormPolicy {
    pub(crate) allowed_methods: Vec<String>,
    pub(crate) content_types: Vec<String>,
    pub(crate) max_bytes: u64,
    pub(crate) https_only: bool,
    pub(crate) cors_preflight: CorsPreflight,
}

/// What one route demands.
#[derive(Debug)]
pub struct Route {
    /// Its name, or its path where it has none.
    pub(crate) label: String,
    pub(crate) access: Access,
    /// Numbers in the permission book; all are needed.
    pub(crate) required: Vec<usize>,
    /// Numbers in the permission book; one is needed, unless the list is empty.
    pub(crate) any: Vec<usize>,
    /// Path parameters and the claims that they must equal.
    pub(crate) bind: Vec<(String, TextSlot)>,
    pub(crate) content_types: Option<Vec<String>>,
    pub(crate) max_bytes: Option<u64>,
    /// Places in [`Policy::limits`].
    pub(crate) limits: Vec<usize>,
    pub(crate) mode: Mode,
    /// Whether this is the revocation endpoint.
    pub(crate) revokes: bool,
}

/// One rate limit.
#[derive(Debug)]
pub(crate) struct LimitRule {
    pub(crate) name: String,
    pub(crate) max_requests: MaxRequests,
    pub(crate) window_seconds: std::num::NonZeroU32,
    pub(crate) warn_at_percent: Option<u8>,
    pub(crate) key: Vec<KeyPart>,
    /// Its own mode, if it has one.
    pub(crate) mode: Option<Mode>,
    /// Whether the key or the number needs a verified token.
    pub(crate) needs_token: bool,
}

/// How many requests a limit admits.
#[derive(Debug)]
pub(crate) enum MaxRequests {
    Fixed(std::num::NonZeroU32),
    ByClaim { slot: TextSlot, values: Vec<(String, std::num::NonZeroU32)>, default: std::num::NonZeroU32 },
}

/// What a limit counts apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum KeyPart {
    ClientIp,
    Subject,
    Route,
    Path,
    Method,
    Claim(TextSlot),
    /// The place in [`HeaderPlan`]'s key headers.
    Header(usize),
}

/// What counts as the client's address.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ClientIp {
    pub(crate) ipv6_prefix: u8,
    pub(crate) from: AddressFrom,
}

/// The revocation endpoint.
#[derive(Debug)]
pub(crate) struct Endpoint {
    /// Numbers in the permission book; all are needed to revoke another subject's tokens.
    pub(crate) required: Vec<usize>,
}

/// What the upstream is told.
#[derive(Debug)]
pub(crate) struct Forward {
    pub(crate) subject_header: Option<String>,
    pub(crate) permissions_header: Option<String>,
    pub(crate) claims: Vec<(TextSlot, String)>,
    pub(crate) token: ForwardToken,
}

/// Where secrets named by `{"env": ...}` come from.
pub struct Environment<'e> {
    /// The value of a variable, if it is set.
    pub lookup: &'e dyn Fn(&str) -> Option<Vec<u8>>,
    /// Whether a variable that is not set is an error. If not, its key verifies nothing.
    pub must_be_set: bool,
}

impl Policy {
    /// Reads a plugin configuration, or tells everything that is wrong with it.
    pub fn parse(text: &[u8], environment: &Environment<'_>) -> Result<Self, ConfigErrors> {
        let mut document = document::Document::read(text);
        let raw = std::mem::take(&mut document.raw);
        let (policy, problems) = compile::compile(raw, environment);
        document.report(problems);
        match policy {
            Some(policy) if document.errors.is_empty() => Ok(policy),
            _ => Err(ConfigErrors(document.errors)),
        }
    }

    /// The configuration as it is written, judged by its shape alone: what its JSON Schema describes.
    pub fn parse_shape(text: &[u8]) -> Result<RawConfig, ConfigErrors> {
        let mut document = document::Document::read(text);
        document.report(Vec::new());
        if document.errors.is_empty() { Ok(document.raw) } else { Err(ConfigErrors(document.errors)) }
    }

    /// Whether `revocation.denied` refuses a token that verified.
    pub fn denies(&self, token: &Verified) -> bool {
        let kid = self.tokens.keys.kid(token.key());
        !self.denied.is_empty() && self.denied.refuses(token.jti(), token.subject(), kid, token.issued_at())
    }

    /// Verifies a token, the bytes between scheme and end, and judges its times. `seed` is the process's.
    ///
    /// # Errors
    ///
    /// The first rule of the configuration that the token breaks.
    pub fn verify(&self, token: &[u8], seed: &Seed, now: UnixNanos) -> Result<Verified, TokenFault> {
        self.tokens.verify(token, &self.book, seed, now)
    }

    /// The kid of one of the keys.
    pub fn kid(&self, key: KeyId) -> Option<&str> {
        self.tokens.keys.kid(key)
    }

    /// The route of this place.
    pub(crate) fn route(&self, place: usize) -> Option<&Route> {
        self.routes.get(place)
    }

    /// What a token must be like.
    pub fn tokens(&self) -> &TokenPolicy {
        &self.tokens
    }

    /// Which headers of a request matter, and for what.
    pub fn header_plan(&self) -> &HeaderPlan {
        &self.plan
    }

    /// How logs and filter state call a route: its name, or its path where it has none.
    pub fn route_label(&self, place: Option<usize>) -> Option<&str> {
        self.route(place?).map(|route| route.label.as_str())
    }

    /// The names of all limits, in the order of the configuration.
    pub fn limit_names(&self) -> impl Iterator<Item = &str> {
        self.limits.iter().map(|limit| limit.name.as_str())
    }

    /// Every key's kid, in the order of the configuration.
    pub fn kids(&self) -> impl Iterator<Item = Option<&str>> {
        self.tokens.keys.kids()
    }

    /// Whether any limit of this configuration is keyed by the client's address.
    pub fn counts_addresses(&self) -> bool {
        self.auth_failures.is_some() || self.limits.iter().any(|limit| limit.key.contains(&KeyPart::ClientIp))
    }
}
