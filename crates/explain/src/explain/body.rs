//! What is done with the body of a request, in words, and the rules for it.

use api_guard_core::config::raw::BodyHandling;
use api_guard_core::verdict::BodyPlan;

use super::Explained;

impl Explained<'_, '_> {
    /// What is done with the body, if there is one.
    pub fn body_line(&self) -> Option<String> {
        let size = self.size_rule();
        if self.trail.form.must_be_empty {
            let types = self.type_rule();
            return Some(format!(
                "a body without a declared length, whose type {types} does not have: it must be empty"
            ));
        }
        Some(match self.trail.form.body {
            BodyPlan::Pass => return None,
            BodyPlan::Hold(max_bytes) => {
                format!("the body is held until it has ended: at most {max_bytes} bytes ({size})")
            }
            BodyPlan::CountMessages(max_bytes) => {
                format!("the body streams: at most {max_bytes} bytes for each gRPC message ({size})")
            }
            BodyPlan::Count(max_bytes) => match self.route() {
                Some((index, route)) if route.body == BodyHandling::Stream => {
                    format!("the body streams (/routes/{index}/body): at most {max_bytes} bytes ({size})")
                }
                Some(_) | None => format!("the body streams: at most {max_bytes} bytes ({size})"),
            },
        })
    }

    /// The pointer to the media types that are accepted.
    pub fn type_rule(&self) -> String {
        if self.trail.form.revokes {
            return self.pointer();
        }
        self.route_or_request("content_types", |route| route.content_types.is_some())
    }

    /// The pointer to the largest size of a body.
    pub fn size_rule(&self) -> String {
        if self.trail.form.revokes {
            return self.pointer();
        }
        self.route_or_request("max_request_size_bytes", |route| route.max_request_size_bytes.is_some())
    }
}
