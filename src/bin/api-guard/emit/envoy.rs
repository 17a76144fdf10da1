//! A whole bootstrap of Envoy.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use api_guard_core::config::raw::RawConfig;

use super::{fleet, key_sets, native, secret, text};
use crate::check::allows_encoded_slashes;
use crate::upstream::Upstream;

/// The bootstrap, with what differs as `{{name}}`.
pub(super) const TEMPLATE: &str = include_str!("envoy.yaml");
const DEMO: &str = include_str!("demo.yaml");
const TLS: &str = include_str!("tls.yaml");
const PROBES: &str = include_str!("probes.yaml");
const ADMIN_CLUSTER: &str = include_str!("admin-cluster.yaml");
/// Where the demo API listens.
const DEMO_PORT: u16 = 10001;

/// What a bootstrap is written from.
pub(crate) struct Bootstrap<'b> {
    /// The plugin configuration, JSON.
    pub(crate) configuration: &'b str,
    pub(crate) raw: &'b RawConfig,
    /// The whole path of the module, or of the library.
    pub(crate) module: &'b str,
    /// Whether it is the library.
    pub(crate) is_native: bool,
    /// Where clients connect; `::` takes IPv4, too.
    pub(crate) address: IpAddr,
    pub(crate) port: u16,
    pub(crate) admin: (IpAddr, u16),
    /// A port for readiness and metrics alone, which others than this machine may reach.
    pub(crate) probes: Option<u16>,
    /// The API to guard; `None` for the demo API.
    pub(crate) upstream: Option<&'b Upstream>,
    /// The store of the configuration's fleet, if that has one.
    pub(crate) store: Option<&'b Upstream>,
    pub(crate) trust: &'b Trust,
}

/// Files of certificates, as Envoy's machine has them.
pub(crate) struct Trust {
    /// By which an upstream over TLS is known.
    pub(crate) upstream: String,
    /// By which the store and issuers are known: those of the system.
    pub(crate) system: String,
}

/// The API that a bootstrap brings along.
pub(super) fn demo_api() -> Upstream {
    Upstream { host: "127.0.0.1".to_owned(), port: DEMO_PORT, tls: false }
}

/// The bootstrap as YAML.
pub(crate) fn bootstrap(from: &Bootstrap<'_>) -> String {
    let demo_api = demo_api();
    let upstream = from.upstream.unwrap_or(&demo_api);
    let upstream_port = upstream.port.to_string();
    let demo = match from.upstream {
        Some(_) => String::new(),
        None => format!("\n{}", text::fill(DEMO, &[("upstream_port", &upstream_port)])),
    };
    let host = text::quoted(&upstream.host);
    let (cluster, family) = discovery(upstream);
    // A service with a certificate goes by its own name, not by the guard's.
    let (tls, rewrite) = if upstream.tls {
        let rewrite = format!(", host_rewrite_literal: {}", text::quoted(&upstream.authority()));
        (tls(upstream, &from.trust.upstream), rewrite)
    } else {
        (String::new(), String::new())
    };
    let address = text::quoted(&from.address.to_string());
    let compat = if from.address == IpAddr::from(Ipv6Addr::UNSPECIFIED) { ", ipv4_compat: true" } else { "" };
    let (probes, admin_cluster) = match from.probes {
        Some(port) => (
            format!(
                "{}{}",
                if demo.is_empty() { "\n" } else { "" },
                text::fill(
                    PROBES,
                    &[("address", &address), ("probe_port", &port.to_string()), ("ipv4_compat", compat)]
                )
            ),
            text::fill(
                ADMIN_CLUSTER,
                &[
                    ("admin_host", &text::quoted(&reached(from.admin.0).to_string())),
                    ("admin_port", &from.admin.1.to_string()),
                ],
            ),
        ),
        None => (String::new(), String::new()),
    };
    let (template, indent) =
        if from.is_native { (native::template(TEMPLATE), 26) } else { (TEMPLATE.to_owned(), 28) };
    text::fill(
        &template,
        &[
            ("demo\n", &demo),
            ("probes\n", &probes),
            ("admin_cluster\n", &admin_cluster),
            ("address", &address),
            ("port", &from.port.to_string()),
            ("ipv4_compat", compat),
            ("admin_address", &text::quoted(&from.admin.0.to_string())),
            ("admin_port", &from.admin.1.to_string()),
            ("module", &text::quoted(from.module)),
            ("variables", &text::items(&secret::variables(from.raw))),
            ("cluster_type", cluster),
            ("dns_family\n", family),
            ("upstream_host", &host),
            ("upstream_port", &upstream_port),
            (" host_rewrite", &rewrite),
            ("tls\n", &tls),
            ("key_sets\n", &key_sets::of_bootstrap(from.raw, &from.trust.system)),
            ("fleet\n", &fleet::of_bootstrap(from.raw, from.store, &from.trust.system)),
            ("escaped_slashes", escaped_slashes(from.raw)),
            ("subject", &logged_subject(from.raw)),
            ("configuration", &text::block(from.configuration, indent)),
        ],
    )
}

/// What Envoy does with an encoded slash: it is refused there too, unless the guard lets some pass.
fn escaped_slashes(raw: &RawConfig) -> &'static str {
    if allows_encoded_slashes(raw) { "KEEP_UNCHANGED" } else { "REJECT_REQUEST" }
}

/// Where Envoy itself reaches what listens at an address.
fn reached(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(v4) if v4.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(v6) if v6.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        IpAddr::V4(_) | IpAddr::V6(_) => address,
    }
}

/// The type of a cluster, and its line about the families of addresses.
pub(super) fn discovery(upstream: &Upstream) -> (&'static str, &'static str) {
    // A name may have addresses of either family. A logical cluster tries them in turn; the service may listen on one.
    match upstream.address() {
        Some(_) => ("STATIC", ""),
        None => ("LOGICAL_DNS", "      dns_lookup_family: ALL\n"),
    }
}

pub(super) fn tls(upstream: &Upstream, trust: &str) -> String {
    let host = text::quoted(&upstream.host);
    let (kind, sni) = match upstream.address() {
        // Server Name Indication is for names alone (RFC 6066 section 3).
        Some(_) => ("IP_ADDRESS", String::new()),
        None => ("DNS", format!("          sni: {host}\n")),
    };
    text::fill(TLS, &[("sni\n", &sni), ("trust", &text::quoted(trust)), ("kind", kind), ("host", &host)])
}

/// The access log's command for the caller: the header that the upstream gets, else filter state.
fn logged_subject(raw: &RawConfig) -> String {
    const FILTER_STATE: &str = "wasm.api_guard.subject:PLAIN";
    // Envoy's command syntax has no escapes for the other letters that a header's name may have.
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
    match &raw.forward.subject_header {
        Some(header) if header.chars().all(plain) => format!(
            r#"'%COALESCE({{"operators":[{{"command":"REQ","param":"{}"}},{{"command":"FILTER_STATE","param":"{FILTER_STATE}"}}]}})%'"#,
            header.to_ascii_uppercase()
        ),
        Some(_) | None => format!(r#""%FILTER_STATE({FILTER_STATE})%""#),
    }
}
