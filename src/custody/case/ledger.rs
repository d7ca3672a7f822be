//! The ledger of a case: one line of JSON per entry, each with the SHA-256 of the line before it and one of its own.
//!
//! A line is hashed with its line feed (`sed -n 3p custody.jsonl | sha256sum`). Its own `sha256`, always the last member,
//! is that of the text before it: the last line has none behind it that would tell of a change.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::circumstances::Program;
use super::difference::{Area, Difference, Kind};
use super::{FileDigest, LEDGER};
use crate::error::{Error, Result};
use crate::evidence::Digest;

/// A ledger that is larger is not read.
const MAX_LEDGER: u64 = 1 << 30;
/// What stands before a line's own hash.
const OWN: &str = ",\"sha256\":\"";

/// How far an act has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It is announced before anything is written.
    Begun,
    Done,
    /// It ended with an error.
    Failed,
}

/// One entry.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Entry {
    /// From 1; also the number of the line.
    pub seq: u64,
    /// What is done: `analyze`, ...
    pub act: String,
    pub state: State,
    /// Of an end: the entry that announced the act.
    pub begun: Option<u64>,
    pub who: Option<String>,
    /// RFC 3339, with the offset of the zone.
    pub when: String,
    pub host: Option<String>,
    pub tool: Program,
    pub command: Vec<String>,
    /// The working directory.
    pub folder: Option<String>,
    /// Files of the case that the act rests on.
    pub inputs: Vec<FileDigest>,
    /// Files of the case that it has written.
    pub outputs: Vec<FileDigest>,
    /// Files of the case that it has removed.
    pub removed: Vec<String>,
    /// Of a beginning: acts before it that never ended; this one makes good what they left.
    pub unfinished: Vec<u64>,
    /// Of a beginning: files that were then not as the acts before it had left them.
    pub found_changed: Vec<String>,
    /// Of a beginning: whether the line before is the rest of an entry that was being written when the program was stopped.
    pub after_torn: bool,
    /// Why it failed.
    pub reason: Option<String>,
    /// SHA-256 of the line before, with its line feed, hex; null on the first.
    pub previous: Option<String>,
}

impl Entry {
    /// The number of the act: that of the entry that announced it.
    #[must_use]
    pub fn act_number(&self) -> u64 {
        self.begun.unwrap_or(self.seq)
    }

    /// The line, with its line feed.
    fn line(&self) -> Result<Vec<u8>> {
        let mut text = serde_json::to_string(self).map_err(|e| Error::Output(e.to_string()))?;
        text.pop();
        let own = Digest::of(text.as_bytes());
        Ok(format!("{text}{OWN}{own}\"}}\n").into_bytes())
    }

    /// Reads a line; none unless it is to the byte as it was written.
    fn read(line: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(line).ok()?.strip_suffix('\n')?;
        let (before, own) = text.rsplit_once(OWN)?;
        let whole = own.strip_suffix("\"}") == Some(&Digest::of(before.as_bytes()).to_string());
        whole.then(|| serde_json::from_str(&format!("{before}}}")).ok()).flatten()
    }
}

/// A ledger as it is.
#[derive(Debug, Default)]
pub struct Ledger {
    /// The entries that can be read, with the number of their line.
    pub entries: Vec<(u64, Entry)>,
    pub lines: u64,
    /// SHA-256 of the last line, with its line feed even if it is torn.
    pub head: Option<Digest>,
    /// Whether the last line is not whole: it was being written when the program was stopped.
    pub torn: bool,
    /// Lines that are not as they were written, or not where.
    pub differences: Vec<Difference>,
    /// What happened and was made good.
    pub notes: Vec<String>,
}

impl Ledger {
    /// Reads the ledger of the case in `folder`; none where it has none.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn read(folder: &Path) -> Result<Option<Self>> {
        let path = folder.join(LEDGER);
        let text = match text(&path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            text => text.map_err(|e| Error::io(&path, "reading the ledger", e))?,
        };
        Ok(Some(Self::of(&text)))
    }

    fn of(text: &[u8]) -> Self {
        let mut ledger = Self::default();
        let lines: Vec<&[u8]> = text.split_inclusive(|b| *b == b'\n').collect();
        let entries: Vec<Option<Entry>> = lines.iter().map(|line| Entry::read(line)).collect();
        for (at, line) in lines.iter().enumerate() {
            let before = at.checked_sub(1).map(|before| Digest::of(lines[before]));
            let acknowledged = entries
                .get(at + 1)
                .and_then(Option::as_ref)
                .is_some_and(|next| next.after_torn && next.previous.as_deref() == Some(&Digest::of(line).to_string()));
            ledger.lines += 1;
            ledger.torn = !line.ends_with(b"\n");
            match &entries[at] {
                Some(entry) => ledger.check(entry, before, at == 0 || entries[at - 1].is_some()),
                None if acknowledged => ledger.notes.push(format!(
                    "{LEDGER}, line {}: an entry of which only a part was written when the program was stopped; the next \
                     entry says so",
                    ledger.lines
                )),
                None => ledger.note_unreadable(),
            }
            ledger.entries.extend(entries[at].clone().map(|entry| (ledger.lines, entry)));
            let ended: &[u8] = if ledger.torn { &[line, &b"\n"[..]].concat() } else { line };
            ledger.head = Some(Digest::of(ended));
        }
        if lines.is_empty() {
            ledger.add(Kind::Missing, "the ledger is empty; an act begins with an entry".to_owned());
        }
        ledger
    }

    /// Checks that `entry`, of the last line, stands where it was written: behind the line whose hash is `before`.
    fn check(&mut self, entry: &Entry, before: Option<Digest>, before_is_whole: bool) {
        let line = self.lines;
        if entry.seq != line {
            let detail = format!(
                "it is entry {}, which was written on line {0}: lines were put in another order, removed or added",
                entry.seq
            );
            self.add(Kind::Reordered, detail);
        } else if entry.previous != before.map(|digest| digest.to_string()) && before_is_whole {
            let detail = "the line before it is another than the one it was written after".to_owned();
            self.add(Kind::Changed, detail);
        }
    }

    fn note_unreadable(&mut self) {
        if self.torn {
            let detail = "it is not whole: it was being written when the program was stopped, or was cut off";
            self.add(Kind::Torn, detail.to_owned());
        } else {
            self.add(Kind::Changed, "it is not as it was written (its own SHA-256 is another)".to_owned());
        }
    }

    fn add(&mut self, kind: Kind, detail: String) {
        let line = (self.lines > 0).then_some(self.lines);
        self.differences.push(Difference { area: Area::Ledger, kind, path: LEDGER.to_owned(), line, detail });
    }

    /// The beginnings of acts that have no end.
    pub fn unfinished(&self) -> impl Iterator<Item = &Entry> {
        let ended: BTreeSet<u64> = self.entries.iter().filter_map(|(_, entry)| entry.begun).collect();
        let begun = self.entries.iter().map(|(_, entry)| entry).filter(|entry| entry.state == State::Begun);
        begun.filter(move |entry| !ended.contains(&entry.seq))
    }

    /// Those of them that no later act knew of when it began.
    pub fn pending(&self) -> impl Iterator<Item = &Entry> {
        let all = self.entries.iter().flat_map(|(_, entry)| entry.unfinished.iter().copied());
        let known: BTreeSet<u64> = all.collect();
        self.unfinished().filter(move |entry| !known.contains(&entry.seq))
    }

    /// The files of the case as the acts have left them, with the number of the act that wrote each.
    #[must_use]
    pub fn files(&self) -> BTreeMap<String, (FileDigest, u64)> {
        let mut files = BTreeMap::new();
        for (_, entry) in &self.entries {
            for path in &entry.removed {
                files.remove(path);
            }
            for output in &entry.outputs {
                files.insert(output.path.clone(), (output.clone(), entry.act_number()));
            }
        }
        files
    }

    /// The last entry of an act that is done.
    #[must_use]
    pub fn last_done(&self, act: &str) -> Option<&Entry> {
        let entries = self.entries.iter().rev().map(|(_, entry)| entry);
        entries.into_iter().find(|entry| entry.act == act && entry.state == State::Done)
    }
}

fn text(path: &Path) -> io::Result<Vec<u8>> {
    if !path.symlink_metadata()?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let mut text = Vec::new();
    File::open(path)?.take(MAX_LEDGER + 1).read_to_end(&mut text)?;
    if text.len() as u64 > MAX_LEDGER { Err(io::Error::other("it is larger than any ledger")) } else { Ok(text) }
}

/// Appends an entry in one go; the caller holds the lock of the case. A line that was torn is ended first, and stays.
pub(super) fn append(folder: &Path, entry: &Entry, ledger: &mut Ledger) -> Result<()> {
    let path = folder.join(LEDGER);
    let line = entry.line()?;
    let write = || -> io::Result<()> {
        let mut file = File::options().create(true).append(true).open(&path)?;
        let end: &[u8] = if ledger.torn { b"\n" } else { b"" };
        file.write_all(&[end, &line].concat())?;
        file.sync_all()
    };
    write().map_err(|e| Error::io(&path, "adding to the ledger", e))?;
    ledger.lines += 1;
    ledger.torn = false;
    ledger.head = Some(Digest::of(&line));
    ledger.entries.push((ledger.lines, entry.clone()));
    Ok(())
}
