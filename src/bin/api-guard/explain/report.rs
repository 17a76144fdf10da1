//! The printed decision, for people.

use api_guard_core::verdict::State;
use api_guard_explain::explain::Explained;
use api_guard_explain::explain::steps::{Step, state_text};

use crate::style::Style;

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
        if let Some((status, message)) = explained.grpc() {
            out.push_str("\na gRPC client hears in its place\n");
            out.push_str(&format!("  grpc-status: {status}\n  grpc-message: {message}\n"));
        }
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
