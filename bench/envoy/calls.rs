//! What does each host call cost in place? A filter that does nothing but the calls that its configuration names.
//!
//! The configuration is a word of letters, done in their order for each request:
//! `h` all request headers, `q` one header, `c` the clock, `a` the client's address, `v` a shared value of no bytes (a
//! stamp), `g` a shared value of 32 bytes, `s` the same and a compare-and-swap of it, `e` and `f` a request header
//! each replaced, `A` one added, `n` a metric read, `p` a filter state property, `m` a counter. Built by `bench.py` with plain `rustc`: with `--cfg lifecycle` it
//! exports the callbacks that the SDK needs, with `--cfg response` the one for response headers. Never shipped.
#![allow(static_mut_refs)]

#[link(wasm_import_module = "env")]
unsafe extern "C" {
    fn proxy_get_header_map_pairs(map: u32, data: *mut usize, size: *mut usize) -> u32;
    fn proxy_get_header_map_value(map: u32, key: *const u8, key_size: usize, data: *mut usize, size: *mut usize) -> u32;
    fn proxy_replace_header_map_value(map: u32, key: *const u8, key_size: usize, value: *const u8, size: usize) -> u32;
    fn proxy_add_header_map_value(map: u32, key: *const u8, key_size: usize, value: *const u8, size: usize) -> u32;
    fn proxy_get_metric(id: u32, value: *mut u64) -> u32;
    fn proxy_get_current_time_nanoseconds(time: *mut u64) -> u32;
    fn proxy_get_property(path: *const u8, path_size: usize, data: *mut usize, size: *mut usize) -> u32;
    fn proxy_set_property(path: *const u8, path_size: usize, value: *const u8, size: usize) -> u32;
    fn proxy_get_shared_data(key: *const u8, key_size: usize, data: *mut usize, size: *mut usize, cas: *mut u32) -> u32;
    fn proxy_set_shared_data(key: *const u8, key_size: usize, value: *const u8, size: usize, cas: u32) -> u32;
    fn proxy_get_buffer_bytes(buffer: u32, start: usize, length: usize, data: *mut usize, size: *mut usize) -> u32;
    fn proxy_define_metric(kind: u32, name: *const u8, name_size: usize, id: *mut u32) -> u32;
    fn proxy_increment_metric(id: u32, by: i64) -> u32;
}

const STAMP: &[u8] = b"stamp";
const CELL: &[u8] = b"cell";

// One VM is one thread: nothing else ever touches these.
static mut GIVEN: [u8; 1 << 17] = [0; 1 << 17];
static mut USED: usize = 0;
static mut STEPS: [u8; 32] = [0; 32];
static mut METRIC: u32 = 0;

/// Names the ABI; Envoy looks for the export and never calls it.
#[unsafe(no_mangle)]
pub extern "C" fn proxy_abi_version_0_2_1() {}

/// The reactor's entry point: there are no constructors to run.
#[unsafe(no_mangle)]
pub extern "C" fn _initialize() {}

/// Where the host puts the bytes that it returns; all of it is free again with the next request.
#[unsafe(no_mangle)]
pub extern "C" fn proxy_on_memory_allocate(size: usize) -> *mut u8 {
    unsafe {
        if USED + size > GIVEN.len() {
            USED = 0;
        }
        let given = GIVEN.as_mut_ptr().add(USED);
        USED += (size + 15) & !15;
        given
    }
}

/// Reads the word of steps and makes the shared values.
#[unsafe(no_mangle)]
pub extern "C" fn proxy_on_configure(_root_context: u32, size: usize) -> u32 {
    let (mut data, mut length) = (0, 0);
    unsafe {
        proxy_get_buffer_bytes(7, 0, size.min(STEPS.len()), &mut data, &mut length);
        std::ptr::copy_nonoverlapping(data as *const u8, STEPS.as_mut_ptr(), length.min(STEPS.len()));
        proxy_set_shared_data(STAMP.as_ptr(), STAMP.len(), STAMP.as_ptr(), 0, 0);
        proxy_set_shared_data(CELL.as_ptr(), CELL.len(), STEPS.as_ptr(), 32, 0);
        proxy_define_metric(0, b"calls".as_ptr(), 5, &mut *(&raw mut METRIC));
    }
    1
}

/// Does the steps and lets the request pass.
#[unsafe(no_mangle)]
pub extern "C" fn proxy_on_request_headers(_context: u32, _headers: u32, _end_of_stream: u32) -> u32 {
    let (mut data, mut size, mut cas, mut now) = (0, 0, 0, 0);
    let (address, state) = (b"source\0address", b"calls.subject");
    unsafe {
        USED = 0;
        for step in STEPS {
            match step {
                b'h' => proxy_get_header_map_pairs(0, &mut data, &mut size),
                b'q' => proxy_get_header_map_value(0, b"authorization".as_ptr(), 13, &mut data, &mut size),
                b'c' => proxy_get_current_time_nanoseconds(&mut now),
                b'a' => proxy_get_property(address.as_ptr(), address.len(), &mut data, &mut size),
                b'v' => proxy_get_shared_data(STAMP.as_ptr(), STAMP.len(), &mut data, &mut size, &mut cas),
                b'g' => proxy_get_shared_data(CELL.as_ptr(), CELL.len(), &mut data, &mut size, &mut cas),
                b's' => {
                    proxy_get_shared_data(CELL.as_ptr(), CELL.len(), &mut data, &mut size, &mut cas);
                    proxy_set_shared_data(CELL.as_ptr(), CELL.len(), data as *const u8, size, cas)
                }
                b'e' => proxy_replace_header_map_value(0, b"x-auth-subject".as_ptr(), 14, b"user-1".as_ptr(), 6),
                b'A' => proxy_add_header_map_value(0, b"x-auth-subject".as_ptr(), 14, b"user-1".as_ptr(), 6),
                b'n' => proxy_get_metric(METRIC, &mut now),
                b'f' => proxy_replace_header_map_value(0, b"x-auth-tenant".as_ptr(), 13, b"tenant-1".as_ptr(), 8),
                b'p' => proxy_set_property(state.as_ptr(), state.len(), b"user-1".as_ptr(), 6),
                b'm' => proxy_increment_metric(METRIC, 1),
                _ => break,
            };
        }
    }
    0
}

/// The SDK's registry of streams needs both of these.
#[cfg(lifecycle)]
#[unsafe(no_mangle)]
pub extern "C" fn proxy_on_context_create(_context: u32, _parent: u32) {}

/// The SDK's registry of streams needs both of these.
#[cfg(lifecycle)]
#[unsafe(no_mangle)]
pub extern "C" fn proxy_on_delete(_context: u32) {}

/// What limit headers on admitted responses need.
#[cfg(response)]
#[unsafe(no_mangle)]
pub extern "C" fn proxy_on_response_headers(_context: u32, _headers: u32, _end_of_stream: u32) -> u32 {
    0
}
