//! The hot stages, one by one, on the samples repeated: `cargo bench`. See README.md.

use std::path::PathBuf;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use holdtrace::classify::{DEFAULT_PACK, Judge};
use holdtrace::correlate;
use holdtrace::evidence::{Digest, Framer, Input, Limits, Place, Stream, discover, recognise};
use holdtrace::ingest::Options;
use holdtrace::report::RuleText;
use regex::Regex;

/// Copies of the samples' trail, each with ids of its own.
const COPIES: usize = 40;

fn samples() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("samples")
}

/// A folder with the samples and copies of their trail.
fn archive() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for input in discover(&[samples().display().to_string()]).expect("samples").inputs {
        let name = input.place.path().strip_prefix(samples()).expect("inside");
        let to = folder.path().join(name);
        std::fs::create_dir_all(to.parent().expect("a folder")).expect("created");
        std::fs::copy(input.place.path(), to).expect("copied");
    }
    let trail = std::fs::read_to_string(trails().first().expect("a trail").place.path()).expect("read");
    let id = Regex::new("[0-9a-f]{2}([0-9a-f]{6}-[0-9a-f]{4}-)").expect("a fixed pattern");
    let copies: String = (0..COPIES).map(|copy| id.replace_all(&trail, format!("{copy:02x}$1")).into_owned()).collect();
    std::fs::write(folder.path().join("copies.ndjson"), copies).expect("written");
    folder
}

fn trails() -> Vec<Input> {
    discover(&[samples().join("trail").display().to_string()]).expect("samples").inputs
}

fn cut(input: &Input) -> usize {
    let mut stream = Stream::open(&input.place).expect("opened");
    let mut framer = Framer::new(&mut stream, Limits::default());
    let (head, whole) = framer.head();
    let (shape, _) = recognise(head, whole, &|_| true);
    framer.set_shape(&shape);
    std::iter::from_fn(|| framer.next_chunk(&mut stream)).map(|chunk| chunk.spans.len()).sum()
}

fn stages(criterion: &mut Criterion) {
    let folder = archive();
    let inputs = discover(&[folder.path().display().to_string()]).expect("an archive").inputs;
    let rules = RuleText::parse(DEFAULT_PACK, "the built-in rule pack").expect("a pack");
    let operations = &rules.pack.operations;
    let plain = folder.path().join("copies.ndjson");
    let bytes = std::fs::read(&plain).expect("read");
    let plain = Input { label: "copies".into(), place: Place::File(plain.as_path().into()), bytes: bytes.len() as u64 };
    let mut group = criterion.benchmark_group("stages");
    group.sample_size(20).throughput(Throughput::Bytes(bytes.len() as u64));
    group.bench_function("hash", |b| b.iter(|| Digest::of(&bytes)));
    group.bench_function("cut into records, hashing", |b| b.iter(|| cut(&plain)));
    let options = Options::default();
    group.bench_function("read in outline", |b| {
        b.iter(|| {
            correlate::read(std::slice::from_ref(&plain), options, operations, &|_| {})
                .map(|(outline, _)| outline.len())
        });
    });
    group.bench_function("correlate", |b| {
        b.iter_batched(
            || correlate::read(&inputs, options, operations, &|_| {}).expect("read"),
            |(outline, mut ingested)| {
                correlate::correlate(outline, &mut ingested, &inputs, options).map(|c| c.attempts)
            },
            criterion::BatchSize::LargeInput,
        );
    });
    let (outline, mut ingested) = correlate::read(&inputs, options, operations, &|_| {}).expect("read");
    let correlated = correlate::correlate(outline, &mut ingested, &inputs, options).expect("correlated");
    let reread = correlate::reread(&correlated.outline, &ingested, &inputs, options);
    let wave = correlated.waves(&reread).next().expect("failures").expect("read again");
    let failures: Vec<_> = wave.failures.iter().collect();
    group.throughput(Throughput::Elements(failures.len() as u64));
    group.bench_function("classify, by failures", |b| {
        b.iter(|| {
            Judge::new(&ingested, &correlated, &rules.pack)
                .and_then(|judge| judge.of(&wave).verdicts(&failures))
                .map(|v| v.len())
        });
    });
}

criterion_group!(benches, stages);
criterion_main!(benches);
