//! Jobs for the bench of neighbours: attacks of the corpus as a supervisor is given them, with what they are granted and
//! told of, and in their place one that does no harm. It measures nothing, and whether an attack is contained is for the
//! tests.

use std::collections::VecDeque;
use std::fs::{self, Permissions};
use std::net::{TcpListener, UdpSocket};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::thread;

use anyhow::Context as _;
use rustix::fs::{CWD, Mode, mkfifoat};
use serde_json::Value;

use crate::corpus;
use crate::peer::escaped;
use crate::temporary;
use crate::unprivileged;

/// The label of whoever is in the attacker's place.
pub const LABEL: &str = "bench.attack";
/// Connections that are kept of those who connect where it is granted.
const KEPT: usize = 16;

/// What the bench can grant and tell of.
const STAGED: &[&str] = &["ro", "rw", "tcp", "udp", "granted", "granted-udp", "bind", "no-bind", "no-names"];

/// What of the corpus is not measured, and why.
const UNSTAGED: &[(&str, &str)] = &[
    ("http", "it needs a server that is hostile itself, which would compute beside it"),
    ("room", "it takes 4 GiB, which is for a test to try where there is as much"),
];
/// Why an attack that is only a test is not.
const ONLY_A_TEST: &str = "it is a test alone: there is no program to run as a job";

/// What an attacker runs.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Runs {
    /// A program of the corpus, which is told the attack's name.
    Guest(String),
    /// A script, as a native job.
    Native(String),
}

/// An attack of the table that has something to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attack {
    /// Its name.
    pub name: String,
    runs: Runs,
    needs: Vec<String>,
    limits: Vec<(String, u64)>,
}

/// An attack that is not measured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// Its name.
    pub name: String,
    /// Why.
    pub why: &'static str,
}

/// The attacks that can be measured, and those that cannot.
pub fn attacks(text: &str) -> anyhow::Result<(Vec<Attack>, Vec<LeftOut>)> {
    let table: Value = serde_json::from_str(text).context("the table of attacks")?;
    let rows = table.as_array().context("the table of attacks is no list")?;
    let (mut measured, mut rest) = (Vec::new(), Vec::new());
    for row in rows {
        match attack(row)? {
            Ok(attack) => measured.push(attack),
            Err(left_out) => rest.push(left_out),
        }
    }
    Ok((measured, rest))
}

fn attack(row: &Value) -> anyhow::Result<Result<Attack, LeftOut>> {
    let text = |field: &str| row[field].as_str().map(ToOwned::to_owned);
    let name = text("name").with_context(|| format!("an attack without a name: {row}"))?;
    let guest = text("payload").map(Runs::Guest);
    let Some(runs) = guest.or_else(|| text("script").map(Runs::Native)) else {
        return Ok(Err(LeftOut { name, why: ONLY_A_TEST }));
    };
    let needs = row["needs"].as_array().into_iter().flatten();
    let needs: Vec<String> = needs.filter_map(|need| Some(need.as_str()?.to_owned())).collect();
    if let Some(need) = needs.iter().find(|need| !STAGED.contains(&need.as_str())) {
        let known = UNSTAGED.iter().find(|(known, _)| known == need);
        let (_, why) = *known.with_context(|| format!("{name} needs {need}, which the bench knows nothing of"))?;
        return Ok(Err(LeftOut { name, why }));
    }
    let limits = row["limits"].as_object().into_iter().flatten();
    let limits = limits.filter_map(|(key, most)| Some((key.clone(), most.as_u64()?))).collect();
    Ok(Ok(Attack { name, runs, needs, limits }))
}

/// Where the attackers are: their programs, granted folders, and whoever listens.
pub struct Place {
    folder: PathBuf,
    ports: Vec<(&'static str, u16)>,
    _listeners: (TcpListener, UdpSocket, UdpSocket),
}

impl Place {
    /// Makes it in an empty folder that every user may enter.
    pub fn new(folder: &Path, corpus: &Path) -> anyhow::Result<Self> {
        temporary::copy(corpus, &folder.join(corpus::NAME))?;
        let tcp = TcpListener::bind("127.0.0.1:0")?;
        let (udp, granted_udp) = (UdpSocket::bind("127.0.0.1:0")?, UdpSocket::bind("127.0.0.1:0")?);
        let ports = vec![
            ("tcp", tcp.local_addr()?.port()),
            ("udp", udp.local_addr()?.port()),
            ("granted-udp", granted_udp.local_addr()?.port()),
            ("granted", silent()?),
        ];
        Ok(Self { folder: folder.to_path_buf(), ports, _listeners: (tcp, udp, granted_udp) })
    }

    /// Puts the folders back as they were before any attack.
    pub fn furnish(&self) -> anyhow::Result<()> {
        for name in ["outside", "ro", "rw"] {
            let folder = self.folder.join(name);
            if folder.exists() {
                fs::remove_dir_all(&folder).with_context(|| format!("cannot empty {}", folder.display()))?;
            }
            temporary::make_folder(&folder.join("folder"))?;
            // The job is another user's when the bench is root's.
            fs::set_permissions(&folder, Permissions::from_mode(0o777))?;
            for file in ["file", "secret"] {
                fs::write(folder.join(file), "as it was\n")?;
            }
        }
        for name in ["ro", "rw"] {
            symlink("../outside", self.folder.join(name).join("link"))?;
            symlink(self.folder.join("outside"), self.folder.join(name).join("absolute-link"))?;
            symlink("../outside/secret", self.folder.join(name).join("file-link"))?;
            let fifo = self.folder.join(name).join("fifo");
            mkfifoat(CWD, &fifo, Mode::from_raw_mode(0o666)).context("cannot make a FIFO")?;
        }
        Ok(())
    }

    /// The job file of an attack, which is started again whenever it ends.
    pub fn job(&self, attack: &Attack) -> anyhow::Result<PathBuf> {
        let keep = "<key>KeepAlive</key> <true/>\n<key>ThrottleInterval</key> <integer>1</integer>\n";
        let limits: String = attack.limits.iter().map(|(key, most)| integer(key, *most)).collect();
        let grants = self.grants(&attack.needs)?;
        let keys = format!("{keep}{}{grants}", dictionary("Limits", &limits));
        match &attack.runs {
            Runs::Guest(payload) => self.write(&self.program(payload)?, &self.told(attack)?, &keys),
            Runs::Native(script) => {
                let script = escaped(Path::new(script))?;
                self.write("/bin/sh", &["-c".to_owned(), script], &keys)
            }
        }
    }

    /// The arguments of a guest: its attack, and where things are.
    fn told(&self, attack: &Attack) -> anyhow::Result<Vec<String>> {
        let mut arguments = vec![attack.name.clone(), format!("outside={}", self.path("outside/secret")?)];
        arguments.extend(["ro=/ro".to_owned(), "rw=/rw".to_owned()]);
        arguments.extend(self.ports.iter().map(|(name, port)| format!("{name}={port}")));
        Ok(arguments)
    }

    /// The job file of one that computes so much, and then waits.
    pub fn benign(&self, units: u64) -> anyhow::Result<PathBuf> {
        self.write(&self.program(corpus::NAME)?, &["spend".to_owned(), format!("units={units}")], "")
    }

    /// The path of a program of the corpus, as text in XML.
    fn program(&self, payload: &str) -> anyhow::Result<String> {
        self.path(&format!("{}/{payload}.wasm", corpus::NAME))
    }

    fn grants(&self, needs: &[String]) -> anyhow::Result<String> {
        let needed = |name: &str| needs.iter().any(|need| need == name);
        let port = |name: &str| self.ports.iter().find(|(known, _)| *known == name).map_or(0, |(_, port)| *port);
        let mut paths = String::new();
        for (name, access) in [("ro", "ReadOnly"), ("rw", "ReadWrite")] {
            if needed(name) {
                let host = self.path(name)?;
                paths += &format!(
                    "<dict>{}</dict>\n",
                    text("Path", &host) + &text("GuestPath", &format!("/{name}")) + &text("Access", access)
                );
            }
        }
        let connect = [("granted", "tcp"), ("granted-udp", "udp")].into_iter().filter(|(name, _)| needed(name));
        let connect: String =
            connect.map(|(name, scheme)| format!("<string>{scheme}://127.0.0.1:{}</string>", port(name))).collect();
        let bind = if needed("bind") { "<string>tcp://127.0.0.1:0</string>" } else { "" };
        let all = [("Paths", paths.as_str()), ("Connect", connect.as_str()), ("Bind", bind)];
        let all: String = all.into_iter().map(|(key, values)| array(key, values)).collect();
        Ok(dictionary("Grants", &all))
    }

    /// Writes the job file of a program; all texts are XML's already.
    fn write(&self, program: &str, arguments: &[String], keys: &str) -> anyhow::Result<PathBuf> {
        let words: String = arguments.iter().map(|word| format!("<string>{word}</string>")).collect();
        let user = if unprivileged::is_root()? { text("UserName", "daemon") } else { String::new() };
        let list = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<plist version=\"1.0\">\n<dict>\n{}\
             <key>ProgramArguments</key> <array><string>{program}</string>{words}</array>\n\
             <key>RunAtLoad</key> <true/>\n{user}{keys}</dict>\n</plist>\n",
            text("Label", LABEL)
        );
        let file = self.folder.join("attack.plist");
        fs::write(&file, list).with_context(|| format!("cannot write {}", file.display()))?;
        fs::set_permissions(&file, Permissions::from_mode(0o644))?;
        Ok(file)
    }

    /// A path in the folder, as text in XML.
    fn path(&self, name: &str) -> anyhow::Result<String> {
        escaped(&self.folder.join(name))
    }
}

/// Somebody who accepts and says nothing. Gives his port.
fn silent() -> anyhow::Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port();
    thread::spawn(move || {
        let mut kept = VecDeque::new();
        for stream in listener.incoming().flatten() {
            kept.push_back(stream);
            if kept.len() > KEPT {
                kept.pop_front();
            }
        }
    });
    Ok(port)
}

fn text(key: &str, value: &str) -> String {
    format!("<key>{key}</key> <string>{value}</string>\n")
}

fn integer(key: &str, value: u64) -> String {
    format!("<key>{key}</key> <integer>{value}</integer>\n")
}

/// A dictionary under a key; nothing if there is nothing in it.
fn dictionary(key: &str, inside: &str) -> String {
    if inside.is_empty() { String::new() } else { format!("<key>{key}</key> <dict>\n{inside}</dict>\n") }
}

fn array(key: &str, inside: &str) -> String {
    if inside.is_empty() { String::new() } else { format!("<key>{key}</key> <array>{inside}</array>\n") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attack_without_a_program_or_a_server_is_not_measured() {
        let text = r#"[{"name": "a", "payload": "p", "needs": ["ro"], "limits": {"CPUTime": 1}},
            {"name": "b", "payload": "p", "needs": ["http"]}, {"name": "c", "test": "x y"},
            {"name": "d", "test": "x y", "script": "exit 0"}]"#;
        let (measured, rest) = attacks(text).expect("a table");
        let guest = Attack {
            name: "a".into(),
            runs: Runs::Guest("p".into()),
            needs: vec!["ro".into()],
            limits: vec![("CPUTime".into(), 1)],
        };
        let runs = Runs::Native("exit 0".into());
        let native = Attack { name: "d".into(), runs, needs: Vec::new(), limits: Vec::new() };
        assert_eq!(measured, [guest, native]);
        let rest: Vec<(&str, bool)> = rest.iter().map(|row| (row.name.as_str(), row.why == ONLY_A_TEST)).collect();
        assert_eq!(rest, [("b", false), ("c", true)]);
        assert!(attacks(r#"[{"name": "e", "payload": "p", "needs": ["moon"]}]"#).is_err());
    }

    /// What the table needs is either there or known to be missing.
    #[test]
    fn all_of_the_table_is_measured_or_left_out_for_a_reason() {
        let (measured, rest) = attacks(include_str!("../../../../guests/hostile/attacks.json")).expect("the table");
        assert!(measured.iter().any(|attack| matches!(attack.runs, Runs::Native(_))), "no native attack is measured");
        assert!(!rest.is_empty(), "the servers of others are not here");
    }

    #[test]
    fn what_is_empty_is_left_out() {
        assert_eq!((dictionary("A", ""), array("A", "")), (String::new(), String::new()));
        assert_eq!(
            dictionary("A", &integer("B", 1)),
            "<key>A</key> <dict>\n<key>B</key> <integer>1</integer>\n</dict>\n"
        );
    }
}
