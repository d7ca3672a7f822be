//! What the documents say is true.

use std::fs;
use std::sync::Mutex;

use holdtrace::classify::{FEATURES, GROUPS};

use crate::support::{root, run};

fn read(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
}

/// Held while a page is read and written: several tests look after tables of the same one.
static PAGES: Mutex<()> = Mutex::new(());

/// Compares the table between two marks of a page with the code's; `HOLDTRACE_UPDATE_DOCS=1` writes it instead.
pub fn check_table(name: &str, mark: &str, table: &str) {
    let lock = PAGES.lock();
    let page = read(name);
    let (head, rest) = page.split_once(&format!("<!-- {mark} -->")).expect("the table begins");
    let (found, tail) = rest.split_once(&format!("<!-- /{mark} -->")).expect("the table ends");
    if std::env::var_os("HOLDTRACE_UPDATE_DOCS").is_some() {
        let page = format!("{head}<!-- {mark} -->\n{table}\n<!-- /{mark} -->{tail}");
        fs::write(root().join(name), page).expect("written");
    } else {
        drop(lock);
        assert_eq!(found.trim(), table.trim());
    }
}

#[test]
fn the_tables_of_feature_columns_and_record_groups_are_the_codes() {
    let rows = FEATURES.iter().map(|(name, kind, doc)| format!("| `{name}` | {} | {doc} |\n", kind.name()));
    check_table(
        "docs/rules.md",
        "features",
        &("| column | type | meaning |\n|---|---|---|\n".to_owned() + &rows.collect::<String>()),
    );
    let rows = GROUPS.iter().map(|(name, doc)| format!("| `{name}` | {doc} |\n"));
    check_table(
        "docs/rules.md",
        "groups",
        &("| group | records |\n|---|---|\n".to_owned() + &rows.collect::<String>()),
    );
}

/// Commands in the README's shell blocks. Those that build are run as what they build, the test command is this test.
#[test]
fn every_command_of_the_readme_runs() {
    let readme = read("README.md");
    let blocks = readme.split("```sh\n").skip(1).filter_map(|rest| rest.split_once("```")).map(|(block, _)| block);
    let mut seen = 0;
    let folder = tempfile::tempdir().expect("a folder");
    for line in blocks.flat_map(str::lines).filter(|line| !line.trim().is_empty()) {
        seen += 1;
        if line == "cargo test" || line == "cargo build --release" {
            continue;
        }
        let line = line.replace("cargo run -q -- ", "holdtrace ");
        let words: Vec<&str> =
            line.strip_prefix("holdtrace ").expect("a command of holdtrace").split_whitespace().collect();
        let (words, out) = match words.iter().position(|w| *w == ">") {
            Some(at) => (&words[..at], Some(words[at + 1])),
            None => (&words[..], None),
        };
        let of_case = words.iter().any(|word| word.starts_with("case"));
        let run = if words.contains(&"--out") || of_case || out.is_some() || words.contains(&"my-rules.toml") {
            // What a command writes goes to a folder of its own, with the samples in reach.
            let samples = root().join("samples").display().to_string();
            let words: Vec<String> =
                words.iter().map(|w| if *w == "samples" { samples.clone() } else { (*w).to_owned() }).collect();
            fs::write(folder.path().join("my-rules.toml"), self::run(root(), &["rules"]).stdout).expect("written");
            self::run(folder.path(), &words.iter().map(String::as_str).collect::<Vec<_>>())
        } else {
            self::run(root(), words)
        };
        assert!([0, 3].contains(&run.status), "{line}: {}", run.stderr);
    }
    assert!(seen >= 4, "the README shows commands");
}

#[test]
fn the_excerpt_in_the_readme_is_real() {
    let readme = read("README.md");
    let (_, rest) = readme.split_once("```text\n").expect("an excerpt");
    let (excerpt, _) = rest.split_once("```").expect("its end");
    let table = run(root(), &["analyze", "samples", "--format", "table"]).stdout;
    for line in excerpt.lines().filter(|line| *line != "...") {
        assert!(table.lines().any(|real| real.trim_end() == line.trim_end()), "not in the output: {line}");
    }
}

#[test]
fn every_command_of_the_page_of_exports_runs() {
    let page = read("docs/exports.md");
    let (_, rest) = page.split_once("```sh\n").expect("commands");
    let (block, _) = rest.split_once("```").expect("their end");
    let folder = tempfile::tempdir().expect("a folder");
    let samples = root().join("samples").display().to_string();
    for line in block.lines() {
        let words = line.strip_prefix("holdtrace ").expect("a command of holdtrace").split_whitespace();
        let words: Vec<&str> = words.map(|word| if word == "samples" { samples.as_str() } else { word }).collect();
        let ran = run(folder.path(), &words);
        assert_eq!(ran.status, 0, "{line}: {}", ran.stderr);
    }
    assert_eq!(fs::read_dir(folder.path()).expect("listed").count(), block.lines().count(), "a file by each");
}
