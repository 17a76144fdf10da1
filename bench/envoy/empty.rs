//! The emptiest filter that Envoy accepts: what does a WebAssembly filter cost before it does anything?
//!
//! Written without the SDK, so that nothing is exported but what proxy-wasm ABI 0.2.1 needs for one request callback.
//! `bench.py` builds it with plain `rustc`; it is never shipped.
#![forbid(unsafe_op_in_unsafe_fn)]

/// Names the ABI; Envoy looks for the export and never calls it.
#[unsafe(no_mangle)]
pub extern "C" fn proxy_abi_version_0_2_1() {}

/// The reactor's entry point: there are no constructors to run.
#[unsafe(no_mangle)]
pub extern "C" fn _initialize() {}

/// Where the host puts the bytes that it returns. This filter asks for none; the memory is the host's for good.
#[unsafe(no_mangle)]
pub extern "C" fn proxy_on_memory_allocate(size: usize) -> *mut u8 {
    let mut bytes = std::mem::ManuallyDrop::new(Vec::<u8>::with_capacity(size));
    bytes.as_mut_ptr()
}

/// Accepts any configuration.
#[unsafe(no_mangle)]
pub extern "C" fn proxy_on_configure(_root_context: u32, _configuration_size: u32) -> u32 {
    1
}

/// Lets every request pass (`Action::Continue`).
#[unsafe(no_mangle)]
pub extern "C" fn proxy_on_request_headers(_context: u32, _headers: u32, _end_of_stream: u32) -> u32 {
    0
}
