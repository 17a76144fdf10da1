//! Rate limits: may this request be admitted by all limits that apply to it, and what does it leave of each?

pub mod window;

pub use window::Quota;
