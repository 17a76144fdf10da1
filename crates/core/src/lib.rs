//! api-guard: API security for Envoy in one WebAssembly module.

pub mod cells;
pub mod config;
pub mod counter;
pub mod decision;
pub mod effect;
pub mod event;
pub mod guard;
pub mod json;
pub mod limit;
pub mod lookup;
pub mod permission;
pub mod request;
pub mod revocation;
pub mod route;
pub mod seed;
pub mod time;
pub mod token;
