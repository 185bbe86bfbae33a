//! What attacks are tried on: folders of this run alone, in which each path that the job is granted has its place, a
//! secret beside them, and listeners that nobody granted. Afterwards it tells what was changed or reached.

use std::fs::{self, DirBuilder};
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::unix::fs::{DirBuilderExt as _, symlink};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use rustix::fs::{CWD, Mode, mkfifoat};
use wjob_model::grant::{Access, PathGrant};

/// What the file outside holds, and the others.
const SECRET: &str = "a secret\n";
const KEPT: &str = "as it was\n";

/// The stage of one audit. Dropping it removes its folders.
#[derive(Debug)]
pub(super) struct Stage {
    folder: PathBuf,
    tcp: TcpListener,
    udp: UdpSocket,
    addresses: [SocketAddr; 2],
}

impl Stage {
    /// Makes it; nothing is granted yet.
    pub fn make() -> anyhow::Result<Self> {
        let folder = std::env::temp_dir().join(format!("wjob-audit-{}", std::process::id()));
        DirBuilder::new().mode(0o700).create(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let tcp = TcpListener::bind("127.0.0.1:0").context("cannot listen on the loopback")?;
        let udp = UdpSocket::bind("127.0.0.1:0").context("cannot bind on the loopback")?;
        tcp.set_nonblocking(true)?;
        udp.set_nonblocking(true)?;
        let addresses = [tcp.local_addr()?, udp.local_addr()?];
        Ok(Self { folder, tcp, udp, addresses })
    }

    /// The addresses that nobody granted, of streams and of datagrams.
    pub fn addresses(&self) -> [SocketAddr; 2] {
        self.addresses
    }

    /// The file outside of all grants.
    pub fn secret(&self) -> PathBuf {
        self.folder.join("outside/secret")
    }

    /// What stands for the granted path of this number.
    pub fn place(&self, number: usize) -> PathBuf {
        self.folder.join(format!("grant-{number}"))
    }

    /// Puts everything back as it was before any attack: a folder for each granted folder, a file for each file.
    pub fn furnish(&self, granted: &[PathGrant]) -> anyhow::Result<()> {
        for entry in fs::read_dir(&self.folder)?.flatten() {
            let path = entry.path();
            if entry.file_type()?.is_dir() { fs::remove_dir_all(&path)? } else { fs::remove_file(&path)? }
        }
        fs::create_dir(self.folder.join("outside"))?;
        fs::write(self.secret(), SECRET)?;
        for (number, grant) in granted.iter().enumerate() {
            let place = self.place(number);
            if Path::new(&grant.host).is_file() {
                fs::write(&place, KEPT)?;
            } else {
                self.folder_of_a_grant(&place).with_context(|| format!("cannot furnish {}", place.display()))?;
            }
        }
        Ok(())
    }

    /// What the corpus expects to find in a granted folder (guests/hostile/guest/stage.rs).
    fn folder_of_a_grant(&self, place: &Path) -> anyhow::Result<()> {
        fs::create_dir(place)?;
        fs::create_dir(place.join("folder"))?;
        fs::write(place.join("file"), KEPT)?;
        mkfifoat(CWD, place.join("fifo"), Mode::from_raw_mode(0o600))?;
        symlink("../outside", place.join("link"))?;
        symlink(self.folder.join("outside"), place.join("absolute-link"))?;
        symlink("../outside/secret", place.join("file-link"))?;
        Ok(())
    }

    /// What an attack changed or reached beside its grants; `None` = nothing.
    pub fn touched(&self, granted: &[PathGrant]) -> Option<String> {
        let changed = granted.iter().enumerate().find(|(number, grant)| only_read(grant) && !self.is_kept(*number));
        if let Some((_, grant)) = changed {
            return Some(format!("what is granted ReadOnly at {} was changed", grant.guest));
        }
        let secret = fs::read_to_string(self.secret()).unwrap_or_default();
        let names = fs::read_dir(self.folder.join("outside")).map_or(0, Iterator::count);
        if secret != SECRET || names != 1 {
            return Some("the folder outside of all grants was changed".into());
        }
        if self.tcp.accept().map(drop).map_err(|error| error.kind()) != Err(ErrorKind::WouldBlock) {
            return Some("a port that nobody granted was reached".into());
        }
        if self.udp.recv(&mut [0]).map(drop).map_err(|error| error.kind()) != Err(ErrorKind::WouldBlock) {
            return Some("a datagram port that nobody granted was reached".into());
        }
        None
    }

    /// Whether what stands for a ReadOnly grant is still as it was made.
    fn is_kept(&self, number: usize) -> bool {
        let place = self.place(number);
        let file = if place.is_dir() { place.join("file") } else { place.clone() };
        let names = if place.is_dir() { fs::read_dir(&place).map_or(0, Iterator::count) } else { FURNISHED };
        fs::read_to_string(file).is_ok_and(|text| text == KEPT) && names == FURNISHED
    }
}

/// How many things are in a granted folder.
const FURNISHED: usize = 6;

impl Drop for Stage {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.folder) {
            crate::render::complain(&format!("{} is left behind: {error}", self.folder.display()));
        }
    }
}

/// Whether a grant lets nothing be changed.
pub(super) fn only_read(grant: &PathGrant) -> bool {
    grant.access != Access::ReadWrite
}
