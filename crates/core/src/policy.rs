//! What does the operator demand? The configuration as the guard uses it; a policy that exists is valid.
//!
//! Only [`crate::config`] makes policies, from the operator's text. Nothing here knows the format of that text.

mod form;
mod forward;
mod limits;
mod networks;
mod replies;
mod revocation;
mod routes;
mod tokens;

#[cfg(feature = "schema")]
use schemars::JsonSchema;

use crate::fleet::FleetRule;
use crate::index::{LimitIndex, RouteIndex};
use crate::limit::Quota;
use crate::permission::PermissionBook;
use crate::request::credential::Source;
use crate::request::plan::HeaderPlan;
use crate::revocation::denied::Denied;
use crate::route::RouteTable;
use crate::time::UnixNanos;
use crate::token::keys::SigningKey;
use crate::token::signature::{self, SignatureHost};
use crate::token::{Means, NotVerified, TokenPolicy, TokenRefusal, Verified};

pub use form::CorsPreflight;
pub(crate) use form::FormPolicy;
pub(crate) use forward::Forward;
pub use forward::{ForwardToken, SubjectState};
pub use limits::AddressFrom;
pub(crate) use limits::{AUTH_FAILURES, ClientIp, KeyPart, LONGEST_WINDOW_SECONDS, LimitRule, MaxRequests};
pub(crate) use networks::{Network, NetworkProblem, Networks, cut};
pub(crate) use replies::Replies;
pub use replies::{Detail, RateLimitHeaders};
pub(crate) use revocation::Endpoint;
pub(crate) use routes::Demand;
pub use routes::{Access, Route, Unmatched};
pub use tokens::TooOld;

/// A valid configuration, ready to judge requests.
#[derive(Debug)]
pub struct Policy {
    /// Tells the configuration from others ([`crate::config::digest()`]).
    pub(crate) digest: String,
    pub(crate) mode: Mode,
    pub(crate) tokens: TokenPolicy,
    pub(crate) sources: Vec<Source>,
    /// Whether a token that names an unknown key asks for newer keys before it is refused.
    pub(crate) asks_for_keys: bool,
    /// Which headers matter.
    pub(crate) plan: HeaderPlan,
    pub(crate) form: FormPolicy,
    /// By [`RouteIndex`]. The revocation endpoint, if there is one, is the last.
    pub(crate) routes: Vec<Route>,
    pub(crate) table: RouteTable,
    /// Whether any route allows in its paths what is refused elsewhere.
    pub(crate) lifts_in_path: bool,
    pub(crate) unmatched: Access,
    pub(crate) book: PermissionBook,
    /// By [`LimitIndex`].
    pub(crate) limits: Vec<LimitRule>,
    /// The limits that apply to all routes.
    pub(crate) limits_for_all: Vec<LimitIndex>,
    /// The store that many Envoys share.
    pub(crate) fleet: Option<FleetRule>,
    pub(crate) auth_failures: Option<Quota>,
    pub(crate) client_ip: ClientIp,
    /// How many identities the limiter counts exactly at a time.
    pub(crate) limiter_capacity: u32,
    pub(crate) denied: Denied,
    pub(crate) endpoint: Option<Endpoint>,
    /// The largest number of revocations at a time.
    pub(crate) revocation_capacity: u32,
    pub(crate) forward: Forward,
    pub(crate) replies: Replies,
}

/// Whether refusals are carried out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename_all = "lowercase"))]
pub enum Mode {
    /// Refuse.
    #[default]
    Enforce,
    /// Let the request pass, but count and log the refusal.
    Report,
}

impl Policy {
    /// The same policy with keys that may change while it is in force: before a token with an unknown key is refused,
    /// the guard asks for newer keys ([`crate::guard::Question::Keys`]). The keys in a configuration never change.
    #[must_use]
    pub fn asking_for_keys(self) -> Self {
        Self { asks_for_keys: true, ..self }
    }

    /// The same policy for an Envoy that shares nothing: each limit of a fleet is one of its own, of as many requests.
    #[must_use]
    pub fn without_fleet(mut self) -> Self {
        self.limits.iter_mut().for_each(|limit| limit.fleet = None);
        Self { fleet: None, ..self }
    }

    /// Whether limits or revocations are shared through a store.
    pub const fn has_fleet(&self) -> bool {
        self.fleet.is_some()
    }

    /// Whether `host` verifies what this policy needs it for. It is tried with a published signature.
    pub fn suits_host(&self, host: &dyn SignatureHost) -> bool {
        !self.tokens.keys.needs_signature_host() || signature::verifies_published(host)
    }

    /// What is wrong where a host does not suit, and what to do about it.
    pub const UNSUITABLE_HOST: &str = "/tokens: this Envoy does not verify RSA and ECDSA signatures (it has no foreign \
                                       function verify_signature, or one that does not work); use a newer Envoy, or \
                                       keys for HS256, HS384, HS512 or EdDSA";

    /// Tells the configuration from others ([`crate::config::digest()`]).
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// Whether `revocation.denied` refuses a token that verified.
    pub fn denies(&self, token: &Verified) -> bool {
        let kid = self.tokens.keys.kid(token.key());
        !self.denied.is_empty()
            && self.denied.refuses(token.jti(), token.issuer(), token.subject(), kid, token.issued_at())
    }

    /// Verifies a token and judges its times. `token`: the bytes after the scheme.
    ///
    /// # Errors
    ///
    /// The first rule of the configuration that the token breaks, or why it could not be verified.
    pub fn verify(&self, token: &[u8], means: &Means<'_>, now: UnixNanos) -> Result<Verified, NotVerified> {
        let verified = self.verify_but_times(token, means, now)?;
        match self.tokens.judge_times(&verified, now) {
            Ok(_) => Ok(verified),
            Err(fault) => Err(NotVerified::Refused(TokenRefusal { fault, is_signed: true })),
        }
    }

    /// Verifies a token in everything but its times, for [`TokenPolicy::judge_times`] on every use of it. `token`: the bytes
    /// after the scheme.
    ///
    /// # Errors
    ///
    /// As [`Self::verify`]. The times come before issuer and audience there, so they are told if those are wrong, too.
    pub(crate) fn verify_but_times(
        &self,
        token: &[u8],
        means: &Means<'_>,
        now: UnixNanos,
    ) -> Result<Verified, NotVerified> {
        self.tokens.verify_but_times(token, &self.book, means, now)
    }

    /// The kid of a key.
    pub fn kid<'k>(&'k self, key: &'k SigningKey) -> Option<&'k str> {
        self.tokens.keys.kid(key)
    }

    /// What a route demands.
    pub(crate) fn route(&self, route: RouteIndex) -> Option<&Route> {
        self.routes.get(route.get())
    }

    /// What a limit demands.
    pub(crate) fn limit(&self, limit: LimitIndex) -> Option<&LimitRule> {
        self.limits.get(limit.get())
    }

    /// Where a request may carry its token.
    pub fn sources(&self) -> &[Source] {
        &self.sources
    }

    /// What a token must be like.
    pub fn tokens(&self) -> &TokenPolicy {
        &self.tokens
    }

    /// Which headers of a request matter, and for what.
    pub fn header_plan(&self) -> &HeaderPlan {
        &self.plan
    }

    /// The name of a route in logs and filter state: its configured name, or else its path.
    pub fn route_label(&self, route: Option<RouteIndex>) -> Option<&str> {
        self.route(route?).map(|route| route.label.as_str())
    }

    /// The names of all limits, by [`LimitIndex`].
    pub fn limit_names(&self) -> impl Iterator<Item = &str> {
        self.limits.iter().map(|limit| limit.name.as_str())
    }

    /// Every key's kid, in the order of the configuration.
    pub fn kids(&self) -> impl Iterator<Item = Option<&str>> {
        self.tokens.keys.kids()
    }
}
