//! Parquet decoders may panic on forged bytes; that is no business of whoever reads the report.

use std::cell::Cell;
use std::panic;
use std::sync::Once;

thread_local! {
    /// Whether this thread reads Parquet.
    static DECODING: Cell<bool> = const { Cell::new(false) };
}

/// Catches a panic without the message and backtrace that it would print; panics elsewhere print theirs.
///
/// # Errors
/// What the panic carried.
pub fn quietly<T>(work: impl FnOnce() -> T) -> std::thread::Result<T> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let others = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !DECODING.get() {
                others(info);
            }
        }));
    });
    DECODING.set(true);
    let result = panic::catch_unwind(panic::AssertUnwindSafe(work));
    DECODING.set(false);
    result
}
