//! The adapter to Envoy's WebAssembly host. It turns callbacks into events of [`api_guard_core::exchange`] and carries
//! out the actions. It makes no decisions.
//!
//! - `abi.rs`: the calls to Envoy, declared and wrapped; `memory.rs`: the bytes they return; `block.rs`: the ABI's form
//!   of headers.
//! - `host.rs` and `cells.rs`: what the core asks of a host.
//! - `log.rs`: log lines.
//! - `root.rs`: the plugin's root contexts, one for each configuration; `calls.rs`: their requests for key sets and to the store;
//!   `streams.rs`: the streams.
//! - `exports.rs`: exports that bypass the SDK; `sdk.rs`: the way through it, for a module that was not packed.
//!
//! Compiled for wasm32 only, and tested as the built module in a real Envoy.

#[cfg(any(target_arch = "wasm32", test))]
#[cfg_attr(not(target_arch = "wasm32"), allow(dead_code, reason = "only tested here"))]
mod block;

#[cfg(target_arch = "wasm32")]
mod abi;
#[cfg(target_arch = "wasm32")]
mod calls;
#[cfg(target_arch = "wasm32")]
mod cells;
#[cfg(target_arch = "wasm32")]
mod exports;
#[cfg(target_arch = "wasm32")]
mod host;
#[cfg(target_arch = "wasm32")]
mod log;
#[cfg(target_arch = "wasm32")]
mod memory;
#[cfg(target_arch = "wasm32")]
mod root;
#[cfg(all(target_arch = "wasm32", feature = "sdk"))]
mod sdk;
#[cfg(target_arch = "wasm32")]
mod streams;
