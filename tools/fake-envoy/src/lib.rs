//! What would Envoy have done? A host for the built module that answers each call from its state and keeps a list.
//!
//! It knows enough of proxy-wasm ABI 0.2.1 and WASI to serve one request after another in one VM. A call that it does
//! not know is recorded and answered `Unimplemented` (12), so that a new one shows up in the list and not as a crash.
//!
//! Tests count with it what a request costs; the build watches with it which way requests take through the module.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    missing_docs,
    reason = "a fault in it should stop the test, or the build"
)]

use std::collections::HashMap;
use std::path::Path;

use wasmi::{Caller, Config, Engine, Error, ExternType, Instance, Linker, Memory, Module, Store, Val};

const OK: i32 = 0;
const NOT_FOUND: i32 = 1;
const BAD_ARGUMENT: i32 = 2;
const CAS_MISMATCH: i32 = 8;
const UNIMPLEMENTED: i32 = 12;
const PLUGIN_CONFIGURATION: u64 = 7;
const ROOT_CONTEXT: i32 = 1;
const FUEL: u64 = u64::MAX / 2;

/// Names and values as the wire has them.
pub type Headers = Vec<(Vec<u8>, Vec<u8>)>;

/// How a request ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// It has no body.
    WithHeaders,
    /// After a body of this size.
    WithBody(i32),
    /// Its client goes away before its body and before any answer.
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

/// What one request led to.
#[derive(Debug, Default)]
pub struct Exchange {
    /// Host calls in their order, those of WASI included, from the stream's creation to its end. A call that names
    /// a header or a property carries the name: `proxy_remove_header_map_value x-auth-subject`.
    pub calls: Vec<String>,
    /// What the module computed from the stream's creation up to each of `calls`, and in all as the last entry: fuel,
    /// about an instruction each, the same in every run.
    pub fuel: Vec<u64>,
    /// The local reply, where the request was refused.
    pub reply: Option<Reply>,
    /// The request headers after the module has edited them.
    pub request: Headers,
    /// The response headers after the module has edited them.
    pub response: Headers,
}

/// What a module that was made to report its own run reports, through imports of [`STEPS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// It entered the function of this number.
    Entered(u32),
    /// It came to the branch of this number; whether it takes it.
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
    /// As [`Self::load`], from a file.
    pub fn start(module: &Path, configuration: &str, environment: &[&str], now: u64) -> Self {
        Self::load(&std::fs::read(module).unwrap(), configuration, environment, now)
    }

    /// Loads the module and configures it. `environment`: `NAME=value`; `now`: Unix seconds. Panics when the module
    /// refuses the configuration, with what it logged.
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
                    let status = answer(caller, &name, arguments)?;
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

    /// Puts one request without a body through the module, and a response of 200 where it was let through.
    pub fn request(&mut self, headers: Headers) -> Exchange {
        self.exchange(headers, Ending::WithHeaders)
    }

    /// Lets a request in and out again, which ends as `ending` says.
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

    /// Lets a tick pass, between requests.
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

    /// What the module has reported since the last time, if it is one that does.
    pub fn take_steps(&mut self) -> Vec<Step> {
        std::mem::take(&mut self.store.data_mut().steps)
    }

    /// Log lines so far, over all requests.
    pub fn log(&self) -> &[String] {
        &self.store.data().log
    }

    /// Names of the functions that the module exports, in order.
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

    /// Calls an export, as Envoy does: not at all where the module does not have it.
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

/// Guest memory and the call's arguments, read as the ABI has them: lengths, addresses and numbers.
struct Call<'a> {
    caller: Caller<'a, Host>,
    memory: Memory,
    arguments: Vec<u64>,
}

impl Call<'_> {
    fn number(&self, at: usize) -> u64 {
        self.arguments[at]
    }

    fn address(&self, at: usize) -> usize {
        usize::try_from(self.arguments[at]).unwrap()
    }

    /// The bytes whose address and length are the arguments `at` and `at + 1`.
    fn bytes(&self, at: usize) -> Vec<u8> {
        let (start, length) = (self.address(at), self.address(at + 1));
        if length == 0 {
            return Vec::new();
        }
        self.memory.data(&self.caller)[start..start + length].to_vec()
    }

    fn text(&self, at: usize) -> String {
        String::from_utf8_lossy(&self.bytes(at)).into_owned()
    }

    fn word(&self, address: usize) -> u32 {
        u32::from_le_bytes(self.memory.data(&self.caller)[address..address + 4].try_into().unwrap())
    }

    fn put(&mut self, address: usize, bytes: &[u8]) -> Result<(), Error> {
        self.memory.write(&mut self.caller, address, bytes).map_err(|fault| Error::new(fault.to_string()))
    }

    fn put_word(&mut self, at: usize, value: u32) -> Result<i32, Error> {
        self.put(self.address(at), &value.to_le_bytes())?;
        Ok(OK)
    }

    /// Copies bytes into memory that the guest allocates for them; address and size go to the arguments `at`, `at + 1`.
    fn give(&mut self, at: usize, bytes: &[u8]) -> Result<i32, Error> {
        let mut address = 0;
        if !bytes.is_empty() {
            let allocate = ["proxy_on_memory_allocate", "malloc"];
            let export = allocate.iter().find_map(|name| self.caller.get_export(name)?.into_func()).unwrap();
            let allocate = export.typed::<i32, i32>(&self.caller)?;
            let given = allocate.call(&mut self.caller, i32::try_from(bytes.len()).unwrap())?;
            address = given.cast_unsigned();
            self.put(usize::try_from(address).unwrap(), bytes)?;
        }
        self.put_word(at, address)?;
        self.put_word(at + 1, u32::try_from(bytes.len()).unwrap())
    }

    fn host(&mut self) -> &mut Host {
        self.caller.data_mut()
    }

    fn record(&mut self, entry: String) {
        let left = self.caller.get_fuel().unwrap();
        self.host().exchange.calls.push(entry);
        self.host().exchange.fuel.push(left);
    }

    /// The map that argument 0 names: request headers (0) or response headers (2).
    fn map(&mut self) -> &mut Headers {
        if self.number(0) == 0 {
            &mut self.host().exchange.request
        } else {
            &mut self.host().exchange.response
        }
    }
}

/// One host call: recorded, then answered. The result is the ABI's (or WASI's) status.
fn answer(caller: Caller<'_, Host>, name: &str, arguments: &[Val]) -> Result<i32, Error> {
    let memory = caller.get_export("memory").and_then(|export| export.into_memory()).unwrap();
    let arguments = arguments
        .iter()
        .map(|value| {
            value
                .i32()
                .map(|number| u64::from(number.cast_unsigned()))
                .or(value.i64().map(i64::cast_unsigned))
        })
        .map(|number| number.unwrap_or_else(|| panic!("{name} takes something that is not an integer")))
        .collect();
    let mut call = Call { caller, memory, arguments };
    let entry = match name {
        "proxy_get_header_map_value" | "proxy_remove_header_map_value" => format!("{name} {}", call.text(1)),
        "proxy_replace_header_map_value" | "proxy_add_header_map_value" => format!("{name} {}", call.text(1)),
        "proxy_get_property" | "proxy_set_property" => format!("{name} {}", call.text(0).replace('\0', ".")),
        _ => name.to_owned(),
    };
    call.record(entry);
    match name {
        "proxy_log" => {
            let line = call.text(1);
            call.host().log.push(line);
            Ok(OK)
        }
        "proxy_get_log_level" => call.put_word(0, 2),
        "proxy_get_current_time_nanoseconds" => {
            let now = call.host().nanoseconds;
            call.put(call.address(0), &now.to_le_bytes())?;
            Ok(OK)
        }
        "proxy_set_tick_period_milliseconds" | "proxy_continue_stream" => Ok(OK),
        // Between requests there is the root context alone.
        "proxy_set_effective_context" if call.number(0) != 1 => Ok(BAD_ARGUMENT),
        "proxy_set_effective_context" | "proxy_done" => Ok(OK),
        "proxy_get_buffer_bytes" if call.number(0) == PLUGIN_CONFIGURATION => {
            let bytes = call.host().configuration.clone();
            call.give(3, &bytes)
        }
        "proxy_get_buffer_bytes" => Ok(NOT_FOUND),
        "proxy_get_header_map_pairs" => {
            let packed = pack(call.map());
            call.give(1, &packed)
        }
        "proxy_get_header_map_value"
        | "proxy_replace_header_map_value"
        | "proxy_add_header_map_value"
        | "proxy_remove_header_map_value"
        | "proxy_set_header_map_pairs" => edit_headers(&mut call, name),
        "proxy_get_property" => {
            let path = call.bytes(0);
            match call.host().properties.get(&path).cloned() {
                Some(value) => call.give(2, &value),
                None => Ok(NOT_FOUND),
            }
        }
        "proxy_set_property" => Ok(OK),
        "proxy_get_shared_data" | "proxy_set_shared_data" => shared_data(&mut call, name),
        "proxy_send_local_response" => {
            let reply = Reply { status: call.number(0), body: call.text(3) };
            let sent = unpack(&call.bytes(5));
            let exchange = &mut call.host().exchange;
            exchange.reply = Some(reply);
            exchange.response = sent;
            Ok(OK)
        }
        "proxy_define_metric" | "proxy_increment_metric" | "proxy_record_metric" | "proxy_get_metric" => {
            metric(&mut call, name)
        }
        _ => wasi(&mut call, name),
    }
}

fn edit_headers(call: &mut Call, name: &str) -> Result<i32, Error> {
    if name == "proxy_set_header_map_pairs" {
        *call.map() = unpack(&call.bytes(1));
        return Ok(OK);
    }
    let key = call.bytes(1);
    match name {
        "proxy_get_header_map_value" => {
            let values: Vec<Vec<u8>> =
                call.map().iter().filter(|(name, _)| *name == key).map(|(_, value)| value.clone()).collect();
            return if values.is_empty() { Ok(NOT_FOUND) } else { call.give(3, &values.join(&b","[..])) };
        }
        "proxy_add_header_map_value" => {
            let value = call.bytes(3);
            call.map().push((key, value));
        }
        "proxy_replace_header_map_value" => {
            let value = call.bytes(3);
            call.map().retain(|(name, _)| *name != key);
            call.map().push((key, value));
        }
        _ => call.map().retain(|(name, _)| *name != key),
    }
    Ok(OK)
}

fn shared_data(call: &mut Call, name: &str) -> Result<i32, Error> {
    let key = call.bytes(0);
    let stored = call.host().shared.get(&key).cloned();
    if name == "proxy_get_shared_data" {
        let Some((value, cas)) = stored else { return Ok(NOT_FOUND) };
        call.give(2, &value)?;
        return call.put_word(4, cas);
    }
    // 0 is unconditional; another number must be the stored one, or the key must be absent.
    let expected = call.number(4);
    if stored.is_some_and(|(_, cas)| expected != 0 && u64::from(cas) != expected) {
        return Ok(CAS_MISMATCH);
    }
    let value = call.bytes(2);
    let host = call.host();
    host.last_cas += 1;
    host.shared.insert(key, (value, host.last_cas));
    Ok(OK)
}

fn metric(call: &mut Call, name: &str) -> Result<i32, Error> {
    if name == "proxy_define_metric" {
        let defined = call.text(1);
        let metrics = &mut call.host().metrics;
        let known = metrics.iter().position(|(name, _)| *name == defined);
        let id = known.unwrap_or_else(|| {
            metrics.push((defined, 0));
            metrics.len() - 1
        });
        return call.put_word(3, u32::try_from(id).unwrap());
    }
    let (id, number) = (call.address(0), call.number(1));
    let Some((_, value)) = call.host().metrics.get_mut(id) else { return Ok(BAD_ARGUMENT) };
    match name {
        "proxy_increment_metric" => *value += number.cast_signed(),
        "proxy_record_metric" => *value = number.cast_signed(),
        _ => {
            let value = value.to_le_bytes();
            call.put(call.address(1), &value)?;
        }
    }
    Ok(OK)
}

fn wasi(call: &mut Call, name: &str) -> Result<i32, Error> {
    match name {
        "clock_time_get" => {
            let now = call.host().nanoseconds;
            call.put(call.address(2), &now.to_le_bytes())?;
            Ok(OK)
        }
        "random_get" => {
            // The same bytes in every run: a test that fails must fail again.
            let bytes: Vec<u8> = (0..call.number(1)).map(|i| i.wrapping_mul(167).to_le_bytes()[0]).collect();
            call.put(call.address(0), &bytes)?;
            Ok(OK)
        }
        "environ_sizes_get" => {
            let (count, size) = {
                let environment = &call.host().environment;
                (environment.len(), environment.iter().map(String::len).sum::<usize>())
            };
            call.put_word(0, u32::try_from(count).unwrap())?;
            call.put_word(1, u32::try_from(size).unwrap())
        }
        "environ_get" => {
            let (mut pointer, mut address) = (call.address(0), call.address(1));
            for entry in call.host().environment.clone() {
                call.put(pointer, &u32::try_from(address).unwrap().to_le_bytes())?;
                call.put(address, entry.as_bytes())?;
                pointer += 4;
                address += entry.len();
            }
            Ok(OK)
        }
        "fd_write" => {
            let (vectors, count) = (call.address(1), call.address(2));
            let mut written = 0;
            for at in 0..count {
                let start = usize::try_from(call.word(vectors + at * 8)).unwrap();
                let length = call.word(vectors + at * 8 + 4);
                let end = start + usize::try_from(length).unwrap();
                let line = String::from_utf8_lossy(&call.memory.data(&call.caller)[start..end]).into_owned();
                call.host().log.push(line);
                written += length;
            }
            call.put_word(3, written)
        }
        "proc_exit" => Err(Error::new("the module called exit")),
        _ => Ok(UNIMPLEMENTED),
    }
}

/// The ABI's form of a header map: count, the lengths of each pair, then name NUL value NUL for each.
fn pack(headers: &Headers) -> Vec<u8> {
    let length = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap().to_le_bytes();
    let mut packed = u32::try_from(headers.len()).unwrap().to_le_bytes().to_vec();
    for (name, value) in headers {
        packed.extend(length(name));
        packed.extend(length(value));
    }
    for (name, value) in headers {
        packed.extend([name.as_slice(), b"\0", value.as_slice(), b"\0"].concat());
    }
    packed
}

fn unpack(packed: &[u8]) -> Headers {
    let word = |at: usize| {
        let bytes: [u8; 4] = packed.get(at..at + 4).map_or([0; 4], |bytes| bytes.try_into().unwrap());
        usize::try_from(u32::from_le_bytes(bytes)).unwrap()
    };
    let count = word(0);
    let mut at = 4 + count * 8;
    let mut take = |length: usize| {
        let bytes = packed[at..at + length].to_vec();
        at += length + 1;
        bytes
    };
    (0..count).map(|pair| (take(word(4 + pair * 8)), take(word(8 + pair * 8)))).collect()
}
