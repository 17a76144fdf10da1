//! What one Envoy of these tests is told: the bootstrap, with the module or the library in it, as JSON.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};

use crate::kind::Kind;
use crate::token::SECRET;

/// The file that is replaced where something can be, in Envoy's directory.
pub(crate) const REPLACEABLE_FILE: &str = "replaceable.json";

/// What the filter is called in the chain.
const GUARD_NAME: &str = "api_guard";

/// The caller as the shipped access logs show them.
const SUBJECT: &str = concat!(
    r#"%COALESCE({"operators":[{"command":"REQ","param":"X-AUTH-SUBJECT"},"#,
    r#"{"command":"FILTER_STATE","param":"wasm.api_guard.subject:PLAIN"}]})%"#
);

/// Options of one Envoy. The defaults are those that the shipped `envoy.yaml` has, but for Envoy's path options: these
/// are off, so that it is the module that has to notice.
pub(crate) struct Setup {
    /// The plugin's configuration, as text: it may be broken on purpose.
    pub(crate) plugin: String,
    pub(crate) concurrency: u32,
    pub(crate) use_remote_address: bool,
    pub(crate) allow_on_headers_stop_iteration: bool,
    /// Envoy's own path options, all of them.
    pub(crate) normalize_paths: bool,
    /// The VM's environment, or Envoy's own for a library.
    pub(crate) environment: Vec<(&'static str, String)>,
    /// How long Envoy waits for the client to close a connection that is broken for good. Tests that break hundreds
    /// cannot spend Envoy's usual second on each.
    pub(crate) delayed_close_seconds: f32,
    /// The listener comes from a file that can be replaced while Envoy runs; else it is part of the bootstrap.
    pub(crate) replaceable: bool,
    /// With `replaceable`: the file has the filter alone, as `api-guard run` and Istio send it (ECDS). Envoy lets go of the
    /// filter that it had with the last request of it.
    pub(crate) filter_alone: bool,
    /// Whom Envoy believes about the client's address: so many proxies in front of it, by `x-forwarded-for`.
    pub(crate) trusted_hops: u32,
    /// Envoy answers instead of the service and keeps no access log, for hundreds of thousands of requests.
    pub(crate) loaded: bool,
    /// Nobody listens where the service should be.
    pub(crate) service_gone: bool,
    /// HTTP/1 trailers are passed on, from clients and to the service.
    pub(crate) trailers: bool,
    /// Laid over the connection manager.
    pub(crate) manager: Value,
    /// Other clusters than the service's.
    pub(crate) clusters: Vec<Value>,
    /// Other filters, before the guard.
    pub(crate) before: Vec<Value>,
    /// The address that Envoy listens on.
    pub(crate) listen: &'static str,
    /// Clients speak HTTP/3, over UDP.
    pub(crate) http3: bool,
    /// The service is not the one of these tests: its port, and whether it speaks HTTP/2.
    pub(crate) service: Option<(u16, bool)>,
    /// The plugin's configuration is a `Struct` in place of text.
    pub(crate) as_struct: bool,
    /// Plugins with this name share their tables: the `vm_id`, or a library's `filter_name`.
    pub(crate) shared_name: &'static str,
    /// What the plugin is called, which Envoy's own metrics of its VM are named after.
    pub(crate) plugin_name: &'static str,
    /// Whether Envoy is told the shipped labels of metrics.
    pub(crate) is_tagged: bool,
    /// What is loaded.
    pub(crate) kind: Kind,
    /// The module or library under test.
    pub(crate) artefact: PathBuf,
}

impl Setup {
    pub(crate) fn new(plugin: &Value) -> Self {
        Self::of(Kind::under_test(), plugin)
    }

    /// Options of an Envoy that loads a kind which may not be the one under test.
    pub(crate) fn of(kind: Kind, plugin: &Value) -> Self {
        Self {
            plugin: plugin.to_string(),
            concurrency: 1,
            use_remote_address: true,
            allow_on_headers_stop_iteration: true,
            normalize_paths: false,
            environment: vec![("API_GUARD_SECRET", SECRET.to_owned())],
            delayed_close_seconds: 1.0,
            replaceable: false,
            filter_alone: false,
            trusted_hops: 0,
            loaded: false,
            service_gone: false,
            trailers: false,
            manager: json!({}),
            clusters: Vec::new(),
            before: Vec::new(),
            listen: "127.0.0.1",
            http3: false,
            service: None,
            as_struct: false,
            shared_name: "api_guard",
            plugin_name: "api_guard",
            is_tagged: true,
            kind,
            artefact: kind.artefact(),
        }
    }

    /// The bootstrap, for an Envoy that keeps its files in `directory` and forwards to `upstream_port`.
    pub(crate) fn bootstrap(&self, directory: &Path, upstream_port: u16) -> Value {
        let (port, is_http2) = self.service.unwrap_or((upstream_port, false));
        let mut cluster = cluster(if self.service_gone { 1 } else { port });
        if self.trailers || is_http2 {
            let options = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
            let protocol = if is_http2 {
                json!({ "http2_protocol_options": {} })
            } else {
                json!({ "http_protocol_options": { "enable_trailers": true } })
            };
            cluster["typed_extension_protocol_options"] = json!({ options: {
                "@type": format!("type.googleapis.com/{options}"),
                "explicit_http_config": protocol,
            } });
        }
        let mut bootstrap = json!({
            "admin": { "address": loopback(0) },
            "static_resources": { "clusters": [cluster] },
        });
        if self.kind == Kind::Native {
            let layer = json!({ "name": "static", "static_layer": self.kind.runtime() });
            bootstrap["layered_runtime"] = json!({ "layers": [layer] });
        }
        let clusters = bootstrap["static_resources"]["clusters"].as_array_mut().unwrap();
        clusters.extend(self.clusters.iter().cloned());
        if self.replaceable {
            bootstrap["node"] = json!({ "id": "e2e", "cluster": "e2e" });
        }
        let file = json!({
            "resource_api_version": "V3",
            "path_config_source": { "path": directory.join(REPLACEABLE_FILE) },
        });
        if self.replaceable && !self.filter_alone {
            bootstrap["dynamic_resources"] = json!({ "lds_config": file });
            return bootstrap;
        }
        let mut listener = self.listener();
        if self.filter_alone {
            let filters =
                listener.pointer_mut("/filter_chains/0/filters/0/typed_config/http_filters").unwrap();
            let filters = filters.as_array_mut().unwrap();
            let guard = filters.iter_mut().find(|filter| filter["name"] == GUARD_NAME).unwrap();
            let kind = guard["typed_config"]["@type"].take();
            let discovery = json!({ "config_source": file, "type_urls": [kind] });
            *guard = json!({ "name": GUARD_NAME, "config_discovery": discovery });
        }
        bootstrap["static_resources"]["listeners"] = json!([listener]);
        bootstrap
    }

    /// What Envoy counts its looks at the replaceable file under.
    pub(crate) fn discovery_stats(&self) -> String {
        if self.filter_alone {
            format!("extension_config_discovery.http_filter.{GUARD_NAME}")
        } else {
            "listener_manager.lds".to_owned()
        }
    }

    /// The content of the replaceable file.
    pub(crate) fn discovery_response(&self) -> Value {
        if self.filter_alone {
            static VERSION: AtomicU32 = AtomicU32::new(0);
            let version = VERSION.fetch_add(1, Ordering::Relaxed).to_string();
            let filter = json!({
                "@type": "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig",
                "name": GUARD_NAME,
                "typed_config": self.filter(),
            });
            return json!({ "version_info": version, "resources": [filter] });
        }
        let mut listener = self.listener();
        listener["@type"] = json!("type.googleapis.com/envoy.config.listener.v3.Listener");
        json!({ "version_info": "1", "resources": [listener] })
    }

    fn listener(&self) -> Value {
        let mut listener = json!({
            "name": "main",
            "address": { "socket_address": { "address": self.listen, "port_value": 0 } },
            "filter_chains": [{ "filters": [{
                "name": "envoy.filters.network.http_connection_manager",
                "typed_config": self.connection_manager(),
            }] }],
        });
        if self.http3 {
            listener["address"]["socket_address"]["protocol"] = json!("UDP");
            listener["udp_listener_config"] = json!({ "quic_options": {} });
            let certificate = json!({
                "certificate_chain": { "inline_string": include_str!("clients/localhost.pem") },
                "private_key": { "inline_string": include_str!("clients/localhost-key.pem") },
            });
            listener["filter_chains"][0]["transport_socket"] = json!({
                "name": "envoy.transport_sockets.quic",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.transport_sockets.quic.v3.QuicDownstreamTransport",
                    "downstream_tls_context": { "common_tls_context": { "tls_certificates": [certificate] } },
                },
            });
        }
        listener
    }

    fn connection_manager(&self) -> Value {
        let matches = json!({ "prefix": "/" });
        let route = if self.loaded {
            json!({ "match": matches, "direct_response": { "status": 200 } })
        } else {
            json!({ "match": matches, "route": { "cluster": "upstream" } })
        };
        let mut manager = json!({
            "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
            "stat_prefix": "ingress",
            "codec_type": if self.http3 { "HTTP3" } else { "AUTO" },
            "use_remote_address": self.use_remote_address,
            "xff_num_trusted_hops": self.trusted_hops,
            "delayed_close_timeout": format!("{}s", self.delayed_close_seconds),
            "normalize_path": self.normalize_paths,
            "merge_slashes": self.normalize_paths,
            "path_with_escaped_slashes_action": if self.normalize_paths { "UNESCAPE_AND_FORWARD" } else { "KEEP_UNCHANGED" },
            "access_log": [{
                "name": "envoy.access_loggers.stdout",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.access_loggers.stream.v3.StdoutAccessLog",
                    "log_format": { "json_format": {
                        "test": "%REQ(X-TEST-ID)%",
                        "request_id": "%REQ(X-REQUEST-ID)%",
                        "status": "%RESPONSE_CODE%",
                        "details": "%RESPONSE_CODE_DETAILS%",
                        "subject": SUBJECT,
                        "code": "%FILTER_STATE(wasm.api_guard.code:PLAIN)%",
                        "route": "%FILTER_STATE(wasm.api_guard.route:PLAIN)%",
                        "limit": "%FILTER_STATE(wasm.api_guard.limit:PLAIN)%",
                    } },
                },
            }],
            "route_config": { "virtual_hosts": [{
                "name": "all",
                "domains": ["*"],
                "routes": [route],
            }] },
            "http_filters": [
                { "name": GUARD_NAME, "typed_config": self.filter() },
                { "name": "envoy.filters.http.router", "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router",
                } },
            ],
        });
        let filters = manager["http_filters"].as_array_mut().unwrap();
        filters.splice(..0, self.before.iter().cloned());
        if self.loaded {
            manager["access_log"] = json!([]);
        }
        if self.trailers {
            manager["http_protocol_options"] = json!({ "enable_trailers": true });
        }
        lay_over(&mut manager, self.manager.clone());
        manager
    }

    fn filter(&self) -> Value {
        match self.kind {
            Kind::Module => json!({
                "@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
                "config": self.plugin_config(),
            }),
            Kind::Native => json!({
                "@type": "type.googleapis.com/envoy.extensions.filters.http.dynamic_modules.v3.DynamicModuleFilter",
                "dynamic_module_config": {
                    "do_not_close": true,
                    "module": { "local": { "filename": self.artefact } },
                },
                "filter_name": self.shared_name,
                "filter_config": self.plugin_text(),
            }),
        }
    }

    fn plugin_text(&self) -> Value {
        if self.as_struct {
            let value: Value = serde_json::from_str(&self.plugin).unwrap();
            json!({ "@type": "type.googleapis.com/google.protobuf.Struct", "value": value })
        } else {
            json!({ "@type": "type.googleapis.com/google.protobuf.StringValue", "value": self.plugin })
        }
    }

    /// Envoy's own environment.
    pub(crate) fn process_environment(&self) -> Vec<(&'static str, String)> {
        match self.kind {
            Kind::Module => Vec::new(),
            Kind::Native => self.environment.clone(),
        }
    }

    fn plugin_config(&self) -> Value {
        let environment: serde_json::Map<String, Value> =
            self.environment.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
        json!({
            "name": self.plugin_name,
            "root_id": "api_guard",
            "failure_policy": "FAIL_RELOAD",
            "reload_config": { "backoff": { "base_interval": "0.1s" } },
            "allow_on_headers_stop_iteration": self.allow_on_headers_stop_iteration,
            "configuration": self.plugin_text(),
            "vm_config": {
                "vm_id": self.shared_name,
                "runtime": "envoy.wasm.runtime.v8",
                "code": { "local": { "filename": self.artefact } },
                "environment_variables": { "key_values": environment },
            },
        })
    }
}

/// A policy that checks tokens with [`SECRET`] and has no rate limits, with `changes` laid over it: objects are merged,
/// anything else replaces what was there.
pub(crate) fn policy(changes: Value) -> Value {
    let mut policy = json!({
        "tokens": { "keys": [{ "secret": { "env": "API_GUARD_SECRET" } }] },
        "rate_limits": [],
    });
    lay_over(&mut policy, changes);
    policy
}

fn lay_over(base: &mut Value, changes: Value) {
    match (base, changes) {
        (Value::Object(base), Value::Object(changes)) => {
            for (name, change) in changes {
                lay_over(base.entry(name).or_insert(Value::Null), change);
            }
        }
        (base, changes) => *base = changes,
    }
}

/// The labels of the metrics, as the shipped configuration has them: its section `stats_config`, still in YAML.
pub(crate) fn shipped_stats_config(kind: Kind) -> String {
    let shipped = include_str!("../../envoy.yaml");
    let section = shipped.lines().skip_while(|line| !line.starts_with("stats_config:"));
    let indented = |line: &&str| line.starts_with("stats_config:") || line.starts_with(' ');
    let section = section.take_while(indented).collect::<Vec<_>>().join("\n");
    section.replace(Kind::Module.metrics_prefix(), kind.metrics_prefix())
}

fn loopback(port: u16) -> Value {
    json!({ "socket_address": { "address": "127.0.0.1", "port_value": port } })
}

fn cluster(port: u16) -> Value {
    json!({
        "name": "upstream",
        "type": "STATIC",
        "connect_timeout": "5s",
        "load_assignment": {
            "cluster_name": "upstream",
            "endpoints": [{ "lb_endpoints": [{ "endpoint": { "address": loopback(port) } }] }],
        },
    })
}
