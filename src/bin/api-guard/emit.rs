//! `api-guard emit`: manifests that load the module with a configuration.

mod key_sets;
mod text;

use std::net::IpAddr;
use std::path::PathBuf;

use api_guard_core::config::raw::RawConfig;

use crate::outcome::{self, Failure, Outcome, print, say};
use crate::source::Configuration;
use crate::{check, source};

/// Print a ready manifest that loads the module with a configuration.
///
/// envoy is a complete bootstrap, with a demo API unless --upstream names yours; istio is a WasmPlugin, envoy-gateway
/// an EnvoyExtensionPolicy. Secrets are not copied: the manifest only names their variables. The bootstrap has a cluster
/// for each key set that is fetched, by TLS unless it is on the loopback address.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  api-guard emit envoy --config api-guard.json > bootstrap.yaml
  api-guard emit envoy --config api-guard.json --upstream orders.internal:8080 --module /etc/envoy/api_guard.wasm
  api-guard emit istio --config api-guard.json --image registry.example.com/api-guard:0.1.0
  api-guard emit envoy-gateway --config api-guard.json --image registry.example.com/api-guard:0.1.0")]
pub(crate) struct Emit {
    /// Who loads the module
    #[arg(value_enum)]
    host: Target,
    /// The configuration: plugin JSON, or a manifest that contains it
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// envoy: the module's file
    #[arg(long, value_name = "PATH", default_value = "dist/api_guard.wasm")]
    module: String,
    /// envoy: the port for clients
    #[arg(long, value_name = "PORT", default_value_t = 10000)]
    port: u16,
    /// envoy: the port of the admin interface, on the loopback address
    #[arg(long, value_name = "PORT", default_value_t = 9901)]
    admin_port: u16,
    /// envoy: the API to guard; without it the bootstrap includes a demo API
    #[arg(long, value_name = "HOST:PORT", value_parser = upstream)]
    upstream: Option<(String, u16)>,
    /// istio and envoy-gateway: the image that holds /plugin.wasm
    #[arg(long, value_name = "IMAGE", default_value = IMAGE)]
    image: String,
}

/// Who loads the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Target {
    Envoy,
    Istio,
    EnvoyGateway,
}

const ENVOY: &str = include_str!("emit/envoy.yaml");
const DEMO: &str = include_str!("emit/demo.yaml");
const ISTIO: &str = include_str!("emit/istio.yaml");
const ENVOY_GATEWAY: &str = include_str!("emit/envoy-gateway.yaml");

const IMAGE: &str = concat!("registry.example.com/api-guard:", env!("CARGO_PKG_VERSION"));
/// Where the demo API listens.
const DEMO_ADDRESS: (&str, u16) = ("127.0.0.1", 10001);

impl Emit {
    /// Prints the manifest.
    pub(crate) fn run(&self) -> outcome::Result {
        for (option, value) in [("--module", &self.module), ("--image", &self.image)] {
            if value.is_empty() || !value.chars().all(|letter| letter.is_ascii_graphic()) {
                return Err(Failure::usage(format!(
                    "{option} {value:?}: write it in visible ASCII characters"
                )));
            }
        }
        let Configuration { text, raw, policy } = source::configuration(&self.config, false)?;
        if let Some((pointer, name)) = check::pss_pointers(&raw, &policy).first() {
            let why = check::WHY_NOT_PSS;
            return Err(Failure::failed(format!("{}: {pointer}: {name:?}: {why}", self.config.display())));
        }
        let manifest = match self.host {
            Target::Envoy => self.envoy(&text, &raw),
            Target::Istio => self.istio(&text, &raw),
            Target::EnvoyGateway => self.envoy_gateway(&text, &raw),
        };
        for finding in check::findings(&source::of_text(manifest.clone())) {
            say(&format!("note: {}: {}", finding.pointer, finding.text));
        }
        print(&manifest);
        Ok(Outcome::Done)
    }

    fn envoy(&self, configuration: &str, raw: &RawConfig) -> String {
        let (demo, host, port) = match &self.upstream {
            Some((host, port)) => ("", host.as_str(), *port),
            None => (DEMO, DEMO_ADDRESS.0, DEMO_ADDRESS.1),
        };
        let cluster = if host.parse::<IpAddr>().is_ok() { "STATIC" } else { "STRICT_DNS" };
        let [port_text, admin, upstream] = [self.port, self.admin_port, port].map(|port| port.to_string());
        let demo = text::fill(demo, &[("upstream_port", &upstream)]);
        let demo = if demo.is_empty() { demo } else { format!("\n{demo}") };
        let module = text::quoted(&self.module);
        text::fill(
            ENVOY,
            &[
                ("demo\n", &demo),
                ("port", &port_text),
                ("admin_port", &admin),
                ("module", &module),
                ("variables", &variables(raw).join(", ")),
                ("cluster_type", cluster),
                ("upstream_host", &text::quoted(host)),
                ("upstream_port", &upstream),
                ("subject", &logged_subject(raw)),
                ("key_sets", &key_sets::of_bootstrap(raw)),
                ("configuration", &text::block(configuration, 28)),
            ],
        )
    }

    fn istio(&self, configuration: &str, raw: &RawConfig) -> String {
        let names = variables(raw);
        let variable = |name: &String| format!("\n      - name: {name}\n        valueFrom: HOST");
        let env: String = names.iter().map(variable).collect();
        let url =
            if self.image.contains("://") { self.image.clone() } else { format!("oci://{}", self.image) };
        text::fill(
            ISTIO,
            &[
                ("variables", &names.join(", ")),
                (" env", if env.is_empty() { " []" } else { &env }),
                ("url", &text::quoted(&url)),
                ("key_sets\n", &key_sets::comment(raw)),
                ("configuration", &text::values(configuration, 4)),
            ],
        )
    }

    fn envoy_gateway(&self, configuration: &str, raw: &RawConfig) -> String {
        text::fill(
            ENVOY_GATEWAY,
            &[
                ("variables", &variables(raw).join(", ")),
                ("key_sets\n", &key_sets::comment(raw)),
                ("image", &text::quoted(self.image.trim_start_matches("oci://"))),
                ("configuration", &text::values(configuration, 8)),
            ],
        )
    }
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

/// The names of the variables that hold secrets and public keys, without duplicates.
fn variables(raw: &RawConfig) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for key in &raw.tokens.keys {
        if let Some(name) = key.variable()
            && !names.iter().any(|known| known == name)
        {
            names.push(name.to_owned());
        }
    }
    names
}

fn upstream(text: &str) -> Result<(String, u16), String> {
    const FORM: &str = "write HOST:PORT, such as orders.internal:8080";
    let (host, port) = text.rsplit_once(':').ok_or(FORM)?;
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let port: u16 = port.parse().ok().filter(|port| *port > 0).ok_or(FORM)?;
    let known = |letter: char| letter.is_ascii_alphanumeric() || ".-_:".contains(letter);
    if host.is_empty() || !host.chars().all(known) || (host.contains(':') && host.parse::<IpAddr>().is_err())
    {
        return Err(FORM.to_owned());
    }
    Ok((host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upstream_is_a_host_and_a_port() {
        assert_eq!(upstream("orders.internal:8080"), Ok(("orders.internal".to_owned(), 8080)));
        assert_eq!(upstream("[::1]:80"), Ok(("::1".to_owned(), 80)));
        for bad in ["orders", ":80", "a:0", "a:70000", "a b:80", "::1"] {
            assert!(upstream(bad).is_err(), "{bad}");
        }
    }
}
