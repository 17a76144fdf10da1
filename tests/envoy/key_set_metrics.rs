//! What Prometheus sees of key sets: how fetches ended, how many keys are in force, and how old they are.

use serde_json::json;

use crate::issuer::{ISSUER, KeyServer, Says, remote_set};
use crate::process::{Envoy, eventually};
use crate::setup::{Setup, policy};

/// The value of this series on the metrics page.
fn shown(envoy: &Envoy, series: &str) -> Option<u64> {
    let page = envoy.prometheus();
    page.lines().find_map(|line| line.strip_prefix(series)?.trim().parse().ok())
}

#[test]
fn fetches_keys_and_age_are_shown_by_set() {
    let server = KeyServer::up(Says::keys(&[1, 2, 3]));
    let changes = json!({ "refresh_seconds": 5, "max_stale_seconds": 7 });
    let sets = [
        remote_set("login", ISSUER, changes),
        remote_set("partner_2-b", "https://partner.example.com/", json!({})),
    ];
    let plugin = policy(json!({ "tokens": { "key_sets": sets } }));
    let clusters = vec![server.cluster("login")];
    let envoy = Envoy::start(Setup { clusters, concurrency: 2, ..Setup::new(&plugin) });
    let await_value = |series: &str, is_right: fn(u64) -> bool| {
        eventually(&format!("{series} is {:?}", shown(&envoy, series)), || {
            shown(&envoy, series).filter(|value| is_right(*value))
        })
    };
    await_value(r#"api_guard_key_set_fetches_total{outcome="ok",set="login"}"#, |count| count == 1);
    await_value(r#"api_guard_key_set_fetches_total{outcome="reset",set="partner_2-b"}"#, |count| count > 0);
    await_value(r#"api_guard_key_set_keys{set="login"}"#, |keys| keys == 3);
    await_value(r#"api_guard_key_set_age_seconds{set="login"}"#, |age| age > 0);
    assert_eq!(shown(&envoy, r#"api_guard_key_set_keys{set="partner_2-b"}"#), Some(0));
    server.go_down();
    await_value(r#"api_guard_key_set_age_seconds{set="login"}"#, |age| age > 7);
    await_value(r#"api_guard_key_set_keys{set="login"}"#, |keys| keys == 0);
    server.go_up(Says::keys(&[1]));
    await_value(r#"api_guard_key_set_keys{set="login"}"#, |keys| keys == 1);
    await_value(r#"api_guard_key_set_age_seconds{set="login"}"#, |age| age <= 7);
    envoy.assert_healthy();
}
