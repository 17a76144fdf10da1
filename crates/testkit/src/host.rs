//! The host in memory: a process with its shared cells, and one stream of it.

use std::cell::Cell;

use api_guard_core::cells::{CellFault, CellId, Cells, Expected, Loaded, MemoryCells, Stored};
use api_guard_core::effect::Reply;
use api_guard_core::effect::forward::Edit;
use api_guard_core::fault::Fault;
use api_guard_core::guard::Question;
use api_guard_core::host::{Action, Host, NotDone, StreamHost};
use api_guard_core::index::KeySetIndex;
use api_guard_core::telemetry::gauges::Gauge;
use api_guard_core::telemetry::line::Line;
use api_guard_core::token::native::NativeSignatures;
use api_guard_core::token::signature::{SignatureCheck, SignatureFault, SignatureHost};

/// A process whose every client has one address.
#[derive(Debug, Default)]
pub struct Process {
    /// Its shared cells.
    pub cells: MemoryCells,
    /// Whether another worker is faster at every store.
    pub contended: Cell<bool>,
    /// Whether no cell can be loaded.
    pub broken: Cell<bool>,
    /// Whether the process has no random bytes to give.
    pub has_no_random: Cell<bool>,
    /// Whether the process cannot verify signatures.
    pub has_no_signatures: Cell<bool>,
    /// The peer's address with its port, in place of an address of IPv4.
    pub address: Option<&'static str>,
}

impl Cells for Process {
    fn load(&self, id: CellId) -> Result<Option<Loaded>, CellFault> {
        if self.broken.get() { Err(CellFault) } else { self.cells.load(id) }
    }

    fn store(&self, id: CellId, bytes: &[u8], expected: Expected) -> Result<Stored, CellFault> {
        if self.contended.get() { Ok(Stored::Conflict) } else { self.cells.store(id, bytes, expected) }
    }
}

impl SignatureHost for Process {
    fn verify_signature(&self, check: &SignatureCheck<'_>) -> Result<bool, SignatureFault> {
        if self.has_no_signatures.get() {
            Err(SignatureFault)
        } else {
            NativeSignatures.verify_signature(check)
        }
    }
}

impl Host for Process {
    type Cells = Self;
    type Bytes = Vec<u8>;

    fn cells(&self) -> &Self {
        self
    }

    fn peer_address(&self) -> Option<Vec<u8>> {
        Some(self.address.unwrap_or("192.0.2.1:1").as_bytes().to_vec())
    }
}

/// An action that was carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Done {
    /// [`Edit::Remove`].
    Removed(Vec<u8>),
    /// [`Edit::Add`].
    Added(String, Vec<u8>),
    /// [`Edit::Set`].
    Set(String, Vec<u8>),
    /// [`Action::RemoveTrailer`].
    TrailerRemoved(Vec<u8>),
    /// [`Action::MarkResponse`].
    Marked(&'static str, String),
    /// [`Action::FilterState`].
    FilterState(&'static str, Vec<u8>),
    /// [`Action::Count`], by the counter's number.
    Counted(usize),
    /// [`Action::Add`], by the counter's number.
    CountedMany(usize, u32),
    /// [`Action::Gauge`].
    Gauged(Gauge, u64),
    /// [`Action::Log`].
    Logged(Line),
    /// [`Action::Reply`].
    Replied(Reply, bool),
    /// [`Action::Ask`].
    Asked(u32, Question),
    /// [`Action::Resume`].
    Resumed,
    /// [`Action::Fetch`].
    Fetched(KeySetIndex),
    /// [`Action::Call`], by the call's number, and what is sent.
    Called(u32, Vec<u8>),
    /// [`Action::Remind`].
    Reminded,
}

/// One stream of a process: what it holds of the body, and what was done.
#[derive(Debug)]
pub struct Stream<'p> {
    /// The process.
    pub process: &'p Process,
    /// The present piece of the request's body, or while the request is held, all that has come of it.
    pub body: Vec<u8>,
    /// How many bytes of the request have come; `None`: the host cannot tell.
    pub received: Option<u64>,
    /// Whether the host has answered by itself.
    pub is_answered: bool,
    /// Whether the host does not hand over the request's body.
    pub refuses_body: bool,
    /// Whether edits fail.
    pub refuses_edits: bool,
    /// Whether nobody can be asked.
    pub cannot_ask: bool,
    /// What was done, in order.
    pub done: Vec<Done>,
}

impl<'p> Stream<'p> {
    /// A stream of which nothing but its headers has come.
    pub fn new(process: &'p Process) -> Self {
        Self {
            process,
            body: Vec::new(),
            received: Some(0),
            is_answered: false,
            refuses_body: false,
            refuses_edits: false,
            cannot_ask: false,
            done: Vec::new(),
        }
    }

    /// The replies that were given.
    pub fn replies(&self) -> impl Iterator<Item = &Reply> {
        self.done
            .iter()
            .filter_map(|done| if let Done::Replied(reply, _) = done { Some(reply) } else { None })
    }

    /// The value of a filter state, as it was last written.
    pub fn filter_state(&self, wanted: &str) -> Option<String> {
        self.done.iter().rev().find_map(|done| {
            if let Done::FilterState(name, value) = done
                && *name == wanted
            {
                return Some(String::from_utf8_lossy(value).into_owned());
            }
            None
        })
    }
}

impl SignatureHost for Stream<'_> {
    fn verify_signature(&self, check: &SignatureCheck<'_>) -> Result<bool, SignatureFault> {
        self.process.verify_signature(check)
    }
}

impl Host for Stream<'_> {
    type Cells = Process;
    type Bytes = Vec<u8>;

    fn cells(&self) -> &Process {
        self.process
    }

    fn peer_address(&self) -> Option<Vec<u8>> {
        self.process.peer_address()
    }
}

impl StreamHost for Stream<'_> {
    fn random(&self) -> Option<[u8; 16]> {
        (!self.process.has_no_random.get()).then_some([7; 16])
    }

    fn bytes_received(&self) -> Option<u64> {
        self.received
    }

    fn is_answered(&self) -> bool {
        self.is_answered
    }

    fn request_body(&self, start: usize, most: usize) -> Result<Vec<u8>, Fault> {
        if self.refuses_body {
            return Err(Fault::Body);
        }
        Ok(self.body.iter().copied().skip(start).take(most).collect())
    }

    fn act(&mut self, action: Action<'_>) -> Result<(), NotDone> {
        let done = match action {
            Action::Edit(_) | Action::RemoveTrailer(_) if self.refuses_edits => return Err(NotDone),
            Action::Ask { .. } if self.cannot_ask => return Err(NotDone),
            Action::Edit(Edit::Remove(name)) => Done::Removed(name.to_vec()),
            Action::Edit(Edit::Add(name, value)) => Done::Added(name.to_owned(), value.to_vec()),
            Action::Edit(Edit::Set(name, value)) => Done::Set(name.to_owned(), value.to_vec()),
            Action::RemoveTrailer(name) => Done::TrailerRemoved(name.to_vec()),
            Action::MarkResponse { name, value } => Done::Marked(name, value.to_owned()),
            Action::FilterState { name, value } => Done::FilterState(name, value.to_vec()),
            Action::Count(counter) => Done::Counted(counter.get()),
            Action::Add { counter, by } => Done::CountedMany(counter.get(), by),
            Action::Gauge { gauge, value } => Done::Gauged(gauge, value),
            Action::Log(line) => Done::Logged(line.clone()),
            Action::Reply { reply, is_grpc } => Done::Replied(reply.clone(), is_grpc),
            Action::Ask { number, question } => Done::Asked(number, question),
            Action::Resume => Done::Resumed,
            Action::Fetch(_) if self.cannot_ask => return Err(NotDone),
            Action::Fetch(fetch) => Done::Fetched(fetch.set),
            Action::Remind => Done::Reminded,
            Action::Call(_) if self.cannot_ask => return Err(NotDone),
            Action::Call(call) => Done::Called(call.number, call.body.clone()),
        };
        self.done.push(done);
        Ok(())
    }
}
