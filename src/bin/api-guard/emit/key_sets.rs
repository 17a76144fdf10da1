//! The clusters over which key sets are fetched.

use std::net::IpAddr;
use std::path::Path;

use api_guard_core::config::raw::RawConfig;

use super::text;
use crate::check::{host_and_port, is_loopback_host, other_hosts, remote};
use crate::outcome::Failure;
use crate::upstream::Upstream;

const CLUSTER: &str = include_str!("key-set.yaml");
const TLS: &str = include_str!("key-set-tls.yaml");
/// The cluster that the bootstrap has anyway.
const UPSTREAM: &str = "upstream";

/// A cluster, and the sets that are fetched over it.
struct Cluster<'c> {
    name: &'c str,
    authority: &'c str,
    sets: Vec<&'c str>,
}

/// The clusters of all sets that are fetched, in their order. Sets of one cluster have one host.
fn clusters(raw: &RawConfig) -> Vec<Cluster<'_>> {
    let mut clusters: Vec<Cluster<'_>> = Vec::new();
    for set in &raw.tokens.key_sets {
        let Some((name, jwks)) = remote(set) else { continue };
        let (of_set, authority) =
            (set.name.as_deref().unwrap_or_default(), jwks.authority.as_deref().unwrap_or_default());
        match clusters.iter_mut().find(|known| known.name == name) {
            Some(known) => known.sets.push(of_set),
            None => clusters.push(Cluster { name, authority, sets: vec![of_set] }),
        }
    }
    clusters
}

/// Refuses sets of one cluster with several hosts, all but one of which would be asked at the wrong place. `file`: the
/// configuration's.
pub(super) fn judge(raw: &RawConfig, file: &Path) -> Result<(), Failure> {
    let lines: Vec<String> = other_hosts(raw)
        .iter()
        .map(|(pointer, text)| format!("{}: {pointer}: {text}", file.display()))
        .collect();
    if lines.is_empty() { Ok(()) } else { Err(Failure::failed(lines.join("\n"))) }
}

/// What is told of sets whose cluster is that of the guarded API, which need not be the issuer.
pub(super) fn notes(raw: &RawConfig, upstream: &Upstream) -> Vec<String> {
    let mut notes = Vec::new();
    for (index, set) in raw.tokens.key_sets.iter().enumerate() {
        let Some((UPSTREAM, jwks)) = remote(set) else { continue };
        let authority = jwks.authority.as_deref().unwrap_or_default();
        let (host, port) = host_and_port(authority);
        let usual = if upstream.tls { 443 } else { 80 };
        let port = port.and_then(|port| port.parse().ok()).unwrap_or(usual);
        if !host.eq_ignore_ascii_case(&upstream.host) || port != upstream.port {
            notes.push(format!(
                "/tokens/key_sets/{index}/jwks/cluster: {UPSTREAM:?} is the cluster of the guarded API, so the keys come from \
                 {} and not from {authority}; write another name, such as \"issuer\", where the API does not publish them",
                upstream.url()
            ));
        }
    }
    notes
}

/// The clusters for a bootstrap: by TLS with the certificates that Envoy's machine trusts (`trust`), and in the clear on the
/// machine itself.
pub(super) fn of_bootstrap(raw: &RawConfig, trust: &str) -> String {
    let all = clusters(raw);
    let needed = all.iter().filter(|cluster| cluster.name != UPSTREAM);
    needed.map(|cluster| cluster.yaml(trust) + "\n").collect()
}

/// What a manifest has to say of clusters that are another resource's.
pub(super) fn comment(raw: &RawConfig) -> String {
    let line = |cluster: &Cluster<'_>| {
        let (host, _) = host_and_port(cluster.authority);
        format!(
            "#\n# The keys of {} are fetched from {} over the cluster {}, which the proxy must have: by TLS, with\n# the SNI {host}, \
             a trusted CA, and the name compared.\n",
            cluster.sets.join(", "),
            cluster.authority,
            cluster.name
        )
    };
    clusters(raw).iter().map(line).collect()
}

impl Cluster<'_> {
    fn yaml(&self, trust: &str) -> String {
        let (host, port) = host_and_port(self.authority);
        let is_here = is_loopback_host(host);
        let is_address = host.parse::<IpAddr>().is_ok();
        let quoted = text::quoted(host);
        let sni = if is_address { String::new() } else { format!("\n          sni: {quoted}") };
        let san_type = if is_address { "IP_ADDRESS" } else { "DNS" };
        let trust = text::quoted(trust);
        let tls =
            text::fill(TLS, &[("sni", &sni), ("trust", &trust), ("san_type", san_type), ("host", &quoted)]);
        let usual = if is_here { "80" } else { "443" };
        text::fill(
            CLUSTER,
            &[
                ("sets", &self.sets.join(", ")),
                ("name", &text::quoted(self.name)),
                ("type", if is_address { "STATIC" } else { "STRICT_DNS" }),
                // Either family of addresses may be the one that works.
                ("lookup", if is_address { "" } else { "\n      dns_lookup_family: ALL" }),
                ("host", &quoted),
                ("port", port.unwrap_or(usual)),
                ("tls", if is_here { "" } else { &tls }),
            ],
        )
    }
}
