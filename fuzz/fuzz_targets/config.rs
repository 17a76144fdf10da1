//! Configuration as any bytes: reading it never panics, an error says where, and a policy that came to exist judges
//! requests, whatever it says.
#![no_main]

use api_guard_fuzz::{NOW, get, judge, token};
use api_guard_testkit::{Guarded, parse};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let policy = match parse(data) {
        Ok(policy) => policy,
        Err(text) => {
            assert!(!text.trim().is_empty());
            return;
        }
    };
    let mut guarded = Guarded::under(policy);
    let token = token("user-7", &["orders:read"]);
    for path in [&b"/"[..], b"/orders/1", b"/users/user-7", b"/auth/revoke", b"/a/b/c?x", b"/%61", b"\xFF"] {
        for moment in [NOW, 0, u64::MAX, NOW] {
            let _ = get(&mut guarded, path, &token, moment);
        }
        let headers: [(&[u8], &[u8]); 6] = [
            (b":method", b"POST"),
            (b":path", path),
            (b":authority", b"API.example.com.:443"),
            (b"content-type", b"application/grpc"),
            (b"content-length", b"18446744073709551615"),
            (b"x-forwarded-proto", b"https"),
        ];
        let _ = judge(&mut guarded, &headers, true, NOW);
    }
});
