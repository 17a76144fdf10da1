//! What configurations and streams leave behind: nothing that grows.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicIsize, Ordering};

use serde_json::json;

use crate::envoy::{CONTINUE, Config, STOP};
use crate::{bearer, policy, request};

/// Bytes that this thread has allocated and nobody has freed; what other threads do does not count.
struct Counting;

thread_local! {
    static LIVE: AtomicIsize = const { AtomicIsize::new(0) };
}

fn count(by: usize, sign: isize) {
    let _ = LIVE.try_with(|live| live.fetch_add(sign * by as isize, Ordering::Relaxed));
}

// SAFETY: the system's allocator does the work.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 1);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(layout.size(), -1);
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

fn live() -> isize {
    LIVE.with(|live| live.load(Ordering::Relaxed))
}

#[test]
fn pushes_leave_nothing_behind() {
    let bearer = bearer("somebody");
    let mut current: Option<Config> = None;
    let mut push = |number: usize| {
        let routes: Vec<_> =
            (0..200).map(|route| json!({ "path": format!("/{}/{route}", number % 2) })).collect();
        let config = Config::load("pushes", &policy(json!({ "routes": routes }))).unwrap();
        // A stream of the old configuration lives on for a while.
        let old = current.as_ref().map(|old| {
            let stream = old.stream();
            let more = [("authorization", bearer.as_str()), ("content-type", "application/json")];
            assert_eq!(stream.headers(Some(request("POST", "/0/1", &more)), false), STOP);
            stream
        });
        for _ in 0..20 {
            let stream = config.stream();
            let flow = stream.headers(Some(request("GET", "/0/1", &[("authorization", &bearer)])), true);
            assert_eq!(flow, CONTINUE);
        }
        if let Some(old) = &old {
            assert_eq!(old.body(&[b"{}"], true), CONTINUE);
        }
        drop(old);
        current = Some(config);
        // The log is the test's own.
        drop(crate::envoy::take_log());
    };
    (0..10).for_each(&mut push);
    let before = live();
    (10..60).for_each(&mut push);
    let grown = live() - before;
    assert!(grown < 64 * 1024, "{grown} bytes in 50 pushes");
}

#[test]
fn streams_leave_nothing_behind() {
    let config = Config::load("streams", &policy(json!({}))).unwrap();
    let bearer = bearer("somebody");
    let round = || {
        for (path, end) in
            [("/x", true), ("/x", false), ("/stream", false), ("/auth/revoke", false), ("/a/../b", true)]
        {
            let stream = config.stream();
            stream.when_answered(true, true);
            let more = [("authorization", bearer.as_str()), ("content-type", "application/json")];
            let method = if end { "GET" } else { "POST" };
            let _ = stream.headers(Some(request(method, path, &more)), end);
            let _ = stream.body(&[b"{"], false);
        }
        drop(crate::envoy::take_log());
    };
    (0..200).for_each(|_| round());
    let before = live();
    (0..2000).for_each(|_| round());
    let grown = live() - before;
    assert!(grown < 64 * 1024, "{grown} bytes in 10,000 streams");
}
