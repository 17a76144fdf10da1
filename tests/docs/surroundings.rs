//! `docs/issuers.md`, what surrounds the guard: CORS, TLS that ends at a balancer, the challenge of an MCP server. All of it
//! is asked of a real Envoy, which is told what the page shows.

use serde_json::Value;

use crate::documents::{blocks, read, rows, section};
use crate::issuers::{PAGE, configuration, tokens};
use crate::operations::mint;
use crate::server::Server;

const GUARD: &str = "                  - name: api_guard\n";
const ROUTER: &str = "                  - name: envoy.filters.http.router\n";
const DOMAINS: &str = "                      domains: [\"*\"]\n";
const REMOTE_ADDRESS: &str = "                use_remote_address: true\n";

/// The text with `block` put in before the first of these lines, at their indentation.
fn before(text: &str, line: &str, block: &str) -> String {
    let indentation = line.split(|letter| letter != ' ').next().unwrap();
    let block: String = block.lines().map(|line| format!("{indentation}{line}\n")).collect();
    let (head, tail) = text.split_once(line).unwrap();
    format!("{head}{block}{line}{tail}")
}

/// Status, code of a refusal, and a header where it is there, in the words of the tables.
fn answer(reply: &str, header: &str) -> String {
    let (head, body) = reply.split_once("\r\n\r\n").unwrap();
    let mut said = head.split(' ').nth(1).unwrap().to_owned();
    let problem: Value = serde_json::from_str(body).unwrap_or_default();
    if let Some(code) = problem["code"].as_str() {
        said.push_str(&format!(" `{code}`"));
    }
    for line in head.lines().filter(|line| line.starts_with(&format!("{header}: "))) {
        said.push_str(&format!(", `{line}`"));
    }
    said
}

#[test]
fn cors_stands_before_the_guard_and_the_page_says_what_happens_behind_it() {
    let page = read(PAGE);
    let [filter, policy]: [String; 2] = blocks(section(&page, "CORS"), "yaml").try_into().unwrap();
    let start = |line: &str| {
        Server::start_edited(None, |text| before(&before(&text, line, &filter), DOMAINS, &policy))
    };
    let (in_front, behind) = (start(GUARD), start(ROUTER));
    let authorization = format!("authorization: Bearer {}", mint("API_GUARD_SECRET", "", "orders:read"));
    let (good, evil) = ("origin: https://app.example.com", "origin: https://evil.example.net");
    let asks_for = ["access-control-request-method: GET", "access-control-request-headers: authorization"];
    let requests = [
        ("OPTIONS /orders/1", vec![good, asks_for[0], asks_for[1]]),
        ("GET /orders/1", vec![good]),
        ("GET /orders/1", vec![good, &authorization]),
        ("OPTIONS /orders/1", vec![evil, asks_for[0], asks_for[1]]),
        ("GET /orders/1", vec![evil]),
    ];
    let rows = rows(section(&page, "CORS"));
    assert_eq!(rows.len(), requests.len());
    for (cells, (line, headers)) in rows.iter().zip(&requests) {
        for (server, shown) in [(&in_front, &cells[1]), (&behind, &cells[2])] {
            let reply = server.reply(line, headers);
            assert_eq!(answer(&reply, "access-control-allow-origin"), *shown, "{}: {reply}", cells[0]);
        }
    }
    let preflight = in_front.reply(requests[0].0, &requests[0].1);
    for line in policy.lines().filter_map(|line| line.trim().strip_prefix("allow_")) {
        if let Some((name @ ("methods" | "headers"), value)) = line.split_once(": ") {
            assert!(
                preflight.contains(&format!("\r\naccess-control-allow-{name}: {value}\r\n")),
                "{preflight}"
            );
        }
    }
    let refused = in_front.reply(requests[1].0, &requests[1].1);
    let exposed =
        "access-control-expose-headers: www-authenticate, retry-after, ratelimit, ratelimit-policy\r\n";
    assert!(refused.contains(exposed), "{refused}");
}

#[test]
fn a_preflight_that_the_cors_filter_answers_spends_no_limit_and_a_429_can_be_read() {
    let page = read(PAGE);
    let [filter, policy]: [String; 2] = blocks(section(&page, "CORS"), "yaml").try_into().unwrap();
    let plugin = r#"{"tokens":{"keys":[{"secret":{"env":"API_GUARD_SECRET"}}]},
        "rate_limits":[{"name":"a","max_requests":1,"window_seconds":3600,"key":["client_ip"]}]}"#;
    let server =
        Server::start_edited(Some(plugin), |text| before(&before(&text, GUARD, &filter), DOMAINS, &policy));
    let token = mint("API_GUARD_SECRET", "", "orders:read");
    let headers = ["origin: https://app.example.com", &format!("authorization: Bearer {token}")];
    for _ in 0..3 {
        let preflight = server.reply("OPTIONS /x", &[headers[0], "access-control-request-method: GET"]);
        assert!(preflight.starts_with("HTTP/1.1 200 "), "{preflight}");
    }
    let allowed = "`access-control-allow-origin: https://app.example.com`";
    for status in ["200", "429 `rate_limited`"] {
        let reply = server.reply("GET /x", &headers);
        assert_eq!(answer(&reply, "access-control-allow-origin"), format!("{status}, {allowed}"), "{reply}");
    }
}

#[test]
fn envoy_is_told_of_the_balancer_that_ends_tls() {
    let page = read(PAGE);
    let section = section(&page, "TLS that ends at a balancer");
    let hops = blocks(section, "yaml").remove(0);
    let plugin = blocks(section, "json").remove(0);
    assert!(format!("{hops}\n").starts_with(REMOTE_ADDRESS.trim_start()));
    let told = Server::start_edited(Some(&plugin), |text| {
        before(&text, REMOTE_ADDRESS, &hops).replacen(REMOTE_ADDRESS, "", 1)
    });
    let untold = Server::start(Some(&plugin));
    let authorization = format!("authorization: Bearer {}", mint("API_GUARD_SECRET", "", "orders:read"));
    for cells in rows(section) {
        let sent = cells[0].trim_matches('`');
        let proto = if cells[0].starts_with("no ") { "x-other: 1" } else { sent };
        for (server, shown) in [(&told, &cells[1]), (&untold, &cells[2])] {
            let headers = ["x-forwarded-for: 203.0.113.200", proto, &authorization];
            let reply = server.reply("GET /x", &headers);
            assert_eq!(answer(&reply, "x-none"), *shown, "{sent}: {reply}");
        }
    }
}

#[test]
fn limits_behind_a_balancer_count_the_address_that_it_added() {
    let page = read(PAGE);
    let section = section(&page, "TLS that ends at a balancer");
    let hops = blocks(section, "yaml").remove(0);
    let plugin = blocks(section, "json").remove(0);
    let server = Server::start_edited(Some(&plugin), |text| {
        before(&text, REMOTE_ADDRESS, &hops).replacen(REMOTE_ADDRESS, "", 1)
    });
    let authorization = format!("authorization: Bearer {}", mint("API_GUARD_SECRET", "", "orders:read"));
    let ask = |forwarded: &str| {
        let forwarded = format!("x-forwarded-for: {forwarded}");
        let reply = server.reply("GET /x", &[&forwarded, "x-forwarded-proto: https", &authorization]);
        answer(&reply, "x-none")
    };
    for number in 0..100 {
        assert_eq!(ask(&format!("198.51.100.{number}, 203.0.113.1")), "200");
    }
    assert_eq!(ask("198.51.100.200, 203.0.113.1"), "429 `rate_limited`");
    assert_eq!(ask("203.0.113.1, 203.0.113.2"), "200");
    // With ports, all are one.
    for number in 0..100 {
        assert_eq!(ask(&format!("203.0.113.{number}:40312")), "200");
    }
    assert_eq!(ask("203.0.113.7:40312"), "429 `rate_limited`");
}

#[test]
fn the_challenges_of_an_mcp_server_name_its_metadata() {
    let page = read(PAGE);
    let shown = blocks(section(&page, "MCP servers"), "http").remove(0);
    let server = Server::start(Some(&configuration("MCP servers").to_string()));
    let tokens = tokens("MCP servers");
    let asked = ["none", "one without the scope", "one for another server of the same issuer"];
    assert_eq!(shown.lines().count(), asked.len());
    for (what, challenge) in asked.iter().zip(shown.lines()) {
        let token = &tokens[&((*what).to_owned(), "/mcp".to_owned())];
        let authorization =
            if token.is_empty() { "x-none: 1" } else { &format!("authorization: Bearer {token}") };
        let reply = server.reply("POST /mcp", &[authorization, "content-length: 0"]);
        assert!(reply.contains(&format!("\r\n{challenge}\r\n")), "{what}: {reply}");
    }
    let metadata = server.reply("GET /.well-known/oauth-protected-resource/mcp", &[]);
    assert!(metadata.starts_with("HTTP/1.1 200 "), "{metadata}");
}
