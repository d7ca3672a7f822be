//! An act on a case: announced in the ledger before anything is written, and ended with what was written.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Write};

use sha2::{Digest as _, Sha256};

use super::ledger::{Entry, Ledger, State, append};
use super::verify::quick_differences;
use super::{Case, Circumstances, FileDigest, LOCK};
use crate::error::{Error, Result};
use crate::evidence::Digest;
use crate::parts::put_by;

/// An act that has been begun. The case is locked until it ends. One that is dropped without an end stays in the ledger as
/// unfinished.
pub struct Act<'c> {
    case: &'c Case,
    circumstances: &'c Circumstances,
    ledger: Ledger,
    begun: Entry,
    /// The files of the case as the acts before left them.
    known: BTreeMap<String, (FileDigest, u64)>,
    inputs: Vec<FileDigest>,
    outputs: BTreeMap<String, FileDigest>,
    removed: BTreeSet<String>,
    _lock: File,
}

impl Case {
    /// Locks the case and announces an act in its ledger.
    ///
    /// # Errors
    /// Another act is going on, the ledger is not as it was written, or it cannot be added to.
    pub fn begin<'c>(&'c self, act: &str, circumstances: &'c Circumstances) -> Result<Act<'c>> {
        let lock = self.lock()?;
        let mut ledger = self.ledger()?;
        if let Some(first) = ledger.differences.iter().find(|one| !(ledger.torn && one.line == Some(ledger.lines))) {
            let line = first.line.map_or_else(String::new, |line| format!(", line {line}"));
            let reason = format!(
                "the ledger cannot be added to: {}{line}: {}; `holdtrace verify` names everything that differs",
                first.path, first.detail
            );
            return Err(Error::Usage { what: self.folder.display().to_string(), reason });
        }
        let known = ledger.files();
        let found_changed = quick_differences(self, &ledger).into_iter().map(|one| one.path).collect();
        let unfinished = ledger.pending().map(|entry| entry.seq).collect();
        let begun = Entry {
            unfinished,
            found_changed,
            after_torn: ledger.torn,
            ..entry(act, State::Begun, &ledger, circumstances)
        };
        append(&self.folder, &begun, &mut ledger)?;
        let (inputs, outputs, removed) = Default::default();
        Ok(Act { case: self, circumstances, ledger, begun, known, inputs, outputs, removed, _lock: lock })
    }

    fn lock(&self) -> Result<File> {
        let path = self.path(LOCK);
        let refused =
            |reason: &str| Error::Usage { what: self.folder.display().to_string(), reason: reason.to_owned() };
        if path.is_symlink() {
            return Err(refused("case.lock in it is a link, which is not followed"));
        }
        let io = |e| Error::io(&path, "locking the case", e);
        let lock = File::options().create(true).truncate(false).write(true).open(&path).map_err(io)?;
        match lock.try_lock() {
            Ok(()) => Ok(lock),
            Err(fs::TryLockError::WouldBlock) => Err(refused("another act on this case is going on; try again later")),
            Err(fs::TryLockError::Error(e)) => Err(io(e)),
        }
    }
}

fn entry(act: &str, state: State, ledger: &Ledger, circumstances: &Circumstances) -> Entry {
    let Circumstances { who, host, tool, command, folder, .. } = circumstances.clone();
    Entry {
        seq: ledger.lines + 1,
        act: act.to_owned(),
        state,
        begun: None,
        who,
        when: circumstances.now(),
        host,
        tool,
        command,
        folder,
        inputs: Vec::new(),
        outputs: Vec::new(),
        removed: Vec::new(),
        unfinished: Vec::new(),
        found_changed: Vec::new(),
        after_torn: false,
        reason: None,
        previous: ledger.head.map(|head| head.to_string()),
    }
}

impl Act<'_> {
    /// The number of the entry that announced it.
    #[must_use]
    pub fn seq(&self) -> u64 {
        self.begun.seq
    }

    /// The ledger up to this act.
    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Files that were not as the acts before had left them, when this one began.
    #[must_use]
    pub fn found_changed(&self) -> &[String] {
        &self.begun.found_changed
    }

    /// Acts that were begun before and never ended.
    #[must_use]
    pub fn unfinished(&self) -> &[u64] {
        &self.begun.unfinished
    }

    /// A file of the case as the acts before left it.
    #[must_use]
    pub fn known(&self, path: &str) -> Option<&FileDigest> {
        self.known.get(path).map(|(file, _)| file)
    }

    /// The files of the case, as the acts before left them, whose path begins with `prefix`.
    pub fn known_below<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = &'a FileDigest> {
        self.known.range(prefix.to_owned()..).map(|(_, (file, _))| file).take_while(move |f| f.path.starts_with(prefix))
    }

    /// Writes a file of the case: it appears whole or not at all, and is an output of the act.
    ///
    /// # Errors
    /// It cannot be written, or `write` fails.
    pub fn put(&mut self, path: &str, write: impl FnOnce(&mut dyn Write) -> Result<()>) -> Result<FileDigest> {
        let mut of_written = (Sha256::new(), 0);
        put_by(&self.case.path(path), |out| {
            let mut hashing = Hashing { out, hasher: Sha256::new(), bytes: 0 };
            write(&mut hashing)?;
            of_written = (hashing.hasher, hashing.bytes);
            Ok(())
        })?;
        let (hasher, bytes) = of_written;
        let sha256 = Digest(hasher.finalize().into()).to_string();
        let file = FileDigest { path: path.to_owned(), bytes, sha256 };
        self.wrote(file.clone());
        Ok(file)
    }

    /// Notes that a file of the case was written by other means.
    pub fn wrote(&mut self, file: FileDigest) {
        self.removed.remove(&file.path);
        self.outputs.insert(file.path.clone(), file);
    }

    /// Notes that a file of the case is as an act before left it, or else was written.
    pub fn holds(&mut self, file: FileDigest) {
        if self.known(&file.path) != Some(&file) {
            self.wrote(file);
        }
    }

    /// Notes that a file of the case was removed.
    pub fn removed(&mut self, path: &str) {
        self.outputs.remove(path);
        self.removed.insert(path.to_owned());
    }

    /// Notes that the act rests on a file of the case.
    pub fn rests_on(&mut self, file: FileDigest) {
        self.inputs.push(file);
    }

    /// Ends the act.
    ///
    /// # Errors
    /// The ledger cannot be added to.
    pub fn done(self) -> Result<()> {
        self.end(State::Done, None)
    }

    /// Ends the act with the reason why it failed; what it has written is noted.
    ///
    /// # Errors
    /// The ledger cannot be added to.
    pub fn failed(self, reason: &str) -> Result<()> {
        self.end(State::Failed, Some(reason.to_owned()))
    }

    fn end(mut self, state: State, reason: Option<String>) -> Result<()> {
        let end = Entry {
            begun: Some(self.begun.seq),
            inputs: self.inputs,
            outputs: self.outputs.into_values().collect(),
            removed: self.removed.into_iter().collect(),
            reason,
            ..entry(&self.begun.act, state, &self.ledger, self.circumstances)
        };
        append(&self.case.folder, &end, &mut self.ledger)
    }
}

struct Hashing<'a> {
    out: &'a mut dyn Write,
    hasher: Sha256,
    bytes: u64,
}

impl Write for Hashing<'_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let n = self.out.write(buf)?;
        self.hasher.update(&buf[..n]);
        self.bytes += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
