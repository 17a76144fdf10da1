//! What a user can try at once: a token, and curl lines whose answers the guard's own code has found out before.

use std::net::{IpAddr, Ipv4Addr};

use api_guard_core::config::raw::{RawConfig, RawRoute};
use api_guard_core::policy::Policy;
use api_guard_core::request::Request;
use api_guard_core::time::UnixNanos;
use api_guard_explain::explain::request::carry;

use crate::explain;
use crate::issue::Issuer;
use crate::outcome::Failure;

const SUBJECT: &str = "user-7";
const LIFETIME_SECONDS: u64 = 8 * 3600;

/// A request to try, and the answer that it gets.
struct Try {
    method: String,
    path: String,
    token: Option<String>,
    answer: (u16, String),
}

/// The lines to print, at `origin` (`http://localhost:10000`). `policies` makes a guard without counters.
pub(super) fn lines(
    raw: &RawConfig,
    lookup: &dyn Fn(&str) -> Option<Vec<u8>>,
    policies: &dyn Fn() -> Result<Policy, Failure>,
    origin: &str,
    now: UnixNanos,
) -> Result<String, Failure> {
    let Some(issuer) = Issuer::of(raw, lookup) else {
        return Ok("Tokens come from the issuer of this configuration: none is made here.\n".to_owned());
    };
    let token = |permissions: &[String]| {
        issuer.sign(&issuer.claims(SUBJECT, permissions, now.seconds(), LIFETIME_SECONDS).to_string())
    };
    let (able, unable) = (token(&permissions(raw)), token(&[]));
    let mut tries: Vec<Try> = Vec::new();
    for (method, path) in requests(raw) {
        for token in [Some(&able), None, Some(&unable)] {
            let (method, path, token) = (method.clone(), path.clone(), token.cloned());
            let answer = answer(raw, policies()?, &method, &path, token.as_deref(), now)?;
            tries.push(Try { method, path, token, answer });
        }
    }
    let mut text = format!(
        "A token of {SUBJECT} for {} hours, with every permission:\n  {able}\n",
        LIFETIME_SECONDS / 3600
    );
    let allowed = tries.iter().find(|found| found.token.as_ref() == Some(&able) && found.answer.0 == 200);
    let missing = tries.iter().find(|found| found.token.is_none() && found.answer.0 == 401);
    let forbidden = tries.iter().find(|found| found.answer.0 == 403 && found.token.is_some());
    for (found, said) in [(allowed, "with the token"), (missing, "without a token"), (forbidden, "")] {
        let Some(found) = found else { continue };
        let said = if said.is_empty() { found.answer.1.as_str() } else { said };
        text.push_str(&format!("\n{}, {said}:\n  {}\n", found.answer.0, curl(raw, found, origin)));
    }
    Ok(text)
}

fn answer(
    raw: &RawConfig,
    policy: Policy,
    method: &str,
    path: &str,
    token: Option<&str>,
    now: UnixNanos,
) -> Result<(u16, String), Failure> {
    let mut path = path.to_owned();
    let mut headers = Vec::new();
    if let (Some(token), Some(source)) = (token, raw.tokens.sources.first()) {
        carry(token, source, &mut path, &mut headers);
    }
    let pairs = [(":method", method), (":path", path.as_str()), (":authority", "localhost")];
    let pairs = pairs.into_iter().chain(headers.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    let mut bench = explain::bench(policy, IpAddr::V4(Ipv4Addr::LOCALHOST))?;
    let request = Request::read(
        bench.policy().header_plan(),
        pairs.map(|(name, value)| (name.as_bytes(), value.as_bytes())),
        false,
    );
    let judged = bench.judge(&request, None, now);
    Ok(match judged.denial() {
        Some(denial) => (denial.code().status(), denial.code().as_str().to_owned()),
        None => (200, String::new()),
    })
}

/// Requests to every route, in the order of the configuration, and one to a path that has none.
fn requests(raw: &RawConfig) -> Vec<(String, String)> {
    let get = "GET".to_owned();
    let routes =
        raw.routes.iter().filter_map(|route| Some((method(raw, route), example(route.path.as_deref()?)?)));
    // A GET is what people try first.
    let (mut all, others): (Vec<_>, Vec<_>) = routes.partition(|(method, _)| *method == get);
    all.extend([(get.clone(), "/".to_owned()), (get, "/orders/42".to_owned())]);
    all.extend(others);
    all
}

fn method(raw: &RawConfig, route: &RawRoute) -> String {
    let methods = route.methods.as_ref().unwrap_or(&raw.request.allowed_methods);
    let get = methods.iter().find(|method| *method == "GET").or(methods.first());
    get.cloned().unwrap_or_else(|| "GET".to_owned())
}

/// A path that fits the template.
fn example(template: &str) -> Option<String> {
    let mut path = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}')?;
        path.push_str(before);
        path.push_str(if name.starts_with('*') { "any" } else { "42" });
        rest = after;
    }
    path.push_str(rest);
    Some(path)
}

/// Every permission that the configuration names.
fn permissions(raw: &RawConfig) -> Vec<String> {
    let of_routes = raw.routes.iter().flat_map(|route| {
        [&route.required_permissions, &route.any_permissions].into_iter().flatten().flatten()
    });
    let of_endpoint = raw.revocation.endpoint.iter().flat_map(|endpoint| &endpoint.required_permissions);
    let mut all: Vec<String> = of_routes.chain(of_endpoint).cloned().collect();
    all.sort();
    all.dedup();
    all
}

fn curl(raw: &RawConfig, request: &Try, origin: &str) -> String {
    let mut path = request.path.clone();
    let mut headers = Vec::new();
    if let (Some(token), Some(source)) = (&request.token, raw.tokens.sources.first()) {
        carry(token, source, &mut path, &mut headers);
    }
    let method = if request.method == "GET" { String::new() } else { format!("-X {} ", request.method) };
    let headers: String = headers.iter().map(|(name, value)| format!(" -H '{name}: {value}'")).collect();
    let url = format!("{origin}{path}");
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "/:.-_".contains(letter);
    let url = if url.chars().all(plain) { url } else { format!("'{url}'") };
    format!("curl -i {method}{url}{headers}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_has_an_example() {
        for (template, path) in [
            ("/orders/{id}", "/orders/42"),
            ("/a/{*rest}", "/a/any"),
            ("/{id}.json", "/42.json"),
            ("/health", "/health"),
        ] {
            assert_eq!(example(template).unwrap(), path);
        }
    }
}
