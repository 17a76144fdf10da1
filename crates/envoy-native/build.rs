//! How the shared library is linked.

use std::path::PathBuf;

fn main() -> std::io::Result<()> {
    println!("cargo:rerun-if-changed=build.rs");
    // Shared tables are reached through functions of the library that made them, so it is never unloaded.
    println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
    // A function that Envoy lacks fails the load, by name, and not the first request.
    println!("cargo:rustc-cdylib-link-arg=-Wl,-z,now");
    // Small images have no libgcc_s, so what unwinds becomes a part of the library: whoever asks for the shared one gets the
    // static ones.
    let folder = PathBuf::from(std::env::var_os("OUT_DIR").unwrap_or_default());
    std::fs::write(folder.join("libgcc_s.so"), "GROUP ( -lgcc_eh -lgcc )\n")?;
    println!("cargo:rustc-link-search=native={}", folder.display());
    Ok(())
}
