//! One line for each decision, from Envoy's access log.

use std::collections::HashSet;

use serde_json::Value;

use crate::style::Style;

/// More streams than this at a time are not remembered, so that one of them may be shown twice.
const MOST_LASTING: usize = 10_000;

/// The decisions that have been shown while their streams last.
pub(super) struct Decisions {
    style: Style,
    /// The service, for when it does not answer.
    upstream: String,
    shown: HashSet<String>,
}

impl Decisions {
    pub(super) fn new(style: Style, upstream: String) -> Self {
        Self { style, upstream, shown: HashSet::new() }
    }

    /// What to show of a line of the access log, if anything.
    pub(super) fn line(&mut self, access: &str) -> Option<String> {
        let entry: Value = serde_json::from_str(access).ok()?;
        let text = |name: &str| entry.get(name).and_then(Value::as_str).filter(|text| *text != "-");
        let stream = text("stream").unwrap_or_default();
        let lasts = text("kind") == Some("DownstreamPeriodic");
        if lasts {
            // Until it has gone on to the service, nothing may have been decided.
            text("upstream")?;
            if self.shown.contains(stream) || self.shown.len() >= MOST_LASTING {
                return None;
            }
            self.shown.insert(stream.to_owned());
        } else if self.shown.remove(stream) {
            return None;
        }
        Some(self.told(&entry))
    }

    fn told(&self, entry: &Value) -> String {
        let style = self.style;
        let text = |name: &str| entry.get(name).and_then(Value::as_str).filter(|text| *text != "-");
        let details = text("details").unwrap_or_default();
        let status = entry.get("status").and_then(Value::as_u64).filter(|status| *status > 0);
        let status = status.map_or_else(|| "...".to_owned(), |status| status.to_string());
        let code = text("code");
        let (word, more) = if details.starts_with("api_guard_") {
            let code = code.or_else(|| details.strip_prefix("api_guard_")).unwrap_or_default();
            // An answer of the guard that refuses nothing: a revocation.
            if code == "revoked" || status == "200" {
                (style.good("allowed"), "revocation".to_owned())
            } else {
                (style.bad("refused"), code.to_owned())
            }
        } else if let Some(code) = code {
            (style.warn("allowed"), format!("report mode: would be refused, {code}"))
        } else if is_fault_of_the_service(details) {
            (style.warn("allowed"), format!("{} does not answer", self.upstream))
        } else if passes(details) {
            (style.good("allowed"), String::new())
        } else {
            (style.warn("no decision"), format!("answered by Envoy: {details}"))
        };
        let subject = text("subject").or_else(|| text("forwarded"));
        let named = |what: &str| text(what).map(|name| format!("{what} {name}"));
        let rest: Vec<String> = [
            Some(more).filter(|more| !more.is_empty()),
            subject.map(str::to_owned),
            named("route"),
            named("limit"),
        ]
        .into_iter()
        .flatten()
        .collect();
        let request = format!("{} {}", text("method").unwrap_or("-"), text("path").unwrap_or("-"));
        let rest = if rest.is_empty() { String::new() } else { format!("  ({})", rest.join(", ")) };
        let time = style.faint(&printable(text("time").unwrap_or_default()));
        format!("{time} {word} {status} {}{}", printable(&request), printable(&rest))
    }
}

fn is_fault_of_the_service(details: &str) -> bool {
    ["upstream_", "no_healthy_upstream", "response_timeout", "early_connect_failure", "cluster_not_found"]
        .iter()
        .any(|start| details.starts_with(start))
}

/// Whether the request has passed the guard.
fn passes(details: &str) -> bool {
    // A stream that lasts has no details yet.
    ["", "via_upstream", "direct_response", "downstream_remote_disconnect"].contains(&details)
}

/// What clients choose must not move the cursor.
fn printable(text: &str) -> String {
    text.chars()
        .flat_map(|letter| if letter.is_control() { letter.escape_unicode().collect() } else { vec![letter] })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn decisions() -> Decisions {
        Decisions::new(Style::plain(), "http://localhost:3000".to_owned())
    }

    fn entry(changes: &[(&str, Value)]) -> String {
        let mut entry = json!({
            "stream": "s", "kind": "DownstreamEnd", "time": "10:00:00", "method": "GET", "path": "/a",
            "status": 200, "details": "via_upstream", "forwarded": "user-7",
        });
        for (name, value) in changes {
            entry[*name] = value.clone();
        }
        entry.to_string()
    }

    #[test]
    fn a_line_says_what_was_decided_about_what_and_whom() {
        for (changes, line) in [
            (vec![], "10:00:00 allowed 200 GET /a  (user-7)"),
            (
                vec![
                    ("status", json!(401)),
                    ("details", json!("api_guard_token_missing")),
                    ("code", json!("token_missing")),
                    ("forwarded", Value::Null),
                ],
                "10:00:00 refused 401 GET /a  (token_missing)",
            ),
            (
                vec![("code", json!("permission_missing")), ("route", json!("read"))],
                "10:00:00 allowed 200 GET /a  (report mode: would be refused, permission_missing, user-7, route read)",
            ),
            (
                vec![
                    ("status", json!(503)),
                    ("details", json!("upstream_reset_before_response_started{connection_failure}")),
                ],
                "10:00:00 allowed 503 GET /a  (http://localhost:3000 does not answer, user-7)",
            ),
            (
                vec![
                    ("status", json!(400)),
                    ("details", json!("http1.codec_error")),
                    ("method", Value::Null),
                    ("forwarded", Value::Null),
                ],
                "10:00:00 no decision 400 - /a  (answered by Envoy: http1.codec_error)",
            ),
        ] {
            assert_eq!(decisions().line(&entry(&changes)).unwrap(), line);
        }
    }

    #[test]
    fn a_stream_that_lasts_is_told_once_and_early() {
        let mut decisions = decisions();
        let held = [("kind", json!("DownstreamPeriodic")), ("status", json!(0)), ("details", Value::Null)];
        assert_eq!(decisions.line(&entry(&held)), None);
        let lasting = [&held[..], &[("upstream", json!("127.0.0.1:3000"))]].concat();
        assert_eq!(decisions.line(&entry(&lasting)).unwrap(), "10:00:00 allowed ... GET /a  (user-7)");
        assert_eq!(decisions.line(&entry(&lasting)), None);
        assert_eq!(decisions.line(&entry(&[])), None);
        assert!(decisions.line(&entry(&[])).is_some());
    }

    #[test]
    fn what_a_client_chooses_cannot_move_the_cursor() {
        let line = decisions().line(&entry(&[("forwarded", json!("a\u{1b}[2J\nb"))])).unwrap();
        assert!(line.contains(r"a\u{1b}[2J\u{a}b"), "{line}");
    }
}
