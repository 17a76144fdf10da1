//! Can the store of a fleet be reached, and does nobody listen on the way?

use api_guard_core::config::raw::RawConfig;

use super::key_sets::{
    ANY_HOST, EXPIRED, accepts_expired, compares_names, is_loopback, tls_context, trusts_anybody,
};
use super::{Findings, Part};
use crate::source::Site;
use crate::source::tree::Node;
use api_guard_explain::check::finding::InPlugin;

/// Checks the cluster that the configuration names. Clusters that Envoy gets by CDS are not seen.
pub(super) fn check(
    site: &Site<'_>,
    raw: &RawConfig,
    plugin: Option<&InPlugin<'_>>,
    findings: &mut Findings,
) {
    let Some(name) = raw.fleet.as_ref().and_then(|fleet| fleet.cluster.as_deref()) else { return };
    let Some(resources) = site.document.field("static_resources") else { return };
    let clusters = resources.field("clusters").map(Node::items).unwrap_or_default();
    let is_all = ["cds_config", "ads_config"]
        .iter()
        .all(|name| site.document.path(&["dynamic_resources", name]).is_none());
    let is_named = |cluster: &&Node| cluster.field("name").and_then(Node::text) == Some(name);
    let known = clusters.iter().enumerate().find(|(_, cluster)| is_named(cluster));
    match (known, plugin) {
        (Some((at, node)), _) => {
            let pointer = format!("/static_resources/clusters/{at}");
            cluster(&Part { node, pointer: &pointer }, name, findings);
        }
        (None, Some(plugin)) if is_all => {
            let text = format!(
                "{name:?}: Envoy has no such cluster, so the store is never reached; add it to static_resources.clusters, as \
                 api-guard emit envoy --redis URL writes it"
            );
            plugin.error("fleet-cluster-missing", "/fleet/cluster".to_owned(), text, findings);
        }
        (None, _) => {}
    }
}

fn cluster(part: &Part<'_>, name: &str, findings: &mut Findings) {
    const POOL: &str = "/upstream_config";
    let pool = part.node.path(&["upstream_config", "typed_config", "@type"]).and_then(Node::text);
    if !pool.is_some_and(|kind| kind.ends_with(".TcpConnectionPoolProto")) {
        let text = format!(
            "{name} speaks HTTP, which the store does not, so it is never reached; write upstream_config: {{ name: \
             envoy.filters.connection_pools.http.tcp, typed_config: {{ \"@type\": \
             type.googleapis.com/envoy.extensions.upstreams.http.tcp.v3.TcpConnectionPoolProto }} }}"
        );
        let below = if part.node.field("upstream_config").is_some() { POOL } else { "" };
        findings.error("fleet-cluster-http", part, below, text);
    }
    if is_loopback(part.node) || part.node.field("transport_socket_matches").is_some() {
        return;
    }
    const TLS: &str = "/transport_socket";
    match part.node.field("transport_socket").and_then(tls_context) {
        None => {
            let text = format!(
                "{name} leads to the store in the clear: whoever is on the way reads its password, and changes what is counted \
                 and revoked; add a transport_socket with an UpstreamTlsContext, as api-guard emit envoy --redis rediss://HOST \
                 writes it"
            );
            let below = if part.node.field("transport_socket").is_some() { TLS } else { "" };
            findings.warn("fleet-plain", part, below, text);
        }
        Some(tls) if trusts_anybody(tls) => {
            let text = "any certificate is believed: whoever is on the way reads the store's password, and changes what is \
                        counted and revoked; write trusted_ca: { filename: /etc/ssl/certs/ca-certificates.crt } into \
                        validation_context";
            findings.warn("fleet-no-ca", part, TLS, text);
        }
        Some(tls) => {
            if !compares_names(part.node, tls) {
                findings.warn("fleet-any-host", part, TLS, ANY_HOST);
            }
            if accepts_expired(tls) {
                findings.warn("fleet-expired-certificate", part, TLS, EXPIRED);
            }
        }
    }
}
