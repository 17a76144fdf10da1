//! Bytes that Envoy hands over. Envoy allocates them in this VM, through `proxy_on_memory_allocate`: the one here, or the
//! SDK's, which does the same.

use crate::abi::OK;

/// The bytes that a call handed over.
pub(crate) type Received = Vec<u8>;

/// Memory for `size` bytes that the host will hand over.
pub(crate) fn allocate(size: usize) -> *mut u8 {
    Box::into_raw(Box::<[u8]>::new_uninit_slice(size)).cast()
}

/// Takes over bytes that the host allocated in this VM; the status if the call failed.
#[expect(unsafe_code, reason = "takes over what the host allocated through proxy_on_memory_allocate")]
pub(crate) fn receive(call: impl FnOnce(*mut *mut u8, *mut usize) -> u32) -> Result<Received, u32> {
    let mut data = std::ptr::null_mut();
    let mut size = 0;
    match call(&raw mut data, &raw mut size) {
        OK if data.is_null() => Ok(Received::new()),
        // SAFETY: the host took this memory as a boxed slice of `size` bytes, which nobody else owns; it has filled it
        // and no longer knows it.
        OK => Ok(unsafe { Vec::from_raw_parts(data, size, size) }),
        status => Err(status),
    }
}
