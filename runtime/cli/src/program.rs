//! A job for one program, put together from the command line: `wjob run --ro P program`. It writes the property
//! list that the options stand for; that text is then loaded like any file, so both ways are checked alike.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context as _, bail};
use wjob_model::grant::{Access, Endpoint, Host, Port, Transport};
use wjob_model::program::ProgramKind;
use wjob_worker::inspect;

/// Grants and limits for a program named on the command line.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "Grants for a program (a job file has its own)")]
pub(crate) struct Options {
    /// Let it read a file or folder, at G or at the same path
    #[arg(long, value_name = "P[:G]")]
    ro: Vec<String>,
    /// Let it read and change a file or folder
    #[arg(long, value_name = "P[:G]")]
    rw: Vec<String>,
    /// Let it connect: tcp://HOST:PORT, udp://, http://, https://, unix:///PATH
    #[arg(long, value_name = "URL")]
    connect: Vec<String>,
    /// Let it bind: tcp://ADDRESS:PORT, udp://
    #[arg(long, value_name = "URL")]
    bind: Vec<String>,
    /// Let a user, or the members of @GROUP, connect to its Unix sockets
    #[arg(long, value_name = "USER")]
    user: Vec<String>,
    /// Serve on a socket: tcp://ADDRESS:PORT (0 = any), udp://ADDRESS:PORT, unix:///PATH
    #[arg(long, value_name = "URL")]
    listen: Vec<String>,
    /// Hand each connection over as stdin and stdout, as inetd does (WebAssembly commands get them so anyway)
    #[arg(long)]
    inetd: bool,
    /// Pass a variable on, or set it
    #[arg(long, value_name = "K[=V]")]
    env: Vec<String>,
    /// Its working directory, as it sees it
    #[arg(long, value_name = "P")]
    cwd: Option<String>,
    /// Most memory: bytes, or with K, M or G
    #[arg(long, value_name = "N", value_parser = bytes)]
    memory: Option<u64>,
    /// Most time from start to end, in seconds
    #[arg(long, value_name = "S")]
    run_time: Option<u64>,
    /// Have an instance answer so many requests, not one
    #[arg(long, value_name = "N")]
    instance_reuse: Option<u64>,
    /// Any limit by its key, as in Instances=4 (`wjob keys Limits` lists them)
    #[arg(long, value_name = "KEY=N", value_parser = limit)]
    limit: Vec<(String, u64)>,
}

/// A limit's key and its value.
fn limit(text: &str) -> Result<(String, u64), String> {
    let pair = text.split_once('=').and_then(|(key, value)| Some((key.to_owned(), value.parse().ok()?)));
    pair.ok_or_else(|| format!("{text:?} is no limit; expected a key and a number, as in Instances=4"))
}

/// A number of bytes; K, M and G are powers of 1024.
fn bytes(text: &str) -> Result<u64, String> {
    let (digits, unit) = match text.char_indices().next_back() {
        Some((at, 'K' | 'k')) => (&text[..at], 1 << 10),
        Some((at, 'M' | 'm')) => (&text[..at], 1 << 20),
        Some((at, 'G' | 'g')) => (&text[..at], 1 << 30),
        _ => (text, 1),
    };
    let number: Option<u64> = digits.parse().ok();
    number
        .and_then(|number| number.checked_mul(unit))
        .ok_or_else(|| format!("{text:?} is no number of bytes; expected as in 64M"))
}

impl Options {
    /// Whether none was given.
    pub fn none(&self) -> bool {
        let lists = [&self.ro, &self.rw, &self.connect, &self.bind, &self.user, &self.env, &self.listen];
        !self.inetd
            && lists.iter().all(|list| list.is_empty())
            && self.cwd.is_none()
            && self.memory.is_none()
            && self.run_time.is_none()
            && self.instance_reuse.is_none()
            && self.limit.is_empty()
    }

    /// The grants of a run that is learned from.
    pub fn recording(roots: &[String], changes: bool, connect: &[String], variables: &[String]) -> Self {
        let (connect, env) = (connect.to_vec(), variables.to_vec());
        match changes {
            true => Self { rw: roots.to_vec(), connect, env, ..Self::default() },
            false => Self { ro: roots.to_vec(), connect, env, ..Self::default() },
        }
    }

    /// The property list that the options, the program and its arguments stand for.
    ///
    /// # Errors
    /// When the current folder, which relative paths need, cannot be found.
    pub fn property_list(&self, program: &Path, arguments: &[String]) -> anyhow::Result<String> {
        let inetd = !self.listen.is_empty() && (self.inetd || is_command(program));
        let program = std::path::absolute(program).context("cannot find the current folder")?;
        let name = program.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let mut list = List::default();
        list.text("Label", &label(&name));
        list.text("Program", &utf8(&program)?);
        list.array("ProgramArguments", std::iter::once(&name).chain(arguments));
        if let Some(directory) = &self.cwd {
            if !directory.starts_with('/') {
                bail!("--cwd {directory}: expected a path as the program sees it, beginning with /");
            }
            list.text("WorkingDirectory", directory);
        }
        self.sockets(&mut list, inetd)?;
        self.environment(&mut list);
        self.grants(&mut list)?;
        if let Some(requests) = self.instance_reuse {
            list.integer("InstanceReuse", requests);
        }
        self.limits(&mut list);
        Ok(list.whole())
    }

    fn sockets(&self, list: &mut List, inetd: bool) -> anyhow::Result<()> {
        if self.listen.is_empty() {
            return Ok(());
        }
        list.open("Sockets");
        list.key("Listeners");
        list.line("<array>");
        list.depth += 1;
        for url in &self.listen {
            list.line("<dict>");
            list.depth += 1;
            socket(list, url)?;
            list.close();
        }
        list.depth -= 1;
        list.line("</array>");
        list.close();
        if inetd {
            list.open("inetdCompatibility");
            list.key("Wait");
            list.line("<false/>");
            list.close();
        }
        Ok(())
    }

    fn environment(&self, list: &mut List) {
        let set: Vec<(&str, &str)> = self.env.iter().filter_map(|entry| entry.split_once('=')).collect();
        if !set.is_empty() {
            list.open("EnvironmentVariables");
            for (name, value) in set {
                list.text(name, value);
            }
            list.close();
        }
    }

    fn grants(&self, list: &mut List) -> anyhow::Result<()> {
        let passed: Vec<&String> = self.env.iter().filter(|entry| !entry.contains('=')).collect();
        let paths = self.paths()?;
        let lists = [("Connect", &self.connect), ("Bind", &self.bind), ("Users", &self.user)];
        if paths.is_empty() && lists.iter().all(|(_, values)| values.is_empty()) && passed.is_empty() {
            return Ok(());
        }
        list.open("Grants");
        if !paths.is_empty() {
            list.paths(&paths);
        }
        for (key, values) in lists {
            if !values.is_empty() {
                list.array(key, values.iter());
            }
        }
        if !passed.is_empty() {
            list.array("Environment", passed.into_iter());
        }
        list.close();
        Ok(())
    }

    fn paths(&self) -> anyhow::Result<Vec<(String, String, Access)>> {
        let with = |texts: &[String], access| -> anyhow::Result<Vec<_>> {
            texts.iter().map(|text| path(text).map(|(host, guest)| (host, guest, access))).collect()
        };
        Ok([with(&self.ro, Access::ReadOnly)?, with(&self.rw, Access::ReadWrite)?].concat())
    }

    fn limits(&self, list: &mut List) {
        let own = [("Memory", self.memory), ("RunTime", self.run_time)];
        let own = own.into_iter().filter_map(|(key, value)| Some((key, value?)));
        let all: Vec<(&str, u64)> = own.chain(self.limit.iter().map(|(key, value)| (key.as_str(), *value))).collect();
        if all.is_empty() {
            return;
        }
        list.open("Limits");
        for (key, value) in all {
            list.integer(key, value);
        }
        list.close();
    }
}

/// The keys of one socket.
fn socket(list: &mut List, url: &str) -> anyhow::Result<()> {
    if let Some(path) = url.strip_prefix("unix://") {
        if !path.starts_with('/') {
            bail!("--listen {url}: expected unix:// and an absolute path");
        }
        list.text("SockPathName", path);
        return Ok(());
    }
    let endpoint = Endpoint::parse_bind(url)
        .map_err(|error| anyhow::anyhow!("--listen {url}: {error}; expected tcp://, udp:// or unix://"))?;
    let (Host::Address(address), Port::Number(port)) = (&endpoint.host, endpoint.port) else {
        bail!("--listen {url}: expected a port, or 0 for any that is free");
    };
    list.text("SockNodeName", &address.to_string());
    list.text("SockServiceName", &port.to_string());
    if endpoint.transport == Transport::Udp {
        list.text("SockType", "dgram");
    }
    Ok(())
}

/// Whether a program is a WebAssembly command that takes no sockets itself, so that it can serve as inetd's do only.
fn is_command(program: &Path) -> bool {
    let Ok(Some(seen)) = inspect::program(program) else {
        return false;
    };
    seen.kind == ProgramKind::Module || !seen.imports.iter().any(|name| name.starts_with("wjob:service/activation@"))
}

/// `P` or `P:G`; G begins with a slash.
fn path(text: &str) -> anyhow::Result<(String, String)> {
    let (host, guest) = match text.rfind(":/") {
        Some(at) if at > 0 => (&text[..at], Some(&text[at + 1..])),
        _ => (text, None),
    };
    let host = utf8(&std::path::absolute(host).context("cannot find the current folder")?)?;
    let guest = guest.map_or_else(|| host.clone(), ToOwned::to_owned);
    Ok((host, guest))
}

fn utf8(path: &Path) -> anyhow::Result<String> {
    match path.to_str() {
        Some(path) => Ok(path.to_owned()),
        None => bail!("{} is not UTF-8, which a property list is", path.display()),
    }
}

/// A label made of a program's name.
fn label(name: &str) -> String {
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    let safe: String = stem.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '-' }).collect();
    format!("run.{}", if safe.is_empty() { "program" } else { &safe })
}

/// The text of a property list in the making.
#[derive(Default)]
struct List {
    text: String,
    depth: usize,
}

impl List {
    fn line(&mut self, line: &str) {
        let indent = "\t".repeat(self.depth + 1);
        // Writing to a string cannot fail.
        let _ = writeln!(self.text, "{indent}{line}");
    }

    fn key(&mut self, key: &str) {
        self.line(&format!("<key>{}</key>", escape(key)));
    }

    fn text(&mut self, key: &str, value: &str) {
        self.key(key);
        self.line(&format!("<string>{}</string>", escape(value)));
    }

    fn integer(&mut self, key: &str, value: u64) {
        self.key(key);
        self.line(&format!("<integer>{value}</integer>"));
    }

    fn open(&mut self, key: &str) {
        self.key(key);
        self.line("<dict>");
        self.depth += 1;
    }

    fn close(&mut self) {
        self.depth -= 1;
        self.line("</dict>");
    }

    fn array<'a>(&mut self, key: &str, values: impl Iterator<Item = &'a String>) {
        self.key(key);
        self.line("<array>");
        for value in values {
            self.line(&format!("\t<string>{}</string>", escape(value)));
        }
        self.line("</array>");
    }

    fn paths(&mut self, paths: &[(String, String, Access)]) {
        self.key("Paths");
        self.line("<array>");
        self.depth += 1;
        for (host, guest, access) in paths {
            self.line("<dict>");
            self.depth += 1;
            self.text("Path", host);
            self.text("GuestPath", guest);
            self.text("Access", access.word());
            self.depth -= 1;
            self.line("</dict>");
        }
        self.depth -= 1;
        self.line("</array>");
    }

    fn whole(self) -> String {
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!DOCTYPE plist PUBLIC \"-//Apple//DTD PLIST 1.0//EN\" \
             \"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">\n<plist version=\"1.0\">\n<dict>\n{}</dict>\n</plist>\n",
            self.text
        )
    }
}

fn escape(text: &str) -> String {
    // A reader of XML makes a line end of a bare carriage return.
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('\r', "&#13;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_with_their_units() {
        for (text, expected) in [
            ("64M", Some(64 << 20)),
            ("1k", Some(1024)),
            ("7", Some(7)),
            ("G", None),
            ("-1", None),
            ("9999999999999G", None),
        ] {
            assert_eq!(bytes(text).ok(), expected, "{text}");
        }
    }

    #[test]
    fn limits_are_keys_with_numbers() {
        assert_eq!(limit("Instances=4"), Ok(("Instances".to_owned(), 4)));
        for text in ["Instances", "Instances=", "Instances=many", "Instances=-1", ""] {
            assert!(limit(text).is_err(), "{text}");
        }
    }

    #[test]
    fn paths_may_name_where_the_job_sees_them() {
        for (text, host, guest) in
            [("/a", "/a", "/a"), ("/a:/b", "/a", "/b"), ("/a:x", "/a:x", "/a:x"), ("/a:/", "/a", "/")]
        {
            assert_eq!(path(text).unwrap(), (host.to_owned(), guest.to_owned()), "{text}");
        }
    }

    #[test]
    fn the_options_are_a_valid_job_file() {
        let options = Options {
            ro: vec!["/srv/<photos>:/photos".into()],
            rw: vec!["/out".into()],
            connect: vec!["https://example.com".into()],
            bind: vec!["udp://127.0.0.1:0".into()],
            user: vec!["@staff".into(), "1000".into()],
            instance_reuse: Some(8),
            env: vec!["TZ".into(), "A=b&c".into()],
            memory: Some(1 << 20),
            limit: vec![("Handles".into(), 100)],
            ..Options::default()
        };
        let text = options.property_list(Path::new("/bin/x.wasm"), &["a <b>".into()]).unwrap();
        let context = wjob_model::spec::Context { folder: "/", home: "/", uid: 1 };
        let loaded = wjob_model::spec::load(text.as_bytes(), &context);
        let job = loaded.job.unwrap_or_else(|| panic!("{:?}", loaded.findings));
        assert_eq!(job.program.arguments, ["x.wasm", "a <b>"]);
        assert_eq!(job.grants.paths[0].host, "/srv/<photos>");
        assert_eq!(job.grants.users, ["@staff", "1000"]);
        assert_eq!((job.grants.bind.len(), job.instance_reuse), (1, 8));
        assert_eq!(job.environment, [("A".to_owned(), "b&c".to_owned())]);
        assert_eq!((job.limits.memory, job.limits.handles), (Some(1 << 20), Some(100)));
    }
}
