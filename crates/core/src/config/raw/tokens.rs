//! Sections `tokens` (without its keys) and `roles`.

use super::{RawKey, RawKeySet, RawScalar, texts};
use crate::config::shape::{self, Misfits, Named, Shape, fields, names};
use crate::json::{Json, Path};
use crate::permission::PermissionFormat;
use crate::policy::TooOld;

#[cfg(feature = "schema")]
use schemars::JsonSchema;

/// Section tokens.
#[derive(Debug)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[cfg_attr(feature = "schema", schemars(default, deny_unknown_fields))]
#[cfg_attr(feature = "schema", schemars(extend("if" = {"required": ["key_sets"]}, "else" = {"required": ["keys"], "properties": {"keys": {"minItems": 1}}})))]
pub struct RawTokens {
    /// The keys that tokens are verified with, two during a rotation. Keys or key sets: at least one.
    #[cfg_attr(feature = "schema", schemars(extend("default" = [])))]
    pub keys: Vec<RawKey>,
    /// The key sets that issuers publish.
    #[cfg_attr(feature = "schema", schemars(extend("default" = [])))]
    pub key_sets: Vec<RawKeySet>,
    /// Where a request may carry its token.
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    pub sources: Vec<RawSource>,
    /// Claims that every token must have; by default the subject_claim, exp and iat.
    pub required_claims: Vec<String>,
    /// Claim to accepted values: a text, an integer or a boolean, or a list that has one of them.
    #[cfg_attr(feature = "schema", schemars(with = "std::collections::BTreeMap<String, Vec<RawScalar>>", extend("default" = {})))]
    pub required_values: Named<Vec<RawClaimValue>>,
    /// The claim that says who the caller is: a text, or an integer, which counts as its digits.
    pub subject_claim: String,
    /// Accepted iss values; empty = not checked.
    pub issuers: Vec<String>,
    /// Accepted aud values; empty = not checked.
    pub audiences: Vec<String>,
    /// Tolerance for exp and nbf, seconds.
    pub clock_skew_seconds: u64,
    /// The age by iat above which a token is too old, hours.
    #[cfg_attr(feature = "schema", schemars(range(min = 1)))]
    pub max_token_age_hours: u64,
    /// "warn" lets a token that is too old pass, "reject" refuses it.
    pub token_too_old: TooOld,
    /// The longest token, bytes; longer ones are refused unread.
    #[cfg_attr(feature = "schema", schemars(range(min = 1)))]
    pub max_token_bytes: u64,
    /// The claim with the permissions, or a list of claims whose permissions are joined; dots go into objects.
    #[cfg_attr(feature = "schema", schemars(extend("default" = "permissions")))]
    pub permissions_claim: RawClaims,
    /// The form of every permission.
    pub permission_format: PermissionFormat,
}

fields!(RawTokens {
    keys,
    key_sets,
    sources,
    required_claims,
    required_values,
    subject_claim,
    issuers,
    audiences,
    clock_skew_seconds,
    max_token_age_hours,
    token_too_old,
    max_token_bytes,
    permissions_claim,
    permission_format
} then complete);

impl RawTokens {
    /// A token is required to have its subject, whichever claim that is.
    fn complete(&mut self, tokens: &Json<'_>) {
        if tokens.member("required_claims").is_none() {
            let subject = &self.subject_claim;
            self.required_claims.retain(|claim| claim != "sub" && claim != subject);
            self.required_claims.insert(0, subject.clone());
        }
    }
}

impl Default for RawTokens {
    fn default() -> Self {
        Self {
            keys: Vec::new(),
            key_sets: Vec::new(),
            sources: vec![RawSource {
                header: Some("authorization".to_owned()),
                scheme: Some("Bearer".to_owned()),
                ..RawSource::default()
            }],
            required_claims: texts(&["sub", "exp", "iat"]),
            required_values: Vec::new(),
            subject_claim: "sub".to_owned(),
            issuers: Vec::new(),
            audiences: Vec::new(),
            clock_skew_seconds: 0,
            max_token_age_hours: 24,
            token_too_old: TooOld::Warn,
            max_token_bytes: 8192,
            permissions_claim: RawClaims::One("permissions".to_owned()),
            permission_format: PermissionFormat::ResourceAction,
        }
    }
}

names!(TooOld { "warn" => Warn, "reject" => Reject });

names!(PermissionFormat { "resource_action" => ResourceAction, "scope_token" => ScopeToken });

/// One claim, or several whose values are joined.
#[derive(Debug)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[cfg_attr(feature = "schema", schemars(untagged))]
pub enum RawClaims {
    /// One claim.
    One(String),
    /// Several claims.
    Several(#[cfg_attr(feature = "schema", schemars(length(min = 1)))] Vec<String>),
}

impl Default for RawClaims {
    fn default() -> Self {
        Self::One(String::new())
    }
}

impl Shape for RawClaims {
    fn read(&mut self, value: &Json<'_>, at: &Path<'_>, misfits: &mut Misfits) -> bool {
        *self = match value {
            Json::List(_) => {
                let mut names = Vec::new();
                names.read(value, at, misfits);
                Self::Several(names)
            }
            Json::Text(claim) => Self::One(claim.as_ref().to_owned()),
            Json::Null | Json::Bool(_) | Json::Number(_) | Json::Object(_) => {
                return misfits
                    .wrong(at, r#"a claim's name, or a list of names such as ["scope", "permissions"]"#);
            }
        };
        true
    }
}

/// A value that a claim may have.
#[derive(Debug, Default)]
pub struct RawClaimValue(pub RawScalar);

impl Shape for RawClaimValue {
    fn read(&mut self, value: &Json<'_>, at: &Path<'_>, misfits: &mut Misfits) -> bool {
        self.0.take(value) || misfits.wrong(at, "a text, an integer, true or false")
    }
}

/// One source of tokens: exactly one of header, cookie, query, websocket_protocol.
#[derive(Debug, Default)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[cfg_attr(feature = "schema", schemars(default, deny_unknown_fields))]
pub struct RawSource {
    /// A request header.
    pub header: Option<String>,
    /// The authentication scheme before the token, in any letter case.
    pub scheme: Option<String>,
    /// A cookie.
    pub cookie: Option<String>,
    /// A query parameter.
    pub query: Option<String>,
    /// The WebSocket subprotocol before the token, as in `Sec-WebSocket-Protocol: bearer, TOKEN`.
    pub websocket_protocol: Option<String>,
}

fields!(RawSource { header, scheme, cookie, query, websocket_protocol });

/// Section roles.
#[derive(Debug)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[cfg_attr(feature = "schema", schemars(default, deny_unknown_fields))]
pub struct RawRoles {
    /// The claim with the roles, or a list of claims whose roles are joined; dots go into objects.
    #[cfg_attr(feature = "schema", schemars(extend("default" = "roles")))]
    pub claim: RawClaims,
    /// Role to permissions.
    #[cfg_attr(feature = "schema", schemars(with = "std::collections::BTreeMap<String, Vec<String>>", extend("default" = {})))]
    pub grants: Named<Vec<String>>,
}

fields!(RawRoles { claim, grants });

impl Default for RawRoles {
    fn default() -> Self {
        Self { claim: RawClaims::One("roles".to_owned()), grants: Vec::new() }
    }
}
