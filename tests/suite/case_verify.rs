//! `verify CASE`: what differs is found and named.

use std::fs;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::case_folder::{Kept, files, gzip, put, run_in, verify_in};
use crate::support::command;

fn append(kept: &Kept, name: &str, bytes: &[u8]) {
    let mut all = fs::read(kept.path(name)).expect("there");
    all.extend_from_slice(bytes);
    fs::write(kept.path(name), all).expect("written");
}

fn lines(kept: &Kept) -> Vec<String> {
    let text = fs::read_to_string(kept.path("case/custody.jsonl")).expect("a ledger");
    text.split_inclusive('\n').map(str::to_owned).collect()
}

fn set_lines(kept: &Kept, lines: &[String]) {
    fs::write(kept.path("case/custody.jsonl"), lines.concat()).expect("written");
}

#[test]
fn a_case_as_it_was_made_is_fine_quickly_or_not_and_can_be_made_again() {
    let kept = Kept::with_case();
    let found = kept.verify(&[]);
    found.assert_fine();
    let checked = &found.report["checked"];
    assert_eq!((&checked["inputs"], &checked["inputs_hashed"]), (&2.into(), &2.into()));
    assert_eq!(checked["files"], checked["files_hashed"]);
    let quick = kept.verify(&["--quick"]);
    quick.assert_fine();
    assert_eq!(quick.report["checked"]["inputs_hashed"], 0);
    let again = kept.verify(&["--reproduce"]);
    again.assert_fine();
    assert_eq!(again.report["checked"]["reproduced"], true);
    let table = kept.run(&["verify", "case"]);
    assert!(table.stdout.contains("Nothing differs."), "{}", table.stdout);
    // Nothing was written, not even a lock.
    assert_eq!(kept.ledger().len(), 2);
}

#[test]
fn changed_missing_added_and_exchanged_files_are_named() {
    let kept = Kept::with_case();
    let whole = files(kept.0.path());
    let restored = |change: &dyn Fn()| {
        fs::remove_dir_all(kept.path("case")).and_then(|()| fs::remove_dir_all(kept.path("logs"))).expect("removed");
        put(kept.0.path(), &whole);
        change();
        kept.verify(&[])
    };
    let same_size = |name: &str| {
        let mut bytes = fs::read(kept.path(name)).expect("there");
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(kept.path(name), bytes).expect("written");
    };
    for name in ["case/failures.parquet", "case/events/events/part-00000.parquet", "case/reports/failures.ndjson"] {
        let of_case = name.trim_start_matches("case/").to_owned();
        assert_eq!(restored(&|| same_size(name)).only(), (of_case.clone(), "changed".to_owned()));
        let removed = restored(&|| fs::remove_file(kept.path(name)).expect("removed"));
        assert_eq!(removed.only(), (of_case, "missing".to_owned()));
    }
    let added = restored(&|| drop(kept.0.write("case/reports/extra.json", "{}")));
    assert_eq!(added.only(), ("reports/extra.json".to_owned(), "added".to_owned()));
    let evidence = restored(&|| same_size("logs/trail-a.ndjson"));
    assert_eq!(evidence.only(), ("logs/trail-a.ndjson".to_owned(), "changed".to_owned()));
    let stranger = restored(&|| drop(kept.0.write("logs/sub/new.ndjson", "{}")));
    assert_eq!(stranger.only(), ("logs/sub/new.ndjson".to_owned(), "added".to_owned()));
    let exchanged = restored(&|| {
        let (one, two) = (kept.path("logs/trail-a.ndjson"), kept.path("logs/sub/trail-b.ndjson.gz"));
        let bytes = fs::read(&one).expect("there");
        fs::copy(&two, &one).and_then(|_| fs::write(&two, bytes)).expect("exchanged");
    });
    let differences = exchanged.differences();
    assert_eq!(differences.len(), 2, "{:#}", exchanged.report);
    assert_eq!(exchanged.status, 1);
    let moved = restored(&|| {
        fs::rename(kept.path("logs/trail-a.ndjson"), kept.path("logs/sub/elsewhere.ndjson")).expect("moved");
    });
    assert!(moved.report.to_string().contains("its bytes lie in logs/sub/elsewhere.ndjson now"), "{:#}", moved.report);
    restored(&|| ()).assert_fine();
}

#[test]
fn a_size_that_is_another_is_found_quickly() {
    let kept = Kept::with_case();
    append(&kept, "case/reports/report.json", b"\n");
    append(&kept, "logs/trail-a.ndjson", b"\n");
    let found = kept.verify(&["--quick"]).differences();
    assert_eq!(found.keys().collect::<Vec<_>>(), ["logs/trail-a.ndjson", "reports/report.json"]);
}

#[test]
fn lines_of_the_ledger_that_are_changed_swapped_cut_or_removed_are_named() {
    let kept = Kept::with_case();
    kept.add_recovery();
    assert_eq!(kept.analyze(&[]).status, 0);
    assert_eq!(kept.analyze(&[]).status, 0);
    let whole = lines(&kept);
    assert_eq!(whole.len(), 6);
    let kinds = |lines: &[String]| {
        set_lines(&kept, lines);
        let found = kept.verify(&[]);
        assert_eq!(found.status, 1, "{:#}", found.report);
        found.differences()
    };
    for line in 0..6 {
        let mut changed = whole.clone();
        changed[line] = changed[line].replace("\"act\":\"analyze\"", "\"act\":\"analyse\"");
        assert!(kinds(&changed)["custody.jsonl"].contains(&"changed".to_owned()), "line {line}");
    }
    let mut swapped = whole.clone();
    swapped.swap(2, 3);
    assert!(kinds(&swapped)["custody.jsonl"].contains(&"reordered".to_owned()));
    let removed = [&whole[..1], &whole[2..]].concat();
    assert!(kinds(&removed)["custody.jsonl"].contains(&"reordered".to_owned()));
    // Whoever cuts off the last act leaves what it wrote, even if it found nothing new.
    assert!(kinds(&whole[..5])["custody.jsonl"].contains(&"unfinished".to_owned()));
    assert_eq!(kinds(&whole[..4]).keys().collect::<Vec<_>>(), ["reports/changes.json"]);
    assert!(kinds(&[]).contains_key("custody.jsonl"));
    let torn = [&whole[..5], &[whole[5][..40].to_owned()]].concat();
    assert!(kinds(&torn)["custody.jsonl"].contains(&"torn".to_owned()));
    fs::remove_file(kept.path("case/custody.jsonl")).expect("removed");
    assert!(kept.verify(&[]).differences()["custody.jsonl"].contains(&"missing".to_owned()));
    // A line that is written anew with its own hash does not fit the one behind it.
    let mut forged = whole.clone();
    let (before, _) = forged[1].rsplit_once(",\"sha256\":\"").expect("its own hash");
    let before = before.replace("\"host\":", "\"host\" :");
    let own = const_hex::encode(<sha2::Sha256 as sha2::Digest>::digest(before.as_bytes()));
    forged[1] = format!("{before},\"sha256\":\"{own}\"}}\n");
    assert_eq!(kinds(&forged)["custody.jsonl"], ["changed"]);
    set_lines(&kept, &whole);
    kept.verify(&[]).assert_fine();
}

#[test]
fn a_ledger_that_differs_is_not_added_to_but_one_that_was_torn_is() {
    let kept = Kept::with_case();
    let whole = lines(&kept);
    let mut changed = whole.clone();
    changed[0] = changed[0].replace("analyze", "analyse");
    set_lines(&kept, &changed);
    let run = kept.analyze(&[]);
    assert!(run.status == 2 && run.stderr.contains("custody.jsonl, line 1"), "{}", run.stderr);
    assert_eq!(lines(&kept), changed, "and nothing was added");
    // The end of the first act was being written when the machine went away.
    set_lines(&kept, &[whole[0].clone(), whole[1][..100].to_owned()]);
    let found = kept.verify(&[]).differences();
    assert_eq!(found["custody.jsonl"], ["unfinished", "torn"]);
    assert_eq!(kept.analyze(&[]).status, 0);
    let found = kept.verify(&["--reproduce"]);
    found.assert_fine();
    let notes = found.report["notes"].to_string();
    assert!(notes.contains("line 2: an entry of which only a part") && notes.contains("act 1"), "{notes}");
}

#[test]
fn what_an_act_found_changed_stays_on_record() {
    let kept = Kept::with_case();
    append(&kept, "case/failures.parquet", b"x");
    let run = kept.analyze(&[]);
    assert!(run.status == 0 && run.stderr.contains("failures.parquet was not as the act before"), "{}", run.stderr);
    let found = kept.verify(&[]);
    assert_eq!(found.only(), ("failures.parquet".to_owned(), "changed".to_owned()));
    assert_eq!(found.report["differences"][0]["line"], 3);
}

#[test]
fn evidence_is_found_where_it_lies_now() {
    let kept = Kept::with_case();
    let elsewhere = tempfile::tempdir().expect("a folder");
    fs::rename(kept.path("logs"), kept.path("copy")).expect("moved");
    let missing = kept.verify(&[]);
    assert_eq!(missing.differences().len(), 2, "{:#}", missing.report);
    kept.verify(&["--evidence", "copy", "--reproduce"]).assert_fine();
    // Elsewhere, from another folder, with the case copied too, without its locks.
    put(elsewhere.path(), &files(kept.0.path()));
    fs::remove_file(elsewhere.path().join("case/case.lock")).expect("removed");
    fs::remove_file(elsewhere.path().join("case/events/holdtrace-parts.lock")).expect("removed");
    fs::create_dir(elsewhere.path().join("held")).expect("made");
    fs::rename(elsewhere.path().join("copy"), elsewhere.path().join("held/logs")).expect("moved");
    verify_in(elsewhere.path(), &["--evidence", "held", "--reproduce"]).assert_fine();
    fs::rename(kept.path("copy"), kept.path("logs")).expect("moved");
    verify_in(elsewhere.path(), &[]).assert_fine();
}

#[test]
fn a_forged_report_whose_ledger_fits_does_not_come_out_of_the_evidence() {
    let kept = Kept::with_case();
    let report = fs::read_to_string(kept.path("case/reports/report.json")).expect("there");
    let forged = report.replace("\"class\": \"inconclusive\"", "\"class\": \"other_cause\"");
    assert!(report != forged);
    fs::write(kept.path("case/reports/report.json"), &forged).expect("written");
    let hash = |text: &str| const_hex::encode(<sha2::Sha256 as sha2::Digest>::digest(text.as_bytes()));
    let mut all = lines(&kept);
    let entry = all[1].replace(&hash(&report), &hash(&forged));
    let entry = entry.replace(&format!("\"bytes\":{}", report.len()), &format!("\"bytes\":{}", forged.len()));
    let (before, _) = entry.rsplit_once(",\"sha256\":\"").expect("its own hash");
    all[1] = format!("{before},\"sha256\":\"{}\"}}\n", hash(before));
    set_lines(&kept, &all);
    kept.verify(&[]).assert_fine();
    assert_eq!(kept.verify(&["--reproduce"]).only(), ("reports/report.json".to_owned(), "changed".to_owned()));
}

#[test]
fn the_ledgers_of_two_people_verify_against_each_others_manifests() {
    let (anna, ben) = (Kept::new(), Kept::new());
    fs::rename(ben.path("logs"), ben.path("mine")).expect("moved");
    assert_eq!(anna.analyze(&["--custodian", "Anna"]).status, 0);
    assert_eq!(ben.run(&["analyze", "mine", "--case", "case", "--custodian", "Ben"]).status, 0);
    let [of_anna, of_ben] = [&anna, &ben].map(|kept| kept.path("case").display().to_string());
    anna.verify(&["--manifest", &of_ben]).assert_fine();
    ben.verify(&["--manifest", &of_anna]).assert_fine();
    anna.verify(&["--manifest", &format!("{of_ben}/manifest.json")]).assert_fine();
    // Ben packs a file otherwise, loses one and has one more.
    let packed = ben.path("mine/sub/trail-b.ndjson.gz");
    let mut content = Vec::new();
    let bytes = fs::read(&packed).expect("there");
    std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&bytes[..]), &mut content).expect("unpacked");
    fs::write(ben.path("mine/sub/trail-b.ndjson"), &content).expect("written");
    fs::remove_file(packed).expect("removed");
    let first = content.split_inclusive(|b| *b == b'\n').next().expect("a line");
    ben.0.write("mine/more.ndjson.gz", gzip(first));
    assert_eq!(ben.run(&["analyze", "mine", "--case", "case-2"]).status, 0);
    let other = ben.path("case-2").display().to_string();
    let found = anna.verify(&["--manifest", &other]);
    assert!(found.report.to_string().contains("the same content packed otherwise"), "{:#}", found.report);
    assert_eq!(found.differences().keys().collect::<Vec<_>>(), ["logs/sub/trail-b.ndjson.gz", "mine/more.ndjson.gz"]);
    // A manifest that the ledger beside it does not tell of is none to go by.
    append(&ben, "case/manifest.json", b"\n");
    let found = anna.verify(&["--manifest", &of_ben]);
    assert!(found.status == 1 && found.report.to_string().contains("not the one that the ledger beside it"));
}

#[test]
fn a_killed_analysis_leaves_a_case_that_is_fine_or_whose_unfinished_act_is_named() {
    let (mut cut_short, moments) = (0, 16);
    for moment in 0..moments {
        let kept = Kept::new();
        let ledger = kept.path("case/custody.jsonl");
        let grown = moment % 2 == 1;
        if grown {
            assert_eq!(kept.analyze(&[]).status, 0);
            kept.add_recovery();
        }
        let size = || fs::metadata(&ledger).map_or(0, |metadata| metadata.len());
        let before = size();
        let mut analyze = command(kept.0.path());
        analyze.args(["analyze", "logs", "--case", "case"]).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = analyze.spawn().expect("runs");
        // The first two before the act is announced, the others from then on.
        let until = Instant::now() + Duration::from_secs(if moment < 2 { 0 } else { 30 });
        while size() == before && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(Duration::from_millis(12 * (moment / 2)));
        child.kill().and_then(|()| child.wait()).expect("ended");
        if ledger.exists() {
            let found = kept.verify(&["--quick"]);
            let differences = found.differences();
            let named = differences.get("custody.jsonl").is_some_and(|kinds| kinds.contains(&"unfinished".to_owned()));
            let not_begun = size() == before && differences.keys().all(|path| path == "logs/later.ndjson");
            assert!(found.status == 0 || named || not_begun, "{:#}", found.report);
            cut_short += usize::from(named);
        } else {
            assert_eq!(run_in(kept.0.path(), &["verify", "case"]).status, 2, "no act was begun");
        }
        let run = kept.analyze(&[]);
        assert_eq!(run.status, 0, "{}", run.stderr);
        kept.verify(&["--reproduce"]).assert_fine();
    }
    assert!(cut_short > 0, "no act was met");
}

#[cfg(unix)]
#[test]
fn a_ledger_that_leads_out_of_the_case_and_links_are_not_followed() {
    let kept = Kept::with_case();
    let mut all = lines(&kept);
    let (before, _) = all[1].rsplit_once(",\"sha256\":\"").expect("its own hash");
    let before = before.replace("\"path\":\"failures.parquet\"", "\"path\":\"../logs/trail-a.ndjson\"");
    let own = const_hex::encode(<sha2::Sha256 as sha2::Digest>::digest(before.as_bytes()));
    all[1] = format!("{before},\"sha256\":\"{own}\"}}\n");
    set_lines(&kept, &all);
    fs::rename(kept.path("logs/trail-a.ndjson"), kept.path("away.ndjson")).expect("moved");
    std::os::unix::fs::symlink(kept.path("away.ndjson"), kept.path("logs/trail-a.ndjson")).expect("linked");
    let found = kept.verify(&[]).differences();
    assert_eq!(found["../logs/trail-a.ndjson"], ["invalid"]);
    assert_eq!(found["failures.parquet"], ["added"]);
    assert_eq!(found["logs/trail-a.ndjson"], ["changed"]);
}

#[test]
fn a_case_takes_the_place_of_the_logs() {
    let kept = Kept::with_case();
    let of = |what: &str| kept.run(&["timeline", what, "--job", "slow"]);
    let (logs, case) = (of("logs"), of("case"));
    assert!(logs.status == 0 && logs.stdout.contains("metadata_injection"), "{}", logs.stderr);
    assert_eq!(logs.stdout, case.stdout);
    let run = kept.run(&["analyze", "case", "--format", "json"]);
    let skipped =
        serde_json::from_str::<serde_json::Value>(&run.stdout).expect("JSON")["coverage"]["skipped"].to_string();
    assert!(run.status == 0 && skipped.contains("case: a case; its events are read"), "{skipped}");
}
