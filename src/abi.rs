//! The calls to Envoy that the ABI offers, declared and wrapped. Everything is bytes.
//!
//! The SDK's own wrappers panic on header values that are not UTF-8 and on unexpected statuses, and a panic takes down
//! the whole VM. Here every status but Ok is an error value, and nothing is decoded.

mod headers;
mod imports;

use api_guard_core::cells::CellFault;
use api_guard_core::effect::Reply;
use api_guard_core::fault::Fault;
use api_guard_core::time::UnixNanos;
use api_guard_core::token::signature::{SignatureCheck, SignatureFault};

pub(crate) use self::headers::{
    add_request_header, remove_request_header, remove_request_trailer, request_headers, request_trailers,
    response_headers, set_request_header, set_response_header,
};
#[cfg(not(feature = "sdk"))]
use self::imports::proxy_http_call;
use self::imports::{
    proxy_call_foreign_function, proxy_continue_stream, proxy_define_metric, proxy_get_buffer_bytes,
    proxy_get_current_time_nanoseconds, proxy_get_property, proxy_get_shared_data, proxy_increment_metric,
    proxy_log, proxy_record_metric, proxy_send_local_response, proxy_set_effective_context,
    proxy_set_property, proxy_set_shared_data, proxy_set_tick_period_milliseconds,
};
use crate::block;
use crate::memory::{Received, receive};
#[cfg(not(feature = "sdk"))]
use api_guard_core::host::NotDone;

/// ABI 0.2.1: `proxy_status_t`.
pub(crate) const OK: u32 = 0;
const NOT_FOUND: u32 = 1;
const CAS_MISMATCH: u32 = 8;

/// ABI 0.2.1: `proxy_buffer_type_t`, `proxy_stream_type_t`, `proxy_metric_type_t`.
const REQUEST_BODY: u32 = 0;
const CALL_RESPONSE_BODY: u32 = 4;
const PLUGIN_CONFIGURATION: u32 = 7;
const REQUEST_STREAM: u32 = 0;
const COUNTER: u32 = 0;
const GAUGE: u32 = 1;

/// Writes a line to Envoy's log, at a `proxy_log_level_t`.
#[expect(unsafe_code, reason = "a call of the ABI with a pointer to a slice")]
pub(crate) fn log(level: u32, line: &str) {
    // SAFETY: pointer and length are those of a live slice; the host copies it. There is nobody to tell of a failure.
    unsafe { proxy_log(level, line.as_ptr(), line.len()) };
}

/// The peer's address with its port; `None` if it has none.
#[expect(unsafe_code, reason = "a call of the ABI with pointers to a constant and to locals")]
pub(crate) fn source_address() -> Option<Received> {
    const PATH: &[u8] = b"source\0address";
    // SAFETY: the path is a constant; the other pointers are valid for writing during the call.
    receive(|data, size| unsafe { proxy_get_property(PATH.as_ptr(), PATH.len(), data, size) }).ok()
}

/// How many bytes of the current request Envoy has received, headers included. Not `request.size`, which is what the
/// client declares, whether or not it has arrived.
#[expect(unsafe_code, reason = "a call of the ABI with pointers to a constant and to locals")]
pub(crate) fn size_received() -> Option<u64> {
    const PATH: &[u8] = b"request\0total_size";
    // SAFETY: the path is a constant; the other pointers are valid for writing during the call.
    let value =
        receive(|data, size| unsafe { proxy_get_property(PATH.as_ptr(), PATH.len(), data, size) }).ok()?;
    (*value).try_into().ok().map(u64::from_le_bytes)
}

/// Whether Envoy has already decided to answer the current request.
#[expect(unsafe_code, reason = "a call of the ABI with pointers to a constant and to locals")]
pub(crate) fn is_answered() -> bool {
    const PATH: &[u8] = b"response\0code_details";
    // SAFETY: the path is a constant; the other pointers are valid for writing during the call.
    receive(|data, size| unsafe { proxy_get_property(PATH.as_ptr(), PATH.len(), data, size) })
        .is_ok_and(|details| !details.is_empty())
}

/// Writes filter state `wasm.NAME`, for access logs and later filters. A failure is no reason to refuse.
#[expect(unsafe_code, reason = "a call of the ABI with pointers to slices")]
pub(crate) fn set_filter_state(name: &str, value: &[u8]) {
    // SAFETY: pointers and lengths are those of live slices; the host copies them.
    let _ = unsafe { proxy_set_property(name.as_ptr(), name.len(), value.as_ptr(), value.len()) };
}

/// A cell's content and CAS number; `None` if there is no such cell.
#[expect(unsafe_code, reason = "a call of the ABI with pointers to slices and locals")]
pub(crate) fn shared_data(key: &str) -> Result<Option<(Vec<u8>, u32)>, CellFault> {
    let mut cas = 0;
    // SAFETY: the key is a live slice; the other pointers are valid for writing during the call.
    match receive(|data, size| unsafe {
        proxy_get_shared_data(key.as_ptr(), key.len(), data, size, &raw mut cas)
    }) {
        Ok(bytes) => Ok(Some((bytes, cas))),
        Err(NOT_FOUND) => Ok(None),
        Err(_) => Err(CellFault),
    }
}

/// Replaces a cell if `cas` matches: 0 always does, any other number if it is the cell's or there is no cell. Returns
/// whether it was replaced.
#[expect(unsafe_code, reason = "a call of the ABI with pointers to slices")]
pub(crate) fn set_shared_data(key: &str, bytes: &[u8], cas: u32) -> Result<bool, CellFault> {
    // SAFETY: pointers and lengths are those of live slices; the host copies them.
    match unsafe { proxy_set_shared_data(key.as_ptr(), key.len(), bytes.as_ptr(), bytes.len(), cas) } {
        OK => Ok(true),
        CAS_MISMATCH => Ok(false),
        _ => Err(CellFault),
    }
}

/// At most `length` bytes of the present piece of the request's body from its byte `start` on; of all that Envoy has
/// buffered if it holds the request.
#[expect(unsafe_code, reason = "a call of the ABI with pointers to locals")]
pub(crate) fn request_body(start: usize, length: usize) -> Result<Vec<u8>, Fault> {
    // SAFETY: both pointers are valid for writing during the call.
    match receive(|data, size| unsafe { proxy_get_buffer_bytes(REQUEST_BODY, start, length, data, size) }) {
        Ok(bytes) => Ok(bytes),
        Err(NOT_FOUND) => Ok(Vec::new()),
        Err(_) => Err(Fault::Body),
    }
}

/// Sends a request to a cluster from the current context, and returns the number by which its end is told.
#[cfg(not(feature = "sdk"))]
#[expect(unsafe_code, reason = "a call of the ABI with pointers to slices and a local")]
pub(crate) fn send(
    cluster: &str,
    headers: &[(&str, &str)],
    body: &[u8],
    timeout_milliseconds: u32,
) -> Result<u32, NotDone> {
    let headers = block::encode(headers.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())));
    let none: &[u8] = &[];
    let mut token = 0;
    // SAFETY: pointers and lengths are those of live slices, which the host copies; `token` is valid for writing.
    let status = unsafe {
        proxy_http_call(
            cluster.as_ptr(),
            cluster.len(),
            headers.as_ptr(),
            headers.len(),
            body.as_ptr(),
            body.len(),
            none.as_ptr(),
            none.len(),
            timeout_milliseconds,
            &raw mut token,
        )
    };
    if status == OK { Ok(token) } else { Err(NotDone) }
}

/// At most `length` bytes of the body of the response whose arrival is being told.
#[expect(unsafe_code, reason = "a call of the ABI with pointers to locals")]
pub(crate) fn response_body(length: usize) -> Option<Vec<u8>> {
    // SAFETY: both pointers are valid for writing during the call.
    match receive(|data, size| unsafe { proxy_get_buffer_bytes(CALL_RESPONSE_BODY, 0, length, data, size) }) {
        Ok(bytes) => Some(bytes),
        Err(NOT_FOUND) => Some(Vec::new()),
        Err(_) => None,
    }
}

/// Whether a signature is right, by Envoy's foreign function. Builds of Envoy without it answer with another status.
#[expect(unsafe_code, reason = "a call of the ABI with pointers to locals")]
pub(crate) fn verify_signature(check: &SignatureCheck<'_>) -> Result<bool, SignatureFault> {
    const NAME: &[u8] = b"verify_signature";
    let arguments = check.to_protobuf();
    // SAFETY: `NAME` and `arguments` are valid for reading, and both pointers for writing, during the call.
    let answer = receive(|data, size| unsafe {
        let (name, name_size) = (NAME.as_ptr(), NAME.len());
        proxy_call_foreign_function(name, name_size, arguments.as_ptr(), arguments.len(), data, size)
    });
    answer.map(|answer: Vec<u8>| SignatureCheck::is_right(&answer)).map_err(|_| SignatureFault)
}

/// The plugin's configuration.
#[expect(unsafe_code, reason = "a call of the ABI with pointers to locals")]
pub(crate) fn plugin_configuration(length: usize) -> Vec<u8> {
    // SAFETY: both pointers are valid for writing during the call.
    receive(|data, size| unsafe { proxy_get_buffer_bytes(PLUGIN_CONFIGURATION, 0, length, data, size) })
        .unwrap_or_default()
}

/// Answers the request. Envoy then stops it, whatever the callback returns.
#[expect(unsafe_code, reason = "a call of the ABI with pointers to slices")]
pub(crate) fn send_reply(reply: &Reply, grpc: bool) {
    let headers = block::encode(reply.headers_in(grpc));
    let body = if grpc { reply.grpc_message.as_bytes() } else { reply.body.as_bytes() };
    // SAFETY: pointers and lengths are those of live slices; the host copies them.
    let status = unsafe {
        proxy_send_local_response(
            u32::from(reply.status),
            reply.details.as_ptr(),
            reply.details.len(),
            body.as_ptr(),
            body.len(),
            headers.as_ptr(),
            headers.len(),
            reply.grpc_status,
        )
    };
    if status != OK {
        log::error!("Envoy did not accept a reply (status {status}); the request stays stopped");
    }
}

/// Defines a counter and returns its number; `None` if Envoy accepts no more.
pub(crate) fn define_counter(name: &str) -> Option<u32> {
    define_metric(COUNTER, name)
}

/// Defines a gauge and returns its number; `None` if Envoy accepts no more.
pub(crate) fn define_gauge(name: &str) -> Option<u32> {
    define_metric(GAUGE, name)
}

#[expect(unsafe_code, reason = "a call of the ABI with pointers to a slice and a local")]
fn define_metric(kind: u32, name: &str) -> Option<u32> {
    let mut id = 0;
    // SAFETY: the name is a live slice; `id` is valid for writing during the call.
    let status = unsafe { proxy_define_metric(kind, name.as_ptr(), name.len(), &raw mut id) };
    (status == OK).then_some(id)
}

/// Adds to a counter.
#[expect(unsafe_code, reason = "a call of the ABI without pointers")]
pub(crate) fn increment(counter: u32, by: u32) {
    // SAFETY: takes numbers only.
    let _ = unsafe { proxy_increment_metric(counter, i64::from(by)) };
}

/// Sets a gauge.
#[expect(unsafe_code, reason = "a call of the ABI without pointers")]
pub(crate) fn record(gauge: u32, value: u64) {
    // SAFETY: takes numbers only.
    let _ = unsafe { proxy_record_metric(gauge, value) };
}

/// Makes a context, a stream or a root, the subject of the next calls; false if Envoy no longer knows it.
#[expect(unsafe_code, reason = "a call of the ABI without pointers")]
pub(crate) fn enter(context: u32) -> bool {
    // SAFETY: takes a number only.
    unsafe { proxy_set_effective_context(context) == OK }
}

/// Lets a paused request continue.
#[expect(unsafe_code, reason = "a call of the ABI without pointers")]
pub(crate) fn resume_request() {
    // SAFETY: takes a number only.
    let status = unsafe { proxy_continue_stream(REQUEST_STREAM) };
    if status != OK {
        log::error!("Envoy did not resume a request (status {status})");
    }
}

/// Makes Envoy call this VM's `on_tick` with this period, milliseconds.
#[expect(unsafe_code, reason = "a call of the ABI without pointers")]
pub(crate) fn set_tick_period(milliseconds: u32) {
    // SAFETY: takes a number only.
    let _ = unsafe { proxy_set_tick_period_milliseconds(milliseconds) };
}

/// The time of day; zero if the clock cannot be read, in which case no token with a date is valid.
#[expect(unsafe_code, reason = "a call of the ABI with a pointer to a local")]
pub(crate) fn now() -> UnixNanos {
    let mut nanos = 0;
    // SAFETY: the pointer is valid for writing during the call.
    let status = unsafe { proxy_get_current_time_nanoseconds(&raw mut nanos) };
    UnixNanos::from_nanos(if status == OK { nanos } else { 0 })
}

/// Random bytes for the process's hash key; `None` if Envoy has no source of them.
pub(crate) fn random() -> Option<[u8; 16]> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).ok().map(|()| bytes)
}

/// A variable of the VM's environment.
pub(crate) fn variable(name: &str) -> Option<Vec<u8>> {
    std::env::var_os(name).map(|value| value.into_encoded_bytes())
}
