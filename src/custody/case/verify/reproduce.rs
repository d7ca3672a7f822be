//! Analysing the evidence again, and comparing every byte.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::Path;

use super::{Checked, Verification};
use crate::classify::Source;
use crate::custody::case::difference::{Area, Difference, Kind};
use crate::custody::case::{
    EVENTS, FAILURES, FileDigest, MANIFEST, Manifest, ManifestInput, REPORT, REPORT_LINES, RULES, is_inside,
};
use crate::error::{Error, Result};
use crate::evidence::{Discovery, Limits, Place, discover};
use crate::ingest::{AssumedZone, Mapping, Options};
use crate::parts::Index;
use crate::report::{self, Analysis, Evidence, RuleText, Selection};

/// Analyses the evidence as the case says it was, and compares what comes out with what the case holds.
pub fn check(checked: &Checked<'_>, found: &mut Verification) -> Result<()> {
    let (true, Some(manifest)) = (checked.how.reproduce, checked.manifest) else { return Ok(()) };
    let cannot = |reason: String| {
        Difference::of_file(Area::Reports, Kind::Unreadable, REPORT, format!("it cannot be made again: {reason}"))
    };
    if let Some(version) = other_version(checked) {
        found.notes.push(format!("the report was made by holdtrace {version}; this is {}", env!("CARGO_PKG_VERSION")));
    }
    match again(checked, manifest) {
        Ok(analysis) => compare(checked, manifest, &analysis, found),
        Err(error) => {
            found.differences.push(cannot(error.to_string()));
            Ok(())
        }
    }
}

fn other_version(checked: &Checked<'_>) -> Option<String> {
    let version = &checked.ledger.last_done("analyze")?.tool.version;
    (version != env!("CARGO_PKG_VERSION")).then(|| version.clone())
}

/// Analyses the evidence, under the names that the manifest has for it.
fn again(checked: &Checked<'_>, manifest: &Manifest) -> Result<Analysis> {
    let unusable = |reason: String| Error::Parts { reason };
    let index = Index::read(&checked.case.path(EVENTS)).map_err(|e| unusable(format!("{EVENTS}/: {e}")))?;
    let rules = rules(checked)?;
    let mappings = mappings(checked, manifest)?;
    let zone: AssumedZone = index.assume_tz.parse().map_err(|e| unusable(format!("--assume-tz: {e}")))?;
    let max_record = usize::try_from(index.max_record_bytes).unwrap_or(usize::MAX);
    let limits = Limits { max_record, ..Limits::default() };
    let (bounds, mappings) = (index.bounds, &mappings[..]);
    let options = Options { zone, limits, bounds, mappings, hash_content: true, ..Options::default() };
    let evidence = Evidence::of(discovery(checked, manifest)?, options, &rules, &())?;
    report::analyze_evidence(evidence, &rules, &Selection::default())
}

/// What lies where the evidence is now, under its names in the manifest.
fn discovery(checked: &Checked<'_>, manifest: &Manifest) -> Result<Discovery> {
    let mut all = Discovery::default();
    for (root, place) in checked.places.roots() {
        let place = place.display().to_string();
        let mut of_root = discover(std::slice::from_ref(&place))?;
        let renamed =
            |text: &str| text.strip_prefix(&place).map_or_else(|| text.to_owned(), |rest| format!("{root}{rest}"));
        for input in &mut of_root.inputs {
            if matches!(input.place, Place::File(_)) {
                input.label = renamed(&input.label).into();
            }
        }
        all.inputs.append(&mut of_root.inputs);
        all.skipped.extend(of_root.skipped.iter().map(|note| renamed(note)));
        all.unreadable.extend(of_root.unreadable.iter().map(|note| renamed(note)));
    }
    all.inputs.sort_by(|a, b| a.label.cmp(&b.label));
    all.inputs.dedup_by(|b, a| a.label == b.label);
    // What came later is named as added; it is no part of what was analysed.
    let known: BTreeSet<&str> = manifest.inputs.iter().map(|input| input.path.as_str()).collect();
    all.inputs.retain(|input| known.contains(input.label.as_str()));
    if all.inputs.is_empty() {
        return Err(Error::Parts {
            reason: "none of the evidence was found; --evidence says where to look".to_owned(),
        });
    }
    Ok(all)
}

/// The packs that the report names, from the bottom up.
fn rules(checked: &Checked<'_>) -> Result<RuleText> {
    let entry = checked.ledger.last_done("analyze");
    let inputs = entry.into_iter().flat_map(|entry| &entry.inputs);
    let packs = inputs.filter(|file| file.path.starts_with("rules/pack-") && is_inside(&file.path));
    let read = |pack: &FileDigest| {
        let path = checked.case.path(&pack.path);
        let text = std::fs::read_to_string(&path).map_err(|e| Error::io(&path, "reading the rule pack", e))?;
        Ok((pack.path.clone(), text))
    };
    let texts: Vec<(String, String)> = packs.map(read).collect::<Result<_>>()?;
    if texts.is_empty() {
        return Err(Error::Parts { reason: "the ledger names no rule pack".to_owned() });
    }
    let sources: Vec<Source<'_>> = texts.iter().map(|(origin, text)| Source { text, origin }).collect();
    RuleText::only(&sources)
}

/// The mappings that inputs were read by.
fn mappings(checked: &Checked<'_>, manifest: &Manifest) -> Result<Vec<Mapping>> {
    let used: BTreeSet<&String> = manifest.inputs.iter().filter_map(|input| input.mapping.as_ref()).collect();
    let used = used.into_iter().filter(|sha256| sha256.bytes().all(|b| b.is_ascii_hexdigit()));
    let files = used.filter_map(|sha256| Some(format!("{RULES}/map-{}.toml", sha256.get(..16)?)));
    files.map(|file: String| Mapping::read(&checked.case.path(&file))).collect()
}

fn compare(checked: &Checked<'_>, manifest: &Manifest, analysis: &Analysis, found: &mut Verification) -> Result<()> {
    found.checked.reproduced = true;
    let inputs = analysis.coverage.files.iter();
    let inputs = inputs.map(|entry| ManifestInput::of(entry, entry.content_sha256, false));
    let again = Manifest::new(manifest.paths.iter().cloned(), inputs).text()?;
    let written = |result: io::Result<()>| result.map_err(|e| Error::Output(e.to_string()));
    let mut same = |path: &str, write: &dyn Fn(&mut dyn Write) -> Result<()>| -> Result<()> {
        let difference = differing(&checked.case.path(path), write)?;
        let area = Area::of(path);
        found.differences.extend(difference.map(|(kind, detail)| Difference::of_file(area, kind, path, detail)));
        Ok(())
    };
    same(MANIFEST, &|out| written(out.write_all(&again)))?;
    same(REPORT, &|out| analysis.write_json(out))?;
    same(REPORT_LINES, &|out| analysis.failures.write_ndjson(out))?;
    same(FAILURES, &|out| report::write_parquet(&analysis.failures, out))
}

/// How the file at `path` differs from what `write` writes.
fn differing(path: &Path, write: &dyn Fn(&mut dyn Write) -> Result<()>) -> Result<Option<(Kind, String)>> {
    let Ok(file) = File::open(path) else {
        return Ok(Some((Kind::Missing, "it is made from the evidence, and is not there".to_owned())));
    };
    let mut comparing = Comparing { file: BufReader::new(file), at: 0, differs: None, buffer: Vec::new() };
    write(&mut comparing)?;
    let mut more = [0];
    if comparing.differs.is_none() && comparing.file.read(&mut more).unwrap_or(0) > 0 {
        comparing.differs = Some(comparing.at);
    }
    let detail = |at| format!("made from the evidence again, it is another from byte {at} on");
    Ok(comparing.differs.map(|at| (Kind::Changed, detail(at))))
}

/// Compares what is written with a file.
struct Comparing {
    file: BufReader<File>,
    at: u64,
    /// The first byte that is another.
    differs: Option<u64>,
    buffer: Vec<u8>,
}

impl Write for Comparing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.differs.is_none() {
            self.buffer.clear();
            let most = bytes.len() as u64;
            (&mut self.file).take(most).read_to_end(&mut self.buffer)?;
            let same = self.buffer.iter().zip(bytes).take_while(|(a, b)| a == b).count();
            if same < bytes.len() {
                self.differs = Some(self.at + same as u64);
            }
            self.at += most;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
