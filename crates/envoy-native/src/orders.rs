//! What one event wants done to its request, as values. Envoy's headers are read in place, and a change of them would take
//! away what is being read, so changes and answers wait here until the event is over.

use api_guard_core::code::Code;
use api_guard_core::effect::Reply;
use smallvec::SmallVec;

use crate::abi::{Filter, HeaderMap};

/// Edits of a usual request: the caller's identity, and one or two headers that the client should not have sent.
const USUAL_EDITS: usize = 4;

/// RFC 9457, for a request that could not be judged to its end.
const BARE_PROBLEM: &str = r#"{"type":"urn:api-guard:internal_fault","title":"Internal Server Error","status":500,"code":"internal_fault"}"#;

/// Bytes of the usual edits' names and values.
const USUAL_BYTES: usize = 256;

/// The orders of one event.
#[derive(Default)]
pub(crate) struct Orders {
    /// The names and values of all edits, one behind the other.
    text: Vec<u8>,
    edits: SmallVec<[Ordered; USUAL_EDITS]>,
    reply: Option<(Reply, bool)>,
    resumes: bool,
}

#[derive(Clone, Copy)]
pub(crate) enum Change {
    Add,
    Set,
    Remove,
}

/// One edit; its name and its value are the next so many bytes of the text.
struct Ordered {
    map: HeaderMap,
    change: Change,
    name_bytes: usize,
    value_bytes: usize,
}

/// Envoy did not accept an edit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EditRefused;

impl Orders {
    /// A refusal for a request of which nothing else can be said any more.
    pub(crate) fn bare_refusal() -> Self {
        let code = Code::InternalFault;
        let reply = Reply {
            status: code.status(),
            details: code.details(),
            headers: vec![
                ("content-type", "application/problem+json".into()),
                ("cache-control", "no-store".into()),
            ],
            body: BARE_PROBLEM.to_owned(),
            grpc_status: code.grpc_status(),
            grpc_message: code.as_str().into(),
        };
        Self { reply: Some((reply, false)), ..Self::default() }
    }

    /// The same orders, with an answer in gRPC if `is_grpc`.
    pub(crate) fn in_grpc(mut self, is_grpc: bool) -> Self {
        if let Some((_, answers_in_grpc)) = &mut self.reply {
            *answers_in_grpc |= is_grpc;
        }
        self
    }

    pub(crate) fn edit(&mut self, map: HeaderMap, change: Change, name: &[u8], value: &[u8]) {
        if self.text.capacity() == 0 {
            self.text.reserve(USUAL_BYTES);
        }
        self.text.extend_from_slice(name);
        self.text.extend_from_slice(value);
        self.edits.push(Ordered { map, change, name_bytes: name.len(), value_bytes: value.len() });
    }

    pub(crate) fn reply(&mut self, reply: &Reply, is_grpc: bool) {
        self.reply = Some((reply.clone(), is_grpc));
    }

    pub(crate) fn resume(&mut self) {
        self.resumes = true;
    }

    /// Makes the edits, which are none from then on. A request that goes on gets its route by its headers as they are then:
    /// Envoy has chosen one before, by what the client wrote into them.
    ///
    /// # Errors
    ///
    /// Envoy did not accept one of them. Those after it are not made.
    pub(crate) fn make_edits(&mut self, filter: &mut Filter) -> Result<(), EditRefused> {
        let mut text = self.text.as_slice();
        let changes_request = self.edits.iter().any(|edit| edit.map == HeaderMap::RequestHeaders);
        for Ordered { map, change, name_bytes, value_bytes } in self.edits.drain(..) {
            let (name, rest) = text.split_at_checked(name_bytes).ok_or(EditRefused)?;
            let (value, rest) = rest.split_at_checked(value_bytes).ok_or(EditRefused)?;
            text = rest;
            let done = match change {
                Change::Add => filter.add_header(map, name, value),
                Change::Set => filter.set_header(map, name, value),
                Change::Remove => filter.remove_header(map, name),
            };
            if !done {
                return Err(EditRefused);
            }
        }
        if changes_request && self.reply.is_none() {
            filter.clear_route_cache();
        }
        Ok(())
    }

    /// Whether the request is to be answered.
    pub(crate) fn answers(&self) -> bool {
        self.reply.is_some()
    }

    /// Answers the request, or lets it go on. Envoy may run other hooks of the stream meanwhile, or end it.
    pub(crate) fn finish(self, filter: &mut Filter) {
        if let Some((reply, is_grpc)) = &self.reply {
            filter.send_response(reply, *is_grpc);
        } else if self.resumes {
            filter.continue_decoding();
        }
    }
}
