//! One worker of one process under one configuration.

use api_guard_core::guard::{Guard, Memory};
use api_guard_core::policy::Policy;
use api_guard_core::request::Request;
use api_guard_core::time::UnixNanos;
use api_guard_core::verdict::Verdict;
use serde_json::{Value, json};

use crate::{Process, SECRET, bytes, lay_over, policy};

/// A guard, its process and the memory of its one worker.
#[derive(Debug)]
pub struct Guarded {
    /// The guard.
    pub guard: Guard,
    /// What the worker remembers.
    pub memory: Memory,
    /// The process.
    pub process: Process,
}

impl Guarded {
    /// `tokens` and `rest` are laid over a configuration with one key and without limits.
    ///
    /// # Panics
    ///
    /// If the configuration is not valid.
    pub fn new(tokens: Value, rest: Value) -> Self {
        let mut configuration =
            json!({ "tokens": { "keys": [{ "secret": { "value": SECRET } }] }, "rate_limits": [] });
        lay_over(configuration.get_mut("tokens").unwrap(), &tokens);
        lay_over(&mut configuration, &rest);
        Self::under(policy(&configuration))
    }

    /// Under a policy.
    pub fn under(policy: Policy) -> Self {
        Self::with_random(policy, [7; 16])
    }

    /// Under a policy, in a process whose hash key is made of these bytes.
    ///
    /// # Panics
    ///
    /// Never: fresh cells can be opened.
    pub fn with_random(policy: Policy, random: [u8; 16]) -> Self {
        let process = Process::default();
        let memory = Memory::open(&policy, &process, random).expect("fresh cells");
        Self { guard: Guard::new(policy), memory, process }
    }

    /// The verdict on a request without a body, at a Unix second.
    pub fn admit(&mut self, headers: &[(&str, &str)], now: u64) -> Verdict {
        self.admit_with(headers, false, now)
    }

    /// The verdict on a request, at a Unix second.
    pub fn admit_with(&mut self, headers: &[(&str, &str)], has_body: bool, now: u64) -> Verdict {
        let request = Request::read(self.guard.policy().header_plan(), bytes(headers), has_body);
        self.judge(&request, now)
    }

    /// The verdict on a request that was read, at a Unix second.
    pub fn judge(&mut self, request: &Request<'_>, now: u64) -> Verdict {
        self.guard.admit(&mut self.memory, request, &self.process, UnixNanos::from_seconds(now))
    }

    /// The code of the verdict on `GET /` with this token, at a Unix second.
    pub fn get(&mut self, token: &str, now: u64) -> String {
        let bearer = format!("Bearer {token}");
        let verdict = self.admit(&crate::request("GET", "/", &[("authorization", &bearer)]), now);
        code(&verdict)
    }

    /// What the endpoint `/auth/revoke` says to the owner of `token`, at a Unix second: when the entry ends, or the code of
    /// the refusal.
    ///
    /// # Errors
    ///
    /// The code of the endpoint's refusal.
    ///
    /// # Panics
    ///
    /// If the owner is not let through to the endpoint.
    pub fn revoke(&mut self, token: &str, body: &str, now: u64) -> Result<Option<u64>, String> {
        self.revoke_slowly(token, body, now, now)
    }

    /// As [`Guarded::revoke`], where the headers came at one Unix second and the body at another.
    ///
    /// # Errors
    ///
    /// The code of the endpoint's refusal.
    ///
    /// # Panics
    ///
    /// If the owner is not let through to the endpoint.
    pub fn revoke_slowly(
        &mut self,
        token: &str,
        body: &str,
        headers_at: u64,
        now: u64,
    ) -> Result<Option<u64>, String> {
        let bearer = format!("Bearer {token}");
        let headers = crate::request("POST", "/auth/revoke", &[("authorization", &bearer)]);
        let verdict = self.admit(&headers, headers_at);
        assert_eq!(verdict.denial(), None);
        let caller = verdict.grant().and_then(|grant| grant.identity()).expect("a caller");
        let (headers_at, now) = (UnixNanos::from_seconds(headers_at), UnixNanos::from_seconds(now));
        self.guard
            .revoke(&mut self.memory, caller, body.as_bytes(), headers_at, &self.process, now)
            .map(|revoked| revoked.expires_at)
            .map_err(|denial| denial.code().as_str().to_owned())
    }
}

/// The code of the refusal that is carried out; `ok` if none is.
pub fn code(verdict: &Verdict) -> String {
    verdict.denial().map_or("ok", |denial| denial.code().as_str()).to_owned()
}
