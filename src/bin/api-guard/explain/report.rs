//! The printed decision, for people and as JSON for machines.

use std::convert::Infallible;

use api_guard_core::effect::forward::{Edit, each_edit};
use api_guard_core::effect::{Header, rate_headers};
use api_guard_core::verdict::State;
use serde_json::{Map, Value, json};

use super::Explained;
use super::steps::{Step, state_text};
use crate::outcome::Failure;
use crate::style::Style;

impl Explained<'_, '_> {
    fn decision(&self) -> &'static str {
        match (self.denial, self.reported) {
            (Some(_), _) => "refused",
            (None, Some(_)) => "would_refuse",
            (None, None) => "allowed",
        }
    }

    /// Header changes that the upstream sees; `None` stands for a removed header.
    fn forwarded(&self) -> Vec<(String, Option<String>)> {
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

    /// Headers that are added to the upstream's response.
    fn marked(&self) -> Vec<Header> {
        if self.reply.is_some() {
            return Vec::new();
        }
        let tightest = rate_headers::tightest(self.policy, &self.trail.limits);
        tightest.map(|tightest| rate_headers::of_admission(self.policy, &tightest)).unwrap_or_default()
    }
}

/// The decision for people.
pub(super) fn text(explained: &Explained<'_, '_>, method: &str, path: &str) -> String {
    let style = Style::of_stdout();
    let refusal = explained.denial.or(explained.reported);
    let code = refusal.map(|denial| denial.code());
    let status = code.map(|code| format!(" {} {}", code.status(), code.as_str())).unwrap_or_default();
    let mut out = match explained.decision() {
        "allowed" => format!("{} {method} {path}\n", style.good("allowed")),
        "refused" => format!("{}{status} {method} {path}\n", style.bad("refused")),
        _ => format!("{} (report mode; would be{status}) {method} {path}\n", style.warn("allowed")),
    };
    out.push_str(&format!("decided by {}\n\nsteps\n", explained.rule()));
    for (number, step) in (1..).zip(explained.steps()) {
        out.push_str(&step_text(number, &step, style));
    }
    if let Some(reply) = &explained.reply {
        out.push_str(&format!("\nreply\n  {}\n", reply.status));
        for (name, value) in &reply.headers {
            out.push_str(&format!("  {name}: {value}\n"));
        }
        out.push_str(&format!("\n  {}\n", reply.body));
        return out;
    }
    out.push_str("\nupstream\n");
    let forwarded = explained.forwarded();
    for (name, value) in &forwarded {
        match value {
            Some(value) => out.push_str(&format!("  {name}: {value}\n")),
            None => out.push_str(&format!("  {name} is removed\n")),
        }
    }
    if forwarded.is_empty() {
        out.push_str("  sees the request as it was sent\n");
    }
    let marked = explained.marked();
    if !marked.is_empty() {
        out.push_str("\nresponse headers\n");
    }
    for (name, value) in marked {
        out.push_str(&format!("  {name}: {value}\n"));
    }
    out
}

fn step_text(number: u32, step: &Step, style: Style) -> String {
    let state = state_text(step.state);
    let padded = format!("{state:<12}");
    let painted = match step.state {
        State::Passed => style.good(&padded),
        State::Refused => style.bad(&padded),
        State::Reported => style.warn(&padded),
        State::Skipped | State::NotReached => style.faint(&padded),
    };
    let mut lines = step.lines.iter();
    let first = lines.next().map(String::as_str).unwrap_or_default();
    let head = format!("  {number} {:<24}{painted} {first}", step.name);
    let mut text = head.trim_end().to_owned();
    text.push('\n');
    for line in lines {
        text.push_str(&format!("{:<41}{line}\n", ""));
    }
    text
}

/// The decision for machines.
pub(super) fn json(explained: &Explained<'_, '_>) -> Result<String, Failure> {
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
        members
            .insert("reply".to_owned(), json!({ "status": reply.status, "headers": headers, "body": body }));
    }
    serde_json::to_string_pretty(&object).map_err(|error| Failure::failed(error.to_string()))
}
