//! How the shared library is linked.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // Shared tables are reached through functions of the library that made them, so it is never unloaded.
    println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
    // A function that Envoy lacks fails the load, by name, and not the first request.
    println!("cargo:rustc-cdylib-link-arg=-Wl,-z,now");
}
