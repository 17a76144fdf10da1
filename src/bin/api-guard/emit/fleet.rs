//! The cluster of the store that a fleet shares.

use api_guard_core::config::raw::RawConfig;

use super::{envoy, text};
use crate::outcome::Failure;
use crate::store;
use crate::upstream::Upstream;

const CLUSTER: &str = include_str!("fleet.yaml");
/// The cluster that the bootstrap has anyway.
const UPSTREAM: &str = "upstream";

/// Reads `--redis`, which a bootstrap needs where the configuration has a fleet, and nowhere else.
pub(crate) fn store(redis: Option<&str>, raw: &RawConfig) -> Result<Option<Upstream>, Failure> {
    match (redis, cluster(raw)) {
        (None, None) => Ok(None),
        (None, Some(cluster)) => Err(Failure::usage(format!(
            "the configuration has a fleet, whose store is reached over the cluster {cluster}: say where it is, such as \
             --redis redis://redis.internal:6379"
        ))),
        (Some(_), None) => Err(Failure::usage(
            "--redis: the configuration has no fleet; write the section fleet, or leave --redis out",
        )),
        (Some(_), Some(UPSTREAM)) => Err(Failure::usage(
            "fleet.cluster is \"upstream\", which is the cluster of the API; write another name, such as \"api-guard-redis\"",
        )),
        (Some(url), Some(_)) => store::parse(url, store::LOGIN_IN_FLEET)
            .map(Some)
            .map_err(|instead| Failure::usage(format!("--redis: {instead}"))),
    }
}

/// The cluster as the bootstrap has it. `trust`: the certificates that Envoy's machine trusts.
pub(super) fn of_bootstrap(raw: &RawConfig, store: Option<&Upstream>, trust: &str) -> String {
    let (Some(name), Some(store)) = (cluster(raw), store) else { return String::new() };
    // A name may have addresses of either family, and another address once another store has taken over.
    let (cluster_type, family) = envoy::discovery(store);
    let tls = if store.tls { envoy::tls(store, trust) } else { String::new() };
    text::fill(
        CLUSTER,
        &[
            ("name", &text::quoted(name)),
            ("cluster_type", cluster_type),
            ("dns_family\n", family),
            ("host", &text::quoted(&store.host)),
            ("port", &store.port.to_string()),
            ("tls\n", &tls),
        ],
    )
}

/// What is to be said of a manifest that is not a bootstrap.
pub(super) fn note(raw: &RawConfig) -> Option<String> {
    let cluster = cluster(raw)?;
    Some(format!(
        "/fleet/cluster: the proxy needs the cluster {cluster:?}, with upstream_config: \
         envoy.filters.connection_pools.http.tcp, as api-guard emit envoy --redis URL writes it; this manifest has none"
    ))
}

/// The name of the cluster that leads to the store.
pub(crate) fn cluster(raw: &RawConfig) -> Option<&str> {
    raw.fleet.as_ref()?.cluster.as_deref()
}
