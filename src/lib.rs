//! api-guard: API security for Envoy in one WebAssembly module.

pub mod cells;
pub mod limit;
pub mod seed;
pub mod time;
