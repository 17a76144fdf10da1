//! One request for a file of the page, and its answer (RFC 9112).

use std::io::{BufRead, BufReader, Read, Result, Write};
use std::net::{SocketAddr, TcpStream};

/// The longest request that is read, bytes.
const LONGEST: u64 = 16_384;
/// What the page may do: run its own code and core, and ask nobody but the server that it comes from. Browsers themselves
/// write style attributes where somebody types into an editor.
const POLICY: &str = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; connect-src 'self'; \
                      style-src 'self'; style-src-attr 'unsafe-inline'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Reads a request and answers it.
pub(super) fn serve(stream: &TcpStream, own: SocketAddr, files: &[(&str, &[u8])]) -> Result<()> {
    let mut lines = BufReader::new(stream.take(LONGEST)).lines();
    let first = lines.next().transpose()?.unwrap_or_default();
    let mut host = None;
    for line in lines {
        let line = line?;
        if line.is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("host")
        {
            host = Some(value.trim().to_owned());
        }
    }
    let answer = answer(&first, host.as_deref(), own, files);
    let mut out = stream;
    out.write_all(answer.head.as_bytes())?;
    out.write_all(answer.body)?;
    out.flush()
}

/// What is sent.
struct Answer<'f> {
    head: String,
    body: &'f [u8],
}

/// The answer to a request. `host`: what its header says; another name than ours is how a foreign page would reach this
/// server (DNS rebinding).
fn answer<'f>(first: &str, host: Option<&str>, own: SocketAddr, files: &[(&str, &'f [u8])]) -> Answer<'f> {
    let mut words = first.split(' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let path = target.split(['?', '#']).next().unwrap_or_default();
    let name = if path == "/" { "index.html" } else { path.strip_prefix('/').unwrap_or_default() };
    let file = files.iter().find(|(known, _)| *known == name);
    let is_ours = host.is_some_and(|host| {
        let (name, port) = host.rsplit_once(':').unwrap_or((host, "80"));
        ["127.0.0.1", "localhost"].contains(&name) && port == own.port().to_string()
    });
    match (method, file) {
        _ if !is_ours => {
            plain("421 Misdirected Request", "text/plain", b"ask for 127.0.0.1 or localhost\n", true)
        }
        ("GET" | "HEAD", Some((name, bytes))) => plain("200 OK", kind(name), bytes, method == "GET"),
        ("GET" | "HEAD", None) => {
            plain("404 Not Found", "text/plain", b"there is no such file\n", method == "GET")
        }
        _ => plain("405 Method Not Allowed\r\nallow: GET, HEAD", "text/plain", b"", true),
    }
}

fn plain<'f>(status: &str, kind: &str, body: &'f [u8], has_body: bool) -> Answer<'f> {
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {}\r\ncache-control: no-cache\r\n\
         content-security-policy: {POLICY}\r\nx-content-type-options: nosniff\r\nreferrer-policy: no-referrer\r\n\
         cross-origin-opener-policy: same-origin\r\nconnection: close\r\n\r\n",
        body.len()
    );
    Answer { head, body: if has_body { body } else { b"" } }
}

/// The media type of a file.
fn kind(name: &str) -> &'static str {
    match name.rsplit('.').next().unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "json" => "application/json",
        "wasm" => "application/wasm",
        // The page unpacks it itself.
        "gz" => "application/gzip",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILES: &[(&str, &[u8])] = &[("index.html", b"<!doctype html>"), ("core.wasm.gz", b"\x1f\x8b")];

    fn head(first: &str, host: Option<&str>) -> String {
        answer(first, host, SocketAddr::from(([127, 0, 0, 1], 8080)), FILES).head
    }

    #[test]
    fn a_file_comes_with_its_type_and_the_policy_of_the_page() {
        let own = Some("127.0.0.1:8080");
        let page = head("GET / HTTP/1.1", own);
        assert!(page.starts_with(
            "HTTP/1.1 200 OK\r\ncontent-type: text/html; charset=utf-8\r\ncontent-length: 15\r\n"
        ));
        assert!(page.contains("content-security-policy: default-src 'none'"));
        assert!(head("GET /core.wasm.gz?x HTTP/1.1", Some("localhost:8080")).contains("application/gzip"));
        for other in ["/../index.html", "/none", "//index.html", ""] {
            assert!(head(&format!("GET {other} HTTP/1.1"), own).starts_with("HTTP/1.1 404"), "{other}");
        }
        assert!(head("POST / HTTP/1.1", own).starts_with("HTTP/1.1 405"));
    }

    #[test]
    fn another_host_gets_nothing() {
        for host in [None, Some("evil.example.com:8080"), Some("127.0.0.1"), Some("127.0.0.1:8081")] {
            assert!(head("GET / HTTP/1.1", host).starts_with("HTTP/1.1 421"), "{host:?}");
        }
    }
}
