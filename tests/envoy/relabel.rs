//! `examples/prometheus/relabel.yaml`: a real Prometheus makes the names and labels of the operations page of what an Envoy
//! shows that was not told its labels.

use std::collections::BTreeSet;
use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::http1;
use crate::kind::Kind;
use crate::metrics::{Labels, Series, busy, busy_with, series};
use crate::process::eventually;

const RELABEL: &str = include_str!("../../examples/prometheus/relabel.yaml");

/// A Prometheus that scrapes one Envoy.
struct Prometheus {
    process: Child,
    address: SocketAddr,
    _folder: tempfile::TempDir,
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Prometheus {
    /// `None`, and a word about it, where there is none on this machine.
    fn scraping(envoy: SocketAddr) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let configuration = folder.path().join("prometheus.yml");
        let relabel: String = RELABEL.lines().map(|line| format!("    {line}\n")).collect();
        std::fs::write(
            &configuration,
            format!(
                "global: {{ scrape_interval: 1s }}\nscrape_configs:\n  - job_name: envoy\n    metrics_path: /stats/prometheus\n    \
                 static_configs: [{{ targets: [\"{envoy}\"] }}]\n{relabel}"
            ),
        )
        .unwrap();
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let process = Command::new("prometheus")
            .arg(format!("--config.file={}", configuration.display()))
            .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        match process {
            Ok(process) => Some(Self { process, address, _folder: folder }),
            Err(error) => {
                // Not by eprintln!, which the test harness hides where the test passes.
                let _ = writeln!(std::io::stderr(), "SKIPPED: no prometheus: {error}");
                None
            }
        }
    }

    /// The series of api-guard, and of its VM.
    fn series(&self) -> Option<BTreeSet<(String, Labels)>> {
        // {__name__=~".*api_guard.*"}
        let query = "/api/v1/query?query=%7B__name__%3D~%22.*api_guard.*%22%7D";
        let request = format!("GET {query} HTTP/1.1\r\nhost: prometheus\r\n\r\n");
        let reply = http1::Connection::open(self.address).ok()?.exchange(request.as_bytes(), false).ok()?;
        let found: Value = serde_json::from_str(&reply.text()).ok()?;
        let list = found["data"]["result"].as_array().filter(|list| !list.is_empty())?;
        let one = |one: &Value| {
            let mut labels: Labels = serde_json::from_value(one["metric"].clone()).unwrap();
            let name = labels.remove("__name__").unwrap();
            labels.remove("job");
            labels.remove("instance");
            (name, labels)
        };
        Some(list.iter().map(one).collect())
    }
}

/// What can be the same: what no name can have reads `_` in values, but for the version.
fn as_in_names(series: &[Series]) -> BTreeSet<(String, Labels)> {
    let is_ours = |one: &&Series| one.name.contains("api_guard") && !one.name.ends_with("_bucket");
    let of_name = |letter: char| if letter.is_ascii_alphanumeric() { letter } else { '_' };
    let value = |label: &String, value: &String| match label.as_str() {
        "version" => value.clone(),
        _ => value.chars().map(of_name).collect(),
    };
    let labels = |one: &Series| one.labels.iter().map(|(l, v)| (l.clone(), value(l, v))).collect();
    series.iter().filter(is_ours).map(|one| (one.name.clone(), labels(one))).collect()
}

#[test]
fn relabelled_metrics_have_the_names_and_labels_of_the_operations_page() {
    // A library's names keep the prefix of Envoy's without the stats tags' other half, the runtime guard.
    let plain = busy_with(|setup| {
        setup.is_tagged = false;
        setup.plugin_name = "istio-system.api-guard";
    });
    let Some(prometheus) = Prometheus::scraping(plain.admin()) else { return };
    let tagged = busy();
    let expected = as_in_names(&series(&tagged));
    assert!(expected.len() > 50, "{expected:?}");
    if Kind::under_test() == Kind::Module {
        assert!(expected.iter().any(|(name, _)| name == "envoy_wasm_api_guard_vm_reload_success"));
    }
    let found = eventually("Prometheus has no series of it", || prometheus.series());
    let missing: Vec<_> = expected.difference(&found).collect();
    let others: Vec<_> = found.difference(&expected).collect();
    assert!(missing.is_empty() && others.is_empty(), "missing: {missing:#?}\nothers: {others:#?}");
}

#[test]
fn relabelling_leaves_what_has_its_labels_already() {
    let tagged = busy();
    let Some(prometheus) = Prometheus::scraping(tagged.admin()) else { return };
    let found = eventually("Prometheus has no series of it", || prometheus.series());
    let shown = series(&tagged).into_iter().filter(|one| one.name.contains("api_guard"));
    assert_eq!(found, shown.map(|one| (one.name, one.labels)).collect());
}
