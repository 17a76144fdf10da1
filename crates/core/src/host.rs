//! The port: what the core asks of its host, and the actions it wants the host to carry out.
//!
//! A host is an adapter to Envoy, the command, or a test. It provides what only it can know ([`Host`]), and carries out
//! the [`Action`]s of one stream ([`StreamHost`]). It provides no clock: time is an argument.

use std::ops::Deref;

use crate::cells::Cells;
use crate::effect::Reply;
use crate::effect::forward::Edit;
use crate::fault::Fault;
use crate::fleet::Call;
use crate::guard::Question;
use crate::keys::Fetch;
use crate::telemetry::counters::CounterIndex;
use crate::telemetry::gauges::Gauge;
use crate::telemetry::line::Line;
use crate::token::signature::SignatureHost;

/// What the guard asks of the host, and only when a step needs it.
pub trait Host: SignatureHost {
    /// The shared cells of the process.
    type Cells: Cells;
    /// Bytes that the host hands over.
    type Bytes: Deref<Target = [u8]>;

    /// The shared cells of the process.
    fn cells(&self) -> &Self::Cells;

    /// The peer's address with its port, such as `127.0.0.1:47302` or `[2001:db8::1]:0`; `None` if it has none.
    fn peer_address(&self) -> Option<Self::Bytes>;
}

/// What one stream asks of the host beyond [`Host`], and the receiver of its actions.
pub trait StreamHost: Host {
    /// Random bytes for the process's hash key; `None` if the host has no source of them.
    fn random(&self) -> Option<[u8; 16]>;

    /// How many bytes of the request have arrived, headers included; `None` if the host cannot tell.
    fn bytes_received(&self) -> Option<u64>;

    /// Whether the host itself has decided to answer the request.
    fn is_answered(&self) -> bool;

    /// At most `most` bytes of the request's body, from its byte `start` on: of the present piece, or while the request is
    /// held, of all that has come.
    ///
    /// # Errors
    ///
    /// [`Fault::Body`] if the host does not hand it over.
    fn request_body(&self, start: usize, most: usize) -> Result<Vec<u8>, Fault>;

    /// Carries out an action. Actions must be carried out in the order in which they come.
    ///
    /// # Errors
    ///
    /// [`NotDone`] if an [`Action::Edit`], an [`Action::RemoveTrailer`], an [`Action::Ask`], an
    /// [`Action::Fetch`] or an [`Action::Call`] could not be carried out.
    /// The result of other actions is ignored: a log line that cannot be written is no reason to refuse.
    fn act(&mut self, action: Action<'_>) -> Result<(), NotDone>;
}

/// The host could not carry out an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotDone;

/// One action of a stream.
#[derive(Debug, Clone, Copy)]
pub enum Action<'a> {
    /// Change the request's headers.
    Edit(Edit<'a>),
    /// Remove all of the request's trailers of this name. Only while its trailers are handled.
    RemoveTrailer(&'a [u8]),
    /// Set a response header to this value alone.
    MarkResponse {
        /// The name, in lower case.
        name: &'static str,
        /// The value, without control characters.
        value: &'a str,
    },
    /// Set filter state, for access logs and later filters.
    FilterState {
        /// A name such as `api_guard.code`.
        name: &'static str,
        /// The value.
        value: &'a [u8],
    },
    /// Add one to a counter.
    Count(CounterIndex),
    /// Add so many to a counter.
    Add {
        /// Which one.
        counter: CounterIndex,
        /// How many.
        by: u32,
    },
    /// Set a gauge.
    Gauge {
        /// Which one.
        gauge: Gauge,
        /// What it shows from now on.
        value: u64,
    },
    /// Write a line to the log.
    Log(&'a Line),
    /// Answer the request instead of the upstream. Nothing of the request goes on.
    Reply {
        /// The answer.
        reply: &'a Reply,
        /// Whether the client speaks gRPC.
        is_grpc: bool,
    },
    /// Get an answer from outside, and pass it to [`crate::exchange::Exchange::on_answer`] with this number.
    Ask {
        /// Identifies the question within its stream.
        number: u32,
        /// The question.
        question: Question,
    },
    /// Let the paused request continue.
    Resume,
    /// Send a request for a key set, which belongs to no stream: the stream may end before the response comes. How it ended
    /// is told to [`Engine::on_fetched`](crate::engine::Engine::on_fetched).
    Fetch(Fetch<'a>),
    /// Send bytes to the store of the fleet, and then no more. It belongs to no stream. The whole reply, or why there is none, is
    /// told to [`Engine::on_called`](crate::engine::Engine::on_called); the streams that wait are to be ticked then.
    Call(&'a Call<'a>),
    /// Have the worker [call](crate::engine::Engine::call) soon to which this one
    /// [leaves](crate::engine::Engine::leaving_calls) that.
    Remind,
}
