//! What `check` says of several guards in one file.

use super::{ENVOY, assert_silent, assert_told, rules};

const LISTENER: &str = "    - name: api\n";
const VM_ID: &str = "vm_id: api_guard";

/// The shipped listener and a changed copy.
fn twice(change: impl Fn(&str) -> String) -> String {
    let start = ENVOY.find(LISTENER).expect("the listener");
    let end = ENVOY.find("    # The guarded API").expect("its end");
    let listener = &ENVOY[start..end];
    ENVOY.replacen(listener, &format!("{listener}{}", change(listener)), 1)
}

#[test]
fn every_filter_of_a_file_is_checked() {
    let copy = twice(|listener| listener.replace("\"GET\"", "\"get\"").replace(VM_ID, "vm_id: other"));
    let text = copy.replacen("\"/health\"", "\"health\"", 1);
    let pointers: Vec<String> = rules(text).into_iter().map(|(_, pointer)| pointer).collect();
    assert_eq!(pointers, ["/routes/0/path", "/routes/1/methods/0"]);
}

#[test]
fn guards_that_count_in_one_memory_under_one_name_are_warned_of() {
    let pointer = "/static_resources/listeners/1/filter_chains/0/filters/0/typed_config/http_filters/0/typed_config/config/vm_config/vm_id";
    let first = "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config/http_filters/0/typed_config/config";
    for text in [
        // Each listener admits what the other counts, also where both say the same.
        twice(str::to_owned),
        twice(|listener| listener.replace("/health", "/live")),
        // Without a vm_id all share one.
        twice(str::to_owned).replace(VM_ID, "vm_id: \"\""),
    ] {
        for part in [first, "(default)", "write another vm_id"] {
            assert_told(&text, "shared-counters", ("warning", pointer, "vm_id:", part));
        }
    }
    for text in [
        twice(|listener| listener.replace(VM_ID, "vm_id: other")),
        twice(|listener| {
            let own = "\"rate_limits\": [{ \"name\": \"own\", \"max_requests\": 9, \"window_seconds\": 9 }], \"tokens\": {";
            listener.replacen("\"tokens\": {", own, 1)
        }),
    ] {
        assert_silent(&text, "shared-counters");
    }
}

#[test]
fn one_guard_in_several_chains_of_a_listener_counts_as_one() {
    let start = ENVOY.find("        - filters:\n").expect("the chain");
    let end = ENVOY.find("\n    # The guarded API").expect("its end");
    let chain = &ENVOY[start..end];
    let chains = |other: &str| ENVOY.replacen(chain, &format!("{chain}{other}"), 1);
    assert_silent(&chains(chain), "shared-counters");
    let pointer = "/static_resources/listeners/0/filter_chains/1/filters/0/typed_config/http_filters/0/typed_config/config/vm_config/vm_id";
    let told = ("warning", pointer, "vm_id:", "other names for the limits");
    assert_told(&chains(&chain.replace("/health", "/live")), "shared-counters", told);
}

#[test]
fn plugins_of_istio_in_one_proxy_have_one_memory() {
    let plugin = include_str!("../../../examples/istio/wasm-plugin.yaml");
    let both = |other: &str| format!("{plugin}---\n{other}");
    let told = ("warning", "/spec/pluginConfig", "pluginConfig", "write other names for the limits");
    assert_told(&both(plugin), "shared-counters", told);
    let elsewhere = plugin.replace("istio: ingressgateway", "app: orders");
    assert_silent(&both(&elsewhere), "shared-counters");
    let gateway = include_str!("../../../examples/envoy-gateway/extension-policy.yaml");
    assert_silent(&format!("{gateway}---\n{gateway}"), "shared-counters");
}
