//! What Envoy is told: the bootstrap that `emit envoy` writes, with the filter in a file of its own that can be replaced
//! while Envoy serves (extension configuration discovery), and an access log that is read here.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::emit::envoy::{self, Bootstrap};
use crate::outcome::Failure;
use crate::source::tree;

const MANAGER: &str = "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config";
const FILTER: &str = "/http_filters/0/typed_config";
/// Where the filter has the text of the configuration.
const MODULE_TEXT: &str = "/config/configuration/value";
const LIBRARY_TEXT: &str = "/filter_config/value";
const CLUSTERS: &str = "/static_resources/clusters";
const ESCAPED_SLASHES: &str = "/path_with_escaped_slashes_action";
/// How often a stream that lasts is logged: a decision is shown while the response is still coming.
const LOG_INTERVAL: &str = "0.4s";

/// The files that Envoy reads.
pub(super) struct Files {
    pub(super) bootstrap: PathBuf,
    filter: PathBuf,
    versions: u64,
    /// The bootstrap that Envoy has, as `emit` writes it, but for the filter.
    started: Value,
}

impl Files {
    /// Writes them into `folder`.
    pub(super) fn write(folder: &Path, from: &Bootstrap<'_>) -> Result<Self, Failure> {
        let mut bootstrap = emitted(from)?;
        let filter = filter(&mut bootstrap, from)?;
        let files = Self {
            bootstrap: folder.join("bootstrap.json"),
            filter: folder.join("filter.json"),
            versions: 0,
            started: bootstrap.clone(),
        };
        files.replace_filter(&filter)?;
        let kind = filter.get("@type").cloned().ok_or_else(unexpected)?;
        watch_filter(&mut bootstrap, &kind, &files.filter)?;
        log_decisions(&mut bootstrap, from.raw.forward.subject_header.as_deref())?;
        if from.upstream.is_none() {
            answer_itself(&mut bootstrap)?;
        }
        save(&files.bootstrap, &bootstrap)?;
        Ok(files)
    }

    /// Gives Envoy another configuration of the filter. `late`: secrets that Envoy's environment lacks, because they
    /// were made after its start.
    pub(super) fn push(
        &mut self,
        from: &Bootstrap<'_>,
        late: &BTreeMap<String, String>,
    ) -> Result<(), Failure> {
        let mut bootstrap = emitted(from)?;
        let mut filter = filter(&mut bootstrap, from)?;
        self.suits(&bootstrap)?;
        if !late.is_empty() {
            if from.is_native {
                write_into_configuration(&mut filter, late)?;
            } else {
                write_into_environment(&mut filter, late)?;
            }
        }
        self.versions = self.versions.saturating_add(1);
        self.replace_filter(&filter)
    }

    /// Whether Envoy has all that the guard of another bootstrap needs around it.
    fn suits(&self, other: &Value) -> Result<(), Failure> {
        let clusters = |bootstrap: &Value| bootstrap.pointer(CLUSTERS).and_then(Value::as_array).cloned();
        let known = clusters(&self.started).unwrap_or_default();
        let missing =
            clusters(other).unwrap_or_default().into_iter().find(|cluster| !known.contains(cluster));
        if let Some(cluster) = missing {
            let name = cluster.get("name").and_then(Value::as_str).unwrap_or_default();
            return Err(needs_start(&format!(
                "tokens.key_sets fetches over the cluster {name:?}, which is new or leads to another host now, and clusters"
            )));
        }
        let escaped_slashes = [MANAGER, ESCAPED_SLASHES].concat();
        let keeps = |bootstrap: &Value| {
            bootstrap.pointer(&escaped_slashes).and_then(Value::as_str) == Some("KEEP_UNCHANGED")
        };
        if keeps(other) && !keeps(&self.started) {
            return Err(needs_start("allow_in_path: \"encoded_slash\" needs another path option, and those"));
        }
        Ok(())
    }

    fn replace_filter(&self, filter: &Value) -> Result<(), Failure> {
        let response = json!({
            "version_info": self.versions.to_string(),
            "resources": [{
                "@type": "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig",
                "name": "api_guard",
                "typed_config": filter,
            }],
        });
        save(&self.filter, &response)
    }
}

fn needs_start(what: &str) -> Failure {
    Failure::failed(format!("{what} come with Envoy's start alone: end this run, and start it anew"))
}

/// A VM has an environment of its own.
fn write_into_environment(filter: &mut Value, late: &BTreeMap<String, String>) -> Result<(), Failure> {
    let variables = member(filter, "/config/vm_config/environment_variables")?;
    let hosts = variables.get("host_env_keys").and_then(Value::as_array).cloned().unwrap_or_default();
    let is_late = |name: &Value| name.as_str().is_some_and(|name| late.contains_key(name));
    let (own, hosts): (Vec<Value>, Vec<Value>) = hosts.into_iter().partition(is_late);
    let own: BTreeMap<&str, &String> = own
        .iter()
        .filter_map(|name| late.get_key_value(name.as_str()?))
        .map(|(name, secret)| (name.as_str(), secret))
        .collect();
    *variables = json!({ "host_env_keys": hosts, "key_values": own });
    Ok(())
}

/// The library has the environment that Envoy was started with, so its configuration holds the secret itself.
fn write_into_configuration(filter: &mut Value, late: &BTreeMap<String, String>) -> Result<(), Failure> {
    let text = member(filter, LIBRARY_TEXT)?;
    let read = text.as_str().and_then(|text| serde_json::from_str::<Value>(text).ok());
    let mut configuration = read.ok_or_else(unexpected)?;
    let keys = configuration.pointer_mut("/tokens/keys").and_then(Value::as_array_mut);
    for secret in keys.into_iter().flatten().filter_map(|key| key.get_mut("secret")) {
        write_secret(secret, late);
    }
    if let Some(secret) = configuration.pointer_mut("/fleet/secret") {
        write_secret(secret, late);
    }
    *text = Value::String(configuration.to_string());
    Ok(())
}

/// Puts a late secret in place of its variable.
fn write_secret(secret: &mut Value, late: &BTreeMap<String, String>) {
    let Some(secret) = secret.as_object_mut() else { return };
    let named = secret.get("env").and_then(Value::as_str).and_then(|name| late.get(name)).cloned();
    if let Some(value) = named {
        secret.remove("env");
        secret.insert("value".to_owned(), Value::String(value));
    }
}

fn emitted(from: &Bootstrap<'_>) -> Result<Value, Failure> {
    let text = envoy::bootstrap(from);
    let tree = tree::read(&text).ok().and_then(|documents| documents.into_iter().next());
    tree.and_then(|tree| serde_json::from_str(&tree.to_json()).ok()).ok_or_else(unexpected)
}

/// Takes the filter out of a bootstrap. `emit` writes the configuration's white space anew; here the guard gets the very text
/// whose digest `check` tells.
fn filter(bootstrap: &mut Value, from: &Bootstrap<'_>) -> Result<Value, Failure> {
    let mut filter = take(bootstrap, &[MANAGER, FILTER].concat())?;
    let text = if from.is_native { LIBRARY_TEXT } else { MODULE_TEXT };
    *member(&mut filter, text)? = Value::from(from.configuration);
    Ok(filter)
}

/// `emit` is tested to write what is looked for here.
fn unexpected() -> Failure {
    Failure::failed(
        "the bootstrap has another form than expected; please report this as a fault of api-guard",
    )
}

fn member<'v>(value: &'v mut Value, pointer: &str) -> Result<&'v mut Value, Failure> {
    value.pointer_mut(pointer).ok_or_else(unexpected)
}

fn take(value: &mut Value, pointer: &str) -> Result<Value, Failure> {
    Ok(member(value, pointer)?.take())
}

fn watch_filter(bootstrap: &mut Value, kind: &Value, file: &Path) -> Result<(), Failure> {
    *member(bootstrap, &[MANAGER, "/http_filters/0"].concat())? = json!({
        "name": "api_guard",
        "config_discovery": {
            "config_source": { "resource_api_version": "V3", "path_config_source": { "path": file } },
            "type_urls": [kind],
        },
    });
    let root = bootstrap.as_object_mut().ok_or_else(unexpected)?;
    root.insert("node".to_owned(), json!({ "id": "api-guard-run", "cluster": "api-guard-run" }));
    Ok(())
}

fn log_decisions(bootstrap: &mut Value, subject: Option<&str>) -> Result<(), Failure> {
    let manager = member(bootstrap, MANAGER)?.as_object_mut().ok_or_else(unexpected)?;
    // A header whose name does not fit Envoy's command syntax is left out.
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
    let forwarded = match subject.filter(|name| name.chars().all(plain)) {
        Some(name) => format!("%REQ({})%", name.to_ascii_uppercase()),
        None => "-".to_owned(),
    };
    let format = json!({
        "stream": "%STREAM_ID%",
        "kind": "%ACCESS_LOG_TYPE%",
        "time": "%START_TIME(%H:%M:%S)%",
        "method": "%REQ(:METHOD)%",
        "path": "%PATH(NQ)%",
        "status": "%RESPONSE_CODE%",
        "details": "%RESPONSE_CODE_DETAILS%",
        "upstream": "%UPSTREAM_HOST%",
        "forwarded": forwarded,
        "subject": "%FILTER_STATE(wasm.api_guard.subject:PLAIN)%",
        "code": "%FILTER_STATE(wasm.api_guard.code:PLAIN)%",
        "route": "%FILTER_STATE(wasm.api_guard.route:PLAIN)%",
        "limit": "%FILTER_STATE(wasm.api_guard.limit:PLAIN)%",
    });
    manager.insert(
        "access_log".to_owned(),
        json!([{
            "name": "envoy.access_loggers.stdout",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.access_loggers.stream.v3.StdoutAccessLog",
                "log_format": { "json_format": format },
            },
        }]),
    );
    manager.insert("access_log_options".to_owned(), json!({ "access_log_flush_interval": LOG_INTERVAL }));
    Ok(())
}

/// The demo service needs no port of its own here: the route answers.
fn answer_itself(bootstrap: &mut Value) -> Result<(), Failure> {
    let routes = "/typed_config/route_config/virtual_hosts/0/routes/0";
    let demo =
        take(bootstrap, &["/static_resources/listeners/1/filter_chains/0/filters/0", routes].concat())?;
    *member(bootstrap, &["/static_resources/listeners/0/filter_chains/0/filters/0", routes].concat())? = demo;
    let listeners =
        member(bootstrap, "/static_resources/listeners")?.as_array_mut().ok_or_else(unexpected)?;
    listeners.truncate(1);
    let clusters = member(bootstrap, "/static_resources/clusters")?.as_array_mut().ok_or_else(unexpected)?;
    clusters.retain(|cluster| cluster.get("name").and_then(Value::as_str) != Some("upstream"));
    Ok(())
}

/// Puts a file into its place at once, so that Envoy never reads half of it.
fn save(path: &Path, value: &Value) -> Result<(), Failure> {
    let failed =
        |error: std::io::Error| Failure::failed(format!("{} cannot be written: {error}", path.display()));
    let file = tempfile::NamedTempFile::new_in(path.parent().unwrap_or(Path::new("."))).map_err(failed)?;
    std::fs::write(file.path(), value.to_string()).map_err(failed)?;
    file.persist(path).map(drop).map_err(|error| failed(error.error))
}
