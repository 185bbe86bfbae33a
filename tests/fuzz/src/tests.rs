//! Every target over its seeds, and over copies of them with a few bytes changed, the same ones in each run. What is
//! found by libFuzzer becomes a seed, and then is tested here.

use std::fs;
use std::path::{Path, PathBuf};

use super::*;

/// How many changed copies of a seed are tried.
const COPIES: u64 = 64;

/// A folder of this crate, or of its neighbours.
fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// The files of a folder, in the order of their names.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry of the folder").path()).collect();
    files.sort();
    files
}

/// The names of the files of a folder, without what follows a dot.
fn names(folder: &Path) -> Vec<String> {
    let stems = files(folder).into_iter().filter_map(|file| Some(file.file_stem()?.to_string_lossy().into_owned()));
    stems.collect()
}

/// The seeds of a target; those of property lists are also the job files that the other tests have.
fn seeds(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = files(&folder("seeds").join(target));
    if target.starts_with("plist_") {
        files.extend(self::files(&folder("../plists")));
    }
    files.into_iter().map(|file| (file.clone(), fs::read(file).expect("a seed"))).collect()
}

/// Numbers that are the same in every run (SplitMix64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.roll() % bound as u64) as usize
    }
}

/// A copy of a seed with up to three changes.
fn changed(seed: &[u8], copy: u64) -> Vec<u8> {
    let mut dice = Dice(copy);
    let mut bytes = seed.to_vec();
    for _ in 0..=dice.below(3) {
        let place = dice.below(bytes.len() + 1);
        let (byte, most) = (dice.roll() as u8, dice.below(16));
        match dice.below(4) {
            0 => bytes.insert(place, byte),
            1 => bytes.truncate(place),
            2 => drop(bytes.drain(place..(place + most).min(bytes.len()))),
            _ => bytes.iter_mut().skip(place).take(1).for_each(|there| *there = byte),
        }
    }
    bytes
}

#[test]
fn every_target_holds_for_its_seeds() {
    for (name, body) in TARGETS {
        let seeds = seeds(name);
        assert!(seeds.len() >= 3, "{name} has few seeds");
        for (file, bytes) in seeds {
            println!("{name}: {}", file.display());
            body(&bytes);
        }
        body(b"");
    }
}

#[test]
fn every_target_holds_for_seeds_that_are_a_little_changed() {
    for (name, body) in TARGETS {
        for (file, bytes) in seeds(name) {
            for copy in 0..COPIES {
                println!("{name}: {}, copy {copy}", file.display());
                body(&changed(&bytes, copy));
            }
        }
    }
}

/// Otherwise only what is no state at all would be tried. Whoever changes the form of one changes these too.
#[test]
fn states_among_the_seeds_are_states() {
    for name in ["a_supervisor_without_jobs", "a_supervisor_with_a_job"] {
        let bytes = fs::read(folder("seeds/handover_state").join(name)).expect("a seed");
        assert!(handover_state::is_state(&bytes), "{name} has not the form of today");
    }
}

#[test]
fn every_target_has_its_program_and_its_seeds() {
    let expected: Vec<&str> = TARGETS.iter().map(|(name, _)| *name).collect();
    assert_eq!(names(&folder("fuzz_targets")), expected);
    assert_eq!(names(&folder("seeds")), expected);
    let manifest = fs::read_to_string(folder("Cargo.toml")).expect("the manifest");
    for name in expected {
        assert!(manifest.contains(&format!("path = \"fuzz_targets/{name}.rs\"")), "{name} is not built");
    }
    for name in names(&folder("dictionaries")) {
        assert!(manifest.contains(&format!("name = \"{name}\"")), "{name} has a dictionary and is no target");
    }
}
