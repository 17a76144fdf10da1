//! Which request does a callback belong to, and which configuration applies to it?
//!
//! Most requests are settled with their headers, so only streams with a later phase to judge are kept. If a callback
//! finds no stream, the request was settled, and nothing more of it goes on. A stream ends when Envoy deletes its
//! context.

use std::cell::RefCell;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::BuildHasherDefault;
use std::rc::Rc;
use std::sync::Arc;

use api_guard_core::exchange::{Exchange, Flow};
use api_guard_core::held::HeldBytes;
use api_guard_core::lookup::Fnv1a;
use api_guard_core::time::UnixNanos;

use crate::abi;
use crate::block::Block;
use crate::host::Envoy;
use crate::root::Plugin;

/// How many streams at most are answered or go on in one tick. Envoy does it when the callback has returned, and each within the
/// one before, because an answer's headers come to the module, too. So some 300 of them overflow the stack, and the VM dies.
const MOST_SETTLED: u32 = 32;

/// Envoy counts context identifiers up in each VM; no client can choose one.
type ById<T> = HashMap<u32, T, BuildHasherDefault<Fnv1a>>;

#[derive(Default)]
struct Streams {
    /// The configurations by root context: the one in force, and older ones that streams still use. `None`: not
    /// configured yet, or the configuration was refused.
    roots: Vec<(u32, Option<Rc<Plugin>>)>,
    /// Streams whose headers have not arrived yet, and their root contexts.
    announced: Vec<(u32, u32)>,
    begun: ById<Stream>,
    /// The begun streams that need ticks.
    waiting: Vec<u32>,
    /// What all of them hold back.
    held: Arc<HeldBytes>,
}

/// A stream with a later phase to judge.
struct Stream {
    plugin: Rc<Plugin>,
    exchange: Exchange,
    /// Whether it is among those that need ticks.
    is_waiting: bool,
}

thread_local! {
    static STREAMS: RefCell<Streams> = RefCell::default();
}

/// Runs `call` on the streams. Envoy makes no callback while another one runs; if it did, the inner one would get
/// `None` and stop its request.
fn with<R>(call: impl FnOnce(&mut Streams) -> R) -> Option<R> {
    STREAMS.with(|streams| streams.try_borrow_mut().ok().map(|mut streams| call(&mut streams)))
}

/// Adds a root context, which is not configured yet.
pub(crate) fn add_root(root: u32) {
    let _ = with(|streams| streams.roots.push((root, None)));
}

/// The configuration in force of a root context.
pub(crate) fn plugin(root: u32) -> Option<Rc<Plugin>> {
    with(|streams| {
        let (_, plugin) = streams.roots.iter().find(|(known, _)| *known == root)?;
        plugin.clone()
    })
    .flatten()
}

/// Sets the configuration of a root context.
pub(crate) fn configure(root: u32, plugin: &Rc<Plugin>) {
    let _ = with(|streams| {
        if let Some((_, configured)) = streams.roots.iter_mut().find(|(known, _)| *known == root) {
            *configured = Some(Rc::clone(plugin));
        }
    });
}

/// What the streams of this VM hold back, under whatever configuration.
pub(crate) fn held_bytes() -> Arc<HeldBytes> {
    with(|streams| Arc::clone(&streams.held)).unwrap_or_default()
}

/// Notes that a stream begins. Its headers come later, or never.
pub(crate) fn announce(context: u32, root: u32) {
    let _ = with(|streams| streams.announced.push((context, root)));
}

/// Forgets a stream or a root context, which has ended. Returns the configuration of a root context.
pub(crate) fn forget(context: u32) -> Option<Rc<Plugin>> {
    with(|streams| {
        if !streams.begun.is_empty() {
            streams.begun.remove(&context);
        }
        // Nearly always empty, because headers follow at once.
        streams.announced.retain(|(announced, _)| *announced != context);
        let root = streams.roots.iter().position(|(root, _)| *root == context)?;
        streams.roots.swap_remove(root).1
    })
    .flatten()
}

impl Streams {
    /// The configuration for a stream that begins.
    fn begin(&mut self, context: u32) -> Option<Rc<Plugin>> {
        let position = self.announced.iter().rposition(|(announced, _)| *announced == context)?;
        let (_, root) = self.announced.swap_remove(position);
        let (_, plugin) = self.roots.iter().find(|(known, _)| *known == root)?;
        plugin.clone()
    }

    fn keep(&mut self, context: u32, plugin: Rc<Plugin>, exchange: Exchange) {
        let is_waiting = exchange.wants_ticks();
        if is_waiting {
            self.waiting.push(context);
        }
        self.begun.insert(context, Stream { plugin, exchange, is_waiting });
    }

    /// Takes the next step of a stream, and forgets the stream if `is_last`, so that its memory is reused while it is
    /// warm. `unknown`: the answer for a stream that was not kept.
    fn go_on(
        &mut self,
        context: u32,
        unknown: Flow,
        step: impl FnOnce(&mut Exchange, &Plugin) -> Flow,
        is_last: impl FnOnce(&Exchange) -> bool,
    ) -> Flow {
        // The usual case: no stream is kept.
        if self.begun.is_empty() {
            return unknown;
        }
        let Entry::Occupied(mut entry) = self.begun.entry(context) else { return unknown };
        let Stream { plugin, exchange, is_waiting } = entry.get_mut();
        let flow = step(exchange, plugin);
        if exchange.wants_ticks() && !*is_waiting {
            *is_waiting = true;
            self.waiting.push(context);
        }
        if is_last(exchange) {
            entry.remove();
        }
        flow
    }

    fn tick(&mut self, now: UnixNanos) -> bool {
        let Self { begun, waiting, .. } = self;
        let mut room = MOST_SETTLED;
        waiting.retain(|context| {
            let Some(Stream { plugin, exchange, is_waiting }) = begun.get_mut(context) else { return false };
            // Many may wait, and nearly always for nothing: Envoy is told of a stream only when its time has come.
            if room > 0 && exchange.is_due(now) {
                if !abi::enter(*context) {
                    return false;
                }
                exchange.on_tick(&plugin.engine, &mut Envoy::new(plugin, *context), now);
                room = room.saturating_sub(u32::from(!exchange.wants_ticks()));
            }
            *is_waiting = exchange.wants_ticks();
            *is_waiting
        });
        room == 0
    }
}

/// A failure in here stops the request: [`Flow::Pause`].
fn flow(flow: Option<Flow>) -> Flow {
    flow.unwrap_or(Flow::Pause)
}

/// Ticks the streams that need it. Whether some may be left that another tick has to look after.
pub(crate) fn tick(now: UnixNanos) -> bool {
    with(|streams| streams.tick(now)).unwrap_or(false)
}

/// Handles the headers of a request.
pub(crate) fn on_request_headers(context: u32, end_of_stream: bool) -> Flow {
    // Envoy configures before it sends requests; if it did not, nothing would pass.
    let Some(plugin) = with(|streams| streams.begin(context)).flatten() else { return Flow::Pause };
    let now = abi::now();
    let bytes = abi::request_headers();
    let block = bytes.as_deref().and_then(Block::read);
    let mut exchange = Exchange::default();
    let flow = exchange.on_request_headers(
        &plugin.engine,
        block.map(Block::pairs),
        end_of_stream,
        &mut Envoy::new(&plugin, context),
        now,
    );
    plugin.metrics.settle(now);
    // Most requests are over here.
    if exchange.is_over() {
        return flow;
    }
    // A stream that could not be kept could not be judged further, so it stops.
    with(|streams| streams.keep(context, plugin, exchange)).map_or(Flow::Pause, |()| flow)
}

/// Handles a piece of a request's body.
pub(crate) fn on_request_body(context: u32, size: usize, end_of_stream: bool) -> Flow {
    let size = u64::try_from(size).unwrap_or(u64::MAX);
    flow(with(|streams| {
        let step = |exchange: &mut Exchange, plugin: &Plugin| {
            let mut envoy = Envoy::new(plugin, context);
            exchange.on_request_body(&plugin.engine, size, end_of_stream, &mut envoy, abi::now())
        };
        streams.go_on(context, Flow::Pause, step, Exchange::is_over)
    }))
}

/// Handles a request's trailers.
pub(crate) fn on_request_trailers(context: u32) -> Flow {
    flow(with(|streams| {
        let step = |exchange: &mut Exchange, plugin: &Plugin| {
            let bytes = abi::request_trailers();
            let trailers = bytes.as_deref().and_then(Block::read).map(Block::pairs);
            let mut envoy = Envoy::new(plugin, context);
            exchange.on_request_trailers(&plugin.engine, trailers, &mut envoy, abi::now())
        };
        streams.go_on(context, Flow::Pause, step, Exchange::is_over)
    }))
}

/// Handles the headers of the response.
pub(crate) fn on_response_headers(context: u32) -> Flow {
    flow(with(|streams| {
        let step = |exchange: &mut Exchange, plugin: &Plugin| {
            exchange.on_response_headers(&plugin.engine, &mut Envoy::new(plugin, context))
        };
        // An unknown stream was settled, and its response gets no headers.
        streams.go_on(context, Flow::Continue, step, Exchange::is_settled)
    }))
}
