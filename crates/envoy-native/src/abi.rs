//! The border to Envoy: the C ABI of its dynamic modules (`source/extensions/dynamic_modules/abi/abi.h`, version v0.2.0 of
//! Envoy 1.40, as far as 1.38 has it), declared by hand. Everything unsafe of this library stands here.
//!
//! What Envoy lends is lent by types. A [`Filter`] exists while a hook of its stream runs. [`Filter::headers`] points into
//! Envoy's own header map and borrows the filter; whatever changes a header map, answers or lets the request go on needs
//! the filter for itself, so nothing read outlives a change. What Envoy keeps of ours are reference-counted objects, which
//! hooks only ever share: Envoy may run a hook within a call that another hook of the same stream has made.
//!
//! No panic crosses the border: each hook catches them.
#![expect(unsafe_code, reason = "the C ABI")]
#![deny(clippy::undocumented_unsafe_blocks, unsafe_op_in_unsafe_fn)]

use std::ffi::{CStr, c_char, c_void};
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;
use std::rc::Rc;
use std::sync::OnceLock;

use api_guard_core::cells::{CellFault, Expected, Loaded, Stored, Version};
use api_guard_core::effect::Reply;
use api_guard_core::exchange::Flow;
use smallvec::SmallVec;

use crate::config::Registered;
use crate::metrics::Handle;
use crate::stream::{Piece, Stream};
use crate::stripes::Stripes;
use crate::worker;

// ---- Types of the ABI ------------------------------------------------------------------------------------------------

/// `envoy_dynamic_module_type_{module,envoy}_buffer`: bytes of somebody else.
#[repr(C)]
#[derive(Clone, Copy)]
struct Buffer {
    data: *const u8,
    length: usize,
}

impl Buffer {
    const NONE: Self = Self { data: std::ptr::null(), length: 0 };

    fn of(bytes: &[u8]) -> Self {
        Self { data: bytes.as_ptr(), length: bytes.len() }
    }

    /// The bytes.
    ///
    /// # Safety
    ///
    /// They must be there, and must not change, for `'a`.
    unsafe fn bytes<'a>(self) -> &'a [u8] {
        if self.data.is_null() {
            return b"";
        }
        // SAFETY: the caller promises it; an empty buffer without a pointer was dealt with.
        unsafe { std::slice::from_raw_parts(self.data, self.length) }
    }
}

/// `envoy_dynamic_module_type_{module,envoy}_http_header`.
#[repr(C)]
#[derive(Clone, Copy)]
struct Header {
    name: Buffer,
    value: Buffer,
}

/// `envoy_dynamic_module_type_http_header_type`.
#[repr(u32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HeaderMap {
    RequestHeaders = 0,
    RequestTrailers = 1,
    ResponseHeaders = 2,
}

/// `envoy_dynamic_module_type_http_body_type`.
const RECEIVED_REQUEST_BODY: u32 = 0;
const BUFFERED_REQUEST_BODY: u32 = 1;

/// `envoy_dynamic_module_type_attribute_id`.
const RESPONSE_CODE_DETAILS: u32 = 16;
const SOURCE_ADDRESS: u32 = 24;

/// `envoy_dynamic_module_type_on_http_filter_*_status`.
const CONTINUE: u32 = 0;
const STOP: u32 = 1;
const STOP_WITHOUT_BUFFERING: u32 = 3;

/// `envoy_dynamic_module_type_http_callout_init_result_Success`, and `envoy_dynamic_module_type_http_callout_result_Success`.
const CALLOUT_DONE: u32 = 0;

/// `envoy_dynamic_module_type_metrics_result_Success`.
const METRIC_DONE: u32 = 0;

/// Envoy's filter, configuration or scheduler, or an object of ours in its hands.
type Pointer = *mut c_void;

unsafe extern "C" {
    fn envoy_dynamic_module_callback_http_get_headers_size(filter: Pointer, map: HeaderMap) -> usize;
    fn envoy_dynamic_module_callback_http_get_headers(
        filter: Pointer,
        map: HeaderMap,
        headers: *mut Header,
    ) -> bool;
    fn envoy_dynamic_module_callback_http_add_header(
        filter: Pointer,
        map: HeaderMap,
        name: Buffer,
        value: Buffer,
    ) -> bool;
    fn envoy_dynamic_module_callback_http_set_header(
        filter: Pointer,
        map: HeaderMap,
        name: Buffer,
        value: Buffer,
    ) -> bool;
    fn envoy_dynamic_module_callback_http_clear_route_cache(filter: Pointer);
    fn envoy_dynamic_module_callback_http_send_response(
        filter: Pointer,
        status: u32,
        headers: *const Header,
        headers_size: usize,
        body: Buffer,
        details: Buffer,
    );
    fn envoy_dynamic_module_callback_http_filter_get_attribute_string(
        filter: Pointer,
        attribute: u32,
        value: *mut Buffer,
    ) -> bool;
    fn envoy_dynamic_module_callback_http_set_filter_state_bytes(
        filter: Pointer,
        name: Buffer,
        value: Buffer,
    ) -> bool;
    fn envoy_dynamic_module_callback_http_get_body_size(filter: Pointer, body: u32) -> usize;
    fn envoy_dynamic_module_callback_http_get_body_chunks_size(filter: Pointer, body: u32) -> usize;
    fn envoy_dynamic_module_callback_http_get_body_chunks(
        filter: Pointer,
        body: u32,
        chunks: *mut Buffer,
    ) -> bool;
    fn envoy_dynamic_module_callback_http_received_buffered_request_body(filter: Pointer) -> bool;
    fn envoy_dynamic_module_callback_http_filter_continue_decoding(filter: Pointer);
    fn envoy_dynamic_module_callback_http_filter_increment_counter(
        filter: Pointer,
        id: usize,
        labels: *const Buffer,
        labels_size: usize,
        by: u64,
    ) -> u32;
    fn envoy_dynamic_module_callback_http_filter_set_gauge(
        filter: Pointer,
        id: usize,
        labels: *const Buffer,
        labels_size: usize,
        value: u64,
    ) -> u32;
    fn envoy_dynamic_module_callback_http_filter_scheduler_new(filter: Pointer) -> Pointer;
    fn envoy_dynamic_module_callback_http_filter_scheduler_commit(scheduler: Pointer, event: u64);
    fn envoy_dynamic_module_callback_http_filter_scheduler_delete(scheduler: Pointer);
    fn envoy_dynamic_module_callback_http_filter_config_define_counter(
        config: Pointer,
        name: Buffer,
        labels: *const Buffer,
        labels_size: usize,
        id: *mut usize,
    ) -> u32;
    fn envoy_dynamic_module_callback_http_filter_config_define_gauge(
        config: Pointer,
        name: Buffer,
        labels: *const Buffer,
        labels_size: usize,
        id: *mut usize,
    ) -> u32;
    fn envoy_dynamic_module_callback_http_filter_config_scheduler_new(config: Pointer) -> Pointer;
    fn envoy_dynamic_module_callback_http_filter_config_scheduler_commit(scheduler: Pointer, event: u64);
    fn envoy_dynamic_module_callback_http_filter_config_scheduler_delete(scheduler: Pointer);
    fn envoy_dynamic_module_callback_http_filter_config_http_callout(
        config: Pointer,
        id: *mut u64,
        cluster: Buffer,
        headers: *const Header,
        headers_size: usize,
        body: Buffer,
        timeout_milliseconds: u64,
    ) -> u32;
    fn envoy_dynamic_module_callback_register_shared_data(key: Buffer, data: Pointer) -> bool;
    fn envoy_dynamic_module_callback_get_shared_data(key: Buffer, data: *mut Pointer) -> bool;
    fn envoy_dynamic_module_callback_is_validation_mode() -> bool;
    fn envoy_dynamic_module_callback_log(level: u32, text: Buffer);
}

/// A metric's call on a configuration, which Envoy has from 1.39 on.
type OnConfig = unsafe extern "C" fn(Pointer, usize, *const Buffer, usize, u64) -> u32;

/// Looks up a function that not every Envoy has.
fn optional(name: &CStr) -> Option<OnConfig> {
    // SAFETY: the name ends with NUL, and the handle stands for the whole process.
    let function = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
    // SAFETY: whoever exports a function of this name gives it this signature; a null pointer is `None`.
    unsafe { std::mem::transmute::<Pointer, Option<OnConfig>>(function) }
}

// ---- A stream of Envoy's ---------------------------------------------------------------------------------------------

/// Envoy's side of one stream, while a hook of it runs.
pub(crate) struct Filter(NonNull<c_void>);

/// Headers or trailers where Envoy has them, in their order.
pub(crate) struct Headers<'f> {
    headers: SmallVec<[Header; 32]>,
    filter: PhantomData<&'f Filter>,
}

impl<'f> Headers<'f> {
    /// Names and values.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (&'f [u8], &'f [u8])> {
        // SAFETY: they are in Envoy's header map until that is changed, which needs the filter that is borrowed for 'f.
        self.headers.iter().map(|header| unsafe { (header.name.bytes(), header.value.bytes()) })
    }
}

impl Filter {
    fn pointer(&self) -> Pointer {
        self.0.as_ptr()
    }

    /// Whether there are headers of this kind.
    pub(crate) fn has_headers(&self, map: HeaderMap) -> bool {
        // SAFETY: the filter is alive while its hook runs. Envoy has pseudo headers at least in every map but trailers.
        let size = unsafe { envoy_dynamic_module_callback_http_get_headers_size(self.pointer(), map) };
        size > 0
    }

    /// The headers of this kind; `None` if there are none.
    pub(crate) fn headers(&self, map: HeaderMap) -> Option<Headers<'_>> {
        // SAFETY: the filter is alive while its hook runs.
        let size = unsafe { envoy_dynamic_module_callback_http_get_headers_size(self.pointer(), map) };
        let mut headers = SmallVec::from_elem(Header { name: Buffer::NONE, value: Buffer::NONE }, size);
        // SAFETY: Envoy writes as many headers as it has just counted.
        let are_there = unsafe {
            envoy_dynamic_module_callback_http_get_headers(self.pointer(), map, headers.as_mut_ptr())
        };
        are_there.then_some(Headers { headers, filter: PhantomData })
    }

    /// Adds a header that is not there yet.
    pub(crate) fn add_header(&mut self, map: HeaderMap, name: &[u8], value: &[u8]) -> bool {
        let (name, value) = (Buffer::of(name), Buffer::of(value));
        // SAFETY: both buffers live during the call, and Envoy copies them.
        unsafe { envoy_dynamic_module_callback_http_add_header(self.pointer(), map, name, value) }
    }

    /// Sets a header to this value alone.
    pub(crate) fn set_header(&mut self, map: HeaderMap, name: &[u8], value: &[u8]) -> bool {
        let (name, value) = (Buffer::of(name), Buffer::of(value));
        // SAFETY: both buffers live during the call, and Envoy copies them.
        unsafe { envoy_dynamic_module_callback_http_set_header(self.pointer(), map, name, value) }
    }

    /// Removes all headers of this name.
    pub(crate) fn remove_header(&mut self, map: HeaderMap, name: &[u8]) -> bool {
        // SAFETY: the name lives during the call; a value that is no buffer stands for removal.
        unsafe {
            envoy_dynamic_module_callback_http_set_header(self.pointer(), map, Buffer::of(name), Buffer::NONE)
        }
    }

    fn attribute(&self, attribute: u32) -> Option<&[u8]> {
        let mut value = Buffer::NONE;
        // SAFETY: the pointer is valid for writing during the call.
        let is_there = unsafe {
            envoy_dynamic_module_callback_http_filter_get_attribute_string(
                self.pointer(),
                attribute,
                &raw mut value,
            )
        };
        // SAFETY: Envoy keeps it in the stream's info, which only an answer changes; that needs the filter for itself.
        is_there.then(|| unsafe { value.bytes() })
    }

    /// The peer's address with its port; `None` if it has none.
    pub(crate) fn source_address(&self) -> Option<&[u8]> {
        self.attribute(SOURCE_ADDRESS)
    }

    /// Whether Envoy has decided to answer the request.
    pub(crate) fn is_answered(&self) -> bool {
        self.attribute(RESPONSE_CODE_DETAILS).is_some_and(|details| !details.is_empty())
    }

    /// Writes filter state `wasm.NAME`, as it is called with the module. A failure is no reason to refuse.
    pub(crate) fn set_filter_state(&self, name: &str, value: &[u8]) {
        let name: SmallVec<[u8; 64]> = b"wasm.".iter().chain(name.as_bytes()).copied().collect();
        // SAFETY: both buffers live during the call, and Envoy copies them.
        let _ = unsafe {
            envoy_dynamic_module_callback_http_set_filter_state_bytes(
                self.pointer(),
                Buffer::of(&name),
                Buffer::of(value),
            )
        };
    }

    /// Which parts of the body Envoy has at hand. `holds`: whether it holds what has come.
    fn parts(&self, holds: bool) -> &'static [u32] {
        // SAFETY: the filter is alive while its hook runs.
        let is_buffer =
            unsafe { envoy_dynamic_module_callback_http_received_buffered_request_body(self.pointer()) };
        // What another filter holds is not ours to count, and what has come may be the buffer itself.
        if holds && !is_buffer {
            &[BUFFERED_REQUEST_BODY, RECEIVED_REQUEST_BODY]
        } else {
            &[RECEIVED_REQUEST_BODY]
        }
    }

    /// The size of the present piece of the request's body, bytes; of all that has come if Envoy holds it.
    pub(crate) fn request_body_size(&self, holds: bool) -> usize {
        // SAFETY: the filter is alive while its hook runs.
        let size = |part| unsafe { envoy_dynamic_module_callback_http_get_body_size(self.pointer(), part) };
        self.parts(holds).iter().map(|part| size(*part)).fold(0, usize::saturating_add)
    }

    /// At most `most` bytes of the same from byte `start` on; `None` if Envoy does not hand them over.
    pub(crate) fn request_body(&self, holds: bool, start: usize, most: usize) -> Option<Vec<u8>> {
        let (mut skip, mut body) = (start, Vec::new());
        for part in self.parts(holds) {
            // SAFETY: the filter is alive while its hook runs.
            let size =
                unsafe { envoy_dynamic_module_callback_http_get_body_chunks_size(self.pointer(), *part) };
            if size == 0 {
                continue;
            }
            let mut chunks = vec![Buffer::NONE; size];
            // SAFETY: Envoy writes as many buffers as it has just counted.
            let are_there = unsafe {
                envoy_dynamic_module_callback_http_get_body_chunks(self.pointer(), *part, chunks.as_mut_ptr())
            };
            if !are_there {
                return None;
            }
            for chunk in chunks {
                // SAFETY: nothing changes Envoy's buffers during this loop.
                let chunk = unsafe { chunk.bytes() };
                let wanted = chunk.get(skip.min(chunk.len())..).unwrap_or_default();
                skip = skip.saturating_sub(chunk.len());
                let room = most.saturating_sub(body.len()).min(wanted.len());
                body.extend_from_slice(wanted.get(..room).unwrap_or_default());
            }
        }
        Some(body)
    }

    /// Has Envoy choose the route again, by the headers as they are now.
    pub(crate) fn clear_route_cache(&mut self) {
        // SAFETY: the filter is alive while its hook runs.
        unsafe { envoy_dynamic_module_callback_http_clear_route_cache(self.pointer()) }
    }

    /// Answers the request. Envoy may run other hooks of the stream meanwhile, or end it.
    pub(crate) fn send_response(&mut self, reply: &Reply, is_grpc: bool) {
        let header = |name: &[u8], value: &[u8]| Header { name: Buffer::of(name), value: Buffer::of(value) };
        let mut headers: SmallVec<[Header; 10]> =
            reply.headers_in(is_grpc).map(|(name, value)| header(name, value)).collect();
        // Envoy would tell a gRPC client that all is well.
        let grpc_status = reply.grpc_status.to_string();
        if is_grpc {
            headers.push(header(b"grpc-status", grpc_status.as_bytes()));
        }
        let body = if is_grpc { reply.grpc_message.as_bytes() } else { reply.body.as_bytes() };
        // SAFETY: everything pointed to lives during the call, and Envoy copies it.
        unsafe {
            envoy_dynamic_module_callback_http_send_response(
                self.pointer(),
                u32::from(reply.status),
                headers.as_ptr(),
                headers.len(),
                Buffer::of(body),
                Buffer::of(reply.details.as_bytes()),
            );
        }
    }

    /// Lets a paused request go on. Envoy may run other hooks of the stream meanwhile, or end it.
    pub(crate) fn continue_decoding(&mut self) {
        // SAFETY: the filter is alive while its hook runs.
        unsafe { envoy_dynamic_module_callback_http_filter_continue_decoding(self.pointer()) }
    }

    /// Adds one to a counter.
    pub(crate) fn increment(&self, counter: usize, by: u32) {
        // SAFETY: there are no labels to point to. An unknown counter is an error value.
        let _ = unsafe {
            envoy_dynamic_module_callback_http_filter_increment_counter(
                self.pointer(),
                counter,
                std::ptr::null(),
                0,
                u64::from(by),
            )
        };
    }

    /// Sets a gauge.
    pub(crate) fn set_gauge(&self, gauge: usize, value: u64) {
        // SAFETY: there are no labels to point to. An unknown gauge is an error value.
        let _ = unsafe {
            envoy_dynamic_module_callback_http_filter_set_gauge(
                self.pointer(),
                gauge,
                std::ptr::null(),
                0,
                value,
            )
        };
    }

    /// A scheduler for this stream.
    pub(crate) fn scheduler(&self) -> Scheduler {
        // SAFETY: the filter is alive while its hook runs.
        let pointer = unsafe { envoy_dynamic_module_callback_http_filter_scheduler_new(self.pointer()) };
        Scheduler { kind: Scheduled::Stream, pointer }
    }
}

// ---- A configuration of Envoy's --------------------------------------------------------------------------------------

/// Envoy's side of a configuration, while a hook of it runs on the main thread.
pub(crate) struct FilterConfig(NonNull<c_void>);

impl FilterConfig {
    fn pointer(&self) -> Pointer {
        self.0.as_ptr()
    }

    /// Defines a counter and returns its number; `None` if Envoy accepts no more.
    pub(crate) fn define_counter(&self, name: &str) -> Option<usize> {
        let mut id = 0;
        // SAFETY: the name lives during the call, and the number is valid for writing; there are no labels to point to.
        let result = unsafe {
            envoy_dynamic_module_callback_http_filter_config_define_counter(
                self.pointer(),
                Buffer::of(name.as_bytes()),
                std::ptr::null(),
                0,
                &raw mut id,
            )
        };
        (result == METRIC_DONE).then_some(id)
    }

    /// Defines a gauge and returns its number; `None` if Envoy accepts no more.
    pub(crate) fn define_gauge(&self, name: &str) -> Option<usize> {
        let mut id = 0;
        // SAFETY: the name lives during the call, and the number is valid for writing; there are no labels to point to.
        let result = unsafe {
            envoy_dynamic_module_callback_http_filter_config_define_gauge(
                self.pointer(),
                Buffer::of(name.as_bytes()),
                std::ptr::null(),
                0,
                &raw mut id,
            )
        };
        (result == METRIC_DONE).then_some(id)
    }

    /// Adds to a counter; false if this Envoy cannot without a stream.
    pub(crate) fn increment(&self, counter: usize, by: u32) -> bool {
        static FUNCTION: OnceLock<Option<OnConfig>> = OnceLock::new();
        let name = c"envoy_dynamic_module_callback_http_filter_config_increment_counter";
        self.call(*FUNCTION.get_or_init(|| optional(name)), counter, by.into())
    }

    /// Sets a gauge; false if this Envoy cannot without a stream.
    pub(crate) fn set_gauge(&self, gauge: usize, value: u64) -> bool {
        static FUNCTION: OnceLock<Option<OnConfig>> = OnceLock::new();
        let name = c"envoy_dynamic_module_callback_http_filter_config_set_gauge";
        self.call(*FUNCTION.get_or_init(|| optional(name)), gauge, value)
    }

    fn call(&self, function: Option<OnConfig>, metric: usize, value: u64) -> bool {
        // SAFETY: there are no labels to point to. An unknown metric is an error value.
        function.is_some_and(|function| unsafe {
            function(self.pointer(), metric, std::ptr::null(), 0, value) == METRIC_DONE
        })
    }

    /// Sends a request to a cluster, and returns its number; `None` if Envoy cannot. Envoy may tell meanwhile that it has ended.
    pub(crate) fn send(
        &self,
        cluster: &str,
        headers: &[(&str, &str)],
        body: &[u8],
        timeout_milliseconds: u32,
    ) -> Option<u64> {
        let bytes = |text: &str| Buffer::of(text.as_bytes());
        let header = |(name, value): &(&str, &str)| Header { name: bytes(name), value: bytes(value) };
        let headers: SmallVec<[Header; 4]> = headers.iter().map(header).collect();
        let mut id = 0;
        // SAFETY: everything pointed to lives during the call, and Envoy copies it; the number is valid for writing.
        let result = unsafe {
            envoy_dynamic_module_callback_http_filter_config_http_callout(
                self.pointer(),
                &raw mut id,
                bytes(cluster),
                headers.as_ptr(),
                headers.len(),
                Buffer::of(body),
                u64::from(timeout_milliseconds),
            )
        };
        (result == CALLOUT_DONE).then_some(id)
    }

    /// A scheduler for this configuration; `None` where Envoy only validates it.
    pub(crate) fn scheduler(&self) -> Option<Scheduler> {
        // SAFETY: takes nothing.
        if unsafe { envoy_dynamic_module_callback_is_validation_mode() } {
            return None;
        }
        // SAFETY: the configuration is alive while its hook runs.
        let pointer =
            unsafe { envoy_dynamic_module_callback_http_filter_config_scheduler_new(self.pointer()) };
        Some(Scheduler { kind: Scheduled::Config, pointer })
    }
}

// ---- Schedulers ------------------------------------------------------------------------------------------------------

/// Whom a scheduler reminds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scheduled {
    Stream,
    Config,
}

/// What a configuration is reminded of, by the number that Envoy passes on. A stream does not need to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reminded {
    /// Time has passed.
    Tick,
    /// Something is to be sent.
    Call,
}

impl Reminded {
    fn of(event: u64) -> Self {
        if event == Self::Call.number() { Self::Call } else { Self::Tick }
    }

    fn number(self) -> u64 {
        match self {
            Self::Tick => 0,
            Self::Call => 1,
        }
    }
}

/// Makes Envoy call a stream or a configuration on the thread that it belongs to.
pub(crate) struct Scheduler {
    kind: Scheduled,
    pointer: Pointer,
}

// SAFETY: the ABI says that a scheduler may be used from any thread. It knows by itself whether its stream is still there.
unsafe impl Send for Scheduler {}

impl Scheduler {
    /// Schedules a call. The stream or configuration must still be there, or its thread's dispatcher might not be.
    pub(crate) fn commit(&self, reminded: Reminded) {
        match self.kind {
            // SAFETY: the scheduler was not deleted yet.
            Scheduled::Stream => unsafe {
                envoy_dynamic_module_callback_http_filter_scheduler_commit(self.pointer, reminded.number());
            },
            // SAFETY: the scheduler was not deleted yet.
            Scheduled::Config => unsafe {
                envoy_dynamic_module_callback_http_filter_config_scheduler_commit(
                    self.pointer,
                    reminded.number(),
                );
            },
        }
    }
}

impl Drop for Scheduler {
    fn drop(&mut self) {
        match self.kind {
            // SAFETY: it is deleted once, here.
            Scheduled::Stream => unsafe {
                envoy_dynamic_module_callback_http_filter_scheduler_delete(self.pointer);
            },
            // SAFETY: it is deleted once, here.
            Scheduled::Config => unsafe {
                envoy_dynamic_module_callback_http_filter_config_scheduler_delete(self.pointer);
            },
        }
    }
}

/// Leaves all signals to Envoy's threads.
pub(crate) fn block_signals() {
    // SAFETY: all zeros are a set of signals, which `sigfillset` fills; the mask is that of the calling thread alone.
    unsafe {
        let mut all: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&raw mut all);
        libc::pthread_sigmask(libc::SIG_BLOCK, &raw const all, std::ptr::null_mut());
    }
}

/// Writes a line to Envoy's log.
pub(crate) fn log(level: log::Level, text: &str) {
    // `envoy_dynamic_module_type_log_level`
    let level = match level {
        log::Level::Error => 4,
        log::Level::Warn => 3,
        log::Level::Info => 2,
        log::Level::Debug => 1,
        log::Level::Trace => 0,
    };
    // SAFETY: the text lives during the call, and Envoy copies it.
    unsafe { envoy_dynamic_module_callback_log(level, Buffer::of(text.as_bytes())) }
}

// ---- Shared tables ---------------------------------------------------------------------------------------------------

/// The version of [`Interface`]. Whoever changes that, or what its functions mean, counts up: a library of another version
/// begins with tables of its own.
const INTERFACE_VERSION: u32 = 1;

const FOUND: u32 = 0;
const ABSENT: u32 = 1;
const FAILED: u32 = 2;

const DONE: u32 = 0;
const CONFLICT: u32 = 1;

const EXPECT_ABSENT: u32 = 0;
const EXPECT_VERSION: u32 = 1;
const EXPECT_ANYTHING: u32 = 2;

/// A table of cells as libraries of different builds see it. It stays as long as the process.
#[repr(C)]
struct Interface {
    /// [`INTERFACE_VERSION`], once more.
    version: u32,
    table: *const c_void,
    load: unsafe extern "C" fn(
        table: *const c_void,
        key: Buffer,
        visit: extern "C" fn(visitor: Pointer, bytes: Buffer),
        visitor: Pointer,
        version: *mut u32,
    ) -> u32,
    store: unsafe extern "C" fn(
        table: *const c_void,
        key: Buffer,
        bytes: Buffer,
        expected: u32,
        version: u32,
    ) -> u32,
}

/// A table that is registered with Envoy.
#[derive(Clone, Copy)]
pub(crate) struct Table(&'static Interface);

// SAFETY: an interface never changes, and its functions may be called from any thread: the table has locks.
unsafe impl Send for Table {}
// SAFETY: as above.
unsafe impl Sync for Table {}

impl Table {
    /// The table of the filters named `filter_name`, made if the process has none yet. `None` if Envoy does not keep it.
    pub(crate) fn open(filter_name: &[u8]) -> Option<Self> {
        let mut key = format!("api_guard.cells.{INTERFACE_VERSION}.").into_bytes();
        key.extend_from_slice(filter_name);
        let mut data = std::ptr::null_mut();
        // SAFETY: the key lives during the call, and the pointer is valid for writing.
        let is_there =
            unsafe { envoy_dynamic_module_callback_get_shared_data(Buffer::of(&key), &raw mut data) };
        if is_there && !data.is_null() {
            // SAFETY: under this key, which has the version in it, only libraries of ours register, and only interfaces of
            // that version, which stay. Such a library is never unloaded (`build.rs`).
            let interface = unsafe { &*data.cast::<Interface>() };
            return (interface.version == INTERFACE_VERSION).then_some(Self(interface));
        }
        let table: *const Stripes = Box::leak(Box::new(Stripes::new()));
        let interface: &'static Interface =
            Box::leak(Box::new(Interface { version: INTERFACE_VERSION, table: table.cast(), load, store }));
        // SAFETY: the key lives during the call. What is registered is only ever read, and stays.
        let is_kept = unsafe {
            let data: *const Interface = interface;
            envoy_dynamic_module_callback_register_shared_data(Buffer::of(&key), data.cast_mut().cast())
        };
        is_kept.then_some(Self(interface))
    }

    /// A cell's content; `None` if it was never stored.
    pub(crate) fn load(&self, key: &[u8]) -> Result<Option<Loaded>, CellFault> {
        let mut bytes: Vec<u8> = Vec::new();
        let mut version = 0;
        let visitor: *mut Vec<u8> = &raw mut bytes;
        // SAFETY: this is the interface's own table; the key, the visitor and the version live during the call, and the
        // visitor is what `keep` expects.
        let outcome =
            unsafe { (self.0.load)(self.0.table, Buffer::of(key), keep, visitor.cast(), &raw mut version) };
        match outcome {
            FOUND => Ok(Some(Loaded { bytes, version: Version(version) })),
            ABSENT => Ok(None),
            _ => Err(CellFault),
        }
    }

    /// Replaces a cell's content if `expected` holds.
    pub(crate) fn store(&self, key: &[u8], bytes: &[u8], expected: Expected) -> Result<Stored, CellFault> {
        let (expected, version) = match expected {
            Expected::Absent => (EXPECT_ABSENT, 0),
            Expected::Version(Version(version)) => (EXPECT_VERSION, version),
            Expected::Anything => (EXPECT_ANYTHING, 0),
        };
        // SAFETY: this is the interface's own table; both buffers live during the call.
        match unsafe { (self.0.store)(self.0.table, Buffer::of(key), Buffer::of(bytes), expected, version) } {
            DONE => Ok(Stored::Done),
            CONFLICT => Ok(Stored::Conflict),
            _ => Err(CellFault),
        }
    }
}

/// Keeps a copy of what is shown.
extern "C" fn keep(visitor: Pointer, bytes: Buffer) {
    // SAFETY: `Table::load` passes a pointer to a vector of its own, and nobody else has it during the call.
    let kept = unsafe { &mut *visitor.cast::<Vec<u8>>() };
    // SAFETY: the table shows a cell under its lock.
    kept.extend_from_slice(unsafe { bytes.bytes() });
}

/// [`Interface::load`].
///
/// # Safety
///
/// `table` must be the one of the interface, and everything pointed to must live during the call.
unsafe extern "C" fn load(
    table: *const c_void,
    key: Buffer,
    visit: extern "C" fn(visitor: Pointer, bytes: Buffer),
    visitor: Pointer,
    version: *mut u32,
) -> u32 {
    // SAFETY: the caller promises both.
    let (table, key) = unsafe { (&*table.cast::<Stripes>(), key.bytes()) };
    let found = catch_unwind(AssertUnwindSafe(|| table.load(key, |bytes| visit(visitor, Buffer::of(bytes)))));
    match found {
        Ok(Ok(Some(Version(found)))) => {
            // SAFETY: the caller promises it.
            unsafe { version.write(found) };
            FOUND
        }
        Ok(Ok(None)) => ABSENT,
        Ok(Err(_)) | Err(_) => FAILED,
    }
}

/// [`Interface::store`].
///
/// # Safety
///
/// `table` must be the one of the interface, and everything pointed to must live during the call.
unsafe extern "C" fn store(
    table: *const c_void,
    key: Buffer,
    bytes: Buffer,
    expected: u32,
    version: u32,
) -> u32 {
    let expected = match expected {
        EXPECT_ABSENT => Expected::Absent,
        EXPECT_VERSION => Expected::Version(Version(version)),
        EXPECT_ANYTHING => Expected::Anything,
        _ => return FAILED,
    };
    // SAFETY: the caller promises them.
    let (table, key, bytes) = unsafe { (&*table.cast::<Stripes>(), key.bytes(), bytes.bytes()) };
    match catch_unwind(AssertUnwindSafe(|| table.store(key, bytes, expected))) {
        Ok(Ok(Stored::Done)) => DONE,
        Ok(Ok(Stored::Conflict)) => CONFLICT,
        Ok(Err(_)) | Err(_) => FAILED,
    }
}

// ---- The hooks -------------------------------------------------------------------------------------------------------

/// Runs a hook of a stream. A panic that no event has caught refuses the request; `stopped` is what Envoy is told then.
fn hook(envoy: Pointer, stream: Pointer, stopped: u32, run: impl FnOnce(&Stream, &mut Filter) -> u32) -> u32 {
    let stream: *const Stream = stream.cast();
    let (Some(envoy), false) = (NonNull::new(envoy), stream.is_null()) else { return stopped };
    // SAFETY: `on_http_filter_new` gave it to Envoy, which has not destroyed it yet. Envoy may do that within this hook, as
    // an answer ends a stream, so the hook has a share of its own.
    let stream = unsafe {
        Rc::increment_strong_count(stream);
        Rc::from_raw(stream)
    };
    let mut filter = Filter(envoy);
    if let Ok(status) = catch_unwind(AssertUnwindSafe(|| run(&stream, &mut filter))) {
        return status;
    }
    let _ = catch_unwind(AssertUnwindSafe(|| stream.refuse_unjudged(&mut filter)));
    stopped
}

fn status(flow: Flow) -> u32 {
    match flow {
        Flow::Continue => CONTINUE,
        Flow::Pause => STOP,
    }
}

/// Envoy calls this once, after it has loaded the library. Returns the version of the ABI.
#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_program_init() -> *const c_char {
    // A panic's message may hold what a client has sent, so only its position is told.
    let _ = catch_unwind(|| {
        std::panic::set_hook(Box::new(|panic| {
            let position = panic.location().map(ToString::to_string).unwrap_or_default();
            log(log::Level::Error, &format!("api-guard: a panic at {position}; please report it"));
        }));
    });
    c"v0.2.0".as_ptr()
}

/// A configuration is loaded, on the main thread.
#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_http_filter_config_new(
    envoy: Pointer,
    filter_name: Buffer,
    text: Buffer,
) -> *const c_void {
    let Some(envoy) = NonNull::new(envoy).map(FilterConfig) else { return std::ptr::null() };
    // SAFETY: both live during the call.
    let (filter_name, text) = unsafe { (filter_name.bytes(), text.bytes()) };
    let registered = catch_unwind(AssertUnwindSafe(|| Registered::new(&envoy, filter_name, text)));
    registered.ok().flatten().map_or(std::ptr::null(), |registered| {
        let registered: *const Registered = Box::into_raw(Box::new(registered));
        registered.cast()
    })
}

/// A configuration is no longer needed, and all its streams have ended.
#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_http_filter_config_destroy(config: *const c_void) {
    let config: *mut Registered = config.cast_mut().cast();
    if !config.is_null() {
        // SAFETY: `config_new` gave it to Envoy, which destroys it once.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(unsafe { Box::from_raw(config) })));
    }
}

/// Time has passed for a configuration, or it has something to send, on the main thread.
#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_http_filter_config_scheduled(
    envoy: Pointer,
    config: *const c_void,
    event: u64,
) {
    let config: *const Registered = config.cast();
    let (Some(envoy), false) = (NonNull::new(envoy).map(FilterConfig), config.is_null()) else { return };
    // SAFETY: `config_new` gave it to Envoy, which has not destroyed it yet.
    let registered = unsafe { &*config };
    let reminded = Reminded::of(event);
    let _ = catch_unwind(AssertUnwindSafe(|| worker::on_reminded(registered.config(), &envoy, reminded)));
}

/// A request of a configuration has ended, on the main thread.
#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_http_filter_config_http_callout_done(
    envoy: Pointer,
    config: *const c_void,
    id: u64,
    result: u32,
    headers: *const Header,
    headers_size: usize,
    chunks: *const Buffer,
    chunks_size: usize,
) {
    let config: *const Registered = config.cast();
    let (Some(envoy), false) = (NonNull::new(envoy).map(FilterConfig), config.is_null()) else { return };
    // SAFETY: `config_new` gave it to Envoy, which has not destroyed it yet.
    let registered = unsafe { &*config };
    // SAFETY: Envoy lends as many headers and chunks as it says during the call; there are none without a pointer.
    let (headers, chunks) = unsafe { (lent(headers, headers_size), lent(chunks, chunks_size)) };
    let _ = catch_unwind(AssertUnwindSafe(|| {
        let headers = if result == CALLOUT_DONE { headers } else { &[] };
        // SAFETY: Envoy lends what they point to during the call.
        let pairs = headers.iter().map(|header| unsafe { (header.name.bytes(), header.value.bytes()) });
        let body = |most: usize| {
            let mut body = Vec::new();
            for chunk in chunks {
                let room = most.saturating_sub(body.len());
                // SAFETY: as above.
                let chunk = unsafe { chunk.bytes() };
                body.extend_from_slice(chunk.get(..room).unwrap_or(chunk));
            }
            body
        };
        worker::on_called(registered.config(), &envoy, id, pairs, body);
    }));
}

/// What Envoy lends.
///
/// # Safety
///
/// Unless the pointer is null, `size` of them must be there, and must not change, for `'a`.
unsafe fn lent<'a, T>(pointer: *const T, size: usize) -> &'a [T] {
    if pointer.is_null() {
        return &[];
    }
    // SAFETY: the caller promises it.
    unsafe { std::slice::from_raw_parts(pointer, size) }
}

/// A stream begins, on its worker.
#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_http_filter_new(
    config: *const c_void,
    envoy: Pointer,
) -> *const c_void {
    let config: *const Registered = config.cast();
    let (Some(envoy), false) = (NonNull::new(envoy).map(Filter), config.is_null()) else {
        return std::ptr::null();
    };
    // SAFETY: `config_new` gave it to Envoy, which has not destroyed it yet.
    let registered = unsafe { &*config };
    let worker = catch_unwind(AssertUnwindSafe(|| worker::of(registered.config(), Handle::Stream(&envoy))));
    let stream: *const Stream = Rc::into_raw(Rc::new(Stream::new(worker.ok().flatten())));
    stream.cast()
}

/// A stream has ended.
#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_http_filter_destroy(stream: *const c_void) {
    let stream: *const Stream = stream.cast();
    if !stream.is_null() {
        // SAFETY: `filter_new` gave it to Envoy, which destroys it once.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(unsafe { Rc::from_raw(stream) })));
    }
}

/// The request's headers have come.
#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_http_filter_request_headers(
    envoy: Pointer,
    stream: Pointer,
    end_of_stream: bool,
) -> u32 {
    hook(envoy, stream, STOP, |stream, filter| status(stream.on_request_headers(filter, end_of_stream)))
}

/// A piece of the request's body has come.
#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_http_filter_request_body(
    envoy: Pointer,
    stream: Pointer,
    end_of_stream: bool,
) -> u32 {
    hook(envoy, stream, STOP_WITHOUT_BUFFERING, |stream, filter| {
        match stream.on_request_body(filter, end_of_stream) {
            Piece::Continues => CONTINUE,
            Piece::Held => STOP,
            Piece::Dropped => STOP_WITHOUT_BUFFERING,
        }
    })
}

/// The request's trailers have come.
#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_http_filter_request_trailers(envoy: Pointer, stream: Pointer) -> u32 {
    hook(envoy, stream, STOP, |stream, filter| status(stream.on_request_trailers(filter)))
}

/// The response's headers are on their way.
#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_http_filter_response_headers(
    envoy: Pointer,
    stream: Pointer,
    _end_of_stream: bool,
) -> u32 {
    hook(envoy, stream, STOP, |stream, filter| status(stream.on_response_headers(filter)))
}

/// Time has passed for a stream that waits.
#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_http_filter_scheduled(envoy: Pointer, stream: Pointer, _event: u64) {
    hook(envoy, stream, CONTINUE, |stream, filter| {
        stream.on_tick(filter);
        CONTINUE
    });
}

/// Hooks that Envoy demands and that nothing of ours needs. The C calling convention lets a function ignore arguments; a
/// return value of 0 is Continue.
macro_rules! unused {
    ($($name:ident;)*) => {$(
        #[doc = "Nothing to do."]
        #[unsafe(no_mangle)]
        extern "C" fn $name() -> u32 {
            CONTINUE
        }
    )*};
}

unused! {
    envoy_dynamic_module_on_http_filter_response_body;
    envoy_dynamic_module_on_http_filter_response_trailers;
    envoy_dynamic_module_on_http_filter_stream_complete;
    envoy_dynamic_module_on_http_filter_http_callout_done;
    envoy_dynamic_module_on_http_filter_http_stream_headers;
    envoy_dynamic_module_on_http_filter_http_stream_data;
    envoy_dynamic_module_on_http_filter_http_stream_trailers;
    envoy_dynamic_module_on_http_filter_http_stream_complete;
    envoy_dynamic_module_on_http_filter_http_stream_reset;
    envoy_dynamic_module_on_http_filter_downstream_above_write_buffer_high_watermark;
    envoy_dynamic_module_on_http_filter_downstream_below_write_buffer_low_watermark;
}
