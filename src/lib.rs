//! The adapter to Envoy: gathers, calls the guard, applies. It holds no policy.
//!
//! Compiled for wasm32 only, and tested through the built module in a real Envoy.

#![cfg(target_arch = "wasm32")]

mod account;
mod answer;
mod cells;
mod holds;
mod host;
mod metrics;
mod root;
mod stream;
mod streams;

use root::Root;

/// Called once for each VM by Envoy, before anything else.
#[unsafe(no_mangle)]
#[expect(unsafe_code, reason = "the export that the ABI demands; it runs before anything else can")]
extern "C" fn _initialize() {
    unsafe extern "C" {
        fn __wasm_call_ctors();
    }
    // SAFETY: the constructors of the C library, to be called once and first; Envoy calls `_initialize` once.
    unsafe { __wasm_call_ctors() };
    proxy_wasm::set_log_level(proxy_wasm::types::LogLevel::Info);
    proxy_wasm::set_root_context(|context| Box::new(Root::new(context)));
}
