//! The answers to calls of proxy-wasm ABI 0.2.1.

use wasmi::{Caller, Error, Val};

use crate::block::{pack, unpack};
use crate::call::Call;
use crate::{Host, Reply, wasi};

/// Statuses (`proxy_status_t`).
pub(crate) const OK: i32 = 0;
const NOT_FOUND: i32 = 1;
const BAD_ARGUMENT: i32 = 2;
const CAS_MISMATCH: i32 = 8;
pub(crate) const UNIMPLEMENTED: i32 = 12;
/// A buffer (`proxy_buffer_type_t`).
const PLUGIN_CONFIGURATION: u64 = 7;

/// Records a host call and answers it. The result is the ABI's (or WASI's) status.
pub(crate) fn answer(caller: Caller<'_, Host>, name: &str, arguments: &[Val]) -> Result<i32, Error> {
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
        // Between requests only the root context exists.
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
        _ => wasi::answer(&mut call, name),
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
