//! What `check` says where Envoy may keep less of a body than the guard holds back.

use super::{ENVOY, MANAGER, ROUTE, assert_silent, assert_told, with_plugin, with_setting};

/// What is between two settings of a route.
const NEXT: &str = "\n                          ";

#[test]
fn a_buffer_that_is_smaller_than_a_held_body_is_warned_of_by_protocol() {
    let http2 = with_setting("http2_protocol_options: { initial_stream_window_size: 65536 }");
    let of_http2 = format!("{MANAGER}/http2_protocol_options/initial_stream_window_size");
    let listener = |setting: &str| {
        ENVOY.replacen("      filter_chains:\n", &format!("      {setting}\n      filter_chains:\n"), 1)
    };
    let http1 = listener("per_connection_buffer_limit_bytes: 32768");
    let http3 = listener(
        "udp_listener_config: { quic_options: { quic_protocol_options: { initial_stream_window_size: 65536 } } }",
    );
    let of_listener = "/static_resources/listeners/0";
    for (text, pointer, line, protocol) in [
        (&http1, format!("{of_listener}/per_connection_buffer_limit_bytes"), "per_connection", "HTTP/1"),
        (&http2, of_http2, "http2_protocol_options", "HTTP/2"),
        (
            &http3,
            format!(
                "{of_listener}/udp_listener_config/quic_options/quic_protocol_options/initial_stream_window_size"
            ),
            "udp_listener_config",
            "HTTP/3",
        ),
    ] {
        let told = format!("over {protocol} Envoy itself answers 413");
        assert_told(text, "small-buffers", ("warning", &pointer, line, &told));
        assert_told(
            text,
            "small-buffers",
            ("warning", &pointer, line, "write request_body_buffer_limit: 1048576"),
        );
        // The cure, on the route; a guard whose bodies fit, and one that holds none back.
        let cured = text.replacen(ROUTE, &format!("request_body_buffer_limit: 1048576{NEXT}{ROUTE}"), 1);
        assert_silent(&cured, "small-buffers");
        for most in [32_768, 2_000_000] {
            let request = format!("\"request\": {{ \"max_request_size_bytes\": {most} }}");
            assert_silent(&with_plugin(text, &request), "small-buffers");
        }
        let wide = text.replace("65536", "1048576").replace("32768", "1048576");
        assert_silent(&wide, "small-buffers");
    }
}

/// A listener over whose HTTP/1 no body of more than 32 KiB is held back.
fn narrow(limit: &str) -> String {
    let setting = format!("      per_connection_buffer_limit_bytes: {limit}\n      filter_chains:\n");
    ENVOY.replacen("      filter_chains:\n", &setting, 1)
}

/// A setting of the route, and one of its virtual host.
fn with_limits(route: &str, host: &str) -> String {
    const HOST: &str = "- name: api\n                      domains";
    let text = narrow("32768");
    assert!(text.contains(HOST));
    let host = format!("- name: api\n                      {host}\n                      domains");
    text.replacen(HOST, &host, 1).replacen(ROUTE, &format!("{route}{ROUTE}"), 1)
}

fn assert_warned(text: &str) {
    let pointer = "/static_resources/listeners/0/per_connection_buffer_limit_bytes";
    let told = ("warning", pointer, "per_connection", "over HTTP/1 Envoy itself answers 413");
    assert_told(text, "small-buffers", told);
}

#[test]
fn a_buffer_is_read_as_envoy_reads_it() {
    for limit in ["\"32768\"", "32768.0", "3.2768e4", "1"] {
        assert_warned(&narrow(limit));
    }
    for limit in ["0", "\"0\"", "1048576", "\"1048576\""] {
        assert_silent(&narrow(limit), "small-buffers");
    }
}

#[test]
fn a_buffer_is_large_enough_where_every_route_to_a_cluster_says_so() {
    let (large, small) = ("request_body_buffer_limit: 1048576", "request_body_buffer_limit: 1000");
    let (older, older_small) =
        ("per_request_buffer_limit_bytes: 1048576", "per_request_buffer_limit_bytes: 1000");
    let quoted = "request_body_buffer_limit: \"1048576\"";
    let own = |setting: &str| format!("{setting}{NEXT}");
    for (route, host) in [
        (String::new(), large),
        (String::new(), quoted),
        (String::new(), older),
        (own(quoted), ""),
        (own(older), ""),
        (own(large), small),
        // The older name counts only where the newer is nowhere.
        (own(older_small), large),
    ] {
        assert_silent(&with_limits(&route, host), "small-buffers");
    }
    for (route, host) in [
        (String::new(), small),
        (own(small), large),
        (own(small), older),
        (own(older), small),
        (own(older_small), older),
        (own("request_body_buffer_limit: 0"), large),
    ] {
        assert_warned(&with_limits(&route, host));
    }
    let cured = with_limits("", large);
    let beside = |name: &str, action: &str| {
        let host = format!(
            "virtual_hosts:\n                    - {{ name: {name}, domains: [{name}.example.com], routes: [{{ match: {{ prefix: / }}, {action} }}] }}"
        );
        cured.replacen("virtual_hosts:", &host, 1)
    };
    assert_warned(&beside("other", ROUTE));
    assert_silent(&beside("health", "direct_response: { status: 200 }"), "small-buffers");
    assert_silent(&beside("own", &format!("{large}, {ROUTE}")), "small-buffers");
}

#[test]
fn only_bodies_that_are_held_back_need_a_buffer() {
    let text = narrow("32768");
    let with = |settings: &str| {
        let start = text.find("\"routes\": [").expect("routes");
        let end = text.find("\"auth_failure_limit\"").expect("the end of routes");
        format!("{}{settings},\n{}{}", &text[..start], " ".repeat(30), &text[end..])
    };
    let large = "\"max_request_size_bytes\": 100000";
    for settings in [
        "\"routes\": [{ \"path\": \"/{*rest}\", \"body\": \"stream\" }], \"unmatched_routes\": \"deny\"".to_owned(),
        format!("\"routes\": [{{ \"path\": \"/a\", \"body\": \"stream\", {large} }}], \"unmatched_routes\": \"deny\""),
        format!("\"routes\": [{{ \"path\": \"/a\", \"access\": \"deny\", {large} }}], \"unmatched_routes\": \"deny\""),
        // Each route has a bound of its own, and nothing else is admitted.
        "\"routes\": [{ \"path\": \"/a\", \"max_request_size_bytes\": 1000 }], \"unmatched_routes\": \"deny\""
            .to_owned(),
        "\"mode\": \"report\"".to_owned(),
    ] {
        assert_silent(&with(&settings), "small-buffers");
    }
    for settings in [
        "\"routes\": [{ \"path\": \"/a\", \"body\": \"stream\" }], \"unmatched_routes\": \"public\"",
        "\"routes\": [{ \"path\": \"/a\", \"body\": \"stream\" }, { \"path\": \"/b\" }], \"unmatched_routes\": \"deny\"",
        "\"mode\": \"report\", \"routes\": [{ \"path\": \"/a\", \"mode\": \"enforce\" }]",
    ] {
        assert_warned(&with(settings));
    }
    // The endpoint of revocations always holds what it reads.
    let tight = with("\"routes\": [], \"unmatched_routes\": \"deny\"").replacen("32768", "10000", 1);
    assert_warned(&tight);
    assert_silent(&tight.replace("\"endpoint\": {}", ""), "small-buffers");
}
