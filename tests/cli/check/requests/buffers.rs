//! What `check` says where Envoy may keep less of a body than the guard holds back.

use super::{ENVOY, MANAGER, ROUTE, assert_silent, assert_told, with_plugin, with_setting};

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
        let cured = text.replacen(ROUTE, &format!("request_body_buffer_limit: 1048576, {ROUTE}"), 1);
        assert_silent(&cured, "small-buffers");
        for most in [32_768, 2_000_000] {
            let request = format!("\"request\": {{ \"max_request_size_bytes\": {most} }}");
            assert_silent(&with_plugin(text, &request), "small-buffers");
        }
        let wide = text.replace("65536", "1048576").replace("32768", "1048576");
        assert_silent(&wide, "small-buffers");
    }
}
