//! Evidence in object stores: listed once, read by range, never written to.
//!
//! Everything asynchronous stays in here. A list gives each object's size and `ETag`; every request for its bytes names
//! that `ETag`, so that an object that is replaced meanwhile is refused rather than mixed from two versions.

mod bucket;
mod find;
mod object;
mod reader;

pub(super) use find::find;
pub use object::Object;
pub(super) use reader::Reader;
