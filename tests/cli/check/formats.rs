//! Configurations as people write them, and findings as people and machines read them.

use std::process::Stdio;

use serde_json::{Value, json};

use super::check;
use crate::command::{Run, api_guard, command, run};
use crate::files::{File, config, project};

const COMMENTED: &str = r#"// The orders API.
{
  "$schema": "https://example.com/api-guard.schema.json",
  /* One secret,
     of the issuer. */
  "tokens": { "keys": [ { "secret": { "env": "API_GUARD_SECRET" } }, ] },
  "routes": [ { "path": "/a//b{x}", "metods": ["GET"] }, ], // "no": {
}
"#;

const YAML: &str = "\
# The orders API.
tokens:
  keys:
    - secret: { env: API_GUARD_SECRET }
routes:
  - path: /health
    access: public
  - path: /orders/{id}
    methods: [GET]
    required_permissions: [orders:read]
rate_limits:
  - name: default
    max_requests: 10
    window_seconds: 60
auth_failure_limit: { max_failures: 20, window_seconds: 60 }
unmatched_routes: deny
";

fn findings(run: &Run) -> Vec<Value> {
    run.json().as_array().expect("a list").clone()
}

#[test]
fn comments_and_trailing_commas_keep_every_place() {
    let run = check(COMMENTED, &["--format", "json"]);
    let found = findings(&run);
    let unknown = found.iter().find(|one| one["pointer"] == "/routes/0/metods").expect("the field");
    assert_eq!((unknown["line"].as_u64(), unknown["column"].as_u64()), (Some(7), Some(37)), "{unknown}");
    assert!(
        unknown["instead"].as_str().expect("a text").starts_with("did you mean \"methods\"?"),
        "{unknown}"
    );
    assert_eq!(unknown["severity"], "error");
    assert_eq!(unknown["rule"], "configuration");
    for member in ["file", "severity", "rule", "pointer", "line", "column", "message", "instead"] {
        assert!(!unknown[member].is_null(), "{member}");
    }
}

#[test]
fn a_yaml_configuration_is_read_everywhere() {
    let file = File::with_ending(YAML, ".yaml");
    let checked = api_guard(["check", "--strict", file.path()]);
    assert_eq!(checked.code, 0, "{checked:?}");
    let token = api_guard(["mint", "--sub", "a", "--permission", "orders:read"]);
    let path = ["explain", "--config", file.path(), "--path", "/orders/1", "--token", token.line()];
    assert_eq!(api_guard(path).code, 0);
    assert_eq!(api_guard(["explain", "--config", file.path(), "--path", "/other"]).code, 1);
    assert_eq!(api_guard(["inspect", token.line(), "--config", file.path()]).code, 0);
    for host in ["envoy", "istio", "envoy-gateway"] {
        let emitted = api_guard(["emit", host, "--config", file.path()]);
        assert_eq!(emitted.code, 0, "{emitted:?}");
        let again = File::new(&emitted.out);
        assert_eq!(api_guard(["check", "--strict", again.path()]).code, 0, "{host}");
    }
}

#[test]
fn a_wrong_field_of_yaml_has_its_line_and_its_mark() {
    let run = check(YAML.replace("rate_limits:", "rate_limit:"), &[]);
    assert_eq!(run.code, 1);
    assert!(
        run.out.contains(":11:1: error: /rate_limit: unknown field; did you mean \"rate_limits\"?"),
        "{}",
        run.out
    );
    assert!(run.out.contains("\n11 | rate_limit:\n   | ^^^^^^^^^^\n"), "{}", run.out);
    // Other commands say the same.
    let file = File::with_ending(YAML.replace("rate_limits:", "rate_limit:"), ".yaml");
    let explained = api_guard(["explain", "--config", file.path(), "--path", "/"]);
    assert_eq!(explained.code, 1);
    assert!(
        explained.err.contains("did you mean \"rate_limits\"?") && explained.err.contains("^^^^^^^^^^"),
        "{explained:?}"
    );
}

#[test]
fn a_far_name_is_not_proposed() {
    let run = check(config(json!({ "banana": 1 })).to_string(), &[]);
    assert!(run.out.contains("/banana: unknown field; write one of"), "{}", run.out);
}

#[test]
fn what_is_no_configuration_at_all_is_an_error() {
    for text in ["", "text", "- 1", "a: 1\n---\nb: 2\n", "{\"a\": 1 \"b\": 2}", "{\"tokens\": /* never ends"]
    {
        let run = check(text, &[]);
        assert_eq!(run.code, 1, "{text}: {run:?}");
    }
}

#[test]
fn standard_input_is_a_file() {
    let shown = |arguments: &[&str], text: &str| {
        let file = File::new(text);
        let mut command = command();
        command.args(arguments).stdin(Stdio::from(std::fs::File::open(file.path()).expect("a file")));
        run(&mut command)
    };
    let checked = shown(&["check", "-"], &YAML.replace("rate_limits", "rate_limit"));
    assert_eq!(checked.code, 1);
    assert!(checked.out.starts_with("-:11:1: error:"), "{checked:?}");
    assert_eq!(shown(&["explain", "--config", "-", "--path", "/health"], YAML).code, 0);
    let token = api_guard(["mint", "--sub", "a", "--permission", "orders:read"]);
    let file = File::new(YAML);
    let explain = ["explain", "--config", file.path(), "--path", "/orders/1", "--token", "-"];
    assert_eq!(shown(&explain, token.line()).code, 0);
}

#[test]
fn several_files_are_checked_at_once() {
    let (good, bad) = (File::with_ending(YAML, ".yaml"), File::new("{}"));
    let run = api_guard(["check", good.path(), bad.path()]);
    assert_eq!(run.code, 1);
    assert!(run.out.contains(&format!("{}: 0 errors, 0 warnings", good.path())), "{run:?}");
    assert!(run.out.contains(&format!("{}:1:1: error: /tokens", bad.path())), "{run:?}");
    assert_eq!(api_guard(["check", good.path(), "/nowhere"]).code, 2);
    let json = api_guard(["check", good.path(), bad.path(), "--format", "json"]);
    let faults = findings(&json).into_iter().filter(|one| one["severity"] != "info");
    assert!(faults.into_iter().all(|one| one["file"] == bad.path()), "{json:?}");
}

#[test]
fn what_can_be_served_is_named_as_metrics_will_name_it() {
    let text = r#"{"tokens":{"keys":[{"secret":{"env":"API_GUARD_SECRET"}}]}}"#;
    let digest = api_guard_core::config::digest(text.as_bytes());
    let configs = |content: &str| -> Vec<(Value, Value)> {
        let list = findings(&check(content, &["--format", "json"])).into_iter();
        let infos = list.filter(|one| one["severity"] == "info" && one["rule"] == "config");
        infos.map(|one| (one["pointer"].clone(), one["config"].clone())).collect()
    };
    assert_eq!(configs(text), [("".into(), digest.as_str().into())]);
    // One that Envoy would refuse is never in force.
    assert!(configs("{}").is_empty());
    let plain = File::new(text);
    let emitted = api_guard(["emit", "envoy", "--config", plain.path()]).out;
    let [(pointer, of_bootstrap)] = &configs(&emitted)[..] else { panic!("{emitted}") };
    assert!(pointer.as_str().expect("a text").ends_with("/configuration/value"), "{pointer}");
    assert_eq!(of_bootstrap.as_str().map(str::len), Some(12));
    // Istio writes the values of its own resource anew; what its EnvoyFilter has is Envoy's.
    let emitted = api_guard(["emit", "istio", "--config", plain.path()]).out;
    let (resource, filter) = emitted.split_once("\n---\n").expect("two documents");
    assert!(configs(resource).is_empty(), "{resource}");
    assert_eq!(configs(filter).len(), 1, "{filter}");
    let object = check(text, &["--json"]).json();
    assert_eq!(object["config"], serde_json::json!([digest]));
}

#[test]
fn a_sarif_log_has_every_finding_at_its_place() {
    let file = File::new(
        YAML.replace("unmatched_routes: deny", "unmatched_routes: public")
            .replace("rate_limits:", "rate_limit:"),
    );
    let run = api_guard(["check", file.path(), "--format", "sarif"]);
    assert_eq!(run.code, 1);
    let log = run.json();
    assert_eq!(log["version"], "2.1.0");
    let driver = &log["runs"][0]["tool"]["driver"];
    assert_eq!(driver["name"], "api-guard");
    let results = log["runs"][0]["results"].as_array().expect("results");
    let result = results.iter().find(|one| one["ruleId"] == "configuration").expect("the error");
    assert_eq!(result["level"], "error");
    let place = &result["locations"][0]["physicalLocation"];
    assert_eq!(place["artifactLocation"]["uri"], file.path());
    assert_eq!(
        (place["region"]["startLine"].as_u64(), place["region"]["startColumn"].as_u64()),
        (Some(11), Some(1))
    );
    let rules: Vec<&Value> =
        driver["rules"].as_array().expect("rules").iter().map(|rule| &rule["id"]).collect();
    assert!(results.iter().all(|result| rules.contains(&&result["ruleId"])), "{log}");
}

#[test]
fn no_excerpt_shows_a_secret() {
    let secret = "hunter2-hunter2-hunter2-hunter2-hunter2";
    for text in [
        format!("{{\"tokens\": {{\"keys\": [{{\"secret\": {{\"value\": \"{secret}\"}}, \"kidd\": 1}}]}}}}"),
        format!("{{\"tokens\": {{\"keys\": [{{\"secret\": {{\"value\": \"{secret}\" \"kidd\": 1}}]}}}}"),
        format!("{{\"tokens\": {{\"keys\": [{{\"secrt\": \"{secret}\"}}]}}}}"),
        format!("tokens:\n  keys:\n    - secret: {{ value: {secret}, x: 1 }}\n"),
        format!("tokens:\n  keys:\n    - secret: {secret}\n"),
        format!("tokens:\n  keys:\n    - secret: {{ value: {secret}\n  x: ]\n"),
        format!("tokens: {secret}\n"),
        format!("tokens:\n  keys:\n    - secret:\n        valu: |\n          {secret}\n"),
        format!(r#"{{"tokens.secret": "{secret}"}}"#),
        format!(r#"{{"token":{{"keys":[{{"secret":{{"value":"{secret}"}}}}]}}}}"#),
        format!(r#"{{"keys":[{{"secret":{{"value":"{secret}"}}}}]}}"#),
        format!("Tokens:\n  keys: [{{ secret: {{ value: {secret} }} }}]\n"),
        format!(r#"{{"tokens":{{"key":[{{"secret":{{"value":"{secret}"}}}}]}}}}"#),
        format!(r#"{{"tokens":[{{"keys":[{{"secret":{{"value":"{secret}"}}}}]}}]}}"#),
        format!(r#"{{"tokens":{{"keys":[{{"secret":{{"env":"my-{secret}"}}}}]}}}}"#),
        format!(r#"{{"tokens":{{"keys":[{{"secret":{{"env":"S"}}}}]}},"fleet":{{"passwd":"{secret}"}}}}"#),
        format!(
            r#"{{"tokens":{{"keys":[{{"secret":{{"env":"S"}}}}]}},"fleet":{{"secrets":{{"value":"{secret}"}}}}}}"#
        ),
        format!(
            r#"{{"tokens":{{"keys":[{{"secret":{{"env":"S"}}}}]}},"fleets":{{"secret":{{"value":"{secret}"}}}}}}"#
        ),
        format!(r#"{{"tokens":{{"key_sets":[{{"secret":"{secret}"}}]}}}}"#),
        format!(
            r#"{{"tokens":{{"key_sets":[{{"name":"a","issuers":["b"],"jwks":{{"inline":{{"keys":[{{"kty":"oct","k":"{secret}"}}]}}}}}}]}}}}"#
        ),
        format!(
            r#"{{"tokens":{{"keys":[{{"secret":{{"env":"S"}}}}]}},"routes":[{{"path":"/","secret":"{secret}"}}]}}"#
        ),
        format!("{{x: &s {secret}, tokens: {{ keys: [{{ secret: {{ value: *s }} }}] }}}}\n"),
        format!("{{tokens: {{ realm: &s {secret}, keys: [{{ secret: {{ value: *s }} }}] }}}}\n"),
        format!("{{tokens: {{ keys: [{{ secret: {{ value: 'ab''{secret}' }}, kidd: 1 }}] }}}}\n"),
        format!(
            "\u{feff}{{\"tokens\": {{\"keys\": [{{\"secret\": {{\"value\": \"{secret}\"}}, \"kidd\": 1}}]}}}}"
        ),
        format!("{{tokens: {{ keys: [{{ secret: {{ value: {}{secret} }}, kidd: 1 }}] }}}}\n", "a".repeat(64)),
        "{\"fleet\":{\"password\":{\"value\":\"hunter2-2026!\"} \"secret\"}}".to_owned(),
        format!("{{tokens: {{ keys: [{{ secret: {{ value: a\n  {secret} }}, kidd: 1 }}] }}}}\n"),
        "fleet: { password: { value: hunter2 } secret: x }\n".to_owned(),
        "{\"fleet\":{\"password\":{\"value: \"hunter2\", \"x\": 1}}}".to_owned(),
    ] {
        let file = File::new(&text);
        for arguments in [&["check", file.path()][..], &["explain", "--config", file.path(), "--path", "/"]] {
            let run = api_guard(arguments);
            assert_eq!(run.code, 1, "{run:?}");
            assert!(!format!("{run:?}").contains("hunter2"), "{text}\n{run:?}");
        }
    }
}

#[test]
fn colour_is_as_one_asks() {
    let file = project("examples/api-guard.json");
    let file = file.to_str().expect("a path");
    let explain = ["explain", "--config", file, "--path", "/health"];
    let coloured = |more: &[&str], variables: &[(&str, &str)]| {
        let run = run(command().args(explain).args(more).envs(variables.iter().copied()));
        run.out.contains('\u{1b}')
    };
    assert!(!coloured(&[], &[]));
    assert!(coloured(&["--color", "always"], &[]));
    assert!(coloured(&["--color", "always"], &[("NO_COLOR", "1")]));
    assert!(!coloured(&["--color", "never"], &[]));
    assert_eq!(api_guard(["check", file, "--color", "sometimes"]).code, 2);
}

#[test]
fn a_file_that_cannot_be_a_configuration_is_told_in_words() {
    let (empty, blank) = (File::new(""), File::new("\n  \n"));
    for (path, code, part) in [
        (empty.path(), 1, "there is nothing in it; write a configuration"),
        (blank.path(), 1, "there is nothing in it; write a configuration"),
        (env!("CARGO_MANIFEST_DIR"), 2, "cannot be read: it is a directory; name a file"),
        ("/nowhere", 2, "cannot be read: there is no such file"),
        #[cfg(target_os = "linux")]
        ("/dev/zero", 2, "cannot be read: it has more than 64 MiB"),
    ] {
        let run = api_guard(["check", path]);
        assert_eq!(run.code, code, "{run:?}");
        assert!([run.out, run.err].concat().contains(part), "{path}: {part}");
    }
}

#[test]
fn standard_input_is_named_once() {
    let file = File::new("{}");
    let f = file.path();
    for arguments in [
        &["check", "-", "-"][..],
        &["explain", "--config", "-", "--path", "/", "--token", "-"],
        &["explain", "--config", "-", "--path", "/", "--jwks", "-"],
        &["explain", "--config", f, "--path", "/", "--token", "-", "--jwks", "a=-"],
        &["inspect", "-", "--config", "-"],
        &["inspect", "-", "--config", f, "--jwks", "-"],
        &["diff", "-", "-"],
        &["diff", "-", f, "-"],
        &["diff", f, f, "-", "-"],
        &["test", "--config", "-", "-"],
        &["test", "--config", f, "-", "-"],
        &["import", "openapi", "-", "--check", "-"],
    ] {
        let run = api_guard(arguments);
        let told = "error: standard input (-) can be read once; name it once\n";
        assert_eq!((run.code, run.out.as_str(), run.err.as_str()), (2, "", told), "{arguments:?}");
    }
}
