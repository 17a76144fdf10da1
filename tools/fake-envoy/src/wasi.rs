//! The answers to calls of WASI.

use wasmi::Error;

use crate::answer::{OK, UNIMPLEMENTED};
use crate::call::Call;

/// Answers a call. Unknown ones are `Unimplemented`.
pub(crate) fn answer(call: &mut Call, name: &str) -> Result<i32, Error> {
    match name {
        "clock_time_get" => {
            let now = call.host().nanoseconds;
            call.put(call.address(2), &now.to_le_bytes())?;
            Ok(OK)
        }
        "random_get" => {
            // The same bytes in every run, so that a failing test fails again.
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
