//! What fuzzers and the test of their corpus drive: one function per parser, which panics if something does not hold that
//! must hold for any bytes. No part of the library's interface.

mod files;
mod framing;
mod judging;
mod records;

use std::cell::RefCell;
use std::io::{Seek as _, Write as _};
use std::path::PathBuf;

use tempfile::NamedTempFile;

/// A parser by the name of its fuzz target and of the folder of its corpus.
pub type Target = (&'static str, fn(&[u8]));

/// All parsers.
pub const TARGETS: &[Target] = &[
    ("blocks", framing::blocks),
    ("cloudtrail", records::cloudtrail),
    ("csv", framing::csv),
    ("draft", files::draft),
    ("export_trail", records::export_trail),
    ("file", files::file),
    ("genesys_audit", records::genesys_audit),
    ("genesys_job", records::genesys_job),
    ("gzip", files::container),
    ("json", framing::json),
    ("lines", framing::lines),
    ("mapping", files::mapping),
    ("nested", files::container),
    ("parquet", framing::parquet),
    ("policy", judging::policy),
    ("rules", judging::rules),
    ("s3_access", records::s3_access),
    ("sdk_log", records::sdk_log),
    ("snapshot", records::snapshot),
    ("tar", files::container),
    ("vault_audit", records::vault_audit),
    ("zip", files::container),
    ("zstd", files::container),
];

/// Drives the parser called `target` with `bytes`.
///
/// # Panics
/// There is no such parser, or something does not hold that must.
pub fn run(target: &str, bytes: &[u8]) {
    let (_, drive) = TARGETS.iter().find(|(name, _)| *name == target).expect("a parser");
    drive(bytes);
}

/// A file with these bytes. It is the same one each time, since files are made more slowly than read.
fn file_of(bytes: &[u8]) -> PathBuf {
    thread_local! {
        static FILE: RefCell<Option<NamedTempFile>> = const { RefCell::new(None) };
    }
    FILE.with_borrow_mut(|file| {
        let file = file.get_or_insert_with(|| NamedTempFile::new().expect("a temporary file"));
        file.as_file().set_len(0).and_then(|()| file.rewind()).expect("emptied");
        file.write_all(bytes).expect("written");
        file.path().to_owned()
    })
}
