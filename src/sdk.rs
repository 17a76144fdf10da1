//! The SDK's way into a module that was built but not packed. It makes objects of contexts; these only pass calls on.

use api_guard_core::exchange::Flow;
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
        streams::forget(self.0);
    }
}

impl Context for Root {}

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
        Some(Box::new(Stream(context)))
    }
}

struct Stream(u32);

impl Drop for Stream {
    fn drop(&mut self) {
        streams::forget(self.0);
    }
}

impl Context for Stream {}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _count: usize, end_of_stream: bool) -> Action {
        action(streams::on_request_headers(self.0, end_of_stream))
    }

    fn on_http_request_body(&mut self, size: usize, end_of_stream: bool) -> Action {
        action(streams::on_request_body(self.0, size, end_of_stream))
    }

    fn on_http_request_trailers(&mut self, _count: usize) -> Action {
        action(streams::on_request_trailers(self.0))
    }

    fn on_http_response_headers(&mut self, _count: usize, _end_of_stream: bool) -> Action {
        action(streams::on_response_headers(self.0))
    }
}

fn action(flow: Flow) -> Action {
    match flow {
        Flow::Continue => Action::Continue,
        Flow::Pause => Action::Pause,
    }
}
