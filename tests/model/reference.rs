//! The model: what section 3 of the contract says, step by step, with lists and loops.

use serde_json::{Value, json};

use super::Dice;

pub(crate) const PERMISSIONS: [&str; 3] = ["a:read", "a:write", "b:read"];
pub(crate) const BAD_TOKENS: [&str; 9] = [
    "token_expired",
    "token_not_yet_valid",
    "token_signature_invalid",
    "token_algorithm_refused",
    "token_key_unknown",
    "claim_missing",
    "claim_invalid",
    "permissions_malformed",
    "token_malformed",
];

/// A path as it is sent, and its segments; `None`: ambiguous.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    pub(crate) sent: &'static str,
    segments: Option<&'static [&'static str]>,
}

const fn path(sent: &'static str, segments: &'static [&'static str]) -> Sent {
    Sent { sent, segments: Some(segments) }
}

const fn ambiguous(sent: &'static str) -> Sent {
    Sent { sent, segments: None }
}

pub(crate) const PATHS: [Sent; 14] = [
    path("/", &[]),
    path("/a", &["a"]),
    path("/a/", &["a"]),
    path("/a?x=/../b", &["a"]),
    path("/a/u1", &["a", "u1"]),
    path("/a/u2", &["a", "u2"]),
    path("/a/%2B", &["a", "+"]),
    path("/a/b", &["a", "b"]),
    path("/a/b/c", &["a", "b", "c"]),
    path("/c/d", &["c", "d"]),
    ambiguous("/a/../c"),
    ambiguous("/a//b"),
    ambiguous("/%61"),
    ambiguous("/a;x"),
];

const TEMPLATES: [&str; 6] = ["/a", "/a/{id}", "/a/b", "/a/{*rest}", "/{x}/b", "/c/{id}"];

#[derive(Debug, Clone)]
pub(crate) enum Credential {
    None,
    Two,
    Good {
        sub: String,
        permissions: Vec<String>,
    },
    /// The code it is refused with.
    Bad(&'static str),
}

#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) method: &'static str,
    pub(crate) path: Sent,
    pub(crate) content_type: Option<&'static str>,
    pub(crate) length: Option<u64>,
    pub(crate) credential: Credential,
    pub(crate) address: usize,
}

#[derive(Debug, Clone)]
struct Route {
    template: &'static str,
    methods: Vec<&'static str>,
    access: &'static str,
    required: Vec<&'static str>,
    any: Vec<&'static str>,
    bind: bool,
}

#[derive(Debug, Clone)]
pub(crate) struct Rules {
    allowed: Vec<&'static str>,
    routes: Vec<Route>,
    unmatched: &'static str,
    /// Requests of one address in 16 seconds, before the token.
    early: Option<usize>,
    /// Requests of one subject in 16 seconds, after the token.
    late: Option<usize>,
    failures: Option<usize>,
}

impl Rules {
    pub(crate) fn random(dice: &mut Dice) -> Self {
        let all = ["GET", "POST", "PUT", "DELETE", "HEAD", "PATCH", "OPTIONS"];
        let mut allowed: Vec<&'static str> = all.iter().copied().filter(|_| dice.chance(7)).collect();
        if allowed.is_empty() {
            allowed.push("GET");
        }
        let mut routes = Vec::new();
        for template in TEMPLATES {
            if dice.chance(4) {
                continue;
            }
            let methods: Vec<&'static str> = allowed.iter().copied().filter(|_| dice.chance(7)).collect();
            if methods.is_empty() {
                continue;
            }
            let access = dice.pick(&["authenticated", "authenticated", "authenticated", "public", "deny"]);
            let some = |dice: &mut Dice| -> Vec<&'static str> {
                if access == "authenticated" && dice.chance(4) {
                    PERMISSIONS.iter().copied().filter(|_| dice.chance(4)).collect()
                } else {
                    Vec::new()
                }
            };
            let (required, any) = (some(dice), some(dice));
            let bind = access == "authenticated" && template.contains("{id}") && dice.chance(4);
            routes.push(Route { template, methods, access, required, any, bind });
        }
        let number = |dice: &mut Dice, most| if dice.chance(6) { Some(1 + dice.roll(most)) } else { None };
        Self {
            allowed,
            routes,
            unmatched: dice.pick(&["authenticated", "public", "deny"]),
            early: number(dice, 40),
            late: number(dice, 20),
            failures: number(dice, 8),
        }
    }

    pub(crate) fn configuration(&self) -> Value {
        let routes: Vec<Value> = self
            .routes
            .iter()
            .map(|route| {
                let mut value =
                    json!({ "path": route.template, "methods": route.methods, "access": route.access });
                if !route.required.is_empty() {
                    value["required_permissions"] = json!(route.required);
                }
                if !route.any.is_empty() {
                    value["any_permissions"] = json!(route.any);
                }
                if route.bind {
                    value["bind"] = json!({ "id": "sub" });
                }
                value
            })
            .collect();
        let limit = |name: &str, number: Option<usize>, key: &str| {
            number.map(
                |number| json!({ "name": name, "max_requests": number, "window_seconds": 16, "key": [key] }),
            )
        };
        let limits: Vec<Value> =
            [limit("early", self.early, "client_ip"), limit("late", self.late, "subject")]
                .into_iter()
                .flatten()
                .collect();
        json!({
            "tokens": { "keys": [{ "secret": { "env": "SECRET" } }] },
            "request": { "allowed_methods": self.allowed, "max_request_size_bytes": 1000 },
            "routes": routes,
            "unmatched_routes": self.unmatched,
            "rate_limits": limits,
            "auth_failure_limit": self.failures.map(|number| json!({ "max_failures": number, "window_seconds": 16 })),
            "revocation": { "denied": { "sub": ["denied"] } },
        })
    }
}

/// Who, and when.
type Log = Vec<(String, u64)>;

/// At whole seconds a window of 16 seconds is 17 sub-windows of one second each.
fn spent(log: &Log, who: &str, now: u64) -> usize {
    log.iter().filter(|(other, when)| other == who && now - when <= 16).count()
}

pub(crate) struct Model {
    rules: Rules,
    early: Log,
    late: Log,
    failures: Log,
}

impl Model {
    pub(crate) fn new(rules: Rules) -> Self {
        Self { rules, early: Log::new(), late: Log::new(), failures: Log::new() }
    }

    pub(crate) fn judge(&mut self, asked: &Asked, now: u64) -> String {
        self.steps(asked, now).err().unwrap_or("ok").to_owned()
    }

    /// Whom the upstream is told of, if the request passes.
    pub(crate) fn identity(&self, asked: &Asked) -> Option<String> {
        let route = asked.path.segments.and_then(|segments| self.route(segments, asked.method).0);
        let route = route.filter(|_| self.rules.allowed.contains(&asked.method));
        match &asked.credential {
            Credential::Good { sub, .. } if sub != "denied" => {
                let access = route.map_or(self.rules.unmatched, |route| route.access);
                (access != "public").then(|| sub.clone())
            }
            Credential::Good { .. } | Credential::None | Credential::Two | Credential::Bad(_) => None,
        }
    }

    fn steps(&mut self, asked: &Asked, now: u64) -> Result<(), &'static str> {
        let address = asked.address.to_string();
        // 1. Form: 400, then 405, 415, 413.
        let segments = asked.path.segments.ok_or("path_ambiguous")?;
        let (route, method_fits) = self.route(segments, asked.method);
        if !method_fits || !self.rules.allowed.contains(&asked.method) {
            return Err("method_not_allowed");
        }
        let typed = ["POST", "PUT", "PATCH"].contains(&asked.method) && asked.length.is_some();
        let is_json =
            asked.content_type.is_some_and(|sent| sent.to_lowercase().starts_with("application/json"));
        if typed && !is_json {
            return Err("unsupported_media_type");
        }
        if asked.length.is_some_and(|length| length > 1000) {
            return Err("request_too_large");
        }
        let access = route.as_ref().map_or(self.rules.unmatched, |route| route.access);
        // 2. Limits that need no token.
        let failed_too_often =
            self.rules.failures.is_some_and(|most| spent(&self.failures, &address, now) >= most);
        if access != "public" && failed_too_often {
            return Err("auth_failures_limited");
        }
        spend(self.rules.early, &mut self.early, &address, now)?;
        if access == "public" {
            return spend(self.rules.late, &mut self.late, "(nobody)", now);
        }
        // 3. Token, 4. revocation.
        let failed = |model: &mut Self, code: &'static str| {
            if model.rules.failures.is_some_and(|most| spent(&model.failures, &address, now) < most) {
                model.failures.push((address.clone(), now));
            }
            Err(code)
        };
        let (sub, held) = match &asked.credential {
            Credential::None => return Err("token_missing"),
            Credential::Two => return Err("credentials_ambiguous"),
            Credential::Bad(code) => return failed(self, code),
            Credential::Good { sub, .. } if sub == "denied" => return failed(self, "token_revoked"),
            Credential::Good { sub, permissions } => (sub, permissions),
        };
        // 5. Limits that need the token.
        spend(self.rules.late, &mut self.late, sub, now)?;
        // 6. Permission and binding.
        if access == "deny" {
            return Err("route_denied");
        }
        let Some(route) = route else { return Ok(()) };
        let has = |name: &&str| held.iter().any(|held| held == name);
        if !route.required.iter().all(has) || !(route.any.is_empty() || route.any.iter().any(has)) {
            return Err("permission_missing");
        }
        if route.bind && segments.get(1) != Some(&sub.as_str()) {
            return Err("binding_mismatch");
        }
        Ok(())
    }

    /// The route of the most specific template that fits, if it has the method; whether the method is right.
    fn route(&self, segments: &[&str], method: &str) -> (Option<Route>, bool) {
        let fits = |route: &&Route| score(route.template, segments).is_some();
        let best = self.rules.routes.iter().filter(fits).min_by_key(|route| score(route.template, segments));
        let Some(best) = best else { return (None, true) };
        let has = |method: &str| best.methods.contains(&method);
        if has(method) || (method == "HEAD" && has("GET")) {
            (Some(best.clone()), true)
        } else {
            (None, false)
        }
    }
}

fn spend(limit: Option<usize>, log: &mut Log, who: &str, now: u64) -> Result<(), &'static str> {
    let Some(most) = limit else { return Ok(()) };
    if spent(log, who, now) >= most {
        return Err("rate_limited");
    }
    log.push((who.to_owned(), now));
    Ok(())
}

/// How special a template is for a path, segment by segment from the left; `None` if it does not fit.
fn score(template: &str, segments: &[&str]) -> Option<Vec<u8>> {
    let mut score = Vec::new();
    let mut rest = segments.iter();
    for part in template.split('/').skip(1) {
        let segment = rest.next()?;
        if part.starts_with("{*") {
            score.push(2);
            return Some(score);
        }
        if part.starts_with('{') {
            score.push(1);
        } else if part == *segment {
            score.push(0);
        } else {
            return None;
        }
    }
    rest.next().is_none().then_some(score)
}
