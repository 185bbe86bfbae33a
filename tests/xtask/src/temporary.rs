//! A folder that is gone when the verb ends, however it ends.
//! It is in /tmp and not in TMPDIR, because an ordinary user must be able to reach what root puts there.

use std::fs::{self, DirBuilder, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;

/// The folder; dropping it removes it.
pub struct Temporary(PathBuf);

impl Temporary {
    /// A new folder with this mode. A name that is taken is an error: somebody else made it.
    pub fn new(purpose: &str, mode: u32) -> anyhow::Result<Self> {
        Self::below(Path::new("/tmp"), purpose, mode)
    }

    /// The same in another folder than /tmp.
    pub fn below(parent: &Path, purpose: &str, mode: u32) -> anyhow::Result<Self> {
        let path = parent.join(format!("wjob-{purpose}-{}", std::process::id()));
        DirBuilder::new().mode(0o700).create(&path).with_context(|| format!("cannot make {}", path.display()))?;
        let temporary = Self(path);
        fs::set_permissions(temporary.path(), Permissions::from_mode(mode))
            .with_context(|| format!("cannot set the mode of {}", temporary.0.display()))?;
        Ok(temporary)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            eprintln!("{} is left behind: {error}", self.0.display());
        }
    }
}

/// Copies a file or a whole folder, readable by everyone, whatever the umask says.
/// Links are left out: a copy must not reach back to where it came from.
pub fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    let kind = fs::symlink_metadata(from).with_context(|| format!("cannot read {}", from.display()))?.file_type();
    if kind.is_dir() {
        return copy_folder(from, to);
    }
    if kind.is_file() {
        fs::copy(from, to).with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))?;
        open_to_all(to)?;
    }
    Ok(())
}

fn copy_folder(from: &Path, to: &Path) -> anyhow::Result<()> {
    make_folder(to)?;
    let entries = fs::read_dir(from).with_context(|| format!("cannot list {}", from.display()))?;
    for entry in entries {
        let name = entry?.file_name();
        copy(&from.join(&name), &to.join(&name))?;
    }
    Ok(())
}

/// Makes a folder that everyone may enter, and those above it.
pub fn make_folder(path: &Path) -> anyhow::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        make_folder(parent)?;
    }
    match fs::create_dir(path) {
        // Another thread has made it meanwhile, and opens it to everyone as well.
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        made => made.with_context(|| format!("cannot make {}", path.display()))?,
    }
    open_to_all(path)
}

/// Lets everyone read what the owner may read, and run what the owner may run.
pub fn open_to_all(path: &Path) -> anyhow::Result<()> {
    let owner = fs::metadata(path)?.permissions().mode() & 0o700;
    let others = owner & 0o500;
    let mode = owner | (others >> 3) | (others >> 6);
    fs::set_permissions(path, Permissions::from_mode(mode))
        .with_context(|| format!("cannot set the mode of {}", path.display()))
}
