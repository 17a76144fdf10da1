//! What `check` says of what Envoy does to requests around the guard.

mod buffers;

use super::{ENVOY, assert_silent, assert_told, check};

const MANAGER: &str = "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config";
const ROUTE: &str = "route: { cluster: upstream }";

/// The shipped configuration with a setting of the connection manager.
fn with_setting(setting: &str) -> String {
    ENVOY.replacen("stat_prefix: api\n", &format!("stat_prefix: api\n                {setting}\n"), 1)
}

/// The shipped configuration with a setting of the route's action.
fn with_action(setting: &str) -> String {
    assert!(ENVOY.contains(ROUTE));
    let action = format!(
        "route:\n                            {setting}\n                            cluster: upstream"
    );
    ENVOY.replacen(ROUTE, &action, 1)
}

/// The configuration of the plugin, with a setting.
fn with_plugin(text: &str, setting: &str) -> String {
    text.replacen("\"tokens\": {", &format!("{setting}, \"tokens\": {{"), 1)
}

/// Filters of an upgrade.
const ROUTER: &str = "{ name: r, typed_config: { \"@type\": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router } }";
const GUARD: &str = "{ name: api_guard, typed_config: { \"@type\": type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm, config: { name: api_guard, root_id: api_guard, failure_policy: FAIL_RELOAD, allow_on_headers_stop_iteration: true, vm_config: { vm_id: other, runtime: envoy.wasm.runtime.v8, code: { local: { filename: a.wasm } }, environment_variables: { host_env_keys: [S] } }, configuration: { \"@type\": type.googleapis.com/google.protobuf.StringValue, value: '{\"tokens\":{\"keys\":[{\"secret\":{\"env\":\"S\"}}]},\"auth_failure_limit\":{\"max_failures\":9,\"window_seconds\":9}}' } } } }";

#[test]
fn an_upgrade_whose_filters_leave_the_guard_out_is_an_error() {
    let upgrade = |filters: &str, more: &str| {
        with_setting(&format!("upgrade_configs: [{{ upgrade_type: websocket{more}, filters: [{filters}] }}]"))
    };
    let pointer = format!("{MANAGER}/upgrade_configs/0/filters");
    for (filters, more, why) in [
        (ROUTER.to_owned(), "", "api-guard is not among them"),
        (ROUTER.to_owned(), ", enabled: true", "add api-guard before the router, or remove filters"),
        (format!("{ROUTER}, {GUARD}"), "", "comes after the router"),
        // Another filter is not the guard, whatever it is called.
        (format!("{{ name: api_guard, typed_config: {{ \"@type\": x }} }}, {ROUTER}"), "", "not among them"),
    ] {
        let text = upgrade(&filters, more);
        assert_told(&text, "upgrade-bypass", ("error", &pointer, "upgrade_configs", why));
        assert_eq!(check(&text, &[]).code, 1, "{filters}");
    }
    for (filters, more) in
        [(format!("{GUARD}, {ROUTER}"), ""), (ROUTER.to_owned(), ", enabled: false"), (String::new(), "")]
    {
        let run = check(upgrade(&filters, more), &["--strict"]);
        assert_eq!(run.code, 0, "{filters}{more}: {run:?}");
    }
    let plain = with_setting("upgrade_configs: [{ upgrade_type: websocket }]");
    assert_eq!(check(plain, &["--strict"]).code, 0);
    let optional =
        format!("{}, {ROUTER}", GUARD.replacen("name: api_guard,", "name: api_guard, disabled: true,", 1));
    let pointer = format!("{pointer}/0/disabled");
    assert_told(
        &upgrade(&optional, ""),
        "switched-off",
        ("warning", &pointer, "upgrade_configs", "remove disabled"),
    );
}

#[test]
fn an_upgrade_that_a_route_switches_on_is_on() {
    let off =
        format!("upgrade_configs: [{{ upgrade_type: websocket, enabled: false, filters: [{ROUTER}] }}]");
    let text = |more: &str| {
        let action = format!("route: {{ cluster: upstream, upgrade_configs: [{{ upgrade_type: {more} }}] }}");
        with_setting(&off).replacen(ROUTE, &action, 1)
    };
    let pointer = format!("{MANAGER}/upgrade_configs/0/filters");
    assert_told(
        &text("WebSocket"),
        "upgrade-bypass",
        ("error", &pointer, "upgrade_configs", "remove filters"),
    );
    assert_silent(&text("websocket, enabled: false"), "upgrade-bypass");
    assert_silent(&text("connect-udp"), "upgrade-bypass");
}

#[test]
fn a_guard_that_only_an_upgrade_has_is_an_error() {
    let start = ENVOY.find("                  - name: api_guard\n").expect("the filter");
    let end = ENVOY.find("                  - name: envoy.filters.http.router").expect("the router");
    let upgrade = format!("upgrade_configs: [{{ upgrade_type: websocket, filters: [{GUARD}, {ROUTER}] }}]");
    let text = format!("{}{}", &ENVOY[..start], &ENVOY[end..]).replacen(
        "stat_prefix: api\n",
        &format!("stat_prefix: api\n                {upgrade}\n"),
        1,
    );
    let pointer = format!("{MANAGER}/http_filters");
    assert_told(&text, "guard-left-out", ("error", &pointer, "http_filters:", "add it before the router"));
    assert_silent(ENVOY, "guard-left-out");
}

#[test]
fn filters_that_help_only_before_the_guard_are_warned_of_behind_it() {
    let filter = |kind: &str| {
        format!(
            "{{ name: f, typed_config: {{ \"@type\": type.googleapis.com/envoy.extensions.filters.http.{kind} }} }}"
        )
    };
    let (guard, router) =
        ("                  - name: api_guard\n", "                  - name: envoy.filters.http.router");
    for (kind, what) in [
        ("cors.v3.Cors", "browsers hide them from their pages"),
        ("grpc_web.v3.GrpcWeb", "neither judges nor answers it as gRPC"),
    ] {
        let line = format!("                  - {}\n", filter(kind));
        let before = ENVOY.replacen(guard, &format!("{line}{guard}"), 1);
        assert_eq!(check(before, &["--strict"]).code, 0, "{kind}");
        let behind = ENVOY.replacen(router, &format!("{line}{router}"), 1);
        for part in [what, "move it before api-guard"] {
            let pointer = format!("{MANAGER}/http_filters/1");
            assert_told(&behind, "filter-order", ("warning", &pointer, "- { name: f", part));
        }
        let filters = format!("{GUARD}, {}, {ROUTER}", filter(kind));
        let upgrade = format!("upgrade_configs: [{{ upgrade_type: websocket, filters: [{filters}] }}]");
        let pointer = format!("{MANAGER}/upgrade_configs/0/filters/1");
        assert_told(&with_setting(&upgrade), "filter-order", ("warning", &pointer, "upgrade_configs", what));
    }
}

#[test]
fn clients_of_a_unix_socket_are_warned_of_where_addresses_count() {
    let address = "address: { socket_address: { address: 0.0.0.0, port_value: 10000 } }";
    assert!(ENVOY.contains(address));
    let on_socket = |text: &str| text.replacen(address, "address: { pipe: { path: /run/api.sock } }", 1);
    let pointer = format!("{MANAGER}/xff_num_trusted_hops");
    let told = ("warning", pointer.as_str(), "\"@type\"", "write xff_num_trusted_hops: 1");
    assert_told(&on_socket(ENVOY), "no-address", told);
    let hops = |number: &str| with_setting(&format!("xff_num_trusted_hops: {number}"));
    let told = ("warning", pointer.as_str(), "xff_num_trusted_hops", "count all of them as one");
    assert_told(&on_socket(&hops("0")), "no-address", told);
    assert_told(&on_socket(&hops("\"0\"")), "no-address", told);
    assert_silent(&on_socket(&hops("1")), "no-address");
    assert_silent(&on_socket(&hops("\"1\"")), "no-address");
    assert_silent(ENVOY, "no-address");
    assert_silent(&on_socket(&ENVOY.replace("use_remote_address: true", "")), "no-address");
    let by_subject = "\"rate_limits\": [{ \"name\": \"own\", \"max_requests\": 9, \"window_seconds\": 9, \"key\": [\"subject\"] }]";
    let failures = "\"auth_failure_limit\": { \"max_failures\": 100, \"window_seconds\": 60 },";
    assert!(ENVOY.contains(failures));
    assert_silent(&with_plugin(&on_socket(&ENVOY.replace(failures, "")), by_subject), "no-address");
}

#[test]
fn internal_addresses_are_warned_of_where_the_header_counts() {
    let header = "\"client_ip\": { \"from\": \"x-envoy-external-address\" }";
    let pointer = format!("{MANAGER}/internal_address_config");
    for (config, who) in [
        (
            "{ cidr_ranges: [{ address_prefix: 10.0.0.0, prefix_len: 8 }] }",
            "the addresses in its cidr_ranges",
        ),
        ("{ unix_sockets: true }", "every private and loopback address"),
        ("{}", "every private and loopback address"),
    ] {
        let text = with_setting(&format!("internal_address_config: {config}"));
        let bad = with_plugin(&text, header);
        for part in [who, "remove internal_address_config", "counted by the peer's address"] {
            assert_told(&bad, "internal-addresses", ("warning", &pointer, "internal_address_config", part));
        }
        assert_silent(&text, "internal-addresses");
    }
    assert_silent(&with_plugin(ENVOY, header), "internal-addresses");
}

#[test]
fn trailers_that_are_enabled_are_warned_of() {
    let manager = with_setting("http_protocol_options: { enable_trailers: true }");
    let pointer = format!("{MANAGER}/http_protocol_options/enable_trailers");
    let told = ("warning", pointer.as_str(), "http_protocol_options", "remove this");
    assert_told(&manager, "trailers", told);
    assert_silent(&manager.replace("enable_trailers: true", "enable_trailers: false"), "trailers");
    let name = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
    for (options, below) in [
        ("http_protocol_options: { enable_trailers: true }".to_owned(), "http_protocol_options".to_owned()),
        (
            format!(
                "typed_extension_protocol_options: {{ {name}: {{ explicit_http_config: {{ http_protocol_options: {{ enable_trailers: true }} }} }} }}"
            ),
            format!("typed_extension_protocol_options/{name}/explicit_http_config/http_protocol_options"),
        ),
        (
            format!(
                "typed_extension_protocol_options: {{ {name}: {{ auto_config: {{ http_protocol_options: {{ enableTrailers: true }} }} }} }}"
            ),
            format!("typed_extension_protocol_options/{name}/auto_config/http_protocol_options"),
        ),
    ] {
        let text =
            ENVOY.replacen("    - name: upstream\n", &format!("    - name: upstream\n      {options}\n"), 1);
        let pointer = format!("/static_resources/clusters/0/{below}/enable_trailers");
        let line = options.split(':').next().expect("a name");
        assert_told(&text, "trailers", ("warning", &pointer, line, "nothing in them is judged"));
    }
}

#[test]
fn a_path_that_is_rewritten_behind_the_guard_is_warned_of() {
    let routes = format!("{MANAGER}/route_config/virtual_hosts/0/routes/0/route");
    for (field, setting) in [
        ("prefix_rewrite", "prefix_rewrite: /v1/"),
        ("regex_rewrite", "regex_rewrite: { pattern: { regex: ^/a }, substitution: / }"),
        ("path_rewrite_policy", "path_rewrite_policy: { name: x }"),
        ("path_rewrite", "path_rewrite: \"/%REQ(x)%\""),
    ] {
        let pointer = format!("{routes}/{field}");
        let told = ("warning", pointer.as_str(), field, "remove this and let the service take the paths");
        assert_told(&with_action(setting), "path-rewrite", told);
        // Where no path is asked for more than another, the path does not matter.
        let start = ENVOY.find("\"routes\": [").expect("the routes");
        let end = ENVOY.find("],\n                              \"unmatched_routes\"").expect("their end");
        let routes = &ENVOY[start..end + 2];
        let plain = with_action(setting).replacen(routes, "", 1);
        assert_silent(&plain, "path-rewrite");
        let limit = "\"rate_limits\": [{ \"name\": \"a\", \"max_requests\": 9, \"window_seconds\": 9, \"key\": [\"client_ip\", \"route\"] }]";
        assert_told(&with_plugin(&plain, limit), "path-rewrite", told);
    }
    // The client gets this path, and its next request is judged.
    let redirect = "redirect: { prefix_rewrite: /v1/, path_redirect: /a }";
    assert_silent(&ENVOY.replacen(ROUTE, redirect, 1), "path-rewrite");
    // A scoped route is a route.
    let start = ENVOY.find("                route_config:\n").expect("the routes");
    let end = ENVOY.find("    # The guarded API").expect("their end");
    let scoped = format!(
        "{}                scoped_routes: {{ scoped_route_configurations_list: {{ scoped_route_configurations: [{{ route_configuration: {{ virtual_hosts: [{{ routes: [{{ route: {{ prefix_rewrite: / }} }}] }}] }} }}] }} }}\n{}",
        &ENVOY[..start],
        &ENVOY[end..]
    );
    let pointer = format!(
        "{MANAGER}/scoped_routes/scoped_route_configurations_list/scoped_route_configurations/0/route_configuration/virtual_hosts/0/routes/0/route/prefix_rewrite"
    );
    assert_told(
        &scoped,
        "path-rewrite",
        ("warning", &pointer, "scoped_routes", "in a proxy before this one"),
    );
}

#[test]
fn a_host_that_is_rewritten_behind_the_guard_is_warned_of_where_routes_have_hosts() {
    let routes = format!("{MANAGER}/route_config/virtual_hosts/0/routes/0/route");
    for (field, setting) in [
        ("host_rewrite_literal", "host_rewrite_literal: internal"),
        ("host_rewrite_header", "host_rewrite_header: x-host"),
        ("host_rewrite_path_regex", "host_rewrite_path_regex: { substitution: a }"),
        ("host_rewrite", "host_rewrite: internal"),
    ] {
        let text = with_action(setting);
        assert_silent(&text, "host-rewrite");
        let hosted = text.replacen(
            "{ \"path\": \"/health\",",
            "{ \"path\": \"/health\", \"hosts\": [\"api.example.com\"],",
            1,
        );
        let pointer = format!("{routes}/{field}");
        assert_told(&hosted, "host-rewrite", ("warning", &pointer, field, "remove this"));
    }
}

#[test]
fn redirects_that_envoy_follows_itself_are_warned_of() {
    let route = format!("{MANAGER}/route_config/virtual_hosts/0/routes/0/route");
    for (field, setting) in [
        ("internal_redirect_policy", "internal_redirect_policy: { max_internal_redirects: 1 }"),
        ("internal_redirect_policy", "internal_redirect_policy: {}"),
        ("internal_redirect_action", "internal_redirect_action: HANDLE_INTERNAL_REDIRECT"),
    ] {
        let text = with_action(setting);
        let pointer = format!("{route}/{field}");
        let told = |cure| ("warning", pointer.as_str(), field, cure);
        assert_told(&text, "internal-redirect", told("judged and counted again"));
        let stripped = with_plugin(&text, "\"forward\": { \"token\": \"strip\" }");
        assert_told(&stripped, "internal-redirect", told("write \"token\": \"keep\""));
    }
    assert_silent(
        &with_action("internal_redirect_action: PASS_THROUGH_INTERNAL_REDIRECT"),
        "internal-redirect",
    );
    assert_silent(&with_plugin(ENVOY, "\"forward\": { \"token\": \"strip\" }"), "internal-redirect");
}

#[test]
fn other_hosts_are_those_that_envoy_serves() {
    let text =
        ENVOY.replacen("\"unmatched_routes\": \"deny\",", "\"unmatched_routes\": \"public\",", 1).replacen(
            "{ \"path\": \"/users/{id}\",",
            "{ \"path\": \"/users/{id}\", \"hosts\": [\"*.example.com\"],",
            1,
        );
    let told = |cure| ("warning", "/routes/3/hosts", "{ \"path\": \"/users/{id}\"", cure);
    assert_told(&text, "other-hosts", told("any other host reaches /users/..."));
    let serves = |domains: &str| text.replacen("domains: [\"*\"]", &format!("domains: [{domains}]"), 1);
    assert_silent(&serves("a.example.com, \"b.example.com:8443\", \"*.c.example.com\""), "other-hosts");
    assert_told(
        &serves("a.example.com, example.com"),
        "other-hosts",
        told("the host example.com reaches /users/..."),
    );
    assert_told(&serves("\"a.*\""), "other-hosts", told("any other host"));
}

#[test]
fn no_line_that_is_missing_or_repeated_makes_it_panic() {
    let lines: Vec<&str> = ENVOY.lines().collect();
    for at in 0..lines.len() {
        for copies in [0, 2] {
            let mut changed = lines.clone();
            changed.splice(at..=at, vec![lines[at]; copies]);
            let run = check(changed.join("\n"), &["--json"]);
            assert!(run.code < 2 && run.err.is_empty(), "line {at} {copies} times: {run:?}");
        }
    }
}
