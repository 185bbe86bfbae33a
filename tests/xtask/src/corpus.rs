//! The corpus of attacks, laid out as it is run: the components, the modules assembled from their text, and the table, in
//! one folder. `wjob audit --attack` and the tests find it beside the folder of the binaries. It runs nothing.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::cargo;
use crate::setup;
use crate::temporary;

/// The folder's name, wherever it lies.
pub const NAME: &str = "hostile";
/// The table.
pub const TABLE: &str = "attacks.json";
/// The components, which cargo has built.
const COMPONENTS: [&str; 2] = ["hostile", "hostile3"];

/// Where the sources lie.
fn sources() -> PathBuf {
    cargo::root().join("guests/hostile")
}

/// The text of the table.
pub fn table() -> anyhow::Result<String> {
    let file = sources().join(TABLE);
    fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))
}

/// Lays it out in a folder that is emptied first, so that nothing old lies there.
pub fn lay_out(folder: &Path) -> anyhow::Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("cannot empty {}", folder.display()))?;
    }
    temporary::make_folder(folder)?;
    temporary::copy(&sources().join(TABLE), &folder.join(TABLE))?;
    for name in COMPONENTS {
        let file = format!("{name}.wasm");
        temporary::copy(&setup::guest_folder().join(&file), &folder.join(&file))?;
    }
    modules(folder)
}

/// Assembles the modules.
fn modules(folder: &Path) -> anyhow::Result<()> {
    let texts = sources().join("modules");
    let entries = fs::read_dir(&texts).with_context(|| format!("cannot list {}", texts.display()))?;
    for entry in entries {
        let text = entry?.path();
        let Some(name) = text.file_stem().filter(|_| text.extension().is_some_and(|kind| kind == "wat")) else {
            continue;
        };
        let module = wat::parse_file(&text).with_context(|| format!("{} is no module", text.display()))?;
        let file = folder.join(name).with_extension("wasm");
        fs::write(&file, module).with_context(|| format!("cannot write {}", file.display()))?;
        temporary::open_to_all(&file)?;
    }
    Ok(())
}
