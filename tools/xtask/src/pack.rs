//! Prepares a built module for shipping: drops everything that Envoy never needs.
//!
//! The SDK exports every callback of the ABI. Envoy calls each export it finds, for 0.3 to 0.5 us of CPU, and an export
//! keeps alive whatever it calls, so only the callbacks that api-guard implements are kept. They are its own
//! (`src/exports.rs`): they have a prefix that is replaced by the ABI's here, and so replace the SDK's.

use walrus::{ExportId, Module, ModuleConfig};

/// The largest size of the shipped module, bytes, as documented.
pub(crate) const MOST_BYTES: usize = 480 * 1024;

/// The one export that Envoy needs and that is not the module's own. All others are the SDK's callbacks.
const MEMORY: &str = "memory";

/// The module's own export that Envoy calls first, and the name by which it looks for it.
const INITIALIZE: (&str, &str) = ("api_guard_initialize", "_initialize");
/// The prefix of the others, and the ABI's prefix that replaces it.
const OWN: &str = "api_guard_";
const ABI: &str = "proxy_";

/// The memory limit of the module, pages of 64 KiB. Envoy gives a VM at most 1 GiB; a module that declares this limit
/// itself fails an allocation instead of trapping.
const MOST_PAGES: u64 = 16_384;

/// Packs the module `built`.
pub(crate) fn pack(built: &[u8]) -> Result<Vec<u8>, String> {
    let mut config = ModuleConfig::new();
    config.generate_name_section(false).generate_producers_section(false);
    let mut module = config.parse(built).map_err(|error| format!("not a WebAssembly module: {error:#}"))?;
    let needed = [MEMORY, INITIALIZE.0];
    if let Some(missing) =
        needed.into_iter().find(|name| !module.exports.iter().any(|export| export.name == *name))
    {
        return Err(format!("the module does not export {missing}"));
    }
    let dropped: Vec<ExportId> = module
        .exports
        .iter()
        .filter(|export| export.name != MEMORY && !export.name.starts_with(OWN))
        .map(walrus::Export::id)
        .collect();
    for export in dropped {
        module.exports.delete(export);
    }
    for export in module.exports.iter_mut() {
        if export.name == INITIALIZE.0 {
            INITIALIZE.1.clone_into(&mut export.name);
        } else if let Some(name) = export.name.strip_prefix(OWN) {
            export.name = format!("{ABI}{name}");
        }
    }
    for memory in module.memories.iter_mut() {
        memory.maximum.get_or_insert(MOST_PAGES);
    }
    drop_custom_sections(&mut module);
    walrus::passes::gc::run(&mut module);
    Ok(module.emit_wasm())
}

/// Drops names, producers and the list of features, which Envoy does not use.
fn drop_custom_sections(module: &mut Module) {
    let sections: Vec<_> = module.customs.iter().map(|(id, _)| id).collect();
    for section in sections {
        module.customs.delete(section);
    }
}
