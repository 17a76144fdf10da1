//! Cases with a known verdict, sent through Envoy: those of the RFCs and our own, and those of other projects, which lie
//! beside the repository.

use api_guard_testkit::vectors::{EXAMPLES, Reading, foreign, forgeries, texts};
use serde_json::{Value, json};

use crate::ask::{Ask, BOTH, Protocol};
use crate::process::Envoy;
use crate::setup::{Setup, policy};
use crate::token::{HEADER, SECRET, now, payload, sign};
use crate::{http1, paths};

fn read(name: &str) -> Option<Vec<u8>> {
    foreign(name).map(|path| std::fs::read(path).unwrap())
}

fn cases(name: &str) -> Option<Vec<Value>> {
    let file: Value = serde_json::from_slice(&read(name)?).unwrap();
    file["tests"].as_array().cloned()
}

/// Sends each token to an Envoy that has these keys beside its own; none may reach the upstream.
fn assert_refused(tokens: Vec<String>, keys: Value) {
    let mut all = json!([{ "secret": { "env": "API_GUARD_SECRET" } }]);
    all.as_array_mut().unwrap().append(keys.as_array().unwrap().clone().as_mut());
    let envoy = Envoy::start(Setup::new(&policy(json!({ "tokens": { "keys": all } }))));
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
fn no_example_of_an_rfc_and_no_forgery_is_accepted() {
    let forged = forgeries(SECRET.as_bytes(), payload(json!({})).to_string().as_bytes());
    let tokens = forged.into_iter().map(|forgery| forgery.token);
    let shown = EXAMPLES.iter().map(|example| example.token.to_owned());
    // With the RFCs' own keys, so that some MACs are right and the payload decides.
    let keys = EXAMPLES.iter().filter(|example| example.kid.is_some() && example.has_true_mac);
    let keys: Vec<_> =
        keys.map(|example| json!({ "kid": example.kid, "secret": { "base64url": example.key } })).collect();
    assert_refused(tokens.chain(shown).collect(), json!(keys));
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
    assert_refused(tokens, json!([{ "kid": "kid-aes-sign", "secret": { "base64url": key } }]));
}

/// Sends each text, by its name, as a claim, as the payload, and in the header. Returns how many requests it took.
fn send_texts(texts: impl Iterator<Item = (String, Vec<u8>, Reading)>) -> usize {
    let envoy = Envoy::start(Setup::new(&policy(json!({}))));
    let mut connection = http1::Connection::open(envoy.address()).unwrap();
    let mut seen = 0;
    for (name, text, reading) in texts {
        if text.len() > 5000 {
            continue; // more than a token may hold
        }
        let start = format!(r#"{{"sub":"a","iat":{},"exp":{},"x":"#, now(), now() + 600);
        let as_claim = sign(HEADER, [start.as_bytes(), &text, b"}"].concat());
        let as_payload = sign(HEADER, &text);
        let in_header = sign([br#"{"alg":"HS256","x":"#, &text[..], b"}"].concat(), format!("{start}1}}"));
        for (source, token, good) in [
            ("claim", as_claim, reading == Reading::Value),
            ("payload", as_payload, false),
            ("header", in_header, reading == Reading::Value),
        ] {
            let request = format!("GET /x HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {token}\r\n\r\n");
            let reply = connection.exchange(request.as_bytes(), false).unwrap();
            let expected = match (good, reading == Reading::Either) {
                (true, _) => reply.status == 200 || (source == "header" && reply.status == 401),
                (false, true) => reply.status == 200 || reply.status == 401,
                (false, false) => reply.status == 401,
            };
            assert!(expected, "{name} as {source}: {reply:?} {}", reply.text());
            seen += 1;
        }
    }
    envoy.assert_healthy();
    seen
}

#[test]
fn no_text_of_ours_kills_the_vm_wherever_it_stands() {
    let texts = texts().into_iter();
    send_texts(
        texts.map(|text| (String::from_utf8_lossy(&text.bytes).into_owned(), text.bytes, text.reading)),
    );
}

#[test]
fn no_json_text_kills_the_vm_wherever_it_stands() {
    let Some(folder) = foreign("JSONTestSuite") else { return };
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let texts = files.filter_map(|entry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        let reading = match name.get(..2) {
            Some("y_") => Reading::Value,
            Some("i_") => Reading::Either,
            Some(_) | None => Reading::Nothing,
        };
        name.ends_with(".json").then(|| (name, std::fs::read(entry.path()).unwrap(), reading))
    });
    let seen = send_texts(texts);
    assert!(seen > 800, "{seen}");
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
