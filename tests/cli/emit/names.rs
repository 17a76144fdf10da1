//! What Kubernetes or a registry would refuse is refused by `emit`, with the option, the value and what to write.

use serde_json::json;

use super::emit;
use crate::files::{File, config};

#[test]
fn bad_names_digests_and_targets_are_wrong_usage() {
    let file = File::new(config(json!({})).to_string());
    let long = "a".repeat(64);
    let almost = "a".repeat(56);
    let digest = "0123456789abcdef".repeat(4);
    let other = format!("a@sha256:{}", "0".repeat(64));
    for (host, options) in [
        ("istio", &["--name", ""][..]),
        ("istio", &["--name", "Api-Guard"]),
        ("envoy-gateway", &["--name", "a.b"]),
        ("envoy-gateway", &["--name", &long]),
        ("kubernetes", &["--name", &almost]),
        ("kubernetes", &["--name", "9lives"]),
        ("kubernetes", &["--namespace", "a_b"]),
        ("istio", &["--namespace", "a-"]),
        ("istio", &["--namespace", &long]),
        ("kubernetes", &["--namespace", ""]),
        ("kubernetes", &["--secret", "A"]),
        ("istio", &["--pull-secret", "a b"]),
        ("kubernetes", &["--ca-config-map", "A"]),
        ("istio", &["--image", "a@sha256:123"]),
        ("envoy-gateway", &["--image", "a@md5:123"]),
        ("kubernetes", &["--image", "A/"]),
        ("kubernetes", &["--envoy-image", "envoy:"]),
        ("kubernetes", &["--image", "https://example.com/m.wasm"]),
        ("envoy-gateway", &["--image", "file:///m.wasm"]),
        ("istio", &["--sha256", "abc"]),
        ("istio", &["--sha256", &digest, "--image", &other]),
        ("istio", &["--target", ""]),
        ("istio", &["--target", "Gateway/"]),
        ("istio", &["--target", "HTTPRoute/orders"]),
        ("envoy-gateway", &["--target", "Pod/a"]),
        ("envoy-gateway", &["--target", "eg"]),
        ("envoy-gateway", &["--target", "GatewayClass/eg"]),
        ("envoy-gateway", &["--target", "Gateway/EG"]),
        ("kubernetes", &["--target", "Gateway/eg"]),
        ("istio", &["--native"]),
        ("envoy-gateway", &["--module", "/opt/api_guard.wasm"]),
        ("kubernetes", &["--port", "9902"]),
        ("kubernetes", &["--admin-port", "9902"]),
        ("kubernetes", &["--upstream", "http://127.0.0.1:9902"]),
        ("kubernetes", &["--upstream", "http://localhost:9901"]),
        ("envoy", &["--upstream", "http://[::1]:10000"]),
        ("envoy", &["--upstream", "http://localhost:9000", "--admin-port", "9000"]),
        ("envoy", &["--upstream", "http://10.0.0.5:8080", "--address", "10.0.0.5", "--port", "8080"]),
        ("envoy", &["--upstream", "http://10.0.0.5:81", "--admin-address", "10.0.0.5", "--admin-port", "81"]),
        ("kubernetes", &["--address", "127.0.0.1"]),
        ("kubernetes", &["--address", "10.0.0.5"]),
        ("kubernetes", &["--address", "::1"]),
        ("kubernetes", &["--module", "/nowhere/m.wasm"]),
        ("kubernetes", &["--module", file.path()]),
        ("kubernetes", &["--module", file.path(), "--image", "a"]),
    ] {
        let run = emit(host, file.path(), options);
        assert_eq!((run.code, run.out.as_str()), (2, ""), "{host} {options:?}: {run:?}");
        assert!(run.err.starts_with("error: ") && run.err.contains(options[0]), "{options:?}: {run:?}");
        if let Some(value) = options.get(1) {
            let told = run.err.contains(&format!("{value:?}"))
                || run.err.contains(&format!(" {value}:"))
                || run.err.contains("leave");
            assert!(
                told && (run.err.contains("write") || run.err.contains("leave") || run.err.contains("begin")),
                "{run:?}"
            );
        }
    }
}

#[test]
fn an_option_of_other_hosts_is_wrong_usage() {
    let file = File::new(config(json!({})).to_string());
    let digest = "0123456789abcdef".repeat(4);
    let of_bootstraps = [
        ["--port", "8000"],
        ["--admin-port", "8001"],
        ["--admin-address", "0.0.0.0"],
        ["--upstream", "orders:8080"],
        ["--upstream-ca", "/ca.pem"],
    ];
    let of_objects = [
        ["--image", "registry.example.com/a:1"],
        ["--sha256", &digest],
        ["--pull-secret", "registry"],
        ["--name", "shop"],
        ["--namespace", "shop"],
        ["--secret", "shop"],
    ];
    let (of_istio, of_kubernetes) = ([["--kind", "wasm-plugin"]], [["--envoy-image", "envoy:1"]]);
    for (options, others, hosts) in [
        (&of_bootstraps[..], &["istio", "envoy-gateway"][..], "envoy, kubernetes"),
        (&of_objects, &["envoy"], "istio, envoy-gateway, kubernetes"),
        (&of_istio, &["envoy", "envoy-gateway", "kubernetes"], "istio"),
        (&of_kubernetes, &["envoy", "istio", "envoy-gateway"], "kubernetes"),
    ] {
        for (option, host) in options.iter().flat_map(|option| others.iter().map(move |host| (option, host)))
        {
            let run = emit(host, file.path(), option);
            assert_eq!((run.code, run.out.as_str()), (2, ""), "{host} {option:?}: {run:?}");
            let told = format!("error: {} is for emit {hosts}, and means nothing to emit {host};", option[0]);
            assert!(run.err.starts_with(&told), "{host} {option:?}: {run:?}");
        }
    }
}

#[test]
fn a_module_is_compared_with_its_digest_and_a_library_does_not_fit() {
    let file = File::new(config(json!({})).to_string());
    let module = File::with_ending(b"\0asm\x01\0\0\0", ".wasm");
    let run = emit("kubernetes", file.path(), &["--module", module.path()]);
    assert!(run.code == 0 && run.out.contains("api_guard.wasm: AGFzbQEAAAA="), "{run:?}");
    let digest = "93a44bbb96c751218e4c00d479e4c14358122a389acca16205b1e4d0dc5f9476";
    let right = emit("kubernetes", file.path(), &["--module", module.path(), "--sha256", digest]);
    assert_eq!(right.code, 0, "{right:?}");
    let wrong = emit("kubernetes", file.path(), &["--module", module.path(), "--sha256", &"0".repeat(64)]);
    assert!(wrong.code == 1 && wrong.err.contains(digest), "{wrong:?}");
    let library = File::new([b"\x7fELF".as_slice(), &vec![0; 1024 * 1024]].concat());
    let large = emit("kubernetes", file.path(), &["--native", "--module", library.path()]);
    assert!(large.code == 2 && large.err.contains("1048576") && large.err.contains("--image"), "{large:?}");
}
