//! api-guard: API security for Envoy in one WebAssembly module.

pub mod cells;
pub mod revocation;
pub mod request;
pub mod route;
pub mod seed;
pub mod time;
