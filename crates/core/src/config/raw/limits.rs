//! Sections `rate_limits` (global and per route), `auth_failure_limit` and `client_ip`.

use super::texts;
use crate::config::shape::{self, Misfits, Named, Shape, fields, names};
use crate::json::{Json, Path};
use crate::policy::{AddressFrom, Mode};

#[cfg(feature = "schema")]
use schemars::JsonSchema;

/// One rate limit.
#[derive(Debug)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[cfg_attr(feature = "schema", schemars(default, deny_unknown_fields))]
#[cfg_attr(feature = "schema", schemars(extend("required" = ["name", "max_requests", "window_seconds"])))]
pub struct RawLimit {
    /// A unique name, shown to clients and in metrics.
    #[cfg_attr(feature = "schema", schemars(required))]
    pub name: Option<String>,
    /// Requests in any interval of the window.
    #[cfg_attr(feature = "schema", schemars(required))]
    pub max_requests: Option<RawMaxRequests>,
    /// The window, seconds.
    #[cfg_attr(feature = "schema", schemars(required, range(min = 1, max = crate::policy::LONGEST_WINDOW_SECONDS)))]
    pub window_seconds: Option<u64>,
    /// What is counted separately: client_ip, subject, route, path, method, claim:NAME, header:NAME.
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    pub key: Vec<String>,
    /// Share of the limit from which requests are logged and counted as warned, percent; null = never.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 100)))]
    pub warn_at_percent: Option<u64>,
    /// Networks whose clients the limit neither counts nor refuses, such as "10.0.0.0/8".
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    pub except_addresses: Option<Vec<String>>,
    /// Overrides the mode of the route.
    pub mode: Option<Mode>,
}

fields!(RawLimit { name, max_requests, window_seconds, key, warn_at_percent, except_addresses, mode });

impl Default for RawLimit {
    fn default() -> Self {
        Self {
            name: None,
            max_requests: None,
            window_seconds: None,
            key: texts(&["client_ip", "subject"]),
            warn_at_percent: Some(80),
            except_addresses: None,
            mode: None,
        }
    }
}

/// A number of requests, or a number for each value of a claim.
#[derive(Debug, Clone)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[cfg_attr(feature = "schema", schemars(untagged))]
pub enum RawMaxRequests {
    /// The same for everybody.
    Fixed(#[cfg_attr(feature = "schema", schemars(range(min = 1)))] u64),
    /// By a claim's value.
    ByClaim(RawTiers),
}

impl Default for RawMaxRequests {
    fn default() -> Self {
        Self::Fixed(0)
    }
}

impl Shape for RawMaxRequests {
    fn read(&mut self, value: &Json<'_>, at: &Path<'_>, misfits: &mut Misfits) -> bool {
        *self = match value {
            Json::Number(number) if let Some(number) = number.as_u64() => Self::Fixed(number),
            Json::Object(_) => {
                let mut tiers = RawTiers::default();
                tiers.read(value, at, misfits);
                Self::ByClaim(tiers)
            }
            Json::Null | Json::Bool(_) | Json::Number(_) | Json::Text(_) | Json::List(_) => {
                let expected = r#"a whole number or {"claim": ..., "values": {...}, "default": ...}"#;
                return misfits.wrong(at, expected);
            }
        };
        true
    }
}

/// Tiers of a limit.
#[derive(Debug, Clone, Default)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[cfg_attr(feature = "schema", schemars(default, deny_unknown_fields))]
#[cfg_attr(feature = "schema", schemars(extend("required" = ["claim", "values", "default"])))]
pub struct RawTiers {
    /// The claim that names the tier; dots go into objects.
    #[cfg_attr(feature = "schema", schemars(required))]
    pub claim: Option<String>,
    /// Tier to number of requests.
    #[cfg_attr(
        feature = "schema",
        schemars(with = "std::collections::BTreeMap<String, u64>", extend("minProperties" = 1, "default" = {}))
    )]
    pub values: Named<u64>,
    /// The number for every other value, and for tokens without the claim.
    #[cfg_attr(feature = "schema", schemars(required))]
    pub default: Option<u64>,
}

fields!(RawTiers { claim, values, default });

/// Section auth_failure_limit.
#[derive(Debug, Default)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[cfg_attr(feature = "schema", schemars(default, deny_unknown_fields))]
#[cfg_attr(feature = "schema", schemars(extend("required" = ["max_failures", "window_seconds"])))]
pub struct RawAuthFailureLimit {
    /// Failures in any interval of the window.
    #[cfg_attr(feature = "schema", schemars(required, range(min = 1)))]
    pub max_failures: Option<u64>,
    /// The window, seconds.
    #[cfg_attr(feature = "schema", schemars(required, range(min = 1)))]
    pub window_seconds: Option<u64>,
}

fields!(RawAuthFailureLimit { max_failures, window_seconds });

/// Section client_ip.
#[derive(Debug)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[cfg_attr(feature = "schema", schemars(default, deny_unknown_fields))]
pub struct RawClientIp {
    /// Leading bits of an IPv6 address that identify a client, 1 to 128.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 128)))]
    pub ipv6_prefix: u64,
    /// Where the address is read from.
    pub from: AddressFrom,
}

fields!(RawClientIp { ipv6_prefix, from });

impl Default for RawClientIp {
    fn default() -> Self {
        Self { ipv6_prefix: 64, from: AddressFrom::SourceAddress }
    }
}

names!(AddressFrom { "source_address" => SourceAddress, "x-envoy-external-address" => ExternalAddress });
