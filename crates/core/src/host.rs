//! The port: what the core asks of whatever it runs in, and the actions that it wants carried out there.
//!
//! A host is an adapter to Envoy, the command, or a test. It answers what only it can know ([`Host`]), and for one
//! stream it carries out [`Action`]s ([`StreamHost`]). Time is no part of it: time is an argument.

use std::ops::Deref;

use crate::cells::Cells;
use crate::effect::Reply;
use crate::effect::forward::Edit;
use crate::fault::Fault;
use crate::guard::Question;
use crate::telemetry::counters::CounterIndex;
use crate::telemetry::line::Line;

/// What the guard asks of the host, each only when a step needs it.
pub trait Host {
    /// The shared cells of the process.
    type Cells: Cells;
    /// Bytes that the host hands over.
    type Bytes: Deref<Target = [u8]>;

    /// The shared cells of the process.
    fn cells(&self) -> &Self::Cells;

    /// The peer's address with its port, such as `127.0.0.1:47302` or `[2001:db8::1]:0`; `None` where there is none.
    fn peer_address(&self) -> Option<Self::Bytes>;
}

/// What one stream asks of the host beyond [`Host`], and where its actions go.
pub trait StreamHost: Host {
    /// Random bytes for the process's hash key; `None` if the host has none to give.
    fn random(&self) -> Option<[u8; 16]>;

    /// How many bytes of the request have come, its headers included; `None` if the host cannot tell.
    fn bytes_received(&self) -> Option<u64>;

    /// Whether the host has decided on an answer to the request by itself.
    fn is_answered(&self) -> bool;

    /// What is buffered of the request's body, at most `most` bytes.
    ///
    /// # Errors
    ///
    /// [`Fault::Body`] if the host does not hand it over.
    fn request_body(&self, most: usize) -> Result<Vec<u8>, Fault>;

    /// Carries out an action. Actions come in the order in which they are to be carried out.
    ///
    /// # Errors
    ///
    /// [`NotDone`] if an [`Action::Edit`] or an [`Action::Ask`] could not be carried out. For other actions nobody asks:
    /// failing to write a log line is no reason to refuse.
    fn act(&mut self, action: Action<'_>) -> Result<(), NotDone>;
}

/// The host could not carry out an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotDone;

/// One thing that the host is to do for a stream.
#[derive(Debug, Clone, Copy)]
pub enum Action<'a> {
    /// Change the request's headers. Of two edits the first is carried out first.
    Edit(Edit<'a>),
    /// Give a response header this value alone.
    MarkResponse {
        /// In lower case.
        name: &'static str,
        /// A text without control characters.
        value: &'a str,
    },
    /// Tell access logs and later filters.
    FilterState {
        /// A name such as `api_guard.code`.
        name: &'static str,
        /// The value.
        value: &'a [u8],
    },
    /// Add one to a counter.
    Count(CounterIndex),
    /// Write a line to the log.
    Log(&'a Line),
    /// Answer the request in place of the upstream. Nothing of the request goes on.
    Reply {
        /// The answer.
        reply: &'a Reply,
        /// Whether the client speaks gRPC.
        is_grpc: bool,
    },
    /// Get an answer from outside, and bring it to [`crate::exchange::Exchange::on_answer`] with this number.
    Ask {
        /// Tells this question from others of the same stream.
        number: u32,
        /// The question.
        question: Question,
    },
    /// Let the paused request go on.
    Resume,
}
