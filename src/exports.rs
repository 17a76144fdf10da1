//! Exports that bypass the SDK. The SDK keeps an object for every stream in a map with a keyed hash, looks it up in
//! each callback, and exports every callback of the ABI; each of these costs a request 0.3 to 0.5 us. Its objects, with
//! a method for everything that a plugin may do, are also 30 KB of the module.
//!
//! The exports here have names of their own. In the module that ships, `tools/xtask` gives them the ABI's names instead
//! of the SDK's exports, and drops the exports that api-guard does not need. A module that was not packed works as
//! well, through the SDK (`sdk.rs`), unless it was built without the feature `sdk`, as the module that ships is.

use api_guard_core::exchange::Flow;

use crate::{log, root, streams};

/// Runs the C library's constructors, and sends what is logged to Envoy.
#[expect(unsafe_code, reason = "the C library's constructors, which nothing else runs")]
fn initialize() {
    unsafe extern "C" {
        fn __wasm_call_ctors();
    }
    // SAFETY: they must run once, before anything else, and Envoy calls `_initialize` so.
    unsafe { __wasm_call_ctors() };
    log::start();
}

/// Envoy calls this once for each VM, before anything else.
#[unsafe(no_mangle)]
#[expect(unsafe_code, reason = "the export that the ABI demands")]
extern "C" fn _initialize() {
    initialize();
    #[cfg(feature = "sdk")]
    crate::sdk::start();
}

/// The ABI's number of an action (`proxy_action_t`).
fn number(flow: Flow) -> u32 {
    match flow {
        Flow::Continue => 0,
        Flow::Pause => 1,
    }
}

#[expect(unsafe_code, reason = "the exports that the ABI demands")]
mod named {
    use super::{initialize, number, root, streams};
    use crate::memory;

    /// Tells Envoy the version of the ABI.
    #[unsafe(export_name = "api_guard_abi_version_0_2_1")]
    extern "C" fn abi_version() {}

    /// Envoy takes memory for what it hands over.
    #[unsafe(export_name = "api_guard_on_memory_allocate")]
    extern "C" fn on_memory_allocate(size: usize) -> *mut u8 {
        memory::allocate(size)
    }

    /// Envoy calls this once for each VM, before anything else.
    #[unsafe(export_name = "api_guard_initialize")]
    extern "C" fn start() {
        initialize();
    }

    /// Never called for its effect, but its presence tells Envoy that the module is a reactor.
    #[unsafe(export_name = "api_guard_on_vm_start")]
    extern "C" fn on_vm_start(_context: u32, _size: usize) -> u32 {
        u32::from(true)
    }

    /// A root context begins, or a stream of one.
    #[unsafe(export_name = "api_guard_on_context_create")]
    extern "C" fn on_context_create(context: u32, parent: u32) {
        if parent == 0 {
            streams::add_root(context);
        } else {
            streams::announce(context, parent);
        }
    }

    #[unsafe(export_name = "api_guard_on_configure")]
    extern "C" fn on_configure(context: u32, size: usize) -> u32 {
        u32::from(root::configure(context, size))
    }

    #[unsafe(export_name = "api_guard_on_tick")]
    extern "C" fn on_tick(context: u32) {
        root::tick(context);
    }

    /// A request of a root context has ended.
    #[unsafe(export_name = "api_guard_on_http_call_response")]
    extern "C" fn on_http_call_response(
        context: u32,
        token: u32,
        headers: u32,
        body_size: usize,
        _trailers: u32,
    ) {
        root::on_called(context, token, headers, body_size);
    }

    /// A root context or a stream ends.
    #[unsafe(export_name = "api_guard_on_delete")]
    extern "C" fn on_delete(context: u32) {
        root::on_delete(context);
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
