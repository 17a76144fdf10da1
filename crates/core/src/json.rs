//! JSON, read strictly (RFC 8259): every value is decoded, and repeated names are found.
//!
//! serde_json's own tree keeps the last of two equal names, and when it skips a value it accepts escapes that it
//! refuses when decoding. Either way, two readers could read one text differently. What is read here is held to that
//! library by tests.

mod number;
mod pointer;
mod scan;
pub(crate) mod text;
mod value;

pub use number::Number;
pub(crate) use pointer::Path;
pub use pointer::{Pointer, Step};
pub use scan::NotJson;
pub use value::{Elements, Json, List, Member, Members, Object};
