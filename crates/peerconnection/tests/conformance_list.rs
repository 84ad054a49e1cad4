//! Every test that `docs/w3c-conformance.md` names is there.

use std::path::{Path, PathBuf};

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The names of functions that are marked as tests.
fn tests_in(text: &str) -> Vec<String> {
    let mut tests = Vec::new();
    let mut marked = false;
    for line in text.lines().map(str::trim) {
        if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
            marked = true;
        } else if let Some((_, name)) = line.split_once("fn ").filter(|_| marked) {
            let end = name.find('(').unwrap_or(name.len());
            tests.push(name[..end].to_owned());
            marked = false;
        }
    }
    tests
}

#[test]
fn every_test_of_the_conformance_list_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let list =
        std::fs::read_to_string(root.join("../../docs/w3c-conformance.md")).expect("the list");
    let mut files = Vec::new();
    for folder in ["src", "tests"] {
        sources(&root.join(folder), &mut files);
    }
    let texts = files
        .iter()
        .map(|path| std::fs::read_to_string(path).expect("a source"));
    let known: Vec<String> = texts.flat_map(|text| tests_in(&text)).collect();

    let mut named = 0;
    let rows = list
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| what"));
    for row in rows {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [what, test] = cells.as_slice() else {
            // What does not apply, and why.
            assert_eq!(cells.len(), 3, "not a row: {row}");
            continue;
        };
        let name = test.trim_matches('`');
        assert!(
            known.iter().any(|known| known == name),
            "{what}: there is no test {name}"
        );
        named += 1;
    }
    assert!(named >= 80, "{named} rows name a test");
}
