//! What `check` says of key sets, of the clusters they are fetched over, and of public keys.

use serde_json::{Value, json};

use super::{assert_silent, assert_told, check, found, told};
use crate::command::api_guard;
use crate::files::{File, project};

const CLUSTER: &str = "/static_resources/clusters/1";

fn configuration() -> Value {
    json!({
        "tokens": { "key_sets": [{
            "name": "login",
            "issuers": ["https://login.example.com/"],
            "jwks": { "cluster": "idp", "path": "/jwks.json", "authority": "login.example.com" },
        }] },
        "auth_failure_limit": { "max_failures": 20, "window_seconds": 60 },
    })
}

/// What emit writes for this configuration.
fn emitted(configuration: &Value) -> String {
    let file = File::new(configuration.to_string());
    let run = api_guard(["emit", "envoy", "--config", file.path(), "--upstream", "127.0.0.1:8080"]);
    assert_eq!(run.code, 0, "{run:?}");
    run.out
}

/// The bootstrap with this transport socket, in one line.
fn with_socket(socket: &str) -> String {
    let good = emitted(&configuration());
    let (before, _) = good.split_once("      # [!] Whoever could answer").expect("TLS");
    format!(
        "{before}{}\n",
        if socket.is_empty() { String::new() } else { format!("      transport_socket: {socket}") }
    )
}

fn tls(settings: &str) -> String {
    let context = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext";
    with_socket(&format!("{{ name: tls, typed_config: {{ \"@type\": {context}, {settings} }} }}"))
}

#[test]
fn the_keys_come_by_a_cluster_that_nobody_else_can_answer_for() {
    let good = emitted(&configuration());
    assert_eq!(check(&good, &["--strict"]).code, 0, "{:?}", told(&good));
    const CA: &str = "trusted_ca: { filename: a }";
    let sans = "match_typed_subject_alt_names: [{ san_type: DNS, matcher: { exact: login.example.com } }]";
    let whole = |validation: &str| {
        tls(&format!(
            "sni: login.example.com, common_tls_context: {{ validation_context: {{ {validation} }} }}"
        ))
    };
    let combined = |validation: &str| {
        tls(&format!(
            "sni: a, common_tls_context: {{ combined_validation_context: {{ default_validation_context: {{ {validation} }}, validation_context_sds_secret_config: {{ name: ca }} }} }}"
        ))
    };
    let rules = ["jwks-plain", "jwks-no-sni", "jwks-no-ca", "jwks-any-host", "jwks-expired-certificate"];
    let silent = |text: &str| rules.iter().for_each(|rule| assert_silent(text, rule));
    silent(&whole(&format!("{CA}, {sans}")));
    silent(&whole(&format!("{CA}, {sans}, allow_expired_certificate: false")));
    silent(&whole("verify_certificate_spki: [NvqYIYSbgK2vCJpQhObf77vv+bQWtc5ek5RIOwPiC9A=]"));
    silent(&tls(&format!(
        "auto_host_sni: true, auto_sni_san_validation: true, common_tls_context: {{ validation_context: {{ {CA} }} }}"
    )));
    silent(&tls("sni: a, commonTlsContext: { validationContextSdsSecretConfig: { name: ca } }"));
    silent(&combined("allow_expired_certificate: false"));
    let at = format!("{CLUSTER}/transport_socket");
    for (text, rule, severity, pointer, line, cure) in [
        (with_socket(""), "jwks-plain", "error", CLUSTER, "- name: idp", "UpstreamTlsContext"),
        (
            with_socket("{ name: envoy.transport_sockets.raw_buffer }"),
            "jwks-plain",
            "error",
            &at,
            "transport_socket:",
            "in the clear",
        ),
        (whole(""), "jwks-no-ca", "error", &at, "transport_socket:", "trusted_ca"),
        (tls("sni: a"), "jwks-no-ca", "error", &at, "transport_socket:", "any certificate is believed"),
        (
            whole(&format!("{CA}, {sans}, trust_chain_verification: ACCEPT_UNTRUSTED")),
            "jwks-no-ca",
            "error",
            &at,
            "transport_socket:",
            "trusted_ca",
        ),
        (
            tls(&format!("common_tls_context: {{ validation_context: {{ {CA}, {sans} }} }}")),
            "jwks-no-sni",
            "error",
            &at,
            "transport_socket:",
            "write sni:",
        ),
        (whole(CA), "jwks-any-host", "warning", &at, "transport_socket:", "match_typed_subject_alt_names"),
        (
            whole(&format!("{CA}, match_typed_subject_alt_names: []")),
            "jwks-any-host",
            "warning",
            &at,
            "transport_socket:",
            "match_typed_subject_alt_names",
        ),
        (
            whole(&format!("{CA}, {sans}, allow_expired_certificate: true")),
            "jwks-expired-certificate",
            "warning",
            &at,
            "transport_socket:",
            "allow_expired_certificate",
        ),
        // What comes by SDS is added to it.
        (
            combined("allow_expired_certificate: true"),
            "jwks-expired-certificate",
            "warning",
            &at,
            "transport_socket:",
            "allow_expired_certificate",
        ),
    ] {
        assert_told(&text, rule, (severity, pointer, line, cure));
        rules.iter().filter(|other| **other != rule).for_each(|other| assert_silent(&text, other));
    }
}

#[test]
fn a_cluster_that_envoy_does_not_have_is_told_where_it_is_named() {
    let missing = emitted(&configuration()).replace("    - name: idp\n", "    - name: other\n");
    let run = check(&missing, &["--json"]);
    let report = run.json();
    let finding = &report["findings"][0];
    assert_eq!((run.code, &finding["rule"]), (1, &json!("jwks-cluster-missing")), "{report:#}");
    assert_eq!(finding["pointer"], "/tokens/key_sets/0/jwks/cluster");
    assert_eq!(finding["severity"], "error");
    // It may come by CDS, or be in the file that has the rest.
    let dynamic =
        format!("{missing}dynamic_resources: {{ cds_config: {{ path_config_source: {{ path: a }} }} }}\n");
    assert_silent(&dynamic, "jwks-cluster-missing");
    assert_silent(&configuration().to_string(), "jwks-cluster-missing");
    // A set in the configuration itself needs none.
    let mut inline = configuration();
    let jwks = std::fs::read_to_string(project("tests/issuer_keys/jwks.json")).expect("a set");
    let keys: Value = serde_json::from_str(&jwks).expect("JSON");
    inline["tokens"]["key_sets"][0]["jwks"] =
        json!({ "inline": { "keys": [keys["keys"][0], keys["keys"][1]] } });
    let text = emitted(&inline);
    assert!(!text.contains("transport_socket"));
    assert_eq!(check(&text, &["--strict"]).code, 0, "{:?}", told(&text));
}

#[test]
fn a_cluster_on_the_loopback_address_needs_no_tls() {
    for authority in ["127.0.0.1:9000", "localhost:9000", "[::1]:9000", "127.8.0.1"] {
        let mut configuration = configuration();
        configuration["tokens"]["key_sets"][0]["jwks"]["authority"] = json!(authority);
        let text = emitted(&configuration);
        assert!(!text.contains("transport_socket"), "{text}");
        assert_eq!(check(&text, &["--strict"]).code, 0, "{:?}", told(&text));
        let elsewhere = text.replace(
            "{ socket_address: { address: localhost, port_value: 9000 } }",
            "{ socket_address: { address: 10.0.0.1, port_value: 9000 } }",
        );
        if authority.starts_with("localhost") {
            assert_eq!(found(&elsewhere)[0].1, "jwks-plain");
        }
    }
}

#[test]
fn what_the_module_needs_for_key_sets_must_be_among_its_capabilities() {
    let all = |more: &str| {
        let list = "capability_restriction_config: { allowed_capabilities: { proxy_log: {} } }";
        let text = emitted(&configuration())
            .replace("root_id: api_guard", &format!("root_id: api_guard\n                        {list}"));
        let capabilities =
            told(&text).into_iter().find(|told| told.rule == "capabilities").expect("the rule");
        assert!(capabilities.message.contains(more), "{capabilities:?}");
    };
    all("proxy_call_foreign_function");
    all("proxy_http_call");
    all("proxy_on_http_call_response");
}

#[test]
fn an_algorithm_that_envoy_does_not_verify_is_an_error_wherever_it_is_named() {
    let jwks = std::fs::read_to_string(project("tests/issuer_keys/jwks.json")).expect("a set");
    let mut jwk = serde_json::from_str::<Value>(&jwks).expect("JSON")["keys"][0].clone();
    let mut of_set = configuration();
    of_set["tokens"]["key_sets"][0]["algorithms"] = json!(["RS256", "PS256"]);
    let of_key = json!({ "tokens": { "keys": [{ "public_key": { "jwk": jwk }, "algorithm": "PS384" }] } });
    jwk["alg"] = json!("PS512");
    let of_jwk = json!({ "tokens": { "keys": [{ "public_key": { "jwk": jwk } }] } });
    for (configuration, pointer, name) in [
        (of_set, "/tokens/key_sets/0/algorithms/1", "PS256"),
        (of_key, "/tokens/keys/0/algorithm", "PS384"),
        (of_jwk, "/tokens/keys/0/public_key", "PS512"),
    ] {
        let text = configuration.to_string();
        let errors: Vec<_> = told(&text).into_iter().filter(|told| told.severity == "error").collect();
        let [error] = &errors[..] else { panic!("one error is expected: {errors:?}") };
        assert_eq!((error.rule.as_str(), error.pointer.as_str()), ("configuration", pointer));
        assert!(error.message.contains(name) && error.message.contains("write \"RS256\""), "{error:?}");
        let run = api_guard(["emit", "envoy", "--config", File::new(&text).path()]);
        assert_eq!((run.code, run.out.as_str()), (1, ""), "{run:?}");
        assert!(run.err.contains(pointer), "{run:?}");
        // The library verifies it itself.
        let run = api_guard(["emit", "envoy", "--native", "--config", File::new(&text).path()]);
        assert_eq!(run.code, 0, "{run:?}");
        let told = told(&run.out);
        assert!(told.iter().all(|told| told.severity != "error"), "{told:?}");
    }
}

#[test]
fn the_bad_keys_of_a_set_in_the_configuration_are_told_one_by_one() {
    let jwks = std::fs::read_to_string(project("tests/issuer_keys/jwks.json")).expect("a set");
    let good = serde_json::from_str::<Value>(&jwks).expect("JSON")["keys"][0].clone();
    let changed = |name: &str, value: &str| {
        let mut jwk = good.clone();
        jwk[name] = json!(value);
        jwk["kid"] = json!(format!("{name}{value}"));
        jwk
    };
    let mut inline = configuration();
    let keys = [good.clone(), changed("use", "enc"), changed("e", "Aw"), json!({ "kty": "oct", "k": "AQ" })];
    inline["tokens"]["key_sets"][0]["jwks"] = json!({ "inline": { "keys": keys } });
    let pointers: Vec<_> = told(inline.to_string()).into_iter().map(|told| told.pointer).collect();
    let of = |index: u8| format!("/tokens/key_sets/0/jwks/inline/keys/{index}");
    assert_eq!(pointers, [of(1), of(2), of(3)]);
}

#[test]
fn several_issuers_ask_for_the_issuer_beside_the_subject() {
    let mut two = configuration();
    two["tokens"]["key_sets"][0]["issuers"] = json!(["https://a.example.com", "https://b.example.com"]);
    two["routes"] = json!([{ "path": "/users/{id}", "bind": { "id": "sub" } }]);
    two["unmatched_routes"] = json!("deny");
    let rules: Vec<_> = told(two.to_string()).into_iter().map(|told| (told.rule, told.pointer)).collect();
    let expected =
        [("issuer-not-bound", "/routes/0/bind"), ("issuer-not-forwarded", "/forward/issuer_header")];
    for (rule, pointer) in expected {
        assert!(rules.contains(&(rule.to_owned(), pointer.to_owned())), "{rules:?}");
    }
    two["forward"] = json!({ "issuer_header": "x-auth-issuer" });
    two["routes"][0]["require"] = json!([{ "claim": "iss", "is": ["https://a.example.com"] }]);
    assert!(told(two.to_string()).is_empty(), "{:?}", told(two.to_string()));
}
