//! The decision as JSON, for machines.

use std::convert::Infallible;

use api_guard_core::effect::forward::{Edit, each_edit};
use api_guard_core::effect::{Header, rate_headers};
use serde_json::{Map, Value, json};

use super::Explained;
use super::steps::state_text;

impl Explained<'_, '_> {
    /// `allowed`, `refused` or `would_refuse`.
    pub fn decision(&self) -> &'static str {
        match (self.denial, self.reported) {
            (Some(_), _) => "refused",
            (None, Some(_)) => "would_refuse",
            (None, None) => "allowed",
        }
    }

    /// Header changes that the upstream sees; `None` stands for a removed header.
    pub fn forwarded(&self) -> Vec<(String, Option<String>)> {
        let Some(grant) = self.grant else { return Vec::new() };
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let mut changes = Vec::new();
        let Ok(()) = each_edit::<Infallible>(self.policy, grant, self.request, |edit| {
            changes.push(match edit {
                Edit::Remove(name) => (text(name), None),
                Edit::Add(name, value) | Edit::Set(name, value) => (name.to_owned(), Some(text(value))),
            });
            Ok(())
        });
        changes
    }

    /// The status and message that Envoy answers a gRPC request with in place of the reply's own; `None` for other requests.
    pub fn grpc(&self) -> Option<(i32, &str)> {
        let reply = self.reply.as_ref().filter(|_| self.request.is_grpc())?;
        Some((reply.grpc_status, &reply.grpc_message))
    }

    /// Headers that are added to the upstream's response.
    pub fn marked(&self) -> Vec<Header> {
        if self.reply.is_some() {
            return Vec::new();
        }
        let tightest = rate_headers::tightest(self.policy, self.trail);
        tightest.map(|tightest| rate_headers::of_admission(self.policy, &tightest)).unwrap_or_default()
    }
}

/// The decision for machines.
pub fn json(explained: &Explained<'_, '_>) -> Value {
    let refusal = explained.denial.or(explained.reported);
    let steps: Vec<Value> = explained
        .steps()
        .iter()
        .map(|step| json!({ "step": step.name, "state": state_text(step.state), "notes": step.lines }))
        .collect();
    let upstream: Map<String, Value> =
        explained.forwarded().into_iter().map(|(name, value)| (name, value.into())).collect();
    let marked: Map<String, Value> =
        explained.marked().into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
    let mut object = json!({
        "decision": explained.decision(),
        "allowed": explained.denial.is_none(),
        "status": refusal.map(|denial| denial.code().status()),
        "code": refusal.map(|denial| denial.code().as_str()),
        "errors": refusal.map(api_guard_core::effect::reasons).unwrap_or_default(),
        "route": explained.policy.route_label(explained.trail.form.route),
        "rule": explained.rule(),
        "steps": steps,
        "upstream_headers": upstream,
        "response_headers": marked,
    });
    if let (Some(reply), Some(members)) = (&explained.reply, object.as_object_mut()) {
        let headers: Map<String, Value> =
            reply.headers.iter().map(|(name, value)| ((*name).to_owned(), value.clone().into())).collect();
        let body: Value = serde_json::from_str(&reply.body).unwrap_or(Value::Null);
        let mut told = json!({ "status": reply.status, "headers": headers, "body": body });
        if let (Some((status, message)), Some(told)) = (explained.grpc(), told.as_object_mut()) {
            told.insert("grpc".to_owned(), json!({ "status": status, "message": message }));
        }
        members.insert("reply".to_owned(), told);
    }
    object
}
