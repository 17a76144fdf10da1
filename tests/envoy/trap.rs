//! The module that was built, made to die on demand: what ships holds no way to kill it, so the tests put one in.
//!
//! In front of the function that the host calls with a request's headers comes `if headers >= 90 { unreachable }`
//! (WebAssembly 1.0, section 5: binary format). The rest of the module stays as it was, byte for byte.

use std::path::{Path, PathBuf};

use crate::ask::Ask;
use crate::kind::Kind;

/// This many headers kill the VM. Envoy accepts up to 100.
const DEADLY_HEADERS: usize = 90;

/// `local.get 1` (the number of headers), `i32.const 90`, `i32.ge_u`, `if`, `unreachable`, `end`.
const TRAP: &[u8] = &[0x20, 1, 0x41, 0xda, 0, 0x4f, 0x04, 0x40, 0x00, 0x0b];

const IMPORTS: u8 = 2;
const EXPORTS: u8 = 7;
const CODE: u8 = 10;
const FUNCTION: u8 = 0;

/// A request that kills the VM of the worker that gets it, if it runs [`mortal_module`].
pub(crate) fn deadly() -> Ask {
    (0..DEADLY_HEADERS).fold(Ask::get("/"), |ask, number| ask.header(&format!("x-filler-{number}"), "x"))
}

/// Writes the mortal copy of the module and says where it is.
pub(crate) fn mortal_module() -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("mortal.wasm");
    // Several tests may write it at once, so each replaces the whole file in one step.
    static WRITTEN: std::sync::OnceLock<()> = std::sync::OnceLock::new();
    WRITTEN.get_or_init(|| {
        let fresh = path.with_extension(std::process::id().to_string());
        std::fs::write(&fresh, with_trap(&std::fs::read(Kind::Module.artefact()).unwrap())).unwrap();
        std::fs::rename(&fresh, &path).unwrap();
    });
    path
}

fn with_trap(module: &[u8]) -> Vec<u8> {
    let (preamble, mut rest) = module.split_at(8);
    let mut made = preamble.to_vec();
    let (mut imported, mut victim) = (0, None);
    while let Some((&id, after)) = rest.split_first() {
        rest = after;
        let size = number(&mut rest);
        let (mut content, after) = rest.split_at(size);
        rest = after;
        let new = match id {
            IMPORTS => {
                imported = imported_functions(content);
                content.to_vec()
            }
            EXPORTS => {
                victim = exported_function(content, b"proxy_on_request_headers");
                content.to_vec()
            }
            CODE => trap_in(&mut content, victim.expect("the export that a filter has") - imported),
            _ => content.to_vec(),
        };
        made.push(id);
        made.extend(encoded(new.len()));
        made.extend(new);
    }
    made
}

fn imported_functions(mut content: &[u8]) -> usize {
    let mut functions = 0;
    for _ in 0..number(&mut content) {
        name(&mut content);
        name(&mut content);
        let (&kind, after) = content.split_first().unwrap();
        content = after;
        assert_eq!(kind, FUNCTION, "the host gives functions only");
        number(&mut content);
        functions += 1;
    }
    functions
}

fn exported_function(mut content: &[u8], wanted: &[u8]) -> Option<usize> {
    for _ in 0..number(&mut content) {
        let found = name(&mut content);
        let (&kind, after) = content.split_first().unwrap();
        content = after;
        let index = number(&mut content);
        if kind == FUNCTION && found == wanted {
            return Some(index);
        }
    }
    None
}

fn trap_in(content: &mut &[u8], victim: usize) -> Vec<u8> {
    let count = number(content);
    let mut made = encoded(count);
    for index in 0..count {
        let size = number(content);
        let (body, after) = content.split_at(size);
        *content = after;
        let mut body = body.to_vec();
        if index == victim {
            let mut code = body.as_slice();
            for _ in 0..number(&mut code) {
                number(&mut code);
                code = &code[1..];
            }
            let locals = body.len() - code.len();
            body.splice(locals..locals, TRAP.iter().copied());
        }
        made.extend(encoded(body.len()));
        made.extend(body);
    }
    made
}

fn name<'a>(content: &mut &'a [u8]) -> &'a [u8] {
    let length = number(content);
    let (name, after) = content.split_at(length);
    *content = after;
    name
}

/// Reads an unsigned LEB128 number.
fn number(content: &mut &[u8]) -> usize {
    let mut value = 0;
    for shift in (0..).step_by(7) {
        let (&byte, after) = content.split_first().unwrap();
        *content = after;
        value |= usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            break;
        }
    }
    value
}

fn encoded(mut value: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = u8::try_from(value & 0x7f).unwrap();
        value >>= 7;
        if value == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}
