//! Bytes that Envoy hands over. Envoy allocates them in this VM, through the SDK's `proxy_on_memory_allocate`.

use crate::abi::OK;

/// The bytes that a call handed over.
pub(crate) type Received = Vec<u8>;

/// Takes over bytes that the host allocated in this VM; the status if the call failed.
#[expect(unsafe_code, reason = "takes over what the host allocated through proxy_on_memory_allocate")]
pub(crate) fn receive(call: impl FnOnce(*mut *mut u8, *mut usize) -> u32) -> Result<Received, u32> {
    let mut data = std::ptr::null_mut();
    let mut size = 0;
    match call(&raw mut data, &raw mut size) {
        OK if data.is_null() => Ok(Received::new()),
        // SAFETY: the SDK gave the host this memory as a boxed slice of `size` bytes, which nobody else owns; the host
        // has filled it and no longer knows it.
        OK => Ok(unsafe { Vec::from_raw_parts(data, size, size) }),
        status => Err(status),
    }
}
