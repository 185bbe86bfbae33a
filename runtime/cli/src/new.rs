//! `wjob new NAME`: writes the crate of a job (manifest, program, job file, README and test) from the templates of the
//! SDK. It builds nothing, fetches nothing and starts nothing.
//!
//! The crate is made beside its place under another name and then renamed, so that it is there whole or not at all; the
//! system renames a folder onto nothing but an empty one, so that nothing is ever overwritten.

use std::fmt::Write as _;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use wjob_model::status::Status;

use crate::refusal::Refusal;
use crate::render;

/// The crate that every job's own crate depends on.
const SDK: &str = "wjob-sdk";
/// Says where it is, for those who do not want to say it each time.
const VARIABLE: &str = "WJOB_SDK";
/// The SDK that belongs to this wjob.
const VERSION: &str = env!("CARGO_PKG_VERSION");
/// No registry of crates takes a longer name.
const LONGEST_NAME: usize = 64;

/// Names that cargo or the compiler take for something else: words of the language and crates that are always there.
#[rustfmt::skip]
const TAKEN: &[&str] = &[
    "abstract", "alloc", "as", "async", "await", "become", "box", "break", "const", "continue", "core", "crate", "do",
    "dyn", "else", "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in", "let", "loop", "macro",
    "match", "mod", "move", "mut", "override", "priv", "proc_macro", "pub", "ref", "return", "self", "static", "std",
    "struct", "super", "test", "trait", "true", "try", "type", "typeof", concat!("un", "safe"), "unsized", "use",
    "virtual", "where", "while", "wjob_sdk", "yield",
];

const AFTER_HELP: &str = "\
The crate depends on wjob-sdk: on the folder or version that --sdk names, else on the folder in the
variable WJOB_SDK, else on the version of this wjob. What is there already is never overwritten.

Examples:
  wjob new hello
  wjob new hello-service --template connection --sdk ~/src/wjob/sdk
  cd hello-service
  cargo test
  cargo build --release --target wasm32-wasip2
  wjob check hello-service.plist
  wjob run hello-service.plist";

/// What `wjob new` is told.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Arguments {
    /// The crate's name: a small letter, then small letters, digits, - and _
    #[arg(value_name = "NAME")]
    name: String,
    /// What the job does
    #[arg(long, value_enum, default_value_t = Template::Command)]
    template: Template,
    /// The crate's folder, if it is not to be ./NAME
    #[arg(long, value_name = "DIR")]
    path: Option<PathBuf>,
    /// Where it finds wjob-sdk: the folder of that crate, or a version
    #[arg(long, value_name = "PATH-OR-VERSION")]
    sdk: Option<String>,
}

/// The kinds of jobs there are templates for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Template {
    /// It runs, and ends
    Command,
    /// It serves connections, each in a fresh instance
    Connection,
    /// It answers HTTP requests, each in a fresh instance
    Http,
}

/// The files of a template: where each belongs in the crate, and its text. Its name is that of its folder in the SDK.
macro_rules! files {
    ($($template:literal)*) => {
        &[$(($template, &[
            (".gitignore", include_str!(concat!("../../../sdk/templates/", $template, "/.gitignore.in"))),
            ("Cargo.toml", include_str!(concat!("../../../sdk/templates/", $template, "/Cargo.toml.in"))),
            ("NAME.plist", include_str!(concat!("../../../sdk/templates/", $template, "/NAME.plist.in"))),
            ("README.md", include_str!(concat!("../../../sdk/templates/", $template, "/README.md.in"))),
            ("src/lib.rs", include_str!(concat!("../../../sdk/templates/", $template, "/src/lib.rs.in"))),
            ("tests/service.rs", include_str!(concat!("../../../sdk/templates/", $template, "/tests/service.rs.in"))),
        ])),*]
    };
}

/// A template's folder and its files.
type Files = (&'static str, &'static [(&'static str, &'static str)]);

/// All templates.
const TEMPLATES: &[Files] = files!("command" "connection" "http");

impl Template {
    /// Its files.
    fn files(self) -> &'static [(&'static str, &'static str)] {
        let name = match self {
            Self::Command => "command",
            Self::Connection => "connection",
            Self::Http => "http",
        };
        TEMPLATES.iter().find(|(folder, _)| *folder == name).map_or(&[], |(_, files)| files)
    }
}

/// Where the crate finds the SDK.
#[derive(Debug, PartialEq, Eq)]
enum Sdk {
    /// In a folder, and who named it.
    Folder(PathBuf, &'static str),
    /// In a registry of crates.
    Version(String),
}

/// Writes the crate, and says what there is and what comes next.
pub(crate) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    check_name(&arguments.name)?;
    let given = arguments.path.clone().unwrap_or_else(|| PathBuf::from(&arguments.name));
    let place = place(&given)?;
    let sdk = sdk(arguments.sdk.as_deref(), variable()?.as_deref())?;
    let files = filled(arguments.template, &arguments.name, &sdk)?;
    write(&place, &files)?;
    render::print(told(&given, &arguments.name, &files, &sdk))?;
    Ok(ExitCode::SUCCESS)
}

/// A name that cargo takes, that the compiler takes, and that can be part of a label and of a file's name.
fn check_name(name: &str) -> Result<(), Refusal> {
    let refused = |why: String| {
        let advice = "choose a name as in hello-service: a small letter, then small letters, digits, - and _";
        Err(Refusal::usage(format!("{name:?} is no name for the crate"), why, advice))
    };
    let fits = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || "-_".contains(letter);
    if let Some(letter) = name.chars().find(|letter| !fits(*letter)) {
        return refused(format!("it has {letter:?} in it"));
    }
    if !name.starts_with(|letter: char| letter.is_ascii_lowercase()) {
        return refused("it does not begin with a small letter".into());
    }
    if name.len() > LONGEST_NAME {
        return refused(format!("it has {} letters; at most {LONGEST_NAME} are allowed", name.len()));
    }
    if TAKEN.contains(&identifier(name).as_str()) {
        return refused("in Rust it means something else".into());
    }
    Ok(())
}

/// The crate's name in Rust, and in the names of the files cargo makes.
fn identifier(name: &str) -> String {
    name.replace('-', "_")
}

/// The crate's folder from the root on, if a crate can be made there.
fn place(given: &Path) -> anyhow::Result<PathBuf> {
    let place = std::path::absolute(given).context("cannot find the current folder")?;
    // Without a slash at its end, which would follow a link.
    let place: PathBuf = place.components().collect();
    if std::env::current_dir().is_ok_and(|folder| folder == place) {
        let why = "it is the folder you are in, which the new one would take the place of";
        return Err(refused(&place, why, "go to the folder above it, or name a new one").into());
    }
    let Ok(status) = fs::symlink_metadata(&place) else {
        return Ok(place);
    };
    if !status.is_dir() {
        return Err(taken(&place, "something else than a folder is there").into());
    }
    let mut entries = fs::read_dir(&place).with_context(|| format!("cannot list {}", place.display()))?;
    match entries.next() {
        Some(_) => Err(taken(&place, "the folder is not empty").into()),
        None => Ok(place),
    }
}

fn taken(place: &Path, why: &str) -> Refusal {
    refused(place, why, "choose another name, or another folder with --path; nothing was changed")
}

fn refused(place: &Path, why: &str, advice: &str) -> Refusal {
    Refusal::usage(format!("there can be no new crate in {}", place.display()), why, advice)
}

/// What the variable says; an empty one says nothing.
fn variable() -> Result<Option<String>, Refusal> {
    match std::env::var(VARIABLE) {
        Ok(text) => Ok(Some(text).filter(|text| !text.is_empty())),
        Err(std::env::VarError::NotPresent) => Ok(None),
        Err(std::env::VarError::NotUnicode(_)) => Err(Refusal::usage(
            format!("the variable {VARIABLE} is not UTF-8"),
            "a manifest is",
            "rename the folder it names, or name another with --sdk",
        )),
    }
}

/// The SDK that was named, or else the one that belongs to this wjob.
fn sdk(option: Option<&str>, variable: Option<&str>) -> Result<Sdk, Refusal> {
    match (option, variable) {
        (Some(text), _) => as_version(text).map_or_else(|| folder(text, "--sdk"), |version| Ok(Sdk::Version(version))),
        (None, Some(text)) => folder(text, VARIABLE),
        (None, None) => Ok(Sdk::Version(VERSION.to_owned())),
    }
}

/// The version that a text is: digits and cargo's signs, and no path.
fn as_version(text: &str) -> Option<String> {
    let begins = text.starts_with(|letter: char| letter.is_ascii_digit() || "^~=<>*".contains(letter));
    let fits = |letter: char| letter.is_ascii_alphanumeric() || "^~=<>*.,+- ".contains(letter);
    (begins && text.chars().all(fits)).then(|| text.to_owned())
}

/// The folder of the SDK, from the root on: the crate is somewhere else.
fn folder(text: &str, from: &'static str) -> Result<Sdk, Refusal> {
    let refused = |why: String| {
        let advice = format!("name the folder sdk of wjob's sources, which has the manifest of {SDK}");
        Refusal::usage(format!("{from}: {text} is not {SDK}"), why, advice)
    };
    let folder = fs::canonicalize(text).map_err(|error| refused(error.to_string()))?;
    let manifest = folder.join("Cargo.toml");
    let manifest = fs::read_to_string(&manifest).map_err(|error| refused(format!("its Cargo.toml: {error}")))?;
    let name = format!("name = \"{SDK}\"");
    match manifest.lines().any(|line| line.trim() == name) {
        true => Ok(Sdk::Folder(folder, from)),
        false => Err(refused("its Cargo.toml is that of another crate".into())),
    }
}

impl Sdk {
    /// The keys of the dependency in the manifest.
    fn keys(&self) -> Result<String, Refusal> {
        match self {
            Self::Version(version) => Ok(format!("version = \"{version}\"")),
            Self::Folder(folder, from) => match folder.to_str() {
                Some(path) => Ok(format!("path = \"{}\"", in_toml(path))),
                None => Err(Refusal::usage(
                    format!("{from}: {} cannot stand in a manifest", folder.display()),
                    "it is not UTF-8, which a manifest is",
                    "rename the folder",
                )),
            },
        }
    }

    /// Where it is, and what to do if that is not right.
    fn in_words(&self) -> String {
        match self {
            Self::Folder(folder, from) => {
                let folder = render::escape(&folder.to_string_lossy());
                format!("It uses {SDK} from {folder} ({from}).\n")
            }
            Self::Version(version) => format!(
                "It uses {SDK} {version} from the registry of crates. If it is not there, name a copy of it in\n\
                 Cargo.toml by path = \"...\", or begin anew with --sdk PATH or the variable {VARIABLE}.\n"
            ),
        }
    }
}

/// A text as a basic string of TOML has it between its quotes.
fn in_toml(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '"' | '\\' => safe.extend(['\\', letter]),
            // Writing to a string cannot fail.
            _ if letter.is_control() => _ = write!(safe, "\\u{:04X}", u32::from(letter)),
            _ => safe.push(letter),
        }
    }
    safe
}

/// The files of the crate, by their places in it.
fn filled(template: Template, name: &str, sdk: &Sdk) -> Result<Vec<(String, String)>, Refusal> {
    let (keys, identifier) = (sdk.keys()?, identifier(name));
    // The keys last: nobody knows what is in a path.
    let fill = |text: &str| text.replace("{{name}}", name).replace("{{crate}}", &identifier).replace("{{sdk}}", &keys);
    let files = template.files().iter();
    Ok(files.map(|(place, text)| (place.replace("NAME", name), fill(text))).collect())
}

/// A folder in the making; it is gone with its value unless it was put into its place.
struct Making {
    folder: PathBuf,
    done: bool,
}

impl Drop for Making {
    fn drop(&mut self) {
        if !self.done {
            // What failed before is what its maker has to hear.
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}

/// Writes the files into a new folder, and puts it into its place.
fn write(place: &Path, files: &[(String, String)]) -> anyhow::Result<()> {
    let (Some(above), Some(name)) = (place.parent(), place.file_name()) else {
        return Err(taken(place, "it has no name of its own").into());
    };
    let failed = |what: &Path, error: std::io::Error| {
        let advice = format!("make {} a folder that you may write to, or choose another", above.display());
        Refusal::new(Status::System, format!("{} cannot be made", what.display()), error.to_string(), advice)
    };
    let folder = above.join(format!(".{}.new-{}", name.display(), std::process::id()));
    make_folder(&folder).map_err(|error| failed(place, error))?;
    let mut making = Making { folder, done: false };
    for (file, text) in files {
        let path = making.folder.join(file);
        write_file(&path, text).map_err(|error| failed(&place.join(file), error))?;
    }
    match fs::rename(&making.folder, place) {
        Ok(()) => making.done = true,
        // Somebody made something there meanwhile.
        Err(error) if fs::symlink_metadata(place).is_ok() => return Err(taken(place, &error.to_string()).into()),
        Err(error) => return Err(failed(place, error).into()),
    }
    Ok(())
}

/// Whatever the umask lets others do: a job that others could change would not be loaded.
fn make_folder(folder: &Path) -> std::io::Result<()> {
    DirBuilder::new().mode(0o755).create(folder)
}

fn write_file(path: &Path, text: &str) -> std::io::Result<()> {
    if let Some(folder) = path.parent().filter(|folder| !folder.is_dir()) {
        make_folder(folder)?;
    }
    OpenOptions::new().write(true).create_new(true).mode(0o644).open(path)?.write_all(text.as_bytes())
}

/// What was made, and the next commands.
fn told(given: &Path, name: &str, files: &[(String, String)], sdk: &Sdk) -> String {
    let given = render::escape(&given.to_string_lossy());
    let files: Vec<&str> = files.iter().map(|(file, _)| file.as_str()).collect();
    let (files, sdk) = (files.join(", "), sdk.in_words());
    format!(
        "{given}: made, with {files}.\n{sdk}\nNext:\n  cd {given}\n  cargo test\n  \
         cargo build --release --target wasm32-wasip2\n  wjob check {name}.plist\n  wjob run {name}.plist\n"
    )
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum as _;

    use super::*;

    fn version() -> Sdk {
        Sdk::Version("0.1.0".into())
    }

    /// The folder of the templates, which are compiled in.
    fn templates() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../sdk/templates")
    }

    /// All files below a folder, by their paths in it.
    fn below(folder: &Path, inside: &str, found: &mut Vec<String>) {
        for entry in fs::read_dir(folder.join(inside)).expect("a folder").map(|entry| entry.expect("an entry")) {
            let name = entry.file_name().into_string().expect("a name");
            let path = if inside.is_empty() { name } else { format!("{inside}/{name}") };
            match entry.file_type().expect("a kind").is_dir() {
                true => below(folder, &path, found),
                false => found.push(path),
            }
        }
    }

    #[test]
    fn names_are_those_of_crates() {
        let long = "a".repeat(LONGEST_NAME);
        for name in ["hello", "hello-service", "a", "a1_b-2", "tests", long.as_str()] {
            assert!(check_name(name).is_ok(), "{name}");
        }
        let longer = long.clone() + "a";
        for (name, why) in [
            ("", "small letter"),
            ("1st", "small letter"),
            ("-a", "small letter"),
            ("Hello", "'H'"),
            ("a b", "' '"),
            ("a/b", "'/'"),
            ("../a", "'.'"),
            ("naïve", "'ï'"),
            ("{{sdk}}", "'{'"),
            (&longer, "65 letters"),
            ("test", "means something else"),
            ("proc-macro", "means something else"),
            ("wjob-sdk", "means something else"),
        ] {
            let refusal = check_name(name).expect_err(name);
            assert!(refusal.words.why.contains(why), "{name}: {}", refusal.words.why);
            assert_eq!(refusal.status, Status::Usage, "{name}");
        }
    }

    #[test]
    fn every_file_of_every_template_is_written_and_filled() {
        let mut folders: Vec<_> =
            fs::read_dir(templates()).expect("the templates").map(|entry| entry.expect("one").file_name()).collect();
        folders.sort();
        let names: Vec<&str> = TEMPLATES.iter().map(|(name, _)| *name).collect();
        assert!(folders.iter().eq(&names), "{folders:?}");
        for (template, name) in Template::value_variants().iter().zip(names) {
            let mut found = Vec::new();
            below(&templates().join(name), "", &mut found);
            let files = filled(*template, "hello-service", &version()).expect("files");
            let mut places: Vec<String> = files.iter().map(|(place, _)| place.clone()).collect();
            let ours = |file: &String| file.replace("NAME", "hello-service").trim_end_matches(".in").to_owned();
            let mut expected: Vec<String> = found.iter().map(ours).collect();
            places.sort();
            expected.sort();
            assert_eq!(places, expected, "{name}");
            for (place, text) in files {
                assert!(!text.contains("{{") && !text.contains("}}"), "{name}/{place}: {text}");
            }
        }
    }

    #[test]
    fn a_filled_manifest_and_job_file_have_the_names() {
        let files = filled(Template::Http, "hello-service", &version()).expect("files");
        let text = |name: &str| files.iter().find(|(place, _)| place == name).map_or("", |(_, text)| text.as_str());
        let manifest = text("Cargo.toml");
        assert!(manifest.contains("name = \"hello-service\"\n"), "{manifest}");
        assert!(manifest.contains("wjob-sdk = { version = \"0.1.0\" }\n"), "{manifest}");
        let job = text("hello-service.plist");
        assert!(job.contains("./target/wasm32-wasip2/release/hello_service.wasm<"), "{job}");
        assert!(text("tests/service.rs").contains("hello_service::handle"));
    }

    #[test]
    fn the_sdk_is_the_one_that_is_named() {
        let own = templates().join("..");
        let path = own.to_str().expect("a path");
        let own = fs::canonicalize(&own).expect("the SDK");
        let folder = |from| Ok(Sdk::Folder(own.clone(), from));
        let version = |text: &str| Ok(Sdk::Version(text.into()));
        for (option, variable, expected) in [
            (None, None, version(VERSION)),
            (Some("0.2"), None, version("0.2")),
            (Some("=0.2.1-beta.1"), Some(path), version("=0.2.1-beta.1")),
            (Some(path), None, folder("--sdk")),
            (Some(path), Some("/no/such/folder"), folder("--sdk")),
            (None, Some(path), folder("WJOB_SDK")),
            (Some("/no/such/folder"), Some(path), Err(Status::Usage)),
            (None, Some("0.2"), Err(Status::Usage)),
            (Some(env!("CARGO_MANIFEST_DIR")), None, Err(Status::Usage)),
        ] {
            let found = sdk(option, variable).map_err(|refusal| refusal.status);
            assert_eq!(found, expected, "{option:?} {variable:?}");
        }
    }

    #[test]
    fn a_path_in_a_manifest_is_that_path_and_nothing_else() {
        let sdk = Sdk::Folder("/a \"b\"\\c\n/{{name}}".into(), "--sdk");
        let files = filled(Template::Command, "hello", &sdk).expect("files");
        let manifest = files.iter().find(|(place, _)| place == "Cargo.toml").map_or("", |(_, text)| text.as_str());
        assert!(manifest.contains(r#"wjob-sdk = { path = "/a \"b\"\\c\u000A/{{name}}" }"#), "{manifest}");
    }
}
