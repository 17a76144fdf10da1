//! The adapter to Envoy's dynamic modules: a shared library that Envoy loads, with C functions in either direction. It
//! turns Envoy's hooks into events of [`api_guard_core::exchange`] and carries out the actions. It makes no decisions.
//!
//! - `abi.rs`: the C ABI, declared by hand, and everything unsafe.
//! - `host.rs`: what the core asks of a host; `orders.rs`: the edits and answers of one event, which are carried out when
//!   nobody reads the request any more.
//! - `config.rs`: a configuration as all workers share it; `worker.rs`: what each worker has for itself; `stream.rs`: one
//!   request.
//! - `cells.rs` and `stripes.rs`: the shared cells; `metrics.rs`: counters and gauges; `calls.rs`: requests for
//!   key sets and to the store of a fleet; `ticker.rs`: the passing of time.

mod abi;
mod calls;
mod cells;
mod clock;
mod config;
mod host;
mod metrics;
mod orders;
mod stream;
mod stripes;
mod ticker;
mod worker;
