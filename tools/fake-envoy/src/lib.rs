//! A host for the built module that answers each call from its own state, and lists the calls.
//!
//! It knows enough of proxy-wasm ABI 0.2.1 and WASI to serve one request after another in one VM. A call that it does
//! not know is recorded and answered `Unimplemented` (12), so that a new call shows up in the list and not as a crash.
//!
//! Tests use it to count what a request costs; the build uses it to see which way requests take through the module.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    missing_docs,
    reason = "a fault in here should stop the test, or the build"
)]

mod answer;
mod block;
mod call;
mod wasi;

use std::collections::HashMap;
use std::path::Path;

use wasmi::{Caller, Config, Engine, ExternType, Instance, Linker, Module, Store, Val};

const ROOT_CONTEXT: i32 = 1;
const FUEL: u64 = u64::MAX / 2;

/// Names and values as on the wire.
pub type Headers = Vec<(Vec<u8>, Vec<u8>)>;

/// How a request ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// With its headers: it has no body.
    WithHeaders,
    /// After a body of this size.
    WithBody(i32),
    /// The client goes away before the body and before any answer.
    Cut,
    /// It does not: its client waits for a body or an answer that never comes.
    Waiting,
}

/// Header pairs from text.
pub fn headers(pairs: &[(&str, &str)]) -> Headers {
    pairs.iter().map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec())).collect()
}

/// A local reply, as the module asked for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    pub status: u64,
    pub body: String,
}

/// What one request caused.
#[derive(Debug, Default)]
pub struct Exchange {
    /// Host calls in their order, those of WASI included, from the stream's creation to its end. A call that names
    /// a header or a property carries the name: `proxy_remove_header_map_value x-auth-subject`.
    pub calls: Vec<String>,
    /// The fuel that the module used from the stream's creation up to each of `calls`, with the total as the last entry.
    /// The interpreter charges a function's instructions when it is entered, and a loop's with each turn, whether they
    /// are run or jumped over: more than is run, but the same in every run.
    pub fuel: Vec<u64>,
    /// The local reply, if the request was refused.
    pub reply: Option<Reply>,
    /// The request headers after the module has edited them.
    pub request: Headers,
    /// The response headers after the module has edited them.
    pub response: Headers,
}

/// A step of a module that was changed to report its run, through imports of [`STEPS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// It entered the function of this number.
    Entered(u32),
    /// It came to the branch of this number. The flag: whether it takes it.
    Branched(u32, bool),
}

/// The module of imports that report steps: `entered(number)`, and `branched(condition, number)`, which returns the condition.
pub const STEPS: &str = "steps";

#[derive(Default)]
struct Host {
    configuration: Vec<u8>,
    environment: Vec<String>,
    properties: HashMap<Vec<u8>, Vec<u8>>,
    nanoseconds: u64,
    shared: HashMap<Vec<u8>, (Vec<u8>, u32)>,
    last_cas: u32,
    metrics: Vec<(String, i64)>,
    log: Vec<String>,
    exchange: Exchange,
    steps: Vec<Step>,
}

/// One VM with the module in it, configured and ready for requests.
pub struct FakeEnvoy {
    store: Store<Host>,
    instance: Instance,
    next_context: i32,
}

impl FakeEnvoy {
    /// Like [`Self::load`], from a file.
    pub fn start(module: &Path, configuration: &str, environment: &[&str], now: u64) -> Self {
        Self::load(&std::fs::read(module).unwrap(), configuration, environment, now)
    }

    /// Loads the module and configures it. `environment`: `NAME=value`; `now`: Unix seconds.
    ///
    /// # Panics
    ///
    /// If the module refuses the configuration; the message has its log lines.
    pub fn load(module: &[u8], configuration: &str, environment: &[&str], now: u64) -> Self {
        let mut counting = Config::default();
        counting.consume_fuel(true);
        let engine = Engine::new(&counting);
        let module = Module::new(&engine, module).unwrap();
        let mut linker = Linker::<Host>::new(&engine);
        linker
            .func_wrap(STEPS, "entered", |mut caller: Caller<'_, Host>, function: u32| {
                caller.data_mut().steps.push(Step::Entered(function));
            })
            .unwrap();
        linker
            .func_wrap(STEPS, "branched", |mut caller: Caller<'_, Host>, condition: u32, branch: u32| {
                caller.data_mut().steps.push(Step::Branched(branch, condition != 0));
                condition
            })
            .unwrap();
        for import in module.imports().filter(|import| import.module() != STEPS) {
            let ExternType::Func(signature) = import.ty() else { panic!("imports {}", import.name()) };
            let (signature, name) = (signature.clone(), import.name().to_owned());
            linker
                .func_new(import.module(), import.name(), signature, move |caller, arguments, results| {
                    let status = answer::answer(caller, &name, arguments)?;
                    if let Some(result) = results.first_mut() {
                        *result = Val::I32(status);
                    }
                    Ok(())
                })
                .unwrap();
        }
        let host = Host {
            configuration: configuration.as_bytes().to_vec(),
            environment: environment.iter().map(|entry| format!("{entry}\0")).collect(),
            properties: HashMap::from([(b"source\0address".to_vec(), b"203.0.113.7:40000".to_vec())]),
            nanoseconds: now * 1_000_000_000,
            ..Host::default()
        };
        let mut store = Store::new(&engine, host);
        store.set_fuel(FUEL).unwrap();
        let instance = linker.instantiate_and_start(&mut store, &module).unwrap();
        let mut envoy = Self { store, instance, next_context: ROOT_CONTEXT + 1 };
        let size = i32::try_from(configuration.len()).unwrap();
        envoy.call("_initialize", &[]);
        envoy.call("proxy_on_context_create", &[ROOT_CONTEXT, 0]);
        let started = envoy.call("proxy_on_vm_start", &[ROOT_CONTEXT, 0]);
        assert_ne!(started, Some(0), "the VM does not start: {:?}", envoy.log());
        let configured = envoy.call("proxy_on_configure", &[ROOT_CONTEXT, size]);
        assert_ne!(configured, Some(0), "the configuration is refused: {:?}", envoy.log());
        envoy
    }

    /// Sends one request without a body through the module, and a response of 200 if it was allowed.
    pub fn request(&mut self, headers: Headers) -> Exchange {
        self.exchange(headers, Ending::WithHeaders)
    }

    /// Sends one request, which ends as `ending` says, and its response.
    pub fn exchange(&mut self, headers: Headers, ending: Ending) -> Exchange {
        let context = self.next_context;
        self.next_context += 1;
        let count = i32::try_from(headers.len()).unwrap();
        let before = self.store.get_fuel().unwrap();
        self.store.data_mut().exchange = Exchange { request: headers, ..Exchange::default() };
        self.call("proxy_on_context_create", &[context, ROOT_CONTEXT]);
        self.call("proxy_on_request_headers", &[context, count, i32::from(ending == Ending::WithHeaders)]);
        if let Ending::WithBody(size) = ending {
            self.call("proxy_on_request_body", &[context, size, 0]);
            self.call("proxy_on_request_body", &[context, 0, 1]);
        }
        if !matches!(ending, Ending::Cut | Ending::Waiting) {
            if self.store.data().exchange.reply.is_none() {
                self.store.data_mut().exchange.response = self::headers(&[(":status", "200")]);
            }
            self.call("proxy_on_response_headers", &[context, 1, 0]);
            self.call("proxy_on_response_body", &[context, 3, 1]);
        }
        if ending != Ending::Waiting {
            self.call("proxy_on_done", &[context]);
            self.call("proxy_on_log", &[context]);
            self.call("proxy_on_delete", &[context]);
        }
        let after = self.store.get_fuel().unwrap();
        let mut exchange = std::mem::take(&mut self.store.data_mut().exchange);
        exchange.fuel = exchange.fuel.iter().chain([&after]).map(|left| before - left).collect();
        exchange
    }

    /// Ticks, between requests.
    pub fn tick(&mut self) -> Exchange {
        let before = self.store.get_fuel().unwrap();
        self.store.data_mut().exchange = Exchange::default();
        self.call("proxy_on_tick", &[ROOT_CONTEXT]);
        let after = self.store.get_fuel().unwrap();
        let mut exchange = std::mem::take(&mut self.store.data_mut().exchange);
        exchange.fuel = exchange.fuel.iter().chain([&after]).map(|left| before - left).collect();
        exchange
    }

    /// How much memory the module has, pages of 64 KiB.
    pub fn pages(&self) -> u64 {
        self.instance.get_memory(&self.store, "memory").unwrap().size(&self.store)
    }

    /// The steps that the module has reported since the last call, if it was changed to do so.
    pub fn take_steps(&mut self) -> Vec<Step> {
        std::mem::take(&mut self.store.data_mut().steps)
    }

    /// The log lines so far, of all requests.
    pub fn log(&self) -> &[String] {
        &self.store.data().log
    }

    /// The names of the functions that the module exports, sorted.
    pub fn exports(&self) -> Vec<String> {
        let mut names: Vec<String> = self
            .instance
            .exports(&self.store)
            .filter(|export| matches!(export.ty(&self.store), ExternType::Func(_)))
            .map(|export| export.name().to_owned())
            .collect();
        names.sort();
        names
    }

    /// Calls an export; like Envoy, does nothing if the module does not have it.
    fn call(&mut self, name: &str, arguments: &[i32]) -> Option<i32> {
        let function = self.instance.get_func(&self.store, name)?;
        let arguments: Vec<Val> = arguments.iter().map(|argument| Val::I32(*argument)).collect();
        let mut results = vec![Val::I32(0); function.ty(&self.store).results().len()];
        if let Err(trap) = function.call(&mut self.store, &arguments, &mut results) {
            panic!("{name} trapped: {trap}; log: {:?}", self.log());
        }
        results.first().and_then(Val::i32)
    }
}
