//! Can the keys of an issuer be fetched, and only from the issuer? Whoever can write into that answer can sign any token.

use api_guard_core::config::raw::{RawConfig, RawJwks, RawKeySet};

use super::{Findings, Part, says};
use crate::source::Site;
use crate::source::tree::Node;
use api_guard_explain::check::finding::InPlugin;

/// Checks the clusters that the key sets name. Clusters that Envoy gets by CDS are not seen.
pub(super) fn check(
    site: &Site<'_>,
    raw: &RawConfig,
    plugin: Option<&InPlugin<'_>>,
    findings: &mut Findings,
) {
    let Some(resources) = site.document.field("static_resources") else { return };
    let clusters = resources.field("clusters").map(Node::items).unwrap_or_default();
    let is_all = ["cds_config", "ads_config"]
        .iter()
        .all(|name| site.document.path(&["dynamic_resources", name]).is_none());
    let mut seen: Vec<&str> = Vec::new();
    for (index, set) in raw.tokens.key_sets.iter().enumerate() {
        let Some((name, jwks)) = remote(set) else { continue };
        let known =
            clusters.iter().position(|cluster| cluster.field("name").and_then(Node::text) == Some(name));
        match (known, plugin) {
            (None, Some(plugin)) if is_all => {
                let at = format!("/tokens/key_sets/{index}/jwks/cluster");
                let text = format!(
                    "{name:?}: Envoy has no such cluster, so the keys are never fetched, and every token of these issuers \
                     gets 503; add it to static_resources.clusters, as api-guard emit envoy writes it"
                );
                plugin.error("jwks-cluster-missing", at, text, findings);
            }
            (None, _) => {}
            (Some(at), _) if !seen.contains(&name) => {
                seen.push(name);
                let pointer = format!("/static_resources/clusters/{at}");
                if let Some(node) = clusters.get(at) {
                    let authority = jwks.authority.as_deref().unwrap_or_default();
                    cluster(&Part { node, pointer: &pointer }, name, authority, findings);
                }
            }
            (Some(_), _) => {}
        }
    }
}

/// The cluster of a set that is fetched, and the rest of where it is.
pub(crate) fn remote(set: &RawKeySet) -> Option<(&str, &RawJwks)> {
    let jwks = set.jwks.as_ref()?;
    Some((jwks.cluster.as_deref()?, jwks))
}

fn cluster(part: &Part<'_>, name: &str, authority: &str, findings: &mut Findings) {
    if is_loopback(part.node) || part.node.field("transport_socket_matches").is_some() {
        return;
    }
    const AT: &str = "/transport_socket";
    let Some(tls) = part.node.field("transport_socket").and_then(tls_context) else {
        let text = format!(
            "keys are fetched over {name} in the clear: whoever is on the way gives out keys of their own, and signs any \
             token; add a transport_socket with an UpstreamTlsContext, as api-guard emit envoy writes it"
        );
        let below = if part.node.field("transport_socket").is_some() { AT } else { "" };
        findings.error("jwks-plain", part, below, text);
        return;
    };
    // An address is no name, and has none that could be told (RFC 6066 section 3).
    let is_address = host_and_port(authority).0.parse::<std::net::IpAddr>().is_ok();
    let has_name = is_address || tls.field("sni").and_then(Node::text).is_some_and(|sni| !sni.is_empty());
    if !has_name
        && !tls.field("auto_host_sni").is_some_and(Node::is_true)
        && !has_option(part.node, "auto_sni")
    {
        let text = "the issuer is not told for which host the connection is, and may answer for another; write sni: with \
                    the issuer's host";
        findings.error("jwks-no-sni", part, AT, text);
    }
    if trusts_anybody(tls) {
        let text = "any certificate is believed: whoever is on the way gives out keys of their own, and signs any token; \
                    write trusted_ca: { filename: /etc/ssl/certs/ca-certificates.crt } into validation_context";
        findings.error("jwks-no-ca", part, AT, text);
        return;
    }
    if !compares_names(part.node, tls) {
        findings.warn("jwks-any-host", part, AT, ANY_HOST);
    }
    if accepts_expired(tls) {
        findings.warn("jwks-expired-certificate", part, AT, EXPIRED);
    }
}

/// By what a certificate is known without a CA.
const PINS: [&str; 3] = ["verify_certificate_spki", "verify_certificate_hash", "custom_validator_config"];
/// What is wrong where [`compares_names`] is false.
pub(super) const ANY_HOST: &str = "the certificate of any host is believed that the CA has signed, because Envoy compares no names \
                                   unless told to; write match_typed_subject_alt_names: [{ san_type: DNS, matcher: { exact: \
                                   HOST } }] into validation_context";
/// What is wrong where [`accepts_expired`] is true.
pub(super) const EXPIRED: &str = "certificates that have expired are believed, so a key that was stolen is of use for good; take \
                                  allow_expired_certificate out of validation_context";
/// By which names a certificate is known.
const NAMES: [&str; 2] = ["match_typed_subject_alt_names", "match_subject_alt_names"];
/// Where trusted CAs come from.
const TRUSTED: [&str; 3] = ["trusted_ca", "ca_certificate_provider_instance", "system_root_certs"];

/// Whether any certificate is believed.
pub(super) fn trusts_anybody(tls: &Node) -> bool {
    let Some(validation) = validation(tls) else { return false };
    let has = |name: &str| validation.is_some_and(|node| node.field(name).is_some());
    let believes = validation
        .and_then(|node| node.field("trust_chain_verification"))
        .is_some_and(|node| node.text() == Some("ACCEPT_UNTRUSTED"));
    believes || !TRUSTED.iter().chain(&PINS).any(|name| has(name))
}

/// Whether the name of a certificate, or the certificate itself, is compared. True where that comes by SDS.
pub(super) fn compares_names(cluster: &Node, tls: &Node) -> bool {
    let Some(validation) = validation(tls) else { return true };
    let is_own = tls.field("auto_sni_san_validation").is_some_and(Node::is_true)
        || has_option(cluster, "auto_san_validation");
    // An empty list compares nothing.
    let has = |name: &&str| validation.and_then(|node| node.field(name)).is_some_and(says);
    is_own || NAMES.iter().chain(&PINS).any(has)
}

/// Whether a certificate is believed after its time. What comes by SDS cannot take that back.
pub(super) fn accepts_expired(tls: &Node) -> bool {
    [&["validation_context"][..], &["combined_validation_context", "default_validation_context"]]
        .iter()
        .filter_map(|path| tls.field("common_tls_context")?.path(path)?.field("allow_expired_certificate"))
        .any(Node::is_true)
}

/// The settings of TLS, whatever socket they are wrapped in.
pub(super) fn tls_context(socket: &Node) -> Option<&Node> {
    let mut found = None;
    socket.walk("", &mut |_, node| {
        let is_tls = node
            .field("@type")
            .and_then(Node::text)
            .is_some_and(|name| name.ends_with(".UpstreamTlsContext"));
        if is_tls {
            found = found.or(Some(node));
        }
    });
    found
}

/// What the certificate is compared with; `None` if that comes by SDS and is not in the file.
fn validation(tls: &Node) -> Option<Option<&Node>> {
    let common = tls.field("common_tls_context");
    let at = |path: &[&str]| common.and_then(|node| node.path(path));
    if at(&["validation_context_sds_secret_config"]).is_some()
        || at(&["combined_validation_context", "validation_context_sds_secret_config"]).is_some()
    {
        return None;
    }
    let combined = at(&["combined_validation_context", "default_validation_context"]);
    Some(at(&["validation_context"]).or(combined))
}

/// Whether the cluster has an option of its HTTP connections that goes by the request's host.
fn has_option(cluster: &Node, name: &str) -> bool {
    let mut found = cluster.path(&["upstream_http_protocol_options", name]).is_some_and(Node::is_true);
    if let Some(options) = cluster.field("typed_extension_protocol_options") {
        options.walk("", &mut |_, node| {
            found |= node.path(&["upstream_http_protocol_options", name]).is_some_and(Node::is_true);
        });
    }
    found
}

/// Whether nothing of it leaves the machine.
pub(super) fn is_loopback(cluster: &Node) -> bool {
    let mut addresses = Vec::new();
    cluster.walk("", &mut |_, node| {
        let socket = node.path(&["socket_address", "address"]).and_then(Node::text);
        addresses.extend(socket.map(is_loopback_host));
        addresses.extend(node.field("pipe").map(|_| true));
    });
    !addresses.is_empty() && addresses.iter().all(|is_loopback| *is_loopback)
}

/// Whether a host is this machine: an address without port and brackets, or a name.
pub(crate) fn is_loopback_host(host: &str) -> bool {
    match host.parse::<std::net::IpAddr>() {
        Ok(address) => address.to_canonical().is_loopback(),
        Err(_) => host.eq_ignore_ascii_case("localhost"),
    }
}

/// The host without brackets, and the port, if there is one.
pub(crate) fn host_and_port(authority: &str) -> (&str, Option<&str>) {
    let is_port = |text: &&str| text.parse::<u16>().is_ok_and(|port| port > 0);
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') && (!host.contains(':') || host.ends_with(']')) => {
            (host, Some(port).filter(is_port))
        }
        Some(_) | None => (authority, None),
    };
    (host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host), port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_authority_is_a_host_and_perhaps_a_port() {
        for (authority, host, port) in [
            ("login.example.com", "login.example.com", None),
            ("login.example.com:8443", "login.example.com", Some("8443")),
            ("[::1]:80", "::1", Some("80")),
            ("[::1]", "::1", None),
            ("::1", "::1", None),
            ("10.0.0.1:1", "10.0.0.1", Some("1")),
            ("a:0", "a", None),
            ("a:b", "a", None),
        ] {
            assert_eq!(host_and_port(authority), (host, port), "{authority}");
        }
    }
}
