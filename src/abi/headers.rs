//! Headers and trailers: read whole, and edited one by one.

use api_guard_core::host::NotDone;

use super::OK;
use super::imports::{
    proxy_add_header_map_value, proxy_get_header_map_pairs, proxy_remove_header_map_value,
    proxy_replace_header_map_value,
};
use crate::memory::{Received, receive};

/// ABI 0.2.1: `proxy_map_type_t`.
const REQUEST_HEADERS: u32 = 0;
const REQUEST_TRAILERS: u32 = 1;
const RESPONSE_HEADERS: u32 = 2;
const CALL_RESPONSE_HEADERS: u32 = 6;

/// The request's headers, in the form that [`crate::block::Block`] reads.
pub(crate) fn request_headers() -> Option<Received> {
    pairs(REQUEST_HEADERS)
}

/// The request's trailers, in the form that [`crate::block::Block`] reads.
pub(crate) fn request_trailers() -> Option<Received> {
    pairs(REQUEST_TRAILERS)
}

#[expect(unsafe_code, reason = "a call of the ABI with pointers to locals")]
fn pairs(map: u32) -> Option<Received> {
    // SAFETY: both pointers are valid for writing during the call.
    receive(|data, size| unsafe { proxy_get_header_map_pairs(map, data, size) }).ok()
}

/// Adds a request header that the request does not have yet.
#[expect(unsafe_code, reason = "a call of the ABI with pointers to slices")]
pub(crate) fn add_request_header(name: &[u8], value: &[u8]) -> Result<(), NotDone> {
    // SAFETY: pointers and lengths are those of live slices; the host copies them.
    let status = unsafe {
        proxy_add_header_map_value(REQUEST_HEADERS, name.as_ptr(), name.len(), value.as_ptr(), value.len())
    };
    if status == OK { Ok(()) } else { Err(NotDone) }
}

/// Sets a request header to this value alone.
pub(crate) fn set_request_header(name: &[u8], value: &[u8]) -> Result<(), NotDone> {
    set_header(REQUEST_HEADERS, name, value)
}

/// Sets a response header to this value alone.
pub(crate) fn set_response_header(name: &[u8], value: &[u8]) -> Result<(), NotDone> {
    set_header(RESPONSE_HEADERS, name, value)
}

#[expect(unsafe_code, reason = "a call of the ABI with pointers to slices")]
fn set_header(map: u32, name: &[u8], value: &[u8]) -> Result<(), NotDone> {
    // SAFETY: pointers and lengths are those of live slices; the host copies them.
    let status = unsafe {
        proxy_replace_header_map_value(map, name.as_ptr(), name.len(), value.as_ptr(), value.len())
    };
    if status == OK { Ok(()) } else { Err(NotDone) }
}

/// Removes all request headers of this name.
pub(crate) fn remove_request_header(name: &[u8]) -> Result<(), NotDone> {
    remove(REQUEST_HEADERS, name)
}

/// Removes all request trailers of this name.
pub(crate) fn remove_request_trailer(name: &[u8]) -> Result<(), NotDone> {
    remove(REQUEST_TRAILERS, name)
}

#[expect(unsafe_code, reason = "a call of the ABI with pointers to slices")]
fn remove(map: u32, name: &[u8]) -> Result<(), NotDone> {
    // SAFETY: pointer and length are those of a live slice; the host copies it.
    let status = unsafe { proxy_remove_header_map_value(map, name.as_ptr(), name.len()) };
    if status == OK { Ok(()) } else { Err(NotDone) }
}

/// The headers of the response whose arrival is being told, in the form that [`crate::block::Block`] reads.
pub(crate) fn response_headers() -> Option<Received> {
    pairs(CALL_RESPONSE_HEADERS)
}
