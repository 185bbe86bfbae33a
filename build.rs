//! Names the build: version, source and profile. Supervisor and worker compare it, and compiled code is filed
//! under it, so it changes whenever something that matters to either does.

use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};

fn main() {
    let mut hasher = DefaultHasher::new();
    let mut files = vec![PathBuf::from("Cargo.lock"), PathBuf::from("Cargo.toml")];
    sources(Path::new("runtime"), &mut files);
    files.sort();
    for file in files {
        println!("cargo::rerun-if-changed={}", file.display());
        file.hash(&mut hasher);
        fs::read(&file).unwrap_or_default().hash(&mut hasher);
    }
    let profile = std::env::var("PROFILE").unwrap_or_default();
    println!("cargo::rustc-env=WJOB_BUILD={}-{:016x}-{profile}", env!("CARGO_PKG_VERSION"), hasher.finish());
}

fn sources(folder: &Path, files: &mut Vec<PathBuf>) {
    println!("cargo::rerun-if-changed={}", folder.display());
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs" || extension == "toml") {
            files.push(path);
        }
    }
}
