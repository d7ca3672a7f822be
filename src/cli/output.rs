//! Writing: data to standard output or aside and then in place, messages to standard error.

use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use serde::Serialize;

use crate::error::{Error, Result};
use crate::evidence::FileEntry;
use crate::ingest::{Mapping, unused};
use crate::report::plain;

/// Says something on standard error.
pub fn message(text: &str) {
    let _ = writeln!(io::stderr(), "{}", plain(text));
}

/// Says of a file that it could not be read in full, or holds nothing.
pub fn not_read(file: &FileEntry) {
    let first = file.rejects.first();
    match file.foremost() {
        Some(r) => message(&format!(
            "holdtrace: {}: {} of {} records not read; {} is record {} at offset {}: {}",
            file.path,
            file.rejected,
            file.records,
            if first == Some(r) { "the first" } else { "one" },
            r.record,
            r.offset,
            r.reason
        )),
        None => message(&format!("holdtrace: {}: empty, no records in it", file.path)),
    }
}

/// Says of mappings that no file was for them.
pub fn unused_mappings(mappings: &[Mapping], files: &[FileEntry]) {
    unused(mappings, files).for_each(|note| message(&format!("holdtrace: {note}")));
}

/// Says how many records an export leaves out because their time is not known.
pub fn timeless(left_out: u64) {
    if left_out > 0 {
        message(&format!("holdtrace: {left_out} records without a known time are left out; other formats have them"));
    }
}

/// Lines of one kind that are said, at most.
pub const MOST_SAID: usize = 20;

/// Says what else was not read: the first, and how many more there are.
pub fn notes<'a>(notes: impl Iterator<Item = &'a String>) {
    let mut more = 0;
    for (n, note) in notes.enumerate() {
        if n < MOST_SAID {
            message(&format!("holdtrace: {note}"));
        } else {
            more += 1;
        }
    }
    if more > 0 {
        message(&format!("holdtrace: and {more} more of this kind; --format json lists them all"));
    }
}

/// Nothing is ever written into the evidence: refuses a file or folder `out` that lies in what `paths` name. Of one that is
/// not there yet, the nearest folder that is there counts.
pub fn keep_out_of_evidence(out: &Path, paths: &[String]) -> Result<()> {
    match evidence_around(out, paths) {
        None => Ok(()),
        Some(path) => Err(lies_in_evidence(&format!("--out {}", out.display()), path)),
    }
}

/// Likewise a case; and evidence must not lie in it either.
pub fn keep_apart(case: &Path, paths: &[String]) -> Result<()> {
    let what = format!("--case {}", case.display());
    if let Some(path) = evidence_around(case, paths) {
        return Err(lies_in_evidence(&what, path));
    }
    let Ok(folder) = case.canonicalize() else { return Ok(()) };
    match paths.iter().find(|path| Path::new(path).canonicalize().is_ok_and(|place| place.starts_with(&folder))) {
        None => Ok(()),
        Some(path) => {
            let reason = format!("the evidence ({path}) lies in it; name another folder for the case");
            Err(Error::Usage { what, reason })
        }
    }
}

fn lies_in_evidence(what: &str, path: &str) -> Error {
    let reason = format!("it lies in the evidence ({path}), into which nothing is written; name another place");
    Error::Usage { what: what.to_owned(), reason }
}

fn evidence_around<'a>(out: &Path, paths: &'a [String]) -> Option<&'a String> {
    let here = |path: &Path| if path.as_os_str().is_empty() { Path::new(".") } else { path }.canonicalize().ok();
    let nearest = out.ancestors().skip(1).find_map(here);
    let places = [out.canonicalize().ok(), nearest];
    paths.iter().find(|path| {
        let Ok(evidence) = Path::new(path).canonicalize() else { return false };
        let within = |place: &Path| *place == evidence || (evidence.is_dir() && place.starts_with(&evidence));
        places.iter().flatten().any(|place| within(place))
    })
}

/// What files that are being written begin with; only a process that is killed leaves one.
const ASIDE: &str = ".holdtrace-";

/// Writes data to `path`, or to standard output. A file appears whole or not at all: it is written aside and renamed. A
/// reader of standard output that goes away early is no error.
pub fn data(path: Option<&Path>, write: impl FnOnce(&mut dyn Write) -> Result<()>) -> Result<()> {
    let Some(path) = path else { return to_stdout(write) };
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    let aside = tempfile::Builder::new()
        .prefix(ASIDE)
        .tempfile_in(folder)
        .map_err(|e| Error::io(path, "creating the output file", e))?;
    let failed = |reason: String| {
        let reason = format!("{reason}; what was there before is left as it was, name a file where there is room");
        Error::io(path, "writing the output file", io::Error::other(reason))
    };
    let mut buffered = BufWriter::new(aside.as_file());
    write(&mut buffered).map_err(|e| match e {
        Error::Output(reason) => failed(reason),
        other => other,
    })?;
    buffered.flush().and_then(|()| aside.as_file().sync_all()).map_err(|e| failed(e.to_string()))?;
    drop(buffered);
    readable_as_usual(aside.path());
    aside.persist(path).map_err(|e| Error::io(path, "putting the output file in place", e.error))?;
    Ok(())
}

/// Temporary files are private; a report is as readable as any file its user makes.
#[cfg(unix)]
fn readable_as_usual(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    let _ = fs::set_permissions(path, fs::Permissions::from_mode(0o644));
}

#[cfg(not(unix))]
fn readable_as_usual(_: &Path) {}

/// One JSON value, indented.
pub fn json(value: &impl Serialize, mut out: &mut dyn Write) -> Result<()> {
    serde_json::to_writer_pretty(&mut out, value).map_err(|e| Error::Output(e.to_string()))?;
    written(out.write_all(b"\n"))
}

/// One JSON object a line.
pub fn ndjson<T: Serialize>(objects: &[T], out: &mut dyn Write) -> Result<()> {
    objects.iter().try_for_each(|object| {
        serde_json::to_writer(&mut *out, object).map_err(|e| Error::Output(e.to_string()))?;
        written(out.write_all(b"\n"))
    })
}

fn to_stdout(write: impl FnOnce(&mut dyn Write) -> Result<()>) -> Result<()> {
    let mut guarded = Guarded { out: BufWriter::new(io::stdout().lock()), gone: false };
    let result = write(&mut guarded).and_then(|()| guarded.flush().map_err(|e| Error::Output(e.to_string())));
    if guarded.gone { Ok(()) } else { result }
}

struct Guarded<W: Write> {
    out: W,
    gone: bool,
}

impl<W: Write> Guarded<W> {
    fn noted<T>(&mut self, result: io::Result<T>) -> io::Result<T> {
        self.gone |= result.as_ref().is_err_and(|e| e.kind() == io::ErrorKind::BrokenPipe);
        result
    }
}

impl<W: Write> Write for Guarded<W> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let result = self.out.write(buf);
        self.noted(result)
    }

    fn flush(&mut self) -> io::Result<()> {
        let result = self.out.flush();
        self.noted(result)
    }
}

/// Turns a failed write into a sentence.
pub fn written<T>(result: io::Result<T>) -> Result<()> {
    result.map(|_| ()).map_err(|e| Error::Output(e.to_string()))
}
