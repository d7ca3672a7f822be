//! Archives: whatever logs are packed in, they say the same; what cannot be read of an archive is named.

use std::fs;
use std::io::Write as _;

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::packing::{
    Members, TAR_END, Zipped, gzip, gzip_well, members_of, tar, tar_header, tar_member, zip, zip_directory, zip_of,
    zstd,
};
use crate::support::{Case, Run, command, put_object, root, run, time};

fn line(job: &str) -> String {
    json!({ "timestamp": time(1), "jobId": job, "recordingId": format!("r-{job}"), "step": "upload", "outcome": "failure",
        "status": 403, "bucket": "b", "principal": "p", "errorMessage": "Forbidden" })
    .to_string()
        + "\n"
}

fn one(name: &str) -> (String, Vec<u8>) {
    (name.to_owned(), line(name).into_bytes())
}

/// A report of one archive, checked as all are: records are parsed or rejected, and the archive as found is hashed.
struct Report {
    run: Run,
    files: Vec<Value>,
    skipped: Vec<String>,
}

fn analyze(bytes: &[u8], more: &[&str]) -> Report {
    let case = Case::new();
    case.write("a", bytes);
    let run = run(case.path(), &[&["analyze", "a", "--format", "json"], more].concat());
    assert!(!run.stderr.contains("panicked"), "{}", run.stderr);
    let json: Value = serde_json::from_str(&run.stdout).unwrap_or_default();
    let files = json["coverage"]["files"].as_array().cloned().unwrap_or_default();
    for file in &files {
        let number = |name: &str| file[name].as_u64().expect("a number");
        assert_eq!(number("records"), number("parsed") + number("rejected"), "{file}");
        assert_eq!(number("rejected"), file["rejects"].as_array().map_or(0, |r| r.len() as u64), "{file}");
    }
    if let Some(archive) = files.first() {
        let digest = holdtrace::evidence::Digest::of(bytes).to_string();
        assert_eq!((&archive["sha256"], &archive["bytes"]), (&json!(digest), &json!(bytes.len())));
    }
    let skipped = json["coverage"]["skipped"].as_array().cloned().unwrap_or_default();
    let skipped = skipped.iter().map(|note| note.as_str().expect("text").to_owned()).collect();
    Report { run, files, skipped }
}

impl Report {
    fn names(&self) -> Vec<&str> {
        self.files.iter().filter_map(|file| file["path"].as_str()).collect()
    }

    fn file(&self, name: &str) -> &Value {
        let found = self.files.iter().find(|file| file["path"] == name);
        found.unwrap_or_else(|| panic!("{name} among {:?}: {}", self.names(), self.run.stderr))
    }

    /// The only reason why something of this file was not read.
    fn reason(&self, name: &str) -> &str {
        let file = self.file(name);
        assert_eq!(file["rejected"], 1, "{file}");
        file["rejects"][0]["reason"].as_str().expect("a reason")
    }

    /// Records that were read of all files.
    fn parsed(&self) -> u64 {
        self.files.iter().filter_map(|file| file["parsed"].as_u64()).sum()
    }
}

/// The samples, and a file each that is packed itself.
fn evidence() -> Members {
    let mut members = members_of(&root().join("samples"));
    let mut case = Case::new();
    case.contrast();
    for n in 0..20 {
        let job = format!("job-{n}");
        case.start(&job, n * 100, &["recording:export"], json!({}));
        case.step(&job, n * 100 + 1, "metadata_injection", "timeout", json!({ "status": 504 }));
        case.step(&job, n * 100 + 9, "metadata_injection", "failure", json!({ "status": 403 }));
    }
    let lines = case.trail.iter().map(Value::to_string).collect::<Vec<_>>().join("\n");
    members.push(("made/trail.ndjson.gz".to_owned(), gzip(lines.as_bytes())));
    let records = json!({ "Records": [put_object("job-1", 3, Some("Access Denied")), put_object("job-2", 4, None)] });
    members.push(("made/cloud.json.zst".to_owned(), zstd(records.to_string().as_bytes())));
    members
}

#[test]
fn any_packing_of_an_archive_gives_the_same_verdicts() {
    let members = evidence();
    let folder = Case::new();
    for (name, bytes) in &members {
        folder.write(&format!("logs/{name}"), bytes);
    }
    let expected = run(folder.path(), &["analyze", "logs", "--format", "ndjson"]);
    assert_eq!((expected.status, expected.stdout.lines().count()), (0, 30), "{}", expected.stderr);
    let (front, back) = members.split_at(4);
    let inner = |bytes: Vec<u8>| vec![("inner".to_owned(), bytes)];
    let described: Vec<Zipped> = members.iter().map(|(name, bytes)| Zipped::new(name, bytes, 8).described()).collect();
    let mut mixed = front.to_vec();
    mixed.push(("rest.zip".to_owned(), zip(back, 8)));
    for (name, archive) in [
        ("tar", tar(&members)),
        ("tar in gzip", gzip(&tar(&members))),
        ("tar in zstd", zstd(&tar(&members))),
        ("stored zip", zip(&members, 0)),
        ("deflated zip", zip(&members, 8)),
        ("zip with zstd", zip(&members, 93)),
        ("zip as streams are written", zip_of(&described)),
        ("zip in gzip", gzip(&zip(&members, 8))),
        ("zip in tar in gzip", gzip(&tar(&inner(zip(&members, 8))))),
        ("tar in gzip in a deflated zip", zip(&inner(gzip(&tar(&members))), 8)),
        ("deflated zip in a deflated zip", zip(&inner(zip(&members, 8)), 8)),
        ("stored zip in a stored zip in a tar", tar(&inner(zip(&inner(zip(&members, 0)), 0)))),
        ("files beside a zip in a tar in zstd", zstd(&tar(&mixed))),
    ] {
        let case = Case::new();
        case.write("logs/any-name.log", archive);
        for threads in ["1", "3"] {
            let found = run(case.path(), &["analyze", "logs", "--format", "ndjson", "--threads", threads]);
            assert_eq!(found.status, 0, "{name}: {}", found.stderr);
            assert!(found.stdout == expected.stdout, "{name} with {threads} threads");
        }
        let piped = command(case.path())
            .args(["analyze", "-", "--format", "ndjson"])
            .stdin(fs::File::open(case.path().join("logs/any-name.log")).expect("opened"))
            .output()
            .expect("the binary runs");
        assert!(piped.stdout == expected.bytes, "{name} from standard input");
    }
}

#[test]
fn the_ledger_names_the_archive_as_found_and_each_member_with_its_own_hash() {
    let members = vec![one("a"), one("dir/b"), ("c.gz".to_owned(), gzip(line("c").as_bytes()))];
    let report = analyze(&gzip(&tar(&[("in.zip".to_owned(), zip(&members, 8))])), &[]);
    assert_eq!(report.run.status, 0, "{}", report.run.stderr);
    assert_eq!(report.names(), ["a", "a!/in.zip", "a!/in.zip!/a", "a!/in.zip!/c.gz", "a!/in.zip!/dir/b"]);
    let archive = report.file("a");
    assert_eq!(
        (&archive["format"], &archive["records"], &archive["members"]),
        (&json!("tar, gzip"), &json!(0), &json!(1))
    );
    let inner = report.file("a!/in.zip");
    assert_eq!((&inner["members"], &inner["container"]), (&json!(3), &json!("a")));
    for (name, bytes) in members {
        let file = report.file(&format!("a!/in.zip!/{name}"));
        assert_eq!(file["sha256"], holdtrace::evidence::Digest::of(&bytes).to_string());
        assert_eq!((&file["bytes"], &file["parsed"]), (&json!(bytes.len()), &json!(1)));
        assert_eq!((&file["container"], &file["members"]), (&json!("a!/in.zip"), &Value::Null));
    }
}

#[test]
fn a_record_in_a_member_is_cited_and_shown_by_its_place_there() {
    for archive in [gzip(&tar(&[one("x"), one("dir/y")])), zip(&[one("x"), one("dir/y")], 8)] {
        let case = Case::new();
        case.write("a", archive);
        let failures = run(case.path(), &["analyze", "a", "--format", "ndjson", "--job", "dir/y"]).objects();
        let id = failures[0]["evidence"][0]["records"][0].as_str().expect("an id").to_owned();
        let shown = run(case.path(), &["show", &id, "a"]);
        assert!(shown.stdout.contains("file    a!/dir/y\nrecord  0\noffset  0\n"), "{}", shown.stdout);
        assert!(shown.stdout.contains("checked now") && shown.stdout.contains(line("dir/y").trim()));
        let timeline = run(case.path(), &["timeline", "a", "--job", "dir/y", "--format", "ndjson"]).objects();
        assert_eq!(timeline[0]["file"], "a!/dir/y");
    }
}

#[test]
fn hostile_names_are_spelled_out_and_written_nowhere() {
    let names: [(&[u8], &str); 8] = [
        (b"../../up.json", "\\../\\../up.json"),
        (b"/etc/root.json", "\\/etc/root.json"),
        (b"./plain//dir/./a.json", "plain/dir/a.json"),
        (b"plain/dir/a.json", "plain/dir/a.json\\#2"),
        (b"esc\x1b[2J\xe2\x80\xaen.json", "esc\\u{1b}[2J\\u{202e}n.json"),
        (b"latin-\xfc.json", "latin-\\xfc.json"),
        (b"a.zip!/b.json", "a.zip\\!/b.json"),
        (b"win\\dir.json", "win\\\\dir.json"),
    ];
    let bytes = |n: usize| line(&format!("job-{n}")).into_bytes();
    let mut packed: Vec<u8> =
        names.iter().enumerate().flat_map(|(n, (name, _))| tar_member(name, &bytes(n), b'0')).collect();
    packed.extend(TAR_END);
    let zipped =
        |(n, (name, _)): (usize, &(&[u8], &str))| Zipped { name: name.to_vec(), ..Zipped::new("", &bytes(n), 8) };
    let zipped: Vec<Zipped> = names.iter().enumerate().map(zipped).collect();
    for archive in [packed, zip_of(&zipped)] {
        let report = analyze(&archive, &[]);
        assert_eq!((report.run.status, report.parsed()), (0, 8), "{}", report.run.stderr);
        for (n, (_, spelled)) in names.iter().enumerate() {
            let digest = holdtrace::evidence::Digest::of(&bytes(n)).to_string();
            assert_eq!(report.file(&format!("a!/{spelled}"))["sha256"], digest, "{spelled}");
        }
    }
    assert!(!std::path::Path::new("/etc/root.json").exists());
}

#[test]
fn long_names_are_read_in_both_their_forms() {
    let long = format!("{}/trail.ndjson", "deep".repeat(60));
    let mut value = format!("path={long}\n");
    let length = (value.len() + 4).to_string().len() + 1 + value.len();
    value = format!("{length} {value}");
    let pax = [tar_member(b"pax", value.as_bytes(), b'x'), tar_member(b"short", line("x").as_bytes(), b'0')].concat();
    for archive in [tar_member(long.as_bytes(), line("x").as_bytes(), b'0'), pax] {
        let report = analyze(&[&archive[..], &TAR_END].concat(), &[]);
        assert_eq!(report.names(), ["a", &format!("a!/{long}")], "{}", report.run.stderr);
    }
}

#[test]
fn links_devices_and_pipes_are_not_followed_and_are_named() {
    let mut link = tar_header(b"link", 0, b'2');
    link.set_link_name_literal("/etc/passwd").expect("set");
    link.set_cksum();
    let mut archive = tar_member(b"good", line("good").as_bytes(), b'0');
    archive.extend(link.as_bytes());
    for (name, kind) in [(&b"hard"[..], b'1'), (b"device", b'3'), (b"pipe", b'6'), (b"dir/", b'5')] {
        archive.extend(tar_member(name, b"", kind));
    }
    // Older programs give a hard link the size of the file, and no bytes.
    archive.extend(tar_header(b"hard", 700, b'1').as_bytes());
    archive.extend(tar_member(b"good-too", line("good").as_bytes(), b'0'));
    let report = analyze(&[&archive[..], &TAR_END].concat(), &[]);
    assert_eq!((report.run.status, report.names()), (0, vec!["a", "a!/good", "a!/good-too"]));
    assert_eq!(
        report.skipped,
        [
            "a!/device: a device in the archive, not read",
            "a!/hard: a hard link in the archive, not followed",
            "a!/link: a symbolic link in the archive, not followed (to \\/etc/passwd)",
            "a!/pipe: a pipe in the archive, not read",
        ]
    );
    let link = Zipped { mode: 0o120_777, ..Zipped::new("link", b"/etc/passwd", 0) };
    let report = analyze(&zip_of(&[link, Zipped::new("good", line("good").as_bytes(), 0)]), &[]);
    assert_eq!(report.skipped, ["a!/link: a symbolic link in the archive, not followed"]);
    assert_eq!((report.run.status, report.names()), (0, vec!["a", "a!/good"]));
}

/// Lines that do not pack well, so that a copy can be cut off anywhere.
fn noise(name: &str) -> (String, Vec<u8>) {
    let mut state = name.len() as u64 + u64::from(name.as_bytes()[0]);
    let mut lines = String::new();
    for n in 0..200 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        lines.push_str(&line(&format!("{name}-{n}-{state:x}")));
    }
    (name.to_owned(), lines.into_bytes())
}

/// zstd gives nothing of a block that is not all there.
fn zstd_in_blocks(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = zstd::Encoder::new(Vec::new(), 3).expect("an encoder");
    for block in bytes.chunks(4096) {
        encoder.write_all(block).and_then(|()| encoder.flush()).expect("packed");
    }
    encoder.finish().expect("packed")
}

#[test]
fn of_an_archive_that_was_cut_off_the_members_before_the_cut_are_read_and_the_cut_is_named() {
    let members = [noise("first"), noise("second"), noise("third")];
    let described: Vec<Zipped> = members.iter().map(|(name, bytes)| Zipped::new(name, bytes, 8).described()).collect();
    for (name, archive) in [
        ("tar", tar(&members)),
        ("tar in gzip", gzip(&tar(&members))),
        ("tar in zstd", zstd_in_blocks(&tar(&members))),
        ("stored zip", zip(&members, 0)),
        ("deflated zip", zip(&members, 8)),
        ("zip as streams are written", zip_of(&described)),
        ("zip in gzip", gzip(&zip(&members, 8))),
    ] {
        let cut = &archive[..archive.len() / 2];
        let report = analyze(cut, &[]);
        assert_eq!(report.run.status, 1, "{name}");
        assert_eq!(report.file("a!/first")["parsed"], 200, "{name}: what lies before the cut is whole");
        let second = report.file("a!/second");
        assert!(second["parsed"].as_u64() > Some(20) && second["parsed"].as_u64() < Some(200), "{name}: {second}");
        assert_eq!(second["sha256"], Value::Null, "{name}: a part of a member has no hash");
        let archive = report.file("a");
        let reason = archive["rejects"][0]["reason"].as_str().expect("a reason");
        assert!(reason.contains("second") || reason.contains("get a whole copy"), "{name}: {reason}");
    }
}

#[test]
fn a_tar_cut_between_two_members_does_not_pass_for_a_whole_one() {
    let report = analyze(&tar_member(b"good", line("good").as_bytes(), b'0'), &[]);
    assert_eq!((report.run.status, report.parsed()), (1, 1));
    assert!(report.reason("a").contains("may have been cut off"), "{}", report.reason("a"));
}

#[test]
fn tar_archives_one_behind_the_other_are_all_read() {
    let archive = [tar(&[one("first")]), vec![0; 4096], tar(&[one("second")])].concat();
    let report = analyze(&archive, &[]);
    assert_eq!((report.run.status, report.parsed()), (0, 2), "{}", report.run.stderr);
    let garbage = [tar(&[one("first")]), b"not a tar header".repeat(100)].concat();
    let report = analyze(&garbage, &[]);
    assert_eq!((report.run.status, report.parsed()), (1, 1));
    assert!(report.reason("a").contains("behind the end of the tar archive"), "{}", report.reason("a"));
}

#[test]
fn a_member_that_cannot_be_read_is_named_with_what_to_do_and_the_others_are_read() {
    let member = |name: &str| Zipped::new(name, line(name).as_bytes(), 8);
    let crc = Zipped { crc: 7, ..member("damaged") };
    let locked = Zipped { flags: 0x801, ..member("locked") };
    let bzip2 = Zipped { method: 12, ..member("bzip2") };
    let lying = Zipped { size: 10, ..member("lying") };
    let mut broken = member("broken");
    broken.packed[5..25].fill(0xff);
    let report = analyze(&zip_of(&[member("good"), crc, locked, bzip2, lying, broken, member("good-too")]), &[]);
    assert_eq!(report.run.status, 1);
    for (name, words) in [
        ("a!/damaged", "CRC-32"),
        ("a!/locked", "it is encrypted; unpack the archive with its password"),
        ("a!/bzip2", "packed with BZIP2"),
    ] {
        assert!(
            report.reason(name).to_ascii_lowercase().contains(&words.to_ascii_lowercase()),
            "{}",
            report.reason(name)
        );
    }
    assert_eq!(report.file("a!/damaged")["parsed"], 1, "what is in it is read all the same");
    assert!(report.file("a!/lying")["rejects"].to_string().contains("goes on behind the 10 bytes"));
    assert!(report.file("a!/broken")["rejected"].as_u64() > Some(0));
    for name in ["a!/good", "a!/good-too"] {
        assert_eq!(report.file(name)["parsed"], 1);
    }
}

#[test]
fn a_member_that_says_it_is_larger_than_any_disk_is_named_and_the_others_are_read() {
    let mut archive = tar_member(b"good", line("good").as_bytes(), b'0');
    for size in [1 << 40, (1 << 62) - 1, u64::MAX >> 1] {
        let cut = [&archive[..], tar_header(b"huge", size, b'0').as_bytes(), line("huge").as_bytes()].concat();
        let report = analyze(&cut, &[]);
        assert_eq!((report.run.status, report.parsed()), (1, 2), "{}", report.run.stderr);
        assert!(report.file("a!/huge")["rejects"].to_string().contains("the archive ends inside this member"));
        let (status, said) = refused(&gzip(&cut), &[]);
        assert!(status == 1 && said.contains("a!/huge"), "{said}");
    }
    archive.extend(tar_header(b"huge", u64::MAX, b'0').as_bytes());
    let report = analyze(&archive, &[]);
    assert_eq!((report.run.status, report.parsed()), (1, 1), "{}", report.run.stderr);
}

#[test]
fn sparse_files_in_a_tar_are_refused_by_name() {
    let archive =
        [tar_member(b"holes", &[b'x'; 700], b'S'), tar_member(b"good", line("good").as_bytes(), b'0')].concat();
    let report = analyze(&[&archive[..], &TAR_END].concat(), &[]);
    assert_eq!((report.run.status, report.parsed()), (1, 1));
    assert!(report.reason("a!/holes").contains("a sparse file"));
}

#[test]
fn zip_members_that_share_bytes_are_refused() {
    // Two entries for the same bytes, and one whose bytes begin in those of another.
    let inner = Zipped::new("inner", line("inner").as_bytes(), 0);
    let outer = Zipped::new("outer", &zip_of(std::slice::from_ref(&inner)), 0);
    let start = 30 + outer.name.len();
    let mut bytes = zip_of(std::slice::from_ref(&outer));
    let directory = start + outer.packed.len();
    for places in [vec![(0, &outer), (start, &inner)], vec![(0, &outer), (0, &outer)]] {
        bytes.truncate(directory);
        bytes.extend(zip_directory(&places, directory));
        let report = analyze(&bytes, &[]);
        assert_eq!(report.run.status, 2, "nothing else is in it");
        assert!(report.run.stderr.contains("share the bytes"), "{}", report.run.stderr);
        assert!(report.run.stderr.contains("outer"), "{}", report.run.stderr);
    }
}

#[test]
fn bytes_of_a_zip_that_its_directory_does_not_list_are_named() {
    let (hidden, good) = (Zipped::new("hidden", line("h").as_bytes(), 8), Zipped::new("good", line("g").as_bytes(), 8));
    let first = zip_of(std::slice::from_ref(&hidden));
    let directory = zip_of(&[hidden.clone(), good.clone()]).len() - zip_directory(&[(0, &hidden), (0, &good)], 0).len();
    let mut bytes = zip_of(&[hidden, good.clone()])[..directory].to_vec();
    let at = first.len() - zip_directory(&[(0, &Zipped::new("hidden", b"", 8))], 0).len();
    bytes.extend(zip_directory(&[(at, &good)], directory));
    let report = analyze(&bytes, &[]);
    assert_eq!((report.run.status, report.parsed()), (1, 1));
    assert!(report.reason("a").contains("which the directory does not list"), "{}", report.reason("a"));
    let report = analyze(&[&zip(&[one("good")], 8)[..], b"something behind it"].concat(), &[]);
    assert_eq!((report.run.status, report.parsed()), (0, 1));
    assert!(report.skipped[0].starts_with("a: 19 bytes in 1 places"), "{:?}", report.skipped);
}

/// Bytes that pack as well as any do.
fn zeros(megabytes: usize) -> Vec<u8> {
    vec![0; megabytes * 1024 * 1024]
}

/// Runs in a folder of its own for temporary files; says how the run ended and what it said, and that it left nothing.
fn refused(archive: &[u8], more: &[&str]) -> (i32, String) {
    let (case, temporary) = (Case::new(), Case::new());
    case.write("a", archive);
    let mut command = command(case.path());
    let run: Run =
        command.args(["analyze", "a"]).args(more).env("TMPDIR", temporary.path()).output().expect("runs").into();
    assert_eq!(fs::read_dir(temporary.path()).expect("listed").count(), 0);
    (run.status, run.stderr)
}

#[test]
fn what_expands_too_far_is_refused_naming_file_and_member_and_the_setting() {
    let good = || one("good");
    let bomb = zeros(270);
    let record = line("good").replace("Forbidden", &"a".repeat(1 << 20)).replace("failure", "success").into_bytes();
    let text = record.repeat(260);
    let big = |bytes: &[u8]| ("big".to_owned(), bytes.to_vec());
    let inner = zip(&[big(&bomb)], 93);
    let announced = [tar_header(b"big", 10 << 30, b'0').as_bytes(), &zeros(1)[..]].concat();
    let announced = gzip_well(&[tar_member(b"good", &good().1, b'0'), announced].concat());
    let small = gzip_well(&text[..10 << 20]);
    let several: Members = (0..40).map(|n| (format!("m{n:02}.gz"), small.clone())).collect();
    let twice = zstd(&tar(&[big(&bomb)]));
    for (name, archive, member) in [
        ("a member of a tar in zstd", zstd(&tar(&[good(), big(&bomb)])), "a!/big"),
        ("a size that is announced in a tar in gzip", announced, "a!/big"),
        ("a deflated member", zip(&[good(), big(&bomb)], 8), "a!/big"),
        ("a packed member", tar(&[good(), big(&gzip_well(&text))]), "a!/big"),
        ("a member packed twice", tar(&[good(), ("twice".to_owned(), twice)]), "a!/twice!/big"),
        ("a zip in a zip", zip(&[good(), ("in".to_owned(), inner)], 8), "a!/in!/big"),
        ("many that are small", tar(&[&[good()], &several[..]].concat()), "a!/m00.gz"),
    ] {
        let (status, said) = refused(&archive, &[]);
        assert_eq!(status, 1, "{name}: the rest is read: {said}");
        assert!(said.contains(member), "{name}: {said}");
        assert!(said.contains("decompression bomb") && said.contains("--max-expansion"), "{name}: {said}");
    }
    let (status, said) = refused(&gzip(&gzip(line("x").as_bytes())), &[]);
    assert!(status == 2 && said.contains("packed twice"), "{said}");
}

#[test]
fn each_bound_is_a_setting_that_its_refusal_names() {
    let nested = |depth: usize| (0..depth).fold(tar(&[one("x")]), |inner, _| zip(&[("in".to_owned(), inner)], 8));
    let members: Members = (0..50).map(|n| one(&format!("m{n}"))).collect();
    let long = line(&"x".repeat(50_000)) + &line("x");
    let temporary = gzip(&tar(&[("big".to_owned(), noise("big").1), one("x")]));
    for (archive, setting, less, enough) in [
        (nested(4), "--max-depth", "4", "5"),
        (zip(&members, 8), "--max-members", "49", "50"),
        (gzip(&tar(&members)), "--max-members", "49", "50"),
        (temporary, "--max-unpacked-bytes", "20000", "200000"),
        (tar(&[("long".to_owned(), long.into_bytes())]), "--max-record-bytes", "1000", "200000"),
    ] {
        let (status, said) = refused(&archive, &[setting, less]);
        assert!([1, 2].contains(&status) && said.contains(setting), "{setting}: {said}");
        let (status, said) = refused(&archive, &[setting, enough]);
        assert!(status < 2 && !said.contains(setting), "{setting}: {said}");
    }
    let bomb = zip(&[one("x"), ("big".to_owned(), zeros(300))], 8);
    assert_eq!(refused(&bomb, &[]).0, 1);
    let (status, said) = refused(&bomb, &["--max-expansion", "2000"]);
    assert!(status == 1 && !said.contains("bomb") && said.contains("binary data"), "{said}");
}

#[test]
fn a_zstd_window_that_would_take_more_than_128_mib_is_refused() {
    let mut encoder = zstd::Encoder::new(Vec::new(), 3).expect("an encoder");
    encoder.window_log(31).expect("set");
    encoder.write_all(line("x").repeat(50_000).as_bytes()).expect("packed");
    let (status, said) = refused(&tar(&[one("good"), ("w.zst".to_owned(), encoder.finish().expect("packed"))]), &[]);
    assert!(status == 1 && said.contains("a!/w.zst") && said.contains("--long=31"), "{said}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_archive_with_any_bytes_wrong_is_read_as_far_as_it_goes_and_every_loss_is_counted(
        kind in 0usize..6,
        wrong in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..6),
        end in proptest::option::weighted(0.3, any::<proptest::sample::Index>()),
    ) {
        let members = [one("a"), ("b.gz".to_owned(), gzip(line("b").as_bytes())), one(&"long/".repeat(40))];
        let described: Vec<Zipped> = members.iter().map(|(name, bytes)| Zipped::new(name, bytes, 8).described()).collect();
        let mut archive = match kind {
            0 => tar(&members),
            1 => zip(&members, 0),
            2 => zip(&members, 8),
            3 => zip_of(&described),
            4 => tar(&[("in".to_owned(), zip(&members, 8)), one("x")]),
            _ => zip(&[("in".to_owned(), tar(&members)), one("x")], 8),
        };
        for (at, byte) in wrong {
            *at.get_mut(&mut archive) = byte;
        }
        if let Some(end) = end {
            archive.truncate(end.index(archive.len()));
        }
        let report = analyze(&archive, &[]);
        prop_assert!((0..=2).contains(&report.run.status), "{}", report.run.stderr);
    }
}
