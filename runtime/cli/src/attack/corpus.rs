//! The corpus on the disk: a folder with a table of attacks and their programs. It is found and read; what an attack does
//! is its program's.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use wjob_model::status::Status;

use crate::refusal::Refusal;

/// The table's name in the folder.
const TABLE: &str = "attacks.json";
/// Where the corpus may lie, from the folder that wjob's own lies in.
const PLACES: [&str; 2] = ["hostile", "share/wjob/hostile"];

/// The corpus.
#[derive(Debug)]
pub(super) struct Corpus {
    folder: PathBuf,
    /// Attacks that have a program.
    pub attacks: Vec<Attack>,
}

/// One attack, as the table has it. Fields that are for others are passed over.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Attack {
    /// Its name, which is its program's first argument.
    pub name: String,
    /// What it belongs to, 1 to 18.
    pub group: u64,
    /// Its program; without one it is a test of wjob's own.
    pub payload: String,
    /// What it is granted or told of.
    pub needs: Vec<String>,
    /// Limits of its job where it is tested.
    pub limits: BTreeMap<String, u64>,
    /// How it may end: `held`, `trap`, `limit:KEY`.
    pub ends: Vec<String>,
    /// What contains it.
    pub wall: String,
}

impl Corpus {
    /// Opens the one in this folder, or the first that is found beside wjob.
    ///
    /// # Errors
    /// When there is none, its table makes no sense, or a program that the table names is not there.
    pub fn open(given: Option<&Path>) -> anyhow::Result<Self> {
        let folders = match given {
            Some(folder) => vec![folder.to_path_buf()],
            None => beside_wjob(),
        };
        let Some(folder) = folders.iter().find(|folder| folder.join(TABLE).is_file()) else {
            return Err(missing(&folders).into());
        };
        let file = folder.join(TABLE);
        let text = std::fs::read_to_string(&file).map_err(|error| unreadable(&file, &error))?;
        let attacks = read(&text).map_err(|error| unreadable(&file, &error))?;
        // A job names its program by an absolute path.
        let corpus = Self { folder: std::path::absolute(folder)?, attacks };
        corpus.has_its_programs()?;
        Ok(corpus)
    }

    /// An attack that cannot be begun is contained by nothing, and is not to look as if it were.
    fn has_its_programs(&self) -> Result<(), Refusal> {
        for attack in &self.attacks {
            let program = self.program(attack);
            readable(&program).map_err(|error| without(&program, attack, &error))?;
        }
        Ok(())
    }

    /// The program of an attack.
    pub fn program(&self, attack: &Attack) -> PathBuf {
        self.folder.join(&attack.payload).with_extension("wasm")
    }
}

fn read(text: &str) -> Result<Vec<Attack>, serde_json::Error> {
    let mut attacks: Vec<Attack> = serde_json::from_str(text)?;
    // A payload is a name in the folder and no path out of it.
    attacks.retain(|attack| !attack.payload.is_empty() && !attack.payload.contains(['/', '.']));
    Ok(attacks)
}

/// Whether a file is there that can be read, and is no folder, FIFO or device.
fn readable(file: &Path) -> io::Result<()> {
    if !std::fs::metadata(file)?.is_file() {
        return Err(io::Error::other("it is no file"));
    }
    File::open(file).map(drop)
}

fn beside_wjob() -> Vec<PathBuf> {
    let program = std::env::current_exe().unwrap_or_default();
    let above = program.parent().and_then(Path::parent);
    above.into_iter().flat_map(|above| PLACES.map(|place| above.join(place))).collect()
}

fn missing(folders: &[PathBuf]) -> Refusal {
    let looked: Vec<String> = folders.iter().map(|folder| folder.join(TABLE).display().to_string()).collect();
    Refusal::new(
        Status::NoSupervisor,
        "there is no corpus of attacks",
        format!("looked for {}", looked.join(" and ")),
        "name its folder with --corpus; `cargo xtask dist` in wjob's sources makes one in target/dist/hostile",
    )
}

fn without(program: &Path, attack: &Attack, error: &io::Error) -> Refusal {
    Refusal::new(
        Status::NoSupervisor,
        format!("the corpus lacks {}, the program of the attack {}", program.display(), attack.name),
        error.to_string(),
        "take a whole corpus; `cargo xtask dist` in wjob's sources makes one in target/dist/hostile",
    )
}

fn unreadable(file: &Path, error: &dyn std::error::Error) -> Refusal {
    let what = format!("the corpus {} cannot be used", file.display());
    Refusal::new(Status::NoSupervisor, what, error.to_string(), "take the corpus that belongs to this wjob")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attacks_without_a_program_in_the_folder_are_passed_over() {
        let attacks = read(
            r#"[{"name": "a", "group": 2, "what": "x", "payload": "hostile", "needs": ["ro"], "ends": ["held"],
                "limits": {"CPUTime": 1}, "wall": "wasi"}, {"name": "b", "group": 11, "test": "x y", "wall": "mount"},
                {"name": "c", "payload": "../evil"}]"#,
        );
        let attacks = attacks.expect("a table");
        let names: Vec<&str> = attacks.iter().map(|attack| attack.name.as_str()).collect();
        assert_eq!((names, attacks[0].limits.get("CPUTime")), (vec!["a"], Some(&1)));
        assert!(read("{}").is_err());
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let attack = Attack { name: "a".into(), payload: "gone".into(), ..Attack::default() };
        let corpus = Corpus { folder: "/no/such/folder".into(), attacks: vec![attack] };
        let refusal = corpus.has_its_programs().expect_err("no program").to_string();
        assert!(refusal.contains("/no/such/folder/gone.wasm") && refusal.contains("xtask dist"), "{refusal}");
        assert!(readable(Path::new("/dev/null")).is_err() && readable(Path::new("/")).is_err());
    }

    #[test]
    fn where_it_was_looked_for_is_told() {
        let refusal = Corpus::open(Some(Path::new("/no/such/folder"))).expect_err("no corpus").to_string();
        assert!(refusal.contains("/no/such/folder/attacks.json") && refusal.contains("--corpus"), "{refusal}");
    }
}
