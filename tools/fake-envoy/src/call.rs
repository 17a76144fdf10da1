//! A host call's arguments, and access to the guest's memory.

use wasmi::{Caller, Error, Memory};

use crate::answer::OK;
use crate::{Headers, Host};

/// One host call: the guest's memory and the arguments, which are lengths, addresses and numbers.
pub(crate) struct Call<'a> {
    pub(crate) caller: Caller<'a, Host>,
    pub(crate) memory: Memory,
    pub(crate) arguments: Vec<u64>,
}

impl Call<'_> {
    pub(crate) fn number(&self, at: usize) -> u64 {
        self.arguments[at]
    }

    pub(crate) fn address(&self, at: usize) -> usize {
        usize::try_from(self.arguments[at]).unwrap()
    }

    /// The bytes whose address and length are the arguments `at` and `at + 1`.
    pub(crate) fn bytes(&self, at: usize) -> Vec<u8> {
        let (start, length) = (self.address(at), self.address(at + 1));
        if length == 0 {
            return Vec::new();
        }
        self.memory.data(&self.caller)[start..start + length].to_vec()
    }

    pub(crate) fn text(&self, at: usize) -> String {
        String::from_utf8_lossy(&self.bytes(at)).into_owned()
    }

    pub(crate) fn word(&self, address: usize) -> u32 {
        u32::from_le_bytes(self.memory.data(&self.caller)[address..address + 4].try_into().unwrap())
    }

    pub(crate) fn put(&mut self, address: usize, bytes: &[u8]) -> Result<(), Error> {
        self.memory.write(&mut self.caller, address, bytes).map_err(|fault| Error::new(fault.to_string()))
    }

    pub(crate) fn put_word(&mut self, at: usize, value: u32) -> Result<i32, Error> {
        self.put(self.address(at), &value.to_le_bytes())?;
        Ok(OK)
    }

    /// Copies bytes into memory that the guest allocates for them; address and size go to the arguments `at`, `at + 1`.
    pub(crate) fn give(&mut self, at: usize, bytes: &[u8]) -> Result<i32, Error> {
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

    pub(crate) fn host(&mut self) -> &mut Host {
        self.caller.data_mut()
    }

    pub(crate) fn record(&mut self, entry: String) {
        let left = self.caller.get_fuel().unwrap();
        self.host().exchange.calls.push(entry);
        self.host().exchange.fuel.push(left);
    }

    /// The map that argument 0 names: request headers (0) or response headers (2).
    pub(crate) fn map(&mut self) -> &mut Headers {
        if self.number(0) == 0 {
            &mut self.host().exchange.request
        } else {
            &mut self.host().exchange.response
        }
    }
}
