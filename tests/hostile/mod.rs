//! The corpus of attacks, `guests/hostile`, each run against wjob by a test of its own name. What an attack says of itself
//! must be what its row expects, and what is seen from outside must agree: nothing beside the grants is changed, reached
//! or told, and the worker holds no more memory than its limit and what it needs itself. Rows of the table that point to
//! tests of other files are only held against the sources here; `cargo xtask hostile` runs all of them.

mod attacks;
mod audit;
mod descriptors;
mod judge;
mod programs;
mod replaced;
pub mod room;
mod rows;
mod servers;
mod stage;
pub mod table;

use stage::Stage;

use crate::harness;

/// The folder of the corpus: the components, the modules and the table.
fn corpus() -> std::path::PathBuf {
    harness::target().join("hostile")
}

/// The path of a program of the corpus.
pub fn program(name: &str) -> String {
    let path = corpus().join(name).with_extension("wasm");
    assert!(path.is_file(), "{} is missing: `cargo xtask test` builds the corpus first", path.display());
    harness::text(&path)
}

/// Runs the attack of this name as its row says, judges what came of it and says which wall it met.
#[track_caller]
fn attempt(name: &str) {
    let row = table::row(name);
    let room = row.needs.iter().any(|need| need == room::NEED).then(room::take);
    if matches!(room, Some(None)) {
        return;
    }
    let stage = Stage::set(&row.needs);
    let ran = stage.run(&row);
    judge::outcome(&row, &ran);
    println!("met: {}", judge::met(row.payload.as_deref().unwrap_or_default(), &ran));
    stage.is_untouched(&ran);
    stage.is_bounded(&row, &ran);
}
