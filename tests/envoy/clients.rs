//! Clients and services that people use, instead of bytes of our own: Node, grpcio, websockets and aioquic. `make clients` gets
//! them; where one is missing its tests say that they are skipped.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use api_guard_testkit::skip;
use serde_json::{Value, json};

use crate::process::Envoy;
use crate::setup::{Setup, policy};
use crate::token::{now, token};

/// A program beside this file that runs.
struct Client {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Client {
    /// Starts it, or says what is missing. `import`: what the program cannot do without.
    fn start(program: &Path, import: &[&str], script: &str) -> Option<Self> {
        let silent = |command: &mut Command| {
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status()
        };
        if !silent(Command::new(program).args(import)).is_ok_and(|status| status.success()) {
            skip(&format!("`{} {}` fails: run `make clients`", program.display(), import.join(" ")));
            return None;
        }
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/envoy/clients").join(script);
        let mut command = Command::new(program);
        // A proxy that the environment names is for other hosts than this one.
        for name in ["http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "grpc_proxy"] {
            command.env_remove(name);
        }
        let mut child = command.arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Some(Self { child, input, output: BufReader::new(output) })
    }

    fn python(module: &str, script: &str) -> Option<Self> {
        let own = Path::new(env!("CARGO_MANIFEST_DIR")).join(".venv/bin/python");
        let program = if own.is_file() { own } else { PathBuf::from("python3") };
        Self::start(&program, &["-c", &format!("import {module}")], script)
    }

    /// The port of its own service.
    fn port(&mut self) -> u16 {
        u16::try_from(line(&mut self.output).as_u64().unwrap()).unwrap()
    }

    /// Tells it what to do, and returns what came of it.
    fn run(self, what: &Value) -> Value {
        let Self { mut child, mut input, mut output } = self;
        writeln!(input, "{what}").unwrap();
        drop(input);
        let said = line(&mut output);
        assert!(child.wait().unwrap().success());
        said
    }
}

fn line(output: &mut impl BufRead) -> Value {
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"))
}

#[test]
fn node_may_post_without_content_and_log_out() {
    let Some(node) = Client::start(Path::new("node"), &["--version"], "post.mjs") else { return };
    let envoy = Envoy::start(Setup::new(&policy(json!({ "revocation": { "endpoint": {} } }))));
    let tokens = ["a", "b", "c"].map(|id| token(json!({ "jti": id })));
    let said = node.run(&json!({ "port": envoy.address().port(), "tokens": tokens }));
    let expected = json!({
        "http2, empty": 200, "http1, empty": 200, "fetch, empty": 200,
        "fetch, JSON in pieces": 200, "fetch, text in pieces": 415,
        "logout 0": 200, "logout 1": 200, "logout 2": 200,
        "afterwards 0": 401, "afterwards 1": 401, "afterwards 2": 401,
    });
    assert_eq!(said, expected);
    envoy.assert_healthy();
}

#[test]
fn a_grpc_stream_has_no_end_that_its_messages_do_not_reach() {
    let Some(mut chat) = Client::python("grpc", "chat.py") else { return };
    let envoy = Envoy::start(Setup {
        service: Some((chat.port(), true)),
        ..Setup::new(&policy(json!({ "routes": [{ "path": "/shop.Chat/Closed", "access": "deny" }] })))
    });
    let said = chat.run(&json!({ "port": envoy.address().port(), "token": token(json!({})) }));
    let too_large = "Request size exceeds maximum: 1048576 bytes";
    let expected = json!({
        "chat": ["OK", 2_000_000, ""],
        "upload": ["OK", 4, ""],
        "largest": ["OK", 1_048_576, ""],
        "too large": ["RESOURCE_EXHAUSTED", 0, too_large],
        "too large in an upload": ["RESOURCE_EXHAUSTED", 0, too_large],
        // Nothing but a reset can follow what has been answered.
        "too large in a chat": "INTERNAL",
        "no token": ["UNAUTHENTICATED", 0, "Missing or invalid Authorization header"],
        "closed": ["PERMISSION_DENIED", 0, "Access to this path is denied"],
    });
    assert_eq!(said, expected);
    envoy.assert_healthy();
}

#[test]
fn http3_is_judged_as_http2_is() {
    let Some(client) = Client::python("aioquic", "http3.py") else { return };
    let envoy = Envoy::start(Setup {
        http3: true,
        ..Setup::new(&policy(json!({
            "request": { "max_request_size_bytes": 1000 },
            "routes": [
                { "path": "/public", "access": "public" },
                { "path": "/orders", "required_permissions": ["orders:read"] },
                { "path": "/closed", "access": "deny" },
            ],
            "unmatched_routes": "deny",
        })))
    });
    let permissions = json!({ "permissions": ["orders:read"] });
    let bearer = json!(["authorization", format!("Bearer {}", token(permissions))]);
    let other = json!(["authorization", format!("Bearer {}", token(json!({})))]);
    let content = json!(["content-type", "application/json"]);
    let said = client.run(&json!({ "port": envoy.address().port(), "requests": {
        "public": ["GET", "/public", [], []],
        "no token": ["GET", "/orders", [], []],
        "token": ["GET", "/orders", [bearer], []],
        "without the permission": ["GET", "/orders", [other], []],
        "closed": ["GET", "/closed", [bearer], []],
        "elsewhere": ["GET", "/elsewhere", [bearer], []],
        "two slashes": ["GET", "//orders", [bearer], []],
        "encoded slash": ["GET", "/a%2forders", [bearer], []],
        "body": ["POST", "/orders", [bearer, content], [500, 500]],
        "too large": ["POST", "/orders", [bearer, content], [500, 501]],
        "too large, declared": ["POST", "/orders", [bearer, content, ["content-length", "1001"]], [1001]],
        "text": ["POST", "/orders", [bearer, ["content-type", "text/plain"]], [5]],
    } }));
    let expected = json!({
        "public": [200, null],
        "no token": [401, "token_missing"],
        "token": [200, null],
        "without the permission": [403, "permission_missing"],
        "closed": [403, "route_denied"],
        "elsewhere": [403, "route_denied"],
        "two slashes": [400, "path_ambiguous"],
        "encoded slash": [400, "path_ambiguous"],
        "body": [200, null],
        "too large": [413, "request_too_large"],
        "too large, declared": [413, "request_too_large"],
        "text": [415, "unsupported_media_type"],
    });
    assert_eq!(said, expected);
    envoy.assert_healthy();
}

#[test]
fn a_websocket_carries_its_token_among_its_protocols_and_any_number_of_frames() {
    let Some(mut sockets) = Client::python("websockets", "protocols.py") else { return };
    let envoy = Envoy::start(Setup {
        service: Some((sockets.port(), false)),
        manager: json!({ "upgrade_configs": [{ "upgrade_type": "websocket" }] }),
        ..Setup::new(&policy(json!({ "tokens": { "sources": [{ "websocket_protocol": "bearer" }] } })))
    });
    let expired = token(json!({ "exp": now() - 60 }));
    let told = json!({ "port": envoy.address().port(), "token": token(json!({})), "other": expired });
    let said = sockets.run(&told);
    let expected = json!({
        "bearer": [101, "bearer", 30],
        "chat": [101, "chat", 30],
        "none": [401, null, 0],
        "expired": [401, null, 0],
        "heard": [["bearer", "user-7"], ["chat, bearer", "user-7"]],
    });
    assert_eq!(said, expected);
    envoy.assert_healthy();
}
