//! What Envoy exports to the module: the functions of ABI 0.2.1 that it calls, as they are declared.

#[expect(unsafe_code, reason = "the proxy-wasm ABI")]
#[link(wasm_import_module = "env")]
unsafe extern "C" {
    pub(in crate::abi) fn proxy_log(level: u32, message: *const u8, message_size: usize) -> u32;
    pub(in crate::abi) fn proxy_get_header_map_pairs(map: u32, data: *mut *mut u8, size: *mut usize) -> u32;
    pub(in crate::abi) fn proxy_call_foreign_function(
        name: *const u8,
        name_size: usize,
        arguments: *const u8,
        arguments_size: usize,
        data: *mut *mut u8,
        size: *mut usize,
    ) -> u32;
    pub(in crate::abi) fn proxy_add_header_map_value(
        map: u32,
        name: *const u8,
        name_size: usize,
        value: *const u8,
        value_size: usize,
    ) -> u32;
    pub(in crate::abi) fn proxy_replace_header_map_value(
        map: u32,
        name: *const u8,
        name_size: usize,
        value: *const u8,
        value_size: usize,
    ) -> u32;
    pub(in crate::abi) fn proxy_remove_header_map_value(map: u32, name: *const u8, name_size: usize) -> u32;
    pub(in crate::abi) fn proxy_get_property(
        path: *const u8,
        path_size: usize,
        data: *mut *mut u8,
        size: *mut usize,
    ) -> u32;
    pub(in crate::abi) fn proxy_set_property(
        path: *const u8,
        path_size: usize,
        data: *const u8,
        size: usize,
    ) -> u32;
    pub(in crate::abi) fn proxy_get_shared_data(
        key: *const u8,
        key_size: usize,
        data: *mut *mut u8,
        size: *mut usize,
        cas: *mut u32,
    ) -> u32;
    pub(in crate::abi) fn proxy_set_shared_data(
        key: *const u8,
        key_size: usize,
        data: *const u8,
        size: usize,
        cas: u32,
    ) -> u32;
    pub(in crate::abi) fn proxy_get_buffer_bytes(
        buffer: u32,
        start: usize,
        length: usize,
        data: *mut *mut u8,
        size: *mut usize,
    ) -> u32;
    pub(in crate::abi) fn proxy_get_current_time_nanoseconds(time: *mut u64) -> u32;
    pub(in crate::abi) fn proxy_define_metric(
        kind: u32,
        name: *const u8,
        name_size: usize,
        id: *mut u32,
    ) -> u32;
    pub(in crate::abi) fn proxy_increment_metric(id: u32, offset: i64) -> u32;
    pub(in crate::abi) fn proxy_record_metric(id: u32, value: u64) -> u32;
    pub(in crate::abi) fn proxy_set_effective_context(id: u32) -> u32;
    #[cfg(not(feature = "sdk"))]
    pub(in crate::abi) fn proxy_http_call(
        cluster: *const u8,
        cluster_size: usize,
        headers: *const u8,
        headers_size: usize,
        body: *const u8,
        body_size: usize,
        trailers: *const u8,
        trailers_size: usize,
        timeout: u32,
        token: *mut u32,
    ) -> u32;
    pub(in crate::abi) fn proxy_continue_stream(stream: u32) -> u32;
    pub(in crate::abi) fn proxy_set_tick_period_milliseconds(period: u32) -> u32;
    pub(in crate::abi) fn proxy_send_local_response(
        status: u32,
        details: *const u8,
        details_size: usize,
        body: *const u8,
        body_size: usize,
        headers: *const u8,
        headers_size: usize,
        grpc_status: i32,
    ) -> u32;
}
