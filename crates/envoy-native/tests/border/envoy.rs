//! Envoy, as far as the library knows it: the functions that it calls, over objects that a test can look at.
//!
//! It is harsher than Envoy where that shows mistakes. Every change of a header map moves all of it, so that whatever was
//! borrowed from it dangles. An answer may run the response's hook, or end the stream, before it returns.
#![allow(unsafe_code, dead_code, reason = "the other side of a C ABI; not every test needs all of it")]

use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::{CStr, c_char, c_void};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::thread::{self, ThreadId};

// The library under test.
use api_guard_native as _;

pub const CONTINUE: u32 = 0;
pub const STOP: u32 = 1;
pub const STOP_WITHOUT_BUFFERING: u32 = 3;

type Pointer = *mut c_void;
type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

#[repr(C)]
#[derive(Clone, Copy)]
pub struct Buffer {
    data: *const u8,
    length: usize,
}

impl Buffer {
    fn of(bytes: &[u8]) -> Self {
        Self { data: bytes.as_ptr(), length: bytes.len() }
    }

    /// SAFETY: for the duration of a call only.
    unsafe fn read(self) -> Vec<u8> {
        if self.data.is_null() {
            Vec::new()
        } else {
            unsafe { std::slice::from_raw_parts(self.data, self.length) }.to_vec()
        }
    }
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct Header {
    name: Buffer,
    value: Buffer,
}

unsafe extern "C" {
    fn envoy_dynamic_module_on_program_init() -> *const c_char;
    fn envoy_dynamic_module_on_http_filter_config_new(
        envoy: Pointer,
        name: Buffer,
        text: Buffer,
    ) -> *const c_void;
    fn envoy_dynamic_module_on_http_filter_config_destroy(config: *const c_void);
    fn envoy_dynamic_module_on_http_filter_config_scheduled(
        envoy: Pointer,
        config: *const c_void,
        event: u64,
    );
    fn envoy_dynamic_module_on_http_filter_config_http_callout_done(
        envoy: Pointer,
        config: *const c_void,
        id: u64,
        result: u32,
        headers: *const Header,
        headers_size: usize,
        chunks: *const Buffer,
        chunks_size: usize,
    );
    fn envoy_dynamic_module_on_http_filter_new(config: *const c_void, envoy: Pointer) -> *const c_void;
    fn envoy_dynamic_module_on_http_filter_destroy(stream: *const c_void);
    fn envoy_dynamic_module_on_http_filter_request_headers(envoy: Pointer, stream: Pointer, end: bool)
    -> u32;
    fn envoy_dynamic_module_on_http_filter_request_body(envoy: Pointer, stream: Pointer, end: bool) -> u32;
    fn envoy_dynamic_module_on_http_filter_request_trailers(envoy: Pointer, stream: Pointer) -> u32;
    fn envoy_dynamic_module_on_http_filter_response_headers(
        envoy: Pointer,
        stream: Pointer,
        end: bool,
    ) -> u32;
    fn envoy_dynamic_module_on_http_filter_scheduled(envoy: Pointer, stream: Pointer, event: u64);
}

/// The version of the ABI that the library says.
pub fn version() -> String {
    // SAFETY: it returns a constant.
    unsafe { CStr::from_ptr(envoy_dynamic_module_on_program_init()) }.to_str().unwrap().to_owned()
}

thread_local! {
    /// Of each thread, as tests that count what they allocate run beside others.
    static LOG: RefCell<Vec<(u32, String)>> = const { RefCell::new(Vec::new()) };
}
static SHARED: LazyLock<Mutex<HashMap<Vec<u8>, usize>>> = LazyLock::new(Mutex::default);
/// Where schedulers leave what they were asked for, with the number that goes with it.
static SCHEDULED: Mutex<Vec<(Arc<Reminded>, u64)>> = Mutex::new(Vec::new());
/// Schedulers that the library has made and not deleted.
pub static SCHEDULERS: AtomicU64 = AtomicU64::new(0);
pub static VALIDATES: AtomicBool = AtomicBool::new(false);

/// The lines that this thread has logged so far, with their levels; none of them is left.
pub fn take_log() -> Vec<(u32, String)> {
    LOG.take()
}

struct Reminded {
    object: usize,
    is_config: bool,
    is_gone: AtomicBool,
    /// The one that it belongs to.
    thread: ThreadId,
}

/// Runs what was scheduled for objects of this thread.
pub fn run_scheduled() {
    let here = thread::current().id();
    let is_ours = |(reminded, _): &mut (Arc<Reminded>, u64)| reminded.thread == here;
    let due: Vec<(Arc<Reminded>, u64)> = SCHEDULED.lock().unwrap().extract_if(.., is_ours).collect();
    for (reminded, event) in due.into_iter().filter(|(one, _)| !one.is_gone.load(Ordering::SeqCst)) {
        let object = reminded.object as Pointer;
        // SAFETY: neither a stream nor a configuration is freed before it is marked as gone, on this thread.
        unsafe {
            if reminded.is_config {
                let module = (*object.cast::<Configured>()).module;
                envoy_dynamic_module_on_http_filter_config_scheduled(object, module, event);
            } else {
                let module = (*object.cast::<Inner>()).module;
                envoy_dynamic_module_on_http_filter_scheduled(object, module, event);
            }
        }
    }
}

/// A request that the library has sent.
struct Sent {
    cluster: Vec<u8>,
    headers: Pairs,
    body: Vec<u8>,
}

struct Configured {
    module: *const c_void,
    counters: Mutex<Vec<(String, u64)>>,
    gauges: Mutex<Vec<(String, u64)>>,
    /// Requests that the library has sent.
    sent: Mutex<Vec<Sent>>,
    reminded: Arc<Reminded>,
}

/// A loaded configuration.
pub struct Config(*mut Configured);

impl Config {
    /// Loads a configuration; `None` if the library refuses it.
    pub fn load(filter_name: &str, text: &str) -> Option<Self> {
        let reminded = Arc::new(Reminded {
            object: 0,
            is_config: true,
            is_gone: AtomicBool::new(false),
            thread: thread::current().id(),
        });
        let configured = Box::into_raw(Box::new(Configured {
            module: std::ptr::null(),
            counters: Mutex::default(),
            gauges: Mutex::default(),
            sent: Mutex::default(),
            reminded,
        }));
        // SAFETY: it is freed in `drop`, after the library has destroyed its own.
        unsafe {
            (*configured).reminded = Arc::new(Reminded {
                object: configured as usize,
                is_config: true,
                is_gone: AtomicBool::new(false),
                thread: thread::current().id(),
            });
            let (name, text) = (Buffer::of(filter_name.as_bytes()), Buffer::of(text.as_bytes()));
            (*configured).module =
                envoy_dynamic_module_on_http_filter_config_new(configured.cast(), name, text);
            if (*configured).module.is_null() {
                drop(Box::from_raw(configured));
                return None;
            }
        }
        Some(Self(configured))
    }

    /// What was counted.
    pub fn counter(&self, name: &str) -> u64 {
        let counters = unsafe { &*self.0 }.counters.lock().unwrap();
        counters.iter().find(|(known, _)| known == name).unwrap_or_else(|| panic!("no counter {name}")).1
    }

    pub fn gauge(&self, name: &str) -> u64 {
        let gauges = unsafe { &*self.0 }.gauges.lock().unwrap();
        gauges.iter().find(|(known, _)| known == name).unwrap_or_else(|| panic!("no gauge {name}")).1
    }

    /// The requests that the library has sent so far; the number of each is its index.
    pub fn fetches(&self) -> Vec<(Vec<u8>, Pairs)> {
        let sent = unsafe { &*self.0 }.sent.lock().unwrap();
        sent.iter().map(|sent| (sent.cluster.clone(), sent.headers.clone())).collect()
    }

    /// The bodies of these requests.
    pub fn bodies(&self) -> Vec<Vec<u8>> {
        let sent = unsafe { &*self.0 }.sent.lock().unwrap();
        sent.iter().map(|sent| sent.body.clone()).collect()
    }

    /// Ends a request of the library's. `result`: 0 if an answer came.
    pub fn end_fetch(&self, id: u64, result: u32, headers: &[(&[u8], &[u8])], body: &[&[u8]]) {
        let headers: Vec<Header> = headers
            .iter()
            .map(|(name, value)| Header { name: Buffer::of(name), value: Buffer::of(value) })
            .collect();
        let chunks: Vec<Buffer> = body.iter().map(|chunk| Buffer::of(chunk)).collect();
        // SAFETY: everything lives during the call.
        unsafe {
            envoy_dynamic_module_on_http_filter_config_http_callout_done(
                self.0.cast(),
                (*self.0).module,
                id,
                result,
                if headers.is_empty() { std::ptr::null() } else { headers.as_ptr() },
                headers.len(),
                if chunks.is_empty() { std::ptr::null() } else { chunks.as_ptr() },
                chunks.len(),
            );
        }
    }

    /// Begins a stream.
    pub fn stream(&self) -> Stream {
        let inner = Box::into_raw(Box::new(Inner {
            config: self.0,
            module: std::ptr::null_mut(),
            request: None,
            trailers: None,
            response: None,
            buffered: Vec::new(),
            received: Vec::new(),
            received_is_buffered: false,
            refuses_body: false,
            refuses_edits: false,
            address: Some(b"192.0.2.1:1234".to_vec()),
            details: None,
            filter_state: Vec::new(),
            replies: Vec::new(),
            continued: 0,
            rerouted: 0,
            reenters: false,
            ends_when_answered: false,
            reminded: Arc::new(Reminded {
                object: 0,
                is_config: false,
                is_gone: AtomicBool::new(false),
                thread: thread::current().id(),
            }),
        }));
        // SAFETY: it is freed in `drop`, after the library has destroyed its own.
        unsafe {
            (*inner).reminded = Arc::new(Reminded {
                object: inner as usize,
                is_config: false,
                is_gone: AtomicBool::new(false),
                thread: thread::current().id(),
            });
            (*inner).module =
                envoy_dynamic_module_on_http_filter_new((*self.0).module, inner.cast()).cast_mut();
        }
        Stream(inner)
    }
}

impl Drop for Config {
    fn drop(&mut self) {
        // SAFETY: made in `load`, dropped once; no stream is left, as with Envoy's reference count.
        unsafe {
            let reminded = &(*self.0).reminded;
            reminded.is_gone.store(true, Ordering::SeqCst);
            envoy_dynamic_module_on_http_filter_config_destroy((*self.0).module);
            drop(Box::from_raw(self.0));
        }
    }
}

/// An answer that the library has given.
#[derive(Debug, Clone)]
pub struct Reply {
    pub status: u32,
    pub headers: Pairs,
    pub body: Vec<u8>,
    pub details: Vec<u8>,
}

struct Inner {
    config: *mut Configured,
    module: Pointer,
    request: Option<Pairs>,
    trailers: Option<Pairs>,
    response: Option<Pairs>,
    buffered: Vec<Vec<u8>>,
    received: Vec<Vec<u8>>,
    received_is_buffered: bool,
    refuses_body: bool,
    refuses_edits: bool,
    address: Option<Vec<u8>>,
    details: Option<Vec<u8>>,
    filter_state: Pairs,
    replies: Vec<Reply>,
    continued: u32,
    /// How often the route was to be chosen again.
    rerouted: u32,
    reenters: bool,
    ends_when_answered: bool,
    reminded: Arc<Reminded>,
}

impl Inner {
    fn map(&mut self, kind: u32) -> &mut Option<Pairs> {
        match kind {
            0 => &mut self.request,
            1 => &mut self.trailers,
            2 => &mut self.response,
            other => panic!("header map {other}"),
        }
    }

    fn part(&self, kind: u32) -> &Vec<Vec<u8>> {
        match kind {
            0 => &self.received,
            1 => &self.buffered,
            other => panic!("body {other}"),
        }
    }
}

/// A stream, which ends when it is dropped.
pub struct Stream(*mut Inner);

pub fn pairs(headers: &[(&[u8], &[u8])]) -> Pairs {
    headers.iter().map(|(name, value)| (name.to_vec(), value.to_vec())).collect()
}

impl Stream {
    #[allow(clippy::mut_from_ref, reason = "Envoy's objects change while others look at them")]
    fn inner(&self) -> &mut Inner {
        // SAFETY: alive until `drop`, and only this thread has it; no reference is kept over a hook.
        unsafe { &mut *self.0 }
    }

    fn module(&self) -> Pointer {
        self.inner().module
    }

    pub fn has_ended(&self) -> bool {
        self.module().is_null()
    }

    /// From now on an answer runs the response's hook, or ends the stream, before it returns.
    pub fn when_answered(&self, reenters: bool, ends: bool) {
        (self.inner().reenters, self.inner().ends_when_answered) = (reenters, ends);
    }

    pub fn set_peer(&self, address: Option<&[u8]>) {
        self.inner().address = address.map(<[u8]>::to_vec);
    }

    /// What the library cannot get, and cannot do.
    pub fn refuse(&self, body: bool, edits: bool) {
        (self.inner().refuses_body, self.inner().refuses_edits) = (body, edits);
    }

    /// Envoy answers by itself.
    pub fn answer_by_envoy(&self, details: &[u8]) {
        self.inner().details = Some(details.to_vec());
    }

    pub fn headers(&self, headers: Option<Pairs>, end: bool) -> u32 {
        if self.has_ended() {
            return STOP;
        }
        self.inner().request = headers;
        // SAFETY: both objects are alive.
        unsafe { envoy_dynamic_module_on_http_filter_request_headers(self.0.cast(), self.module(), end) }
    }

    /// A piece of the body, which is kept as the library says.
    pub fn body(&self, piece: &[&[u8]], end: bool) -> u32 {
        if self.has_ended() {
            return STOP_WITHOUT_BUFFERING;
        }
        let inner = self.inner();
        inner.received = piece.iter().map(|chunk| chunk.to_vec()).collect();
        if end && !inner.buffered.is_empty() {
            // The last piece joins what is buffered before the hook.
            let last = std::mem::take(&mut inner.received);
            inner.buffered.extend(last);
        }
        // SAFETY: both objects are alive.
        let status =
            unsafe { envoy_dynamic_module_on_http_filter_request_body(self.0.cast(), self.module(), end) };
        let inner = self.inner();
        let received = std::mem::take(&mut inner.received);
        match status {
            CONTINUE => inner.buffered.clear(),
            STOP => inner.buffered.extend(received),
            STOP_WITHOUT_BUFFERING => {}
            other => panic!("status {other}"),
        }
        status
    }

    pub fn trailers(&self, trailers: Option<Pairs>) -> u32 {
        if self.has_ended() {
            return STOP;
        }
        self.inner().trailers = trailers;
        // SAFETY: both objects are alive.
        unsafe { envoy_dynamic_module_on_http_filter_request_trailers(self.0.cast(), self.module()) }
    }

    pub fn response(&self, headers: Option<Pairs>) -> u32 {
        if self.has_ended() {
            return STOP;
        }
        self.inner().response = headers;
        // SAFETY: both objects are alive.
        unsafe { envoy_dynamic_module_on_http_filter_response_headers(self.0.cast(), self.module(), true) }
    }

    pub fn request_headers(&self) -> Pairs {
        self.inner().request.clone().unwrap_or_default()
    }

    pub fn request_trailers(&self) -> Pairs {
        self.inner().trailers.clone().unwrap_or_default()
    }

    pub fn response_headers(&self) -> Pairs {
        self.inner().response.clone().unwrap_or_default()
    }

    pub fn replies(&self) -> Vec<Reply> {
        self.inner().replies.clone()
    }

    pub fn continued(&self) -> u32 {
        self.inner().continued
    }

    pub fn rerouted(&self) -> u32 {
        self.inner().rerouted
    }

    pub fn filter_state(&self, name: &str) -> Option<Vec<u8>> {
        let state = &self.inner().filter_state;
        state.iter().rfind(|(known, _)| known == name.as_bytes()).map(|(_, value)| value.clone())
    }

    /// Envoy ends the stream; whatever is done with it later does nothing.
    pub fn end(&self) {
        end(self.0);
    }
}

fn end(inner: *mut Inner) {
    // SAFETY: called for streams that are alive on Envoy's side.
    unsafe {
        let module = std::mem::replace(&mut (*inner).module, std::ptr::null_mut());
        if !module.is_null() {
            let reminded = &(*inner).reminded;
            reminded.is_gone.store(true, Ordering::SeqCst);
            envoy_dynamic_module_on_http_filter_destroy(module);
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        end(self.0);
        // SAFETY: made in `Config::stream`, dropped once.
        drop(unsafe { Box::from_raw(self.0) });
    }
}

// SAFETY of all functions below: the library passes what it was given, and buffers that live during the call.

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_callback_http_get_headers_size(filter: Pointer, map: u32) -> usize {
    let inner = unsafe { &mut *filter.cast::<Inner>() };
    inner.map(map).as_ref().map_or(0, Vec::len)
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_callback_http_get_headers(
    filter: Pointer,
    map: u32,
    out: *mut Header,
) -> bool {
    let inner = unsafe { &mut *filter.cast::<Inner>() };
    let Some(pairs) = inner.map(map) else { return false };
    for (index, (name, value)) in pairs.iter().enumerate() {
        unsafe { out.add(index).write(Header { name: Buffer::of(name), value: Buffer::of(value) }) };
    }
    true
}

/// Moves a whole map, as an edit may.
fn edit(filter: Pointer, map: u32, change: impl FnOnce(&mut Pairs)) -> bool {
    let inner = unsafe { &mut *filter.cast::<Inner>() };
    if inner.refuses_edits {
        return false;
    }
    let Some(pairs) = inner.map(map) else { return false };
    let mut moved: Pairs = pairs.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
    change(&mut moved);
    *pairs = moved;
    true
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_callback_http_add_header(
    filter: Pointer,
    map: u32,
    name: Buffer,
    value: Buffer,
) -> bool {
    let (name, value) = unsafe { (name.read(), value.read()) };
    edit(filter, map, |pairs| pairs.push((name, value)))
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_callback_http_set_header(
    filter: Pointer,
    map: u32,
    name: Buffer,
    value: Buffer,
) -> bool {
    let removes = value.data.is_null();
    let (name, value) = unsafe { (name.read(), value.read()) };
    edit(filter, map, |pairs| {
        pairs.retain(|(known, _)| *known != name);
        if !removes {
            pairs.push((name, value));
        }
    })
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_callback_http_send_response(
    filter: Pointer,
    status: u32,
    headers: *const Header,
    size: usize,
    body: Buffer,
    details: Buffer,
) {
    let headers = if size == 0 { &[] } else { unsafe { std::slice::from_raw_parts(headers, size) } };
    let headers: Pairs =
        headers.iter().map(|header| unsafe { (header.name.read(), header.value.read()) }).collect();
    let (body, details) = unsafe { (body.read(), details.read()) };
    let inner = filter.cast::<Inner>();
    let (reenters, ends, module) = unsafe {
        let inner = &mut *inner;
        inner.details = Some(details.clone());
        inner.replies.push(Reply { status, headers: headers.clone(), body, details });
        inner.response = Some(headers);
        (inner.reenters, inner.ends_when_answered, inner.module)
    };
    if reenters {
        unsafe { envoy_dynamic_module_on_http_filter_response_headers(filter, module, true) };
    }
    if ends {
        end(inner);
    }
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_callback_http_filter_get_attribute_string(
    filter: Pointer,
    attribute: u32,
    value: *mut Buffer,
) -> bool {
    let inner = unsafe { &*filter.cast::<Inner>() };
    let found = match attribute {
        16 => inner.details.as_ref(),
        24 => inner.address.as_ref(),
        other => panic!("attribute {other}"),
    };
    found.is_some_and(|found| {
        unsafe { value.write(Buffer::of(found)) };
        true
    })
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_callback_http_set_filter_state_bytes(
    filter: Pointer,
    name: Buffer,
    value: Buffer,
) -> bool {
    let inner = unsafe { &mut *filter.cast::<Inner>() };
    inner.filter_state.push(unsafe { (name.read(), value.read()) });
    true
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_callback_http_get_body_size(filter: Pointer, part: u32) -> usize {
    let inner = unsafe { &*filter.cast::<Inner>() };
    inner.part(part).iter().map(Vec::len).sum()
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_callback_http_get_body_chunks_size(filter: Pointer, part: u32) -> usize {
    let inner = unsafe { &*filter.cast::<Inner>() };
    inner.part(part).len()
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_callback_http_get_body_chunks(
    filter: Pointer,
    part: u32,
    chunks: *mut Buffer,
) -> bool {
    let inner = unsafe { &*filter.cast::<Inner>() };
    if inner.refuses_body {
        return false;
    }
    for (index, chunk) in inner.part(part).iter().enumerate() {
        unsafe { chunks.add(index).write(Buffer::of(chunk)) };
    }
    true
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_callback_http_received_buffered_request_body(filter: Pointer) -> bool {
    unsafe { &*filter.cast::<Inner>() }.received_is_buffered
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_callback_http_clear_route_cache(filter: Pointer) {
    unsafe { &mut *filter.cast::<Inner>() }.rerouted += 1;
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_callback_http_filter_continue_decoding(filter: Pointer) {
    unsafe { &mut *filter.cast::<Inner>() }.continued += 1;
}

fn metric(of: &Mutex<Vec<(String, u64)>>, id: usize, change: impl FnOnce(&mut u64)) -> u32 {
    match of.lock().unwrap().get_mut(id) {
        Some((_, value)) => {
            change(value);
            0
        }
        None => 1,
    }
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_callback_http_filter_increment_counter(
    filter: Pointer,
    id: usize,
    labels: *const Buffer,
    size: usize,
    by: u64,
) -> u32 {
    assert!(labels.is_null() && size == 0);
    let config = unsafe { &*(*filter.cast::<Inner>()).config };
    metric(&config.counters, id, |value| *value += by)
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_callback_http_filter_set_gauge(
    filter: Pointer,
    id: usize,
    labels: *const Buffer,
    size: usize,
    to: u64,
) -> u32 {
    assert!(labels.is_null() && size == 0);
    let config = unsafe { &*(*filter.cast::<Inner>()).config };
    metric(&config.gauges, id, |value| *value = to)
}

fn define(of: &Mutex<Vec<(String, u64)>>, name: Buffer, id: *mut usize) -> u32 {
    let name = String::from_utf8(unsafe { name.read() }).unwrap();
    let mut known = of.lock().unwrap();
    known.push((name, 0));
    unsafe { id.write(known.len() - 1) };
    0
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_callback_http_filter_config_define_counter(
    config: Pointer,
    name: Buffer,
    _labels: *const Buffer,
    _size: usize,
    id: *mut usize,
) -> u32 {
    define(&unsafe { &*config.cast::<Configured>() }.counters, name, id)
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_callback_http_filter_config_define_gauge(
    config: Pointer,
    name: Buffer,
    _labels: *const Buffer,
    _size: usize,
    id: *mut usize,
) -> u32 {
    define(&unsafe { &*config.cast::<Configured>() }.gauges, name, id)
}

fn scheduler(reminded: &Arc<Reminded>) -> Pointer {
    SCHEDULERS.fetch_add(1, Ordering::SeqCst);
    Box::into_raw(Box::new(Arc::clone(reminded))).cast()
}

fn commit(scheduler: Pointer, event: u64) {
    let reminded = unsafe { &*scheduler.cast::<Arc<Reminded>>() };
    SCHEDULED.lock().unwrap().push((Arc::clone(reminded), event));
}

fn delete(scheduler: Pointer) {
    SCHEDULERS.fetch_sub(1, Ordering::SeqCst);
    drop(unsafe { Box::from_raw(scheduler.cast::<Arc<Reminded>>()) });
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_callback_http_filter_scheduler_new(filter: Pointer) -> Pointer {
    scheduler(&unsafe { &*filter.cast::<Inner>() }.reminded)
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_callback_http_filter_scheduler_commit(scheduler: Pointer, event: u64) {
    commit(scheduler, event);
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_callback_http_filter_scheduler_delete(scheduler: Pointer) {
    delete(scheduler);
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_callback_http_filter_config_scheduler_new(config: Pointer) -> Pointer {
    scheduler(&unsafe { &*config.cast::<Configured>() }.reminded)
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_callback_http_filter_config_scheduler_commit(
    scheduler: Pointer,
    event: u64,
) {
    commit(scheduler, event);
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_callback_http_filter_config_scheduler_delete(scheduler: Pointer) {
    delete(scheduler);
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_callback_http_filter_config_http_callout(
    config: Pointer,
    id: *mut u64,
    cluster: Buffer,
    headers: *const Header,
    headers_size: usize,
    body: Buffer,
    _timeout_milliseconds: u64,
) -> u32 {
    let config = unsafe { &*config.cast::<Configured>() };
    let mut sent = config.sent.lock().unwrap();
    // SAFETY: the library lends them during the call.
    unsafe {
        let cluster = cluster.read();
        if cluster == b"missing" {
            return 2;
        }
        let headers = std::slice::from_raw_parts(headers, headers_size);
        let headers = headers.iter().map(|header| (header.name.read(), header.value.read())).collect();
        id.write(sent.len() as u64);
        sent.push(Sent { cluster, headers, body: body.read() });
    }
    0
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_callback_register_shared_data(key: Buffer, data: Pointer) -> bool {
    SHARED.lock().unwrap().insert(unsafe { key.read() }, data as usize);
    true
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_callback_get_shared_data(key: Buffer, out: *mut Pointer) -> bool {
    let shared = SHARED.lock().unwrap();
    shared.get(&unsafe { key.read() }).is_some_and(|data| {
        unsafe { out.write(*data as Pointer) };
        true
    })
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_callback_is_validation_mode() -> bool {
    VALIDATES.load(Ordering::SeqCst)
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_callback_log(level: u32, text: Buffer) {
    let text = String::from_utf8(unsafe { text.read() }).expect("a line is UTF-8");
    LOG.with_borrow_mut(|log| {
        // A fuzzer logs for hours.
        if log.len() > 10_000 {
            log.clear();
        }
        log.push((level, text));
    });
}
