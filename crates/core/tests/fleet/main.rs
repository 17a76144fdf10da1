//! What many Envoys share, held to a real store where there is one, and simulated where there is none.

mod limit_script;
mod model;
mod revocations;
mod simulation;
mod store;
