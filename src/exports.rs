//! Exports that bypass the SDK. The SDK keeps an object for every stream in a map with a keyed hash, looks it up in
//! each callback, and exports every callback of the ABI; each of these costs a request 0.3 to 0.5 us.
//!
//! The exports here have names of their own. In the module that ships, `tools/xtask` gives them the ABI's names instead
//! of the SDK's exports, and drops the exports that api-guard does not need. A module that was not packed works as
//! well, through the SDK (`streams.rs`, `SdkStream`).

use api_guard_core::exchange::Flow;

use crate::root::Root;
use crate::streams;

/// Envoy calls this once for each VM, before anything else.
#[unsafe(no_mangle)]
#[expect(unsafe_code, reason = "the export that the ABI demands; it runs before anything else can")]
extern "C" fn _initialize() {
    unsafe extern "C" {
        fn __wasm_call_ctors();
    }
    // SAFETY: the C library's constructors must run once, before anything else, and Envoy calls `_initialize` so.
    unsafe { __wasm_call_ctors() };
    proxy_wasm::set_log_level(proxy_wasm::types::LogLevel::Info);
    proxy_wasm::set_root_context(|context| Box::new(Root::new(context)));
}

/// The ABI's number of an action (`proxy_action_t`).
fn number(flow: Flow) -> u32 {
    match flow {
        Flow::Continue => 0,
        Flow::Pause => 1,
    }
}

#[expect(unsafe_code, reason = "the exports that the ABI demands, and the SDK's that they call")]
mod named {
    use super::{number, streams};

    unsafe extern "C" {
        fn proxy_on_context_create(context: u32, parent: u32);
        fn proxy_on_delete(context: u32);
    }

    /// A root context begins, or a stream of one.
    #[unsafe(export_name = "api_guard_on_context_create")]
    extern "C" fn on_context_create(context: u32, parent: u32) {
        if parent == 0 {
            // SAFETY: the SDK's own callback, called as Envoy would.
            unsafe { proxy_on_context_create(context, parent) };
        } else {
            streams::announce(context, parent);
        }
    }

    /// A root context or a stream ends.
    #[unsafe(export_name = "api_guard_on_delete")]
    extern "C" fn on_delete(context: u32) {
        if streams::is_root(context) {
            // SAFETY: the SDK's own callback, called as Envoy would for a context that was created.
            unsafe { proxy_on_delete(context) };
        } else {
            streams::forget(context);
        }
    }

    #[unsafe(export_name = "api_guard_on_request_headers")]
    extern "C" fn on_request_headers(context: u32, _count: u32, end_of_stream: u32) -> u32 {
        number(streams::on_request_headers(context, end_of_stream != 0))
    }

    #[unsafe(export_name = "api_guard_on_request_body")]
    extern "C" fn on_request_body(context: u32, size: usize, end_of_stream: u32) -> u32 {
        number(streams::on_request_body(context, size, end_of_stream != 0))
    }

    #[unsafe(export_name = "api_guard_on_request_trailers")]
    extern "C" fn on_request_trailers(context: u32, _count: u32) -> u32 {
        number(streams::on_request_trailers(context))
    }

    #[unsafe(export_name = "api_guard_on_response_headers")]
    extern "C" fn on_response_headers(context: u32, _count: u32, _end_of_stream: u32) -> u32 {
        number(streams::on_response_headers(context))
    }
}
