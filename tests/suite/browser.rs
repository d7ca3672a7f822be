//! Pages opened in Chromium, where there is one.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use serde_json::Value;

use crate::support::root;

/// Where Chromium and the node modules are, or why the tests cannot run. Nobody should take a skipped test for a passed one.
fn browser() -> Option<&'static str> {
    static BROWSER: OnceLock<Option<&'static str>> = OnceLock::new();
    *BROWSER.get_or_init(|| {
        let skipped = |why: &str| {
            // Not by a macro, whose output the test harness keeps to itself.
            let said = format!("\n*** SKIPPED: no page was opened in a browser: {why} (see .ci/run)\n\n");
            std::io::stderr().write_all(said.as_bytes()).expect("stderr");
            None
        };
        let Some(chromium) =
            ["/usr/bin/chromium", "/usr/bin/chromium-browser"].into_iter().find(|path| Path::new(path).exists())
        else {
            return skipped("there is no Chromium");
        };
        if !Command::new("node").arg("--version").output().is_ok_and(|output| output.status.success()) {
            return skipped("there is no node");
        }
        let folder = root().join("tests/browser");
        let installed =
            || folder.join("node_modules/playwright-core").exists() && folder.join("node_modules/axe-core").exists();
        if !installed() {
            let install = ["ci", "--ignore-scripts", "--no-audit", "--no-fund"];
            let _ = Command::new("npm").args(install).current_dir(&folder).output();
        }
        if installed() { Some(chromium) } else { skipped("playwright-core and axe-core could not be installed by npm") }
    })
}

/// What the script of this name in tests/browser sees of a page; the folder holds what it looks like.
pub fn observe(script: &str, page: &Path) -> Option<(Value, tempfile::TempDir)> {
    let chromium = browser()?;
    let folder = tempfile::tempdir().expect("a folder");
    let script = root().join("tests/browser").join(script);
    let output =
        Command::new("node").arg(script).arg(chromium).arg(page).arg(folder.path()).output().expect("node runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    if let Some(kept) = std::env::var_os("HOLDTRACE_SCREENSHOTS").map(PathBuf::from) {
        for file in fs::read_dir(folder.path()).expect("listed").flatten().filter(|file| file.path().is_file()) {
            fs::copy(file.path(), kept.join(file.file_name())).expect("copied");
        }
    }
    Some((serde_json::from_slice(&output.stdout).expect("JSON"), folder))
}
