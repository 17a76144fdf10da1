//! Cases that others made, sent through Envoy. They lie beside the repository and are not part of it: where the folder
//! (`API_GUARD_VECTORS`, else `../shared/vectors`) is absent, these tests say so and pass.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::ask::{Ask, BOTH, Protocol};
use crate::process::Envoy;
use crate::setup::{Setup, policy};
use crate::token::{HEADER, now, sign};
use crate::{http1, paths};

/// A file of the vectors, or None where there are none.
fn read(name: &str) -> Option<Vec<u8>> {
    let folder = std::env::var_os("API_GUARD_VECTORS")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/vectors"), PathBuf::from);
    if !folder.is_dir() {
        println!("skipped: no vectors at {}", folder.display());
        return None;
    }
    Some(std::fs::read(folder.join(name)).unwrap())
}

fn cases(name: &str) -> Option<Vec<Value>> {
    let file: Value = serde_json::from_slice(&read(name)?).unwrap();
    file["tests"].as_array().cloned()
}

#[test]
fn no_foreign_token_is_accepted() {
    let mut tokens = Vec::new();
    for (file, field) in
        [("wycheproof_hs256.json", "jws"), ("pyjwt_tokens.json", "token"), ("rfc_examples.json", "token")]
    {
        let Some(cases) = cases(file) else { return };
        tokens.extend(cases.iter().filter_map(|case| case[field].as_str().map(ToOwned::to_owned)));
    }
    assert!(tokens.len() > 90, "{}", tokens.len());
    // With a key of the vectors' own, so that some MACs are right and the payload decides.
    let key = "-ebuDNsVZ2iJtoZ-akfXTSCt4UO2cruLCsbWlBinggE";
    let envoy = Envoy::start(Setup::new(&policy(json!({ "tokens": { "keys": [
        { "secret": { "env": "API_GUARD_SECRET" } },
        { "kid": "kid-aes-sign", "secret": { "base64url": key } },
    ] } }))));
    for token in tokens {
        // A line end cannot be sent in a header.
        let token = token.replace(['\r', '\n'], " ");
        for protocol in BOTH {
            let reply = Ask::get("/x").token(&token).send(&envoy, protocol);
            // A JSON serialisation holds commas, which may be read as two credentials.
            let fits = reply.status == 401 || (reply.status == 400 && token.contains(','));
            assert!(fits, "{token}: {reply:?}");
            assert!(envoy.upstream.heard(&reply.test).is_empty(), "{token}");
        }
    }
    envoy.assert_healthy();
}

#[test]
fn no_json_text_kills_the_vm_wherever_it_stands() {
    let Some(_) = read("README.md") else { return };
    let envoy = Envoy::start(Setup::new(&policy(json!({}))));
    let folder = std::env::var_os("API_GUARD_VECTORS")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/vectors"), PathBuf::from);
    let mut connection = http1::Connection::open(envoy.address()).unwrap();
    let mut seen = 0;
    for entry in std::fs::read_dir(folder.join("JSONTestSuite")).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some(text) = name.ends_with(".json").then(|| std::fs::read(entry.path()).unwrap()) else {
            continue;
        };
        if text.len() > 5000 {
            continue; // more than a token may hold
        }
        let start = format!(r#"{{"sub":"a","iat":{},"exp":{},"x":"#, now(), now() + 600);
        let as_claim = sign(HEADER, [start.as_bytes(), &text, b"}"].concat());
        let as_payload = sign(HEADER, &text);
        let in_header = sign([br#"{"alg":"HS256","x":"#, &text[..], b"}"].concat(), format!("{start}1}}"));
        for (source, token, good) in [
            ("claim", as_claim, name.starts_with("y_")),
            ("payload", as_payload, false),
            ("header", in_header, name.starts_with("y_")),
        ] {
            let request = format!("GET /x HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {token}\r\n\r\n");
            let reply = connection.exchange(request.as_bytes(), false).unwrap();
            let expected = match (good, name.starts_with("i_")) {
                (true, _) => reply.status == 200 || (source == "header" && reply.status == 401),
                (false, true) => reply.status == 200 || reply.status == 401,
                (false, false) => reply.status == 401,
            };
            assert!(expected, "{name} as {source}: {reply:?} {}", reply.text());
            seen += 1;
        }
    }
    assert!(seen > 800, "{seen}");
    envoy.assert_healthy();
}

#[test]
fn no_traversal_leads_out_of_a_public_route() {
    let envoy = paths::envoy();
    for (file, name) in
        [("directory_traversal.txt", ""), ("traversals-8-deep-exotic-encoding.txt", "harmless")]
    {
        let Some(text) = read(&format!("path_traversal/{file}")) else { return };
        let text = String::from_utf8_lossy(&text).into_owned();
        let mut lines: Vec<&str> = text.lines().filter(|line| !line.is_empty()).collect();
        lines.sort_unstable();
        lines.dedup();
        let mut connection = http1::Connection::open(envoy.address()).unwrap();
        for line in lines {
            let line = line.replace("{FILE}", name);
            let slash = if line.starts_with('/') { "" } else { "/" };
            let path = format!("/public{slash}{line}");
            let request = format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n");
            let reply = match connection.exchange(request.as_bytes(), false) {
                Ok(reply) => reply,
                Err(cut) => panic!("{path}: {cut:?}"),
            };
            if reply.all("connection").contains(&"close".to_owned()) {
                connection = http1::Connection::open(envoy.address()).unwrap();
            }
            assert!(reply.status == 400 || (reply.status == 200 && ordinary(&path)), "{path}: {reply:?}");
            let reply = Ask::get(&path).try_send(envoy, Protocol::Http2).1;
            assert!(
                reply.is_err() || reply.is_ok_and(|reply| reply.status == 400 || ordinary(&path)),
                "{path}"
            );
        }
    }
    envoy.assert_healthy();
}

/// The lines that are harmless by this project's rules (three dots and more, hexadecimal spelled out, plain names), by
/// a reading of its own: nothing encoded, nothing empty, no segment of one or two dots, nothing that another reads.
pub(crate) fn ordinary(path: &str) -> bool {
    let path = path.split('?').next().unwrap_or_default();
    let mut segments = path.split('/').skip(1).peekable();
    let mut clean = !path.contains(['%', '\\', ';']) && path.is_ascii();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        clean &= segment != "." && segment != ".." && (last || !segment.is_empty());
    }
    clean
}
