//! What api-guard decides, without a host.
//!
//! ```text
//!             events                          actions
//! Envoy ──► adapter ──► Exchange ──► Guard ──► Verdict ──► Exchange ──► adapter ──► Envoy
//!                       (one stream)           + Trail     Edit, Reply, FilterState, Count, Log, Ask, Resume
//!                                    │  ▲
//!                     time (argument)┘  └ Host: shared cells, peer address
//! ```
//!
//! This crate is plain Rust: no clock, no calls to a host, no input or output. It runs in the module, in the library, in
//! the command and in tests. An adapter turns a host's callbacks into events and carries out the actions. It makes no decisions.
//!
//! # The map
//!
//! | question | module |
//! | --- | --- |
//! | What happens to one stream, event by event? | [`exchange`]; what it shares with others is the [`engine`] |
//! | May this request pass? | [`guard`], one line of steps; what comes out is a [`verdict`] |
//! | Why not? | [`denial`] (the caller), [`fault`] (ourselves), each with its [`code`] |
//! | What do client and upstream see of it? | [`effect`] |
//! | What do operators see of it? | [`telemetry`] |
//! | What does the operator demand? | [`policy`], which [`config`] compiles from text |
//! | What did the client send? | [`request`]; [`route`] finds its route |
//! | Is the token genuine, and what may its owner do? | [`token`], [`permission`] |
//! | Which keys does an issuer have at present? | [`keys`] |
//! | Has this caller asked too often? | [`limit`] |
//! | Was this token revoked? | [`revocation`] |
//! | What do many Envoys share, and how? | [`fleet`] |
//! | Is there room to hold back another body? | [`held`] |
//! | How long are the messages of a gRPC stream? | `grpc` |
//! | What do all workers of a process share? | [`cells`], under the process's [`seed`] |
//! | What must an adapter bring? | [`host`] |
//! | How did the requests of its own end? | [`calls`] |
//!
//! # Where to start, and where to add a check
//!
//! A request enters at [`exchange::Exchange::on_request_headers`] and is judged in [`guard::Guard::begin`];
//! `Exchange::carry_out` carries out the decision. A new check is a line in `Line::run` (guard/line.rs), a file
//! beside `guard/permit.rs` that takes values and returns values, a variant of [`denial::Denial`] with its
//! [`code::Code`], and its words in `effect/words.rs`. The compiler points at every `match` that has to handle it.
//!
//! # Words
//!
//! - *Index*: the number of a route, a limit, a key or another part of the configuration, with its own type ([`index`]).
//! - *Slot*: one of a fixed number of spaces in a table, in a cache, or among the claims that are read.
//! - *Pointer*: the path to a value of a configuration (RFC 6901).
//! - *Cell*: bytes that all workers of a process share, replaced only by compare-and-swap.
//! - *Stage*: one step of the guard; the [`verdict::Trail`] has an entry for each.
//! - *Revision*: the state of the revocations or of a key set at some moment.

mod bytes;
pub mod calls;
pub mod cells;
pub mod code;
pub mod config;
mod decimal;
pub mod denial;
pub mod effect;
pub mod engine;
pub mod exchange;
pub mod fault;
pub mod fleet;
mod grpc;
pub mod guard;
pub mod held;
pub mod host;
pub mod index;
pub mod json;
pub mod keys;
pub mod limit;
pub mod lookup;
pub mod permission;
pub mod policy;
pub mod request;
pub mod revocation;
pub mod route;
pub mod seed;
pub mod telemetry;
pub mod time;
pub mod token;
pub mod verdict;
