//! Which request does a callback belong to, and under which configuration is it?
//!
//! The SDK keeps an object for every request, in maps with a keyed hash, and looks it up in each callback. Most
//! requests are settled with their headers and leave nothing to remember, so here only those are kept that have a later
//! phase to be judged in. What a callback finds no stream for was settled: nothing of it goes on.
//!
//! The exports have names of their own. The build gives them the ABI's names, in place of the SDK's, which keeps
//! the root contexts; see `xtask/src/pack.rs`.
//!
//! There is none for the end of a context, which would cost every request a call into the VM: what ended before its last
//! phase is found by the tick.

use std::cell::RefCell;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::BuildHasherDefault;
use std::rc::Rc;

use proxy_wasm::types::Action;

use crate::host;
use crate::root::Shared;
use crate::stream::{self, Stream};
use api_guard_core::lookup::Fnv1a;

/// Context identifiers are Envoy's, counted up in each VM: no client chooses one.
type ById<T> = HashMap<u32, T, BuildHasherDefault<Fnv1a>>;

#[derive(Default)]
struct Streams {
    /// The configurations by root context: the one in force, and those that requests still run under. `None`: not
    /// configured yet, or wrongly.
    roots: Vec<(u32, Option<Rc<Shared>>)>,
    /// Streams whose headers have not come, and their root contexts.
    announced: Vec<(u32, u32)>,
    begun: ById<Stream>,
}

thread_local! {
    static STREAMS: RefCell<Streams> = RefCell::default();
}

/// Sets the configuration of a root context.
pub(crate) fn configure(root: u32, shared: &Rc<Shared>) {
    let _ = with(|streams| {
        if let Some((_, place)) = streams.roots.iter_mut().find(|(known, _)| *known == root) {
            *place = Some(Rc::clone(shared));
        }
    });
}

/// Envoy makes no callback while another one runs. If it ever did, the inner one would find nothing, and stop.
fn with<R>(call: impl FnOnce(&mut Streams) -> R) -> Option<R> {
    STREAMS.with(|streams| streams.try_borrow_mut().ok().map(|mut streams| call(&mut streams)))
}

impl Streams {
    /// The configuration for a stream that begins.
    fn begin(&mut self, context: u32) -> Option<Rc<Shared>> {
        let place = self.announced.iter().rposition(|(announced, _)| *announced == context)?;
        let (_, root) = self.announced.swap_remove(place);
        let (_, shared) = self.roots.iter().find(|(known, _)| *known == root)?;
        shared.clone()
    }

    /// Forgets what Envoy has forgotten. The root contexts among that.
    fn sweep(&mut self) -> Vec<u32> {
        self.begun.retain(|context, _| host::enter(*context));
        // A stream whose headers never come was refused by Envoy itself.
        self.announced.retain(|(context, _)| host::enter(*context));
        let ended = |(root, _): &mut (u32, _)| !host::enter(*root);
        self.roots.extract_if(.., ended).map(|(root, _)| root).collect()
    }
}

/// Goes on with a stream, and forgets it if that was the last of it: memory that is used again at once is warm.
/// `unknown`: what to do where nothing was kept.
fn go_on(
    context: u32,
    unknown: Action,
    step: impl FnOnce(&mut Stream) -> Action,
    is_last: impl FnOnce(&Stream) -> bool,
) -> Option<Action> {
    with(|streams| {
        // As it is for most requests: nothing is kept of any.
        if streams.begun.is_empty() {
            return unknown;
        }
        let Entry::Occupied(mut stream) = streams.begun.entry(context) else { return unknown };
        let action = step(stream.get_mut());
        if is_last(stream.get()) {
            stream.remove();
        }
        action
    })
}

/// As the ABI numbers actions. What is not said to go on stops.
fn number(action: Option<Action>) -> u32 {
    u32::from(action != Some(Action::Continue))
}

#[expect(unsafe_code, reason = "the exports that the ABI demands, and the SDK's that they stand before")]
mod exports {
    use super::{Action, Stream, Streams, go_on, host, number, stream, with};

    unsafe extern "C" {
        fn proxy_on_context_create(context: u32, parent: u32);
        fn proxy_on_delete(context: u32);
        fn proxy_on_tick(context: u32);
    }

    /// A root context, or a stream of one.
    #[unsafe(export_name = "api_guard_on_context_create")]
    extern "C" fn on_context_create(context: u32, parent: u32) {
        if parent == 0 {
            let _ = with(|streams| streams.roots.push((context, None)));
            // SAFETY: the SDK's own callback, called as Envoy would.
            unsafe { proxy_on_context_create(context, parent) };
        } else {
            let _ = with(|streams| streams.announced.push((context, parent)));
        }
    }

    /// Several times a second for each root context, whether there are requests or not.
    #[unsafe(export_name = "api_guard_on_tick")]
    extern "C" fn on_tick(root: u32) {
        for ended in with(Streams::sweep).unwrap_or_default() {
            // SAFETY: the SDK's own callback, called as Envoy would for a context that was created.
            unsafe { proxy_on_delete(ended) };
        }
        host::enter(root);
        // SAFETY: the SDK's own callback, called as Envoy would.
        unsafe { proxy_on_tick(root) };
    }

    #[unsafe(export_name = "api_guard_on_request_headers")]
    extern "C" fn on_request_headers(context: u32, _count: u32, end_of_stream: u32) -> u32 {
        let shared = with(|streams| streams.begin(context)).flatten();
        // Envoy configures before it sends requests; if it ever did not, nothing passes.
        let Some(shared) = shared else { return number(None) };
        let (action, rest) = stream::judge_headers(context, &shared, end_of_stream != 0);
        if let Some(stream) = rest {
            // What could not be kept could not be judged further.
            return number(with(|streams| streams.begun.insert(context, stream)).map(|_| action));
        }
        number(Some(action))
    }

    #[unsafe(export_name = "api_guard_on_request_body")]
    extern "C" fn on_request_body(context: u32, size: u32, end_of_stream: u32) -> u32 {
        let (size, end_of_stream) = (u64::from(size), end_of_stream != 0);
        let read = |stream: &mut Stream| stream.read_body(size, end_of_stream);
        number(go_on(context, Action::Pause, read, Stream::is_over))
    }

    #[unsafe(export_name = "api_guard_on_request_trailers")]
    extern "C" fn on_request_trailers(context: u32, _count: u32) -> u32 {
        number(go_on(context, Action::Pause, Stream::end_body, Stream::is_over))
    }

    #[unsafe(export_name = "api_guard_on_response_headers")]
    extern "C" fn on_response_headers(context: u32, _count: u32, _end_of_stream: u32) -> u32 {
        // Of most requests nothing was kept, since their responses tell of nothing.
        number(go_on(context, Action::Continue, Stream::mark_response, Stream::is_settled))
    }
}
