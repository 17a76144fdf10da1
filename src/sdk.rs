//! The SDK's way into a module that was built but not packed. It makes objects of contexts; these only pass calls on.
//!
//! It panics at the end of a request that it has not sent itself, so such a module sends its requests through it. It tells
//! that end to the context in whose callback the request was sent: where a stream has ended before, the worker hears
//! nothing, and another one begins anew when the lease of the fetch has lapsed.

use std::time::Duration;

use api_guard_core::exchange::Flow;
use api_guard_core::host::NotDone;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType};

use crate::{root, streams};

/// Tells the SDK how to make a root context.
pub(crate) fn start() {
    proxy_wasm::set_root_context(|context| {
        streams::add_root(context);
        Box::new(Root(context))
    });
}

struct Root(u32);

impl Drop for Root {
    fn drop(&mut self) {
        root::on_delete(self.0);
    }
}

impl Context for Root {
    fn on_http_call_response(&mut self, token: u32, headers: usize, body_size: usize, _trailers: usize) {
        on_called(self.0, token, headers, body_size);
    }
}

impl RootContext for Root {
    fn on_configure(&mut self, size: usize) -> bool {
        root::configure(self.0, size)
    }

    fn on_tick(&mut self) {
        root::tick(self.0);
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }

    fn create_http_context(&self, context: u32) -> Option<Box<dyn HttpContext>> {
        streams::announce(context, self.0);
        Some(Box::new(Stream { context, root: self.0 }))
    }
}

struct Stream {
    context: u32,
    root: u32,
}

impl Drop for Stream {
    fn drop(&mut self) {
        root::on_delete(self.context);
    }
}

impl Context for Stream {
    fn on_http_call_response(&mut self, token: u32, headers: usize, body_size: usize, _trailers: usize) {
        on_called(self.root, token, headers, body_size);
    }
}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _count: usize, end_of_stream: bool) -> Action {
        action(streams::on_request_headers(self.context, end_of_stream))
    }

    fn on_http_request_body(&mut self, size: usize, end_of_stream: bool) -> Action {
        action(streams::on_request_body(self.context, size, end_of_stream))
    }

    fn on_http_request_trailers(&mut self, _count: usize) -> Action {
        action(streams::on_request_trailers(self.context))
    }

    fn on_http_response_headers(&mut self, _count: usize, _end_of_stream: bool) -> Action {
        action(streams::on_response_headers(self.context))
    }
}

/// Sends a request to a cluster from the current context, and returns the number by which its end is told.
pub(crate) fn send(
    cluster: &str,
    headers: &[(&str, &str)],
    body: &[u8],
    timeout_milliseconds: u32,
) -> Result<u32, NotDone> {
    let timeout = Duration::from_millis(timeout_milliseconds.into());
    let body = Some(body).filter(|body| !body.is_empty());
    proxy_wasm::hostcalls::dispatch_http_call(cluster, headers.to_vec(), body, Vec::new(), timeout)
        .map_err(|_| NotDone)
}

fn on_called(root: u32, token: u32, headers: usize, body_size: usize) {
    root::on_called(root, token, u32::try_from(headers).unwrap_or(u32::MAX), body_size);
}

fn action(flow: Flow) -> Action {
    match flow {
        Flow::Continue => Action::Continue,
        Flow::Pause => Action::Pause,
    }
}
