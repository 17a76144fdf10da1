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
    /// Whether `:v` was sent with its colon encoded.
    hides_verb: bool,
    /// Whether the query overrides the method.
    overrides: bool,
}

const fn path(sent: &'static str, segments: &'static [&'static str]) -> Sent {
    Sent { sent, segments: Some(segments), hides_verb: false, overrides: false }
}

const fn ambiguous(sent: &'static str) -> Sent {
    Sent { sent, segments: None, hides_verb: false, overrides: false }
}

/// How many of [`PATHS`] have one reading under every configuration, and do not override the method.
pub(crate) const PLAIN: usize = 13;

pub(crate) const PATHS: [Sent; 20] = [
    path("/a/u1:v", &["a", "u1:v"]),
    path("/A/u1", &["A", "u1"]),
    path("/a/U1:V", &["a", "U1:V"]),
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
    Sent { hides_verb: true, ..path("/a/u1%3Av", &["a", "u1:v"]) },
    Sent { overrides: true, ..path("/a/u1?_method=PUT", &["a", "u1"]) },
    Sent { overrides: true, ..path("/a?x&%5Fmethod=PUT", &["a"]) },
    ambiguous("/a/../c"),
    ambiguous("/a//b"),
    ambiguous("/%61"),
    ambiguous("/a;x"),
];

const TEMPLATES: [&str; 7] = ["/a", "/a/{id}", "/a/{id}:v", "/a/b", "/a/{*rest}", "/{x}/b", "/c/{id}"];

#[derive(Debug, Clone)]
pub(crate) enum Credential {
    None,
    Two,
    Good {
        sub: String,
        permissions: Vec<String>,
        clerk: bool,
        /// Signed with the newer key, and says so.
        new_key: bool,
    },
    /// The code it is refused with.
    Bad(&'static str),
}

#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) method: &'static str,
    /// The method that a preflight asks for.
    pub(crate) preflight: Option<&'static str>,
    pub(crate) path: Sent,
    pub(crate) content_type: Option<&'static str>,
    pub(crate) length: Option<u64>,
    pub(crate) credential: Credential,
    pub(crate) address: usize,
    pub(crate) host: Host,
    /// `x-forwarded-proto`, as Envoy sets it.
    pub(crate) proto: &'static str,
}

/// A host as it is sent, and in lower case without port and final dot; `None`: no host at all.
#[derive(Debug, Clone)]
pub(crate) struct Host {
    pub(crate) sent: &'static str,
    name: Option<&'static str>,
}

pub(crate) const HOSTS: [Host; 7] = [
    Host { sent: "api.example.com", name: Some("api.example.com") },
    Host { sent: "API.example.com.:8080", name: Some("api.example.com") },
    Host { sent: "a.example.org", name: Some("a.example.org") },
    Host { sent: "example.org", name: Some("example.org") },
    Host { sent: "a.badexample.org", name: Some("a.badexample.org") },
    Host { sent: "a,b", name: None },
    Host { sent: "", name: None },
];

#[derive(Debug, Clone)]
struct Route {
    template: &'static str,
    methods: Vec<&'static str>,
    access: &'static str,
    required: Vec<&'static str>,
    any: Vec<&'static str>,
    bind: bool,
    /// Permissions, one of which lifts the binding.
    unless: Vec<&'static str>,
    /// Whether the claim `roles` must have `clerk`.
    for_clerks: bool,
    /// The index of the address from which it may not be used.
    refuses: Option<usize>,
    /// For `*.example.org` only.
    hosted: bool,
    /// Bodies of `text/plain` of at most 500 bytes, in place of what holds for all routes.
    own_body: bool,
    /// Requests of everybody to this route in 16 seconds, before the token.
    own_limit: Option<usize>,
    /// Which of the limits for all do not apply.
    skips_early: bool,
    skips_late: bool,
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
    /// The indexes of the addresses that the two do not count.
    early_excepts: Option<usize>,
    late_excepts: Option<usize>,
    failures: Option<usize>,
    /// Whether preflights pass without a token.
    preflights: bool,
    https_only: bool,
    /// Whether letters of literals match in either case.
    any_case: bool,
    /// Clerks may `a:read`, by the claim `roles`.
    roles: bool,
    /// The subject is in `user_id`, and permissions are in `scope` too. Good tokens say the same in both.
    elsewhere: bool,
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
            let access = dice.pick(&["authenticated", "authenticated", "optional", "public", "deny"]);
            let asks = ["authenticated", "optional"].contains(&access);
            let some = |dice: &mut Dice| -> Vec<&'static str> {
                if asks && dice.chance(3) {
                    PERMISSIONS.iter().copied().filter(|_| dice.chance(4)).collect()
                } else {
                    Vec::new()
                }
            };
            let (required, any) = (some(dice), some(dice));
            let bind = asks && template.contains("{id}") && dice.chance(4);
            let mut unless = if bind { some(dice) } else { Vec::new() };
            if !bind {
                unless.clear();
            }
            routes.push(Route {
                template,
                methods,
                access,
                required,
                any,
                bind,
                unless,
                for_clerks: asks && dice.chance(2),
                refuses: if dice.chance(2) { Some(dice.roll(3)) } else { None },
                hosted: dice.chance(2),
                own_body: dice.chance(2),
                own_limit: if dice.chance(2) { Some(1 + dice.roll(10)) } else { None },
                skips_early: dice.chance(2),
                skips_late: dice.chance(2),
            });
        }
        let number = |dice: &mut Dice, most| if dice.chance(6) { Some(1 + dice.roll(most)) } else { None };
        Self {
            allowed,
            routes,
            unmatched: dice.pick(&["authenticated", "public", "deny"]),
            early: number(dice, 40),
            late: number(dice, 20),
            early_excepts: dice.chance(3).then(|| dice.roll(3)),
            late_excepts: dice.chance(3).then(|| dice.roll(3)),
            preflights: dice.chance(5),
            failures: number(dice, 8),
            https_only: dice.chance(2),
            any_case: dice.chance(3),
            roles: dice.chance(5),
            elsewhere: dice.chance(5),
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
                if !route.unless.is_empty() {
                    value["bind_unless"] = json!(route.unless);
                }
                if route.for_clerks {
                    value["require"] = json!([{ "claim": "roles", "any": ["clerk"] }]);
                }
                if let Some(address) = route.refuses {
                    value["allow_from"] = json!(["192.0.2.0/24"]);
                    value["deny_from"] = json!([format!("192.0.2.{address}/32")]);
                }
                if route.hosted {
                    value["hosts"] = json!(["*.example.org"]);
                }
                if route.own_body {
                    value["content_types"] = json!(["text/plain"]);
                    value["max_request_size_bytes"] = json!(500);
                }
                let skipped = [
                    ("early", route.skips_early && self.early.is_some()),
                    ("late", route.skips_late && self.late.is_some()),
                ];
                let skipped: Vec<&str> = skipped.iter().filter(|(_, skips)| *skips).map(|(name, _)| *name).collect();
                match skipped.as_slice() {
                    [] => {}
                    [_, _] => value["skip_limits"] = json!(["*"]),
                    [name] => value["skip_limits"] = json!([name]),
                    more => panic!("{more:?}"),
                }
                if let Some(number) = route.own_limit {
                    let name = format!("own-{}", TEMPLATES.iter().position(|template| *template == route.template).unwrap_or(0));
                    value["rate_limits"] = json!([{ "name": name, "max_requests": number, "window_seconds": 16, "key": ["route"] }]);
                }
                value
            })
            .collect();
        let limit = |name: &str, number: Option<usize>, key: &str, excepts: Option<usize>| {
            let excepted = excepts.map(|address| json!([format!("192.0.2.{address}")]));
            number.map(|number| {
                json!({ "name": name, "max_requests": number, "window_seconds": 16, "key": [key], "except_addresses": excepted })
            })
        };
        let limits = [
            limit("early", self.early, "client_ip", self.early_excepts),
            limit("late", self.late, "subject", self.late_excepts),
        ];
        let limits: Vec<Value> = limits.into_iter().flatten().collect();
        let roles = json!({ "claim": "roles", "grants": { "clerk": ["a:read"] } });
        json!({
            "tokens": {
                "keys": [{ "secret": { "env": "SECRET" } }, { "kid": "new", "secret": { "env": "NEW" } }],
                "subject_claim": if self.elsewhere { "user_id" } else { "sub" },
                "permissions_claim": if self.elsewhere { json!(["scope", "permissions"]) } else { json!("permissions") },
                "required_values": { "kind.of": ["access", 1] },
            },
            "roles": if self.roles { roles } else { Value::Null },
            "request": {
                "allowed_methods": self.allowed, "max_request_size_bytes": 1000, "https_only": self.https_only,
                "cors_preflight": if self.preflights { "forward" } else { "reject" },
                "path_case": if self.any_case { "insensitive" } else { "sensitive" },
            },
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
    own: Log,
    late: Log,
    failures: Log,
}

/// What is said of tokens that nobody of ours signed: only these count as failures.
const UNSIGNED: [&str; 4] =
    ["token_malformed", "token_algorithm_refused", "token_key_unknown", "token_signature_invalid"];

/// Or the code of the refusal.
type Step<T> = Result<T, &'static str>;

impl Model {
    pub(crate) fn new(rules: Rules) -> Self {
        Self { rules, early: Log::new(), own: Log::new(), late: Log::new(), failures: Log::new() }
    }

    /// `ok`, or the code of the refusal: carried out, or in report mode only reported.
    pub(crate) fn judge(&mut self, asked: &Asked, now: u64) -> String {
        self.steps(asked, now).err().unwrap_or("ok").to_owned()
    }

    /// Whom the upstream is told of, if the request passes.
    pub(crate) fn identity(&self, asked: &Asked) -> Option<String> {
        match &asked.credential {
            Credential::Good { sub, .. } if sub != "denied" => {
                (self.access(asked, self.found(asked).0.as_ref()) != "public").then(|| sub.clone())
            }
            Credential::Good { .. } | Credential::None | Credential::Two | Credential::Bad(_) => None,
        }
    }

    fn steps(&mut self, asked: &Asked, now: u64) -> Step<()> {
        let route = self.form(asked)?;
        let access = self.access(asked, route.as_ref());
        // 2. Addresses, then limits that need no token.
        if route.as_ref().is_some_and(|route| route.refuses == Some(asked.address)) {
            return Err("address_refused");
        }
        let anonymous = access == "optional" && matches!(asked.credential, Credential::None);
        let address = asked.address.to_string();
        let failed_too_often =
            self.rules.failures.is_some_and(|most| spent(&self.failures, &address, now) >= most);
        if access != "public" && !anonymous && failed_too_often {
            return Err("auth_failures_limited");
        }
        // Preflights that pass are counted apart.
        let apart = if self.asks_for(asked).is_some() && access == "public" { "preflight " } else { "" };
        let skips_early = route.as_ref().is_some_and(|route| route.skips_early);
        let skips_late = route.as_ref().is_some_and(|route| route.skips_late);
        let early =
            self.rules.early.filter(|_| !skips_early && self.rules.early_excepts != Some(asked.address));
        let late = self.rules.late.filter(|_| !skips_late && self.rules.late_excepts != Some(asked.address));
        let template = route.as_ref().map_or("", |route| route.template);
        let early = (early, &mut self.early, format!("{apart}{address}"));
        let own =
            (route.as_ref().and_then(|route| route.own_limit), &mut self.own, format!("{apart}{template}"));
        spend(vec![early, own], now)?;
        // 3. Token, 4. revocation. A public route asks for none.
        let caller = if access == "public" || anonymous { None } else { Some(self.caller(asked, now)?) };
        // 5. Limits that need the token.
        let who = caller.as_ref().map_or("(nobody)", |(sub, _)| sub.as_str());
        spend(vec![(late, &mut self.late, format!("{apart}{who}"))], now)?;
        // 6. Permission, binding and conditions.
        if let (true, Some(route)) = (anonymous, &route) {
            let asks = route.bind || route.for_clerks || !(route.required.is_empty() && route.any.is_empty());
            return if asks { Err("token_missing") } else { Ok(()) };
        }
        let Some((sub, held)) = caller else { return Ok(()) };
        if access == "deny" {
            return Err("route_denied");
        }
        let Some(route) = route else { return Ok(()) };
        let has = |name: &&str| held.iter().any(|held| held == name);
        if !route.required.iter().all(has) || !(route.any.is_empty() || route.any.iter().any(has)) {
            return Err("permission_missing");
        }
        let segments = asked.path.segments.unwrap_or_default();
        let bound = segments.get(1).copied().unwrap_or_default();
        let bound = if route.template.ends_with(":v") { bound.split_at(bound.len() - 2).0 } else { bound };
        if route.bind && !route.unless.iter().any(has) && bound != sub {
            return Err("binding_mismatch");
        }
        if route.for_clerks && !matches!(asked.credential, Credential::Good { clerk: true, .. }) {
            return Err("condition_failed");
        }
        Ok(())
    }

    /// The method that a preflight asks for, where preflights pass.
    fn asks_for(&self, asked: &Asked) -> Option<&'static str> {
        asked.preflight.filter(|_| self.rules.preflights)
    }

    /// Who may use it. A preflight needs no token, unless nobody may.
    fn access(&self, asked: &Asked, route: Option<&Route>) -> &'static str {
        let access = route.map_or(self.rules.unmatched, |route| route.access);
        if self.asks_for(asked).is_some() && access != "deny" { "public" } else { access }
    }

    /// The route, if there is one for the method; whether the method is right. A preflight may ask for any method.
    fn found(&self, asked: &Asked) -> (Option<Route>, bool) {
        let sought = self.asks_for(asked).unwrap_or(asked.method);
        let found = match (asked.path.segments, asked.host.name) {
            (Some(segments), Some(host)) if !self.is_hidden(asked) => self.route(segments, host, sought),
            _ => (None, true),
        };
        if self.asks_for(asked).is_some() {
            let is_shut = !found.1 && self.rules.unmatched == "deny";
            return (found.0.filter(|_| !is_shut), true);
        }
        let allowed = found.1 && self.rules.allowed.contains(&asked.method);
        (found.0.filter(|_| allowed), allowed)
    }

    /// Whether the path has its verb encoded, and would be that of a verb if it had not.
    fn is_hidden(&self, asked: &Asked) -> bool {
        let (Some(segments), Some(host)) = (asked.path.segments, asked.host.name) else { return false };
        asked.path.hides_verb && self.best(segments, host).is_some_and(|best| best.template.ends_with(":v"))
    }

    /// 1. Form: 400, 403, 405, 415, 413. Gives the route, if there is one.
    fn form(&self, asked: &Asked) -> Step<Option<Route>> {
        let (route, allowed) = self.found(asked);
        if asked.path.segments.is_none() || self.is_hidden(asked) {
            return Err("path_ambiguous");
        }
        let overrides = asked.path.overrides && !["GET", "HEAD"].contains(&asked.method);
        if asked.host.name.is_none() || overrides {
            return Err("request_malformed");
        }
        if self.rules.https_only && asked.proto != "https" {
            return Err("https_required");
        }
        if !allowed {
            return Err("method_not_allowed");
        }
        let (right_type, most) = match &route {
            Some(route) if route.own_body => ("text/plain", 500),
            _ => ("application/json", 1000),
        };
        let typed = ["POST", "PUT", "PATCH"].contains(&asked.method) && asked.length.is_some();
        let content_type = asked.content_type.unwrap_or_default();
        let is_grpc = content_type == "application/grpc" || content_type.starts_with("application/grpc+");
        let media_type = content_type.to_lowercase();
        let media_type = media_type.split(';').next().unwrap_or_default();
        if typed && media_type != right_type && !is_grpc {
            return Err("unsupported_media_type");
        }
        if asked.length.is_some_and(|length| length > most) && !is_grpc {
            return Err("request_too_large");
        }
        Ok(route)
    }

    /// Whose good, living token it is, and what its owner may do.
    fn caller(&mut self, asked: &Asked, now: u64) -> Step<(String, Vec<String>)> {
        let code = match &asked.credential {
            Credential::None => return Err("token_missing"),
            Credential::Two => return Err("credentials_ambiguous"),
            Credential::Bad(code) => code,
            Credential::Good { sub, .. } if sub == "denied" => "token_revoked",
            Credential::Good { sub, permissions, clerk, .. } => {
                let mut held = permissions.clone();
                if *clerk && self.rules.roles {
                    held.push("a:read".to_owned());
                }
                return Ok((sub.clone(), held));
            }
        };
        let address = asked.address.to_string();
        if UNSIGNED.contains(&code)
            && self.rules.failures.is_some_and(|most| spent(&self.failures, &address, now) < most)
        {
            self.failures.push((address, now));
        }
        Err(code)
    }

    /// A route of the most specific template that fits.
    fn best(&self, segments: &[&str], host: &str) -> Option<&Route> {
        let score = |route: &Route| score(route.template, segments, self.rules.any_case);
        let fits = |route: &&Route| {
            let hosted = host.strip_suffix(".example.org").is_some_and(|front| !front.is_empty());
            score(route).is_some() && (!route.hosted || hosted)
        };
        // The host's own routes come first.
        self.rules.routes.iter().filter(fits).min_by_key(|route| (!route.hosted, score(route)))
    }

    /// The route of the most specific template that fits; whether it has the method.
    fn route(&self, segments: &[&str], host: &str, method: &str) -> (Option<Route>, bool) {
        let best = self.best(segments, host);
        let Some(best) = best else { return (None, true) };
        let has = |method: &str| best.methods.contains(&method);
        (Some(best.clone()), has(method) || (method == "HEAD" && has("GET")))
    }
}

/// All limits must admit; then each is spent.
fn spend(limits: Vec<(Option<usize>, &mut Log, String)>, now: u64) -> Step<()> {
    if limits.iter().any(|(most, log, who)| most.is_some_and(|most| spent(log, who, now) >= most)) {
        return Err("rate_limited");
    }
    for (_, log, who) in limits.into_iter().filter(|(most, _, _)| most.is_some()) {
        log.push((who, now));
    }
    Ok(())
}

/// How special a template is for a path, segment by segment from the left; `None` if it does not fit.
fn score(template: &str, segments: &[&str], any_case: bool) -> Option<Vec<u8>> {
    let spelled = |text: &str| if any_case { text.to_lowercase() } else { text.to_owned() };
    let mut score = Vec::new();
    let mut rest = segments.iter();
    for part in template.split('/').skip(1) {
        if part.starts_with("{*") {
            match rest.next() {
                Some(_) => score.push(4),
                // Its root: behind all that end there, before a rest that begins there.
                None => score.insert(score.len().saturating_sub(1), 3),
            }
            return Some(score);
        }
        let segment = rest.next()?;
        if let Some(verb) = part.strip_prefix("{id}:") {
            let verb = format!(":{verb}");
            let front = spelled(segment).strip_suffix(&verb).map(str::len)?;
            (front > 0).then_some(())?;
            score.push(1);
        } else if part.starts_with('{') {
            score.push(2);
        } else if part == spelled(segment) {
            score.push(0);
        } else {
            return None;
        }
    }
    rest.next().is_none().then_some(score)
}
