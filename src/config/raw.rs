//! The configuration as it is written: shapes, names and defaults, nothing else.
//!
//! Every struct refuses unknown fields and knows its defaults; no value is judged here. [`super::build`] turns this
//! into the always-valid [`super::Policy`]. The JSON Schema that `api-guard schema` prints is derived from these types.

use std::fmt;

use serde_json::Value;

use super::shape::{self, Misfits, Named, Shape, fields, names};
use crate::json::Path;

#[cfg(not(target_arch = "wasm32"))]
use schemars::JsonSchema;

/// Entries of a shared table where the configuration does not say.
const CAPACITY: u64 = 65_536;
const SECRET_FORMS: &str = r#"{"env": "NAME"}, {"value": "..."} or {"base64url": "..."}"#;

/// The whole plugin configuration.
#[derive(Debug)]
#[cfg_attr(not(target_arch = "wasm32"), derive(JsonSchema))]
#[cfg_attr(not(target_arch = "wasm32"), schemars(default, deny_unknown_fields))]
#[cfg_attr(not(target_arch = "wasm32"), schemars(title = "api-guard plugin configuration"))]
#[cfg_attr(not(target_arch = "wasm32"), schemars(extend("required" = ["tokens"])))]
pub struct RawConfig {
    /// "enforce" refuses; "report" lets every request pass, and counts and logs what would have been refused.
    pub mode: Mode,
    /// How tokens are found and verified.
    pub tokens: RawTokens,
    /// The form that every request must have.
    pub request: RawRequest,
    /// What each path demands. The most specific path wins, not the first.
    pub routes: Vec<RawRoute>,
    /// What a path without a route demands.
    pub unmatched_routes: Access,
    /// Roles in the token that become permissions.
    pub roles: Option<RawRoles>,
    /// Limits for all routes; all that apply must admit.
    pub rate_limits: Vec<RawLimit>,
    /// Limits failed authentications of one client address.
    pub auth_failure_limit: Option<RawAuthFailureLimit>,
    /// What counts as the client's address.
    pub client_ip: RawClientIp,
    /// Identities counted exactly at a time, 1 to 16777216. Memory is fixed when Envoy starts.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(range(min = 1, max = 16_777_216)))]
    pub limiter_capacity: u64,
    /// Tokens that are refused although they verify.
    pub revocation: RawRevocation,
    /// What the upstream is told about the caller.
    pub forward: RawForward,
    /// How refusals are worded.
    pub replies: RawReplies,
}

fields!(RawConfig {
    mode,
    tokens,
    request,
    routes,
    unmatched_routes,
    roles,
    rate_limits,
    auth_failure_limit,
    client_ip,
    limiter_capacity,
    revocation,
    forward,
    replies
});

/// Whether refusals are carried out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[cfg_attr(not(target_arch = "wasm32"), derive(JsonSchema))]
#[cfg_attr(not(target_arch = "wasm32"), schemars(rename_all = "lowercase"))]
pub enum Mode {
    /// Refuse.
    #[default]
    Enforce,
    /// Let pass, count and log.
    Report,
}

names!(Mode { "enforce" => Enforce, "report" => Report });

/// Who may use a path.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[cfg_attr(not(target_arch = "wasm32"), derive(JsonSchema))]
#[cfg_attr(not(target_arch = "wasm32"), schemars(rename_all = "lowercase"))]
pub enum Access {
    /// Everybody; tokens are ignored.
    Public,
    /// Whoever has a valid token (and the route's permissions).
    #[default]
    Authenticated,
    /// Nobody.
    Deny,
}

names!(Access { "public" => Public, "authenticated" => Authenticated, "deny" => Deny });

/// Section `tokens`.
#[derive(Debug)]
#[cfg_attr(not(target_arch = "wasm32"), derive(JsonSchema))]
#[cfg_attr(not(target_arch = "wasm32"), schemars(default, deny_unknown_fields))]
#[cfg_attr(not(target_arch = "wasm32"), schemars(extend("required" = ["keys"])))]
pub struct RawTokens {
    /// At least one key; two at a time while rotating.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(required, length(min = 1)))]
    pub keys: Vec<RawKey>,
    /// Where a request may carry its token.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(length(min = 1)))]
    pub sources: Vec<RawSource>,
    /// Claims that every token must have.
    pub required_claims: Vec<String>,
    /// Accepted `iss` values; empty = not checked.
    pub issuers: Vec<String>,
    /// Accepted `aud` values; empty = not checked.
    pub audiences: Vec<String>,
    /// Tolerance for `exp` and `nbf`, seconds.
    pub clock_skew_seconds: u64,
    /// Age by `iat` from which a token is too old, hours.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(range(min = 1)))]
    pub max_token_age_hours: u64,
    /// "warn" lets a token that is too old pass, "reject" refuses it.
    pub token_too_old: TooOld,
    /// Longer tokens are refused unread, bytes.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(range(min = 1)))]
    pub max_token_bytes: u64,
    /// The claim with the permissions; dots go into objects.
    pub permissions_claim: String,
    /// The form of every permission.
    pub permission_format: PermissionFormat,
}

fields!(RawTokens {
    keys,
    sources,
    required_claims,
    issuers,
    audiences,
    clock_skew_seconds,
    max_token_age_hours,
    token_too_old,
    max_token_bytes,
    permissions_claim,
    permission_format
});

/// What happens to a token older than `max_token_age_hours`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(not(target_arch = "wasm32"), derive(JsonSchema))]
#[cfg_attr(not(target_arch = "wasm32"), schemars(rename_all = "lowercase"))]
pub enum TooOld {
    /// It passes and is logged.
    Warn,
    /// 401 `token_too_old`.
    Reject,
}

names!(TooOld { "warn" => Warn, "reject" => Reject });

/// The form of a permission.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(not(target_arch = "wasm32"), derive(JsonSchema))]
#[cfg_attr(not(target_arch = "wasm32"), schemars(rename_all = "snake_case"))]
pub enum PermissionFormat {
    /// `^[a-z_]+:[a-z_]+$`
    ResourceAction,
    /// RFC 6749 section 3.3.
    ScopeToken,
}

names!(PermissionFormat { "resource_action" => ResourceAction, "scope_token" => ScopeToken });

/// One verification key.
#[derive(Debug, Default)]
#[cfg_attr(not(target_arch = "wasm32"), derive(JsonSchema))]
#[cfg_attr(not(target_arch = "wasm32"), schemars(default, deny_unknown_fields))]
#[cfg_attr(not(target_arch = "wasm32"), schemars(extend("required" = ["secret"])))]
pub struct RawKey {
    /// A token naming a kid is checked with that key only.
    pub kid: Option<String>,
    /// The shared secret, at least 32 bytes.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(required))]
    pub secret: Option<RawSecret>,
    /// The key verifies nothing before this RFC 3339 time.
    pub not_before: Option<String>,
    /// The key verifies nothing from this RFC 3339 time on.
    pub not_after: Option<String>,
}

fields!(RawKey { kid, secret, not_before, not_after });

/// Where a secret comes from.
#[cfg_attr(not(target_arch = "wasm32"), derive(JsonSchema))]
#[cfg_attr(not(target_arch = "wasm32"), schemars(rename_all = "lowercase"))]
pub enum RawSecret {
    /// A variable of the VM's environment; its text is the secret.
    Env(String),
    /// The secret's text itself.
    Value(String),
    /// The secret's bytes in base64url without padding.
    Base64url(String),
}

impl Shape for RawSecret {
    fn read(value: &Value, place: Path<'_>, misfits: &mut Misfits) -> Option<Self> {
        let mut members = value.as_object().into_iter().flatten();
        let (Some((name, value)), None) = (members.next(), members.next()) else {
            return misfits.wrong(place, SECRET_FORMS);
        };
        let form = match name.as_str() {
            "env" => Self::Env,
            "value" => Self::Value,
            "base64url" => Self::Base64url,
            _ => return misfits.wrong(place, SECRET_FORMS),
        };
        String::read(value, Path::Field(&place, name), misfits).map(form)
    }
}

impl fmt::Debug for RawSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "env {name}"),
            Self::Value(_) | Self::Base64url(_) => f.write_str("<secret>"),
        }
    }
}

/// One place of a token: exactly one of `header`, `cookie`, `query`.
#[derive(Debug, Default)]
#[cfg_attr(not(target_arch = "wasm32"), derive(JsonSchema))]
#[cfg_attr(not(target_arch = "wasm32"), schemars(default, deny_unknown_fields))]
pub struct RawSource {
    /// A request header.
    pub header: Option<String>,
    /// The authentication scheme before the token, in any letter case.
    pub scheme: Option<String>,
    /// A cookie.
    pub cookie: Option<String>,
    /// A query parameter.
    pub query: Option<String>,
}

fields!(RawSource { header, scheme, cookie, query });

/// Section `request`.
#[derive(Debug)]
#[cfg_attr(not(target_arch = "wasm32"), derive(JsonSchema))]
#[cfg_attr(not(target_arch = "wasm32"), schemars(default, deny_unknown_fields))]
pub struct RawRequest {
    /// Methods that any route may allow.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(length(min = 1)))]
    pub allowed_methods: Vec<String>,
    /// Media types of bodies of POST, PUT and PATCH; empty = any.
    pub content_types: Vec<String>,
    /// Larger bodies are refused, bytes.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(range(min = 1)))]
    pub max_request_size_bytes: u64,
    /// Refuse what did not come over https, by x-forwarded-proto.
    pub https_only: bool,
    /// What happens to x-http-method-override and its relatives.
    pub method_override: MethodOverride,
    /// Whether a true CORS preflight passes without a token.
    pub cors_preflight: CorsPreflight,
}

fields!(RawRequest {
    allowed_methods,
    content_types,
    max_request_size_bytes,
    https_only,
    method_override,
    cors_preflight
});

/// See [`RawRequest::method_override`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(not(target_arch = "wasm32"), derive(JsonSchema))]
#[cfg_attr(not(target_arch = "wasm32"), schemars(rename_all = "lowercase"))]
pub enum MethodOverride {
    /// The headers are removed.
    Strip,
    /// The headers stay.
    Keep,
}

names!(MethodOverride { "strip" => Strip, "keep" => Keep });

/// See [`RawRequest::cors_preflight`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(not(target_arch = "wasm32"), derive(JsonSchema))]
#[cfg_attr(not(target_arch = "wasm32"), schemars(rename_all = "lowercase"))]
pub enum CorsPreflight {
    /// OPTIONS is a method like any other.
    Reject,
    /// OPTIONS with Origin and Access-Control-Request-Method passes without a token.
    Forward,
}

names!(CorsPreflight { "reject" => Reject, "forward" => Forward });

/// One route.
#[derive(Debug, Default)]
#[cfg_attr(not(target_arch = "wasm32"), derive(JsonSchema))]
#[cfg_attr(not(target_arch = "wasm32"), schemars(default, deny_unknown_fields))]
#[cfg_attr(not(target_arch = "wasm32"), schemars(extend("required" = ["path"])))]
pub struct RawRoute {
    /// For logs, metrics and filter state; the path where absent.
    pub name: Option<String>,
    /// Literal segments, `{name}` for one segment, `{*name}` for the rest.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(required))]
    pub path: Option<String>,
    /// Hosts the route is for, such as "api.example.com" or "*.example.org"; absent = any.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(length(min = 1)))]
    pub hosts: Option<Vec<String>>,
    /// Absent = all of `request.allowed_methods`.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(length(min = 1)))]
    pub methods: Option<Vec<String>>,
    /// Who may use it.
    pub access: Access,
    /// The caller needs all of them.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(length(min = 1)))]
    pub required_permissions: Option<Vec<String>>,
    /// The caller needs one of them.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(length(min = 1)))]
    pub any_permissions: Option<Vec<String>>,
    /// Path parameter to claim: they must be equal.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(with = "std::collections::BTreeMap<String, String>"))]
    pub bind: Named<String>,
    /// In place of `request.content_types`.
    pub content_types: Option<Vec<String>>,
    /// In place of `request.max_request_size_bytes`.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(range(min = 1)))]
    pub max_request_size_bytes: Option<u64>,
    /// Limits of this route, beside the ones for all.
    pub rate_limits: Vec<RawLimit>,
    /// In place of the whole configuration's mode.
    pub mode: Option<Mode>,
}

fields!(RawRoute {
    name,
    path,
    hosts,
    methods,
    access,
    required_permissions,
    any_permissions,
    bind,
    content_types,
    max_request_size_bytes,
    rate_limits,
    mode
});

/// Section `roles`.
#[derive(Debug)]
#[cfg_attr(not(target_arch = "wasm32"), derive(JsonSchema))]
#[cfg_attr(not(target_arch = "wasm32"), schemars(default, deny_unknown_fields))]
pub struct RawRoles {
    /// The claim with the roles; dots go into objects.
    pub claim: String,
    /// Role to permissions.
    #[cfg_attr(
        not(target_arch = "wasm32"),
        schemars(with = "std::collections::BTreeMap<String, Vec<String>>")
    )]
    pub grants: Named<Vec<String>>,
}

fields!(RawRoles { claim, grants });

/// One rate limit.
#[derive(Debug)]
#[cfg_attr(not(target_arch = "wasm32"), derive(JsonSchema))]
#[cfg_attr(not(target_arch = "wasm32"), schemars(default, deny_unknown_fields))]
#[cfg_attr(not(target_arch = "wasm32"), schemars(extend("required" = ["name", "max_requests", "window_seconds"])))]
pub struct RawLimit {
    /// Unique; shown to clients and in metrics.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(required))]
    pub name: Option<String>,
    /// Requests in any interval of the window.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(required))]
    pub max_requests: Option<RawMaxRequests>,
    /// The window, seconds.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(required, range(min = 1, max = 31_622_400)))]
    pub window_seconds: Option<u64>,
    /// What is counted apart: client_ip, subject, route, path, method, claim:NAME, header:NAME.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(length(min = 1)))]
    pub key: Vec<String>,
    /// Share of the limit from which on requests are logged and counted as warned, percent; null = never.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(range(min = 1, max = 100)))]
    pub warn_at_percent: Option<u64>,
    /// In place of the whole configuration's mode.
    pub mode: Option<Mode>,
}

fields!(RawLimit { name, max_requests, window_seconds, key, warn_at_percent, mode });

/// A number of requests, or a number for each value of a claim.
#[derive(Debug, Clone)]
#[cfg_attr(not(target_arch = "wasm32"), derive(JsonSchema))]
#[cfg_attr(not(target_arch = "wasm32"), schemars(untagged))]
pub enum RawMaxRequests {
    /// The same for everybody.
    Fixed(#[cfg_attr(not(target_arch = "wasm32"), schemars(range(min = 1)))] u64),
    /// By a claim's value.
    ByClaim(RawTiers),
}

/// Tiers of a limit.
#[derive(Debug, Clone, Default)]
#[cfg_attr(not(target_arch = "wasm32"), derive(JsonSchema))]
#[cfg_attr(not(target_arch = "wasm32"), schemars(default, deny_unknown_fields))]
#[cfg_attr(not(target_arch = "wasm32"), schemars(extend("required" = ["claim", "values", "default"])))]
pub struct RawTiers {
    /// The claim that names the tier; dots go into objects.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(required))]
    pub claim: Option<String>,
    /// Tier to number of requests.
    #[cfg_attr(
        not(target_arch = "wasm32"),
        schemars(with = "std::collections::BTreeMap<String, u64>", extend("minProperties" = 1))
    )]
    pub values: Named<u64>,
    /// For every other value, and without the claim.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(required))]
    pub default: Option<u64>,
}

fields!(RawTiers { claim, values, default });

impl Shape for RawMaxRequests {
    fn read(value: &Value, place: Path<'_>, misfits: &mut Misfits) -> Option<Self> {
        if let Some(number) = value.as_u64() {
            Some(Self::Fixed(number))
        } else if value.is_object() {
            RawTiers::read(value, place, misfits).map(Self::ByClaim)
        } else {
            misfits.wrong(place, r#"a whole number or {"claim": ..., "values": {...}, "default": ...}"#)
        }
    }
}

/// Section `auth_failure_limit`.
#[derive(Debug, Default)]
#[cfg_attr(not(target_arch = "wasm32"), derive(JsonSchema))]
#[cfg_attr(not(target_arch = "wasm32"), schemars(default, deny_unknown_fields))]
#[cfg_attr(not(target_arch = "wasm32"), schemars(extend("required" = ["max_failures", "window_seconds"])))]
pub struct RawAuthFailureLimit {
    /// Failures in any interval of the window.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(required, range(min = 1)))]
    pub max_failures: Option<u64>,
    /// The window, seconds.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(required, range(min = 1)))]
    pub window_seconds: Option<u64>,
}

fields!(RawAuthFailureLimit { max_failures, window_seconds });

/// Section `client_ip`.
#[derive(Debug)]
#[cfg_attr(not(target_arch = "wasm32"), derive(JsonSchema))]
#[cfg_attr(not(target_arch = "wasm32"), schemars(default, deny_unknown_fields))]
pub struct RawClientIp {
    /// Leading bits of an IPv6 address that tell clients apart, 1 to 128.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(range(min = 1, max = 128)))]
    pub ipv6_prefix: u64,
    /// Where the address is read from.
    pub from: AddressFrom,
}

fields!(RawClientIp { ipv6_prefix, from });

/// See [`RawClientIp::from`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(not(target_arch = "wasm32"), derive(JsonSchema))]
pub enum AddressFrom {
    /// Envoy's `source.address`.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(rename = "source_address"))]
    SourceAddress,
    /// The header that Envoy sets with `use_remote_address`; `source.address` where it is absent.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(rename = "x-envoy-external-address"))]
    ExternalAddress,
}

names!(AddressFrom { "source_address" => SourceAddress, "x-envoy-external-address" => ExternalAddress });

/// Section `revocation`.
#[derive(Debug)]
#[cfg_attr(not(target_arch = "wasm32"), derive(JsonSchema))]
#[cfg_attr(not(target_arch = "wasm32"), schemars(default, deny_unknown_fields))]
pub struct RawRevocation {
    /// Refused from configuration: survives restarts.
    pub denied: RawDenied,
    /// Where tokens are revoked at run time; null = off.
    pub endpoint: Option<RawEndpoint>,
    /// Entries at a time, 1 to 16777216.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(range(min = 1, max = 16_777_216)))]
    pub capacity: u64,
}

fields!(RawRevocation { denied, endpoint, capacity });

/// Section `revocation.denied`.
#[derive(Debug, Default)]
#[cfg_attr(not(target_arch = "wasm32"), derive(JsonSchema))]
#[cfg_attr(not(target_arch = "wasm32"), schemars(default, deny_unknown_fields))]
pub struct RawDenied {
    /// Token identifiers.
    pub jti: Vec<String>,
    /// Subjects.
    pub sub: Vec<String>,
    /// Key identifiers.
    pub kid: Vec<String>,
    /// Subject to Unix time: tokens issued before it are refused.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(with = "std::collections::BTreeMap<String, u64>"))]
    pub sub_issued_before: Named<u64>,
}

fields!(RawDenied { jti, sub, kid, sub_issued_before });

/// Section `revocation.endpoint`.
#[derive(Debug)]
#[cfg_attr(not(target_arch = "wasm32"), derive(JsonSchema))]
#[cfg_attr(not(target_arch = "wasm32"), schemars(default, deny_unknown_fields))]
pub struct RawEndpoint {
    /// The path, without parameters.
    pub path: String,
    /// What revoking another subject's tokens needs.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(length(min = 1)))]
    pub required_permissions: Vec<String>,
}

fields!(RawEndpoint { path, required_permissions });

/// Section `forward`.
#[derive(Debug)]
#[cfg_attr(not(target_arch = "wasm32"), derive(JsonSchema))]
#[cfg_attr(not(target_arch = "wasm32"), schemars(default, deny_unknown_fields))]
pub struct RawForward {
    /// Header for the verified subject; null = off.
    pub subject_header: Option<String>,
    /// Header for the permissions, space-separated; null = off.
    pub permissions_header: Option<String>,
    /// Claim to header.
    #[cfg_attr(
        not(target_arch = "wasm32"),
        schemars(with = "std::collections::BTreeMap<String, Option<String>>")
    )]
    pub claims: Named<Option<String>>,
    /// Whether the upstream sees the token.
    pub token: ForwardToken,
}

fields!(RawForward { subject_header, permissions_header, claims, token });

/// See [`RawForward::token`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(not(target_arch = "wasm32"), derive(JsonSchema))]
#[cfg_attr(not(target_arch = "wasm32"), schemars(rename_all = "lowercase"))]
pub enum ForwardToken {
    /// It does.
    Keep,
    /// The token is removed from where it stood.
    Strip,
}

names!(ForwardToken { "keep" => Keep, "strip" => Strip });

/// Section `replies`.
#[derive(Debug)]
#[cfg_attr(not(target_arch = "wasm32"), derive(JsonSchema))]
#[cfg_attr(not(target_arch = "wasm32"), schemars(default, deny_unknown_fields))]
pub struct RawReplies {
    /// "full" explains; "code" gives the code alone.
    pub detail: Detail,
    /// Which header families tell clients about limits.
    pub rate_limit_headers: RateLimitHeaders,
}

fields!(RawReplies { detail, rate_limit_headers });

/// See [`RawReplies::detail`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(not(target_arch = "wasm32"), derive(JsonSchema))]
#[cfg_attr(not(target_arch = "wasm32"), schemars(rename_all = "lowercase"))]
pub enum Detail {
    /// With `detail` and `errors`.
    Full,
    /// No text.
    Code,
}

names!(Detail { "full" => Full, "code" => Code });

/// See [`RawReplies::rate_limit_headers`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(not(target_arch = "wasm32"), derive(JsonSchema))]
#[cfg_attr(not(target_arch = "wasm32"), schemars(rename_all = "lowercase"))]
pub enum RateLimitHeaders {
    /// `RateLimit` and `RateLimit-Policy`.
    Draft,
    /// `X-RateLimit-*`.
    Legacy,
    /// Both families.
    Both,
    /// Neither.
    None,
}

names!(RateLimitHeaders { "draft" => Draft, "legacy" => Legacy, "both" => Both, "none" => None });

fn texts(values: &[&str]) -> Vec<String> {
    values.iter().map(|&value| value.to_owned()).collect()
}

impl Default for RawConfig {
    fn default() -> Self {
        Self {
            mode: Mode::default(),
            tokens: RawTokens::default(),
            request: RawRequest::default(),
            routes: Vec::new(),
            unmatched_routes: Access::default(),
            roles: None,
            rate_limits: vec![RawLimit {
                name: Some("default".to_owned()),
                max_requests: Some(RawMaxRequests::Fixed(100)),
                window_seconds: Some(60),
                ..RawLimit::default()
            }],
            auth_failure_limit: None,
            client_ip: RawClientIp::default(),
            limiter_capacity: CAPACITY,
            revocation: RawRevocation::default(),
            forward: RawForward::default(),
            replies: RawReplies::default(),
        }
    }
}

impl Default for RawTokens {
    fn default() -> Self {
        Self {
            keys: Vec::new(),
            sources: vec![RawSource {
                header: Some("authorization".to_owned()),
                scheme: Some("Bearer".to_owned()),
                ..RawSource::default()
            }],
            required_claims: texts(&["sub", "exp", "iat"]),
            issuers: Vec::new(),
            audiences: Vec::new(),
            clock_skew_seconds: 0,
            max_token_age_hours: 24,
            token_too_old: TooOld::Warn,
            max_token_bytes: 8192,
            permissions_claim: "permissions".to_owned(),
            permission_format: PermissionFormat::ResourceAction,
        }
    }
}

impl Default for RawRequest {
    fn default() -> Self {
        Self {
            allowed_methods: texts(&["GET", "POST", "PUT", "DELETE"]),
            content_types: texts(&["application/json"]),
            max_request_size_bytes: 1_048_576,
            https_only: false,
            method_override: MethodOverride::Strip,
            cors_preflight: CorsPreflight::Reject,
        }
    }
}

impl Default for RawRoles {
    fn default() -> Self {
        Self { claim: "roles".to_owned(), grants: Vec::new() }
    }
}

impl Default for RawLimit {
    fn default() -> Self {
        Self {
            name: None,
            max_requests: None,
            window_seconds: None,
            key: texts(&["client_ip", "subject"]),
            warn_at_percent: Some(80),
            mode: None,
        }
    }
}

impl Default for RawClientIp {
    fn default() -> Self {
        Self { ipv6_prefix: 64, from: AddressFrom::SourceAddress }
    }
}

impl Default for RawRevocation {
    fn default() -> Self {
        Self { denied: RawDenied::default(), endpoint: None, capacity: CAPACITY }
    }
}

impl Default for RawEndpoint {
    fn default() -> Self {
        Self { path: "/auth/revoke".to_owned(), required_permissions: texts(&["tokens:revoke"]) }
    }
}

impl Default for RawForward {
    fn default() -> Self {
        Self {
            subject_header: Some("x-auth-subject".to_owned()),
            permissions_header: Some("x-auth-permissions".to_owned()),
            claims: Vec::new(),
            token: ForwardToken::Keep,
        }
    }
}

impl Default for RawReplies {
    fn default() -> Self {
        Self { detail: Detail::Full, rate_limit_headers: RateLimitHeaders::Draft }
    }
}
