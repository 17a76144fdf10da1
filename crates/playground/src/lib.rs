//! The core for a page in a browser: what is typed there goes in, and the decision with all its steps comes out.
//!
//! [`session::Session`] is what a page keeps: counters and revocations, as one Envoy would. Questions and answers are JSON,
//! and cross the border by `exports`, which is the only part that knows of WebAssembly. There is no clock, no randomness and
//! no network in here: the page gives the time and random bytes, and nothing can leave it.

mod answer;
#[cfg(target_arch = "wasm32")]
mod exports;
pub mod keys;
pub mod link;
mod request;
pub mod session;
pub mod state;
