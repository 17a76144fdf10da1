//! Makes a built module ready to ship: what Envoy never needs is dropped.
//!
//! The SDK exports every callback that the ABI knows. Envoy calls each one that it finds, at 0.3 to 0.5 us of CPU, and
//! an export keeps alive whatever it calls; so only the callbacks that api-guard implements stay.

use walrus::{ExportId, Module, ModuleConfig};

/// The size that is promised, bytes.
pub(crate) const MOST_BYTES: usize = 400 * 1024;

/// What Envoy takes from the module. Everything else that it could call is the SDK's doing nothing.
const EXPORTS: [&str; 13] = [
    "memory",
    "_initialize",
    "proxy_abi_version_0_2_1",
    "proxy_on_memory_allocate",
    // The SDK looks each context up, and forgets it only when it is deleted.
    "proxy_on_context_create",
    "proxy_on_delete",
    "proxy_on_configure",
    "proxy_on_tick",
    "proxy_on_request_headers",
    "proxy_on_request_body",
    "proxy_on_request_trailers",
    "proxy_on_response_headers",
    // Would be missed only by its symbol: nothing else says that this is a reactor.
    "proxy_on_vm_start",
];

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
        .filter(|export| !EXPORTS.contains(&export.name.as_str()))
        .map(walrus::Export::id)
        .collect();
    for export in dropped {
        module.exports.delete(export);
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
