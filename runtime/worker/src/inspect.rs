//! What a WebAssembly file imports and exports, read without compiling or running it: for `wjob check`.

use std::io::Read;
use std::path::Path;

use wasmparser::{Encoding, Parser, Payload};
use wjob_model::imports::module_import;
use wjob_model::program::ProgramKind;
use wjob_model::wall::compiling::PROGRAM_BYTES;

/// A program's outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspected {
    /// What it is.
    pub kind: ProgramKind,
    /// Names of its imports; of a module as [`module_import`] writes them.
    pub imports: Vec<String>,
    /// Names of its exports.
    pub exports: Vec<String>,
}

/// Reads a program file; `None` when it is not WebAssembly.
///
/// # Errors
/// When it cannot be read or is damaged.
pub fn program(path: &Path) -> Result<Option<Inspected>, String> {
    let file = std::fs::File::open(path).map_err(|error| error.to_string())?;
    if !file.metadata().map_err(|error| error.to_string())?.is_file() {
        return Err("not a file".into());
    }
    let mut bytes = Vec::new();
    file.take(PROGRAM_BYTES).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    match ProgramKind::of(&bytes) {
        Some(kind) if kind.is_wasm() => outside(kind, &bytes).map(Some).map_err(|error| error.to_string()),
        _ => Ok(None),
    }
}

/// Imports and exports of the outermost component or module; what is nested in it is its own affair.
fn outside(kind: ProgramKind, bytes: &[u8]) -> wasmparser::Result<Inspected> {
    let mut inspected = Inspected { kind, imports: Vec::new(), exports: Vec::new() };
    let mut depth = 0u32;
    for payload in Parser::new(0).parse_all(bytes) {
        match payload? {
            Payload::Version { encoding: Encoding::Module | Encoding::Component, .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            payload if depth == 1 => inspected.take(payload)?,
            _ => {}
        }
    }
    Ok(inspected)
}

impl Inspected {
    fn take(&mut self, payload: Payload<'_>) -> wasmparser::Result<()> {
        match payload {
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    let import = import?;
                    self.imports.push(module_import(import.module, import.name));
                }
            }
            Payload::ExportSection(section) => {
                for export in section {
                    self.exports.push(export?.name.to_owned());
                }
            }
            Payload::ComponentImportSection(section) => {
                for import in section {
                    self.imports.push(import?.name.name.to_owned());
                }
            }
            Payload::ComponentExportSection(section) => {
                for export in section {
                    self.exports.push(export?.name.name.to_owned());
                }
            }
            _ => {}
        }
        Ok(())
    }
}
