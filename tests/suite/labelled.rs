//! Verdicts against labels: the samples, and the labelled archives that lie beside the project where it is developed.

use serde_json::Value;

use crate::support::{root, run};

fn evaluate(truth: &str, archive: &str) -> Value {
    let run = run(root(), &["evaluate", "--truth", truth, archive]);
    println!("{archive}\n{}", run.stdout);
    serde_json::from_str(run.stdout.lines().last().expect("a score")).expect("JSON")
}

#[test]
fn the_samples_are_classified_as_labelled() {
    let score = evaluate("tests/fixtures/samples-truth.json", "samples");
    assert_eq!(score["macro_f1"], 1.0);
    assert_eq!(score["invented"], 0);
    assert_eq!(score["mechanism_right"], score["mechanisms"]);
    assert_eq!(score["scope_right"], score["scopes"]);
}

#[test]
fn the_labelled_archives_are_classified_without_a_confident_wrong_verdict() {
    let cases = root().join("../shared/cases");
    let Ok(folders) = std::fs::read_dir(&cases) else {
        println!("skipped: {} is not here", cases.display());
        return;
    };
    for folder in folders.flatten().filter(|f| f.path().join("truth.json").exists()) {
        let path = |name: &str| folder.path().join(name).display().to_string();
        let score = evaluate(&path("truth.json"), &path("archive"));
        let number = |name: &str| score[name].as_u64().expect("a number");
        assert_eq!((number("found"), number("invented")), (number("failures"), 0));
        assert_eq!(number("confidently_wrong"), 0);
        assert!(number("class_right") * 100 >= number("failures") * 98);
        assert!(number("mechanism_right") * 100 >= number("mechanisms") * 90);
        assert_eq!(number("scope_right"), number("scopes"));
    }
}
