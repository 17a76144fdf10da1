//! Makes a built module ready to ship: what Envoy never needs is dropped.
//!
//! The SDK exports every callback that the ABI knows. Envoy calls each one that it finds, at 0.3 to 0.5 us of CPU, and
//! an export keeps alive whatever it calls; so only the callbacks that api-guard implements stay. Those for streams are
//! its own (`src/exports.rs`), under a prefix that gives way to the ABI's here, and take the place of the SDK's.

use walrus::{ExportId, Module, ModuleConfig};

/// The size that is promised, bytes.
pub(crate) const MOST_BYTES: usize = 480 * 1024;

/// What Envoy takes from the module. Everything else that it could call is the SDK's doing nothing.
const EXPORTS: [&str; 8] = [
    "memory",
    "_initialize",
    "proxy_abi_version_0_2_1",
    "proxy_on_memory_allocate",
    "proxy_on_configure",
    "proxy_on_tick",
    "api_guard_on_context_create",
    // Would be missed only by its symbol: nothing else says that this is a reactor.
    "proxy_on_vm_start",
];

/// What the module's own exports begin with, and what the ABI calls them.
const OWN: &str = "api_guard_";
const ABI: &str = "proxy_";

/// Envoy gives a VM no more than 1 GiB; a module that says so itself fails an allocation, instead of trapping.
const MOST_PAGES: u64 = 16_384;

/// The module of `built` as it ships.
pub(crate) fn pack(built: &[u8]) -> Result<Vec<u8>, String> {
    let mut config = ModuleConfig::new();
    config.generate_name_section(false).generate_producers_section(false);
    let mut module = config.parse(built).map_err(|error| format!("not a WebAssembly module: {error:#}"))?;
    if let Some(missing) =
        EXPORTS.iter().find(|name| !module.exports.iter().any(|export| export.name == **name))
    {
        return Err(format!("the module does not export {missing}"));
    }
    let dropped: Vec<ExportId> = module
        .exports
        .iter()
        .filter(|export| !EXPORTS.contains(&export.name.as_str()) && !export.name.starts_with(OWN))
        .map(walrus::Export::id)
        .collect();
    for export in dropped {
        module.exports.delete(export);
    }
    for export in module.exports.iter_mut() {
        if let Some(name) = export.name.strip_prefix(OWN) {
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

/// Names, producers and the list of features: nobody reads them in Envoy.
fn drop_custom_sections(module: &mut Module) {
    let sections: Vec<_> = module.customs.iter().map(|(id, _)| id).collect();
    for section in sections {
        module.customs.delete(section);
    }
}
