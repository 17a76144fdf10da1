//! End to end: the built module, or the native library, in a real Envoy, seen from outside only. The tests are written from the contract
//! (README, sections on checks, tokens, routes, answers and what others see), never from the module's insides.
//!
//! `setup` writes Envoy's bootstrap, `process` runs it, `upstream` is the service behind it, `ask` is one request over
//! either protocol (`http1` and `http2` put its exact bytes on the wire), `load` is a hundred thousand of them, `reply` is
//! what came back, `table` judges many at once, `token` mints, `issuer` publishes keys, `store` is a fleet's, and `forwarder` stands before it, `trap` makes a module whose VM dies
//! on demand, `kind` says which of both is under test, and which tests are for one alone.
//! The other modules are the rules, one file for each part of the contract.
//!
//! Needs an Envoy 1.40 (`ENVOY_BIN`, `envoy` on PATH, or `make envoy`) and `dist/api_guard.wasm` (`make build`, or
//! `API_GUARD_WASM`). Where one of them is missing the tests fail and say so. Only what needs programs or files of others
//! (`clients`, a part of `vectors`) is skipped where they are not there, and says so.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::disallowed_methods,
    clippy::wildcard_enum_match_arm,
    reason = "a test fails by panicking, and reads the clock that Envoy reads"
)]

mod ask;
mod forwarder;
mod http1;
mod http2;
mod issuer;
mod kind;
mod listening;
mod load;
mod process;
mod relabel;
mod reply;
mod setup;
mod store;
mod table;
mod token;
mod trap;
mod upstream;

mod beside;
mod bodies;
mod bytes;
mod claims;
mod clients;
mod configuration;
mod empty_bodies;
mod faults;
mod fleet;
mod fleet_wire;
mod form;
mod forwarding;
mod grpc;
mod held_bodies;
mod hostile;
mod key_set_failures;
mod key_set_kids;
mod key_set_metrics;
mod key_sets;
mod key_sets_kept;
mod keys;
mod limits;
mod limits_kept;
mod limits_replies;
mod limits_spared;
mod limits_table;
mod limits_windows;
mod metrics;
mod native;
mod observed;
mod paths;
mod public_keys;
mod rarely_sent;
mod report;
mod revocation;
mod revocation_endpoint;
mod revocation_table;
mod revocation_workers;
mod rotation;
mod routes;
mod secrets;
mod shipped;
mod soak;
mod standing;
mod streaming;
mod tokens;
mod transport;
mod unpacked;
mod vectors;
mod versions;
