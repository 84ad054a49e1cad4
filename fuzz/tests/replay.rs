//! Replays every committed seed through its target, so that an old defect stays fixed without libFuzzer.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use pc_fuzz::TARGETS;

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// The names in a folder, without their extension; hidden files aside.
fn names_in(path: &Path) -> BTreeSet<String> {
    let Ok(entries) = fs::read_dir(path) else {
        return BTreeSet::new();
    };
    entries
        .filter_map(|entry| {
            let path = entry.expect("a readable folder entry").path();
            Some(path.file_stem()?.to_str()?.to_owned())
        })
        .filter(|name| !name.starts_with('.'))
        .collect()
}

fn files_in(path: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(path)
        .unwrap_or_else(|error| panic!("no seeds in {}: {error}", path.display()))
        .map(|entry| entry.expect("a readable folder entry").path())
        .filter(|path| path.is_file())
        .collect();
    files.sort();
    files
}

#[test]
fn every_seed_passes_through_its_target() {
    for (name, target) in TARGETS {
        let seeds = files_in(&folder("seeds").join(name));
        assert!(!seeds.is_empty(), "the target {name} has no seed");
        for seed in &seeds {
            // Shown when the target panics: tests capture their output.
            println!("{name}: {}", seed.display());
            target(&fs::read(seed).expect("a readable seed"));
        }
    }
}

/// Cuts and flips of the seeds reach the error paths that whole seeds do not.
#[test]
fn every_seed_cut_short_or_damaged_passes_through_its_target() {
    for (name, target) in TARGETS {
        for seed in files_in(&folder("seeds").join(name)) {
            let bytes = fs::read(&seed).expect("a readable seed");
            println!("{name}: {} damaged", seed.display());
            // A long seed is visited at evenly spread places, so that the time stays bounded.
            let step = bytes.len() / 256 + 1;
            for place in (0..bytes.len()).step_by(step) {
                target(&bytes[..place]);
                for mask in [0x01, 0x80, 0xff] {
                    let mut damaged = bytes.clone();
                    damaged[place] ^= mask;
                    target(&damaged);
                }
            }
        }
    }
}

#[test]
fn the_table_the_binaries_and_the_seed_folders_name_the_same_targets() {
    let table: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(table.len(), TARGETS.len(), "a target is listed twice");
    assert_eq!(
        table,
        names_in(&folder("fuzz_targets")),
        "TARGETS and fuzz_targets/ differ"
    );
    assert_eq!(
        table,
        names_in(&folder("seeds")),
        "TARGETS and seeds/ differ"
    );
    let manifest = fs::read_to_string(folder("Cargo.toml")).expect("the manifest");
    for name in &table {
        let line = format!("name = \"{name}\"");
        assert!(
            manifest.lines().any(|written| written == line),
            "Cargo.toml has no [[bin]] for {name}"
        );
    }
}
