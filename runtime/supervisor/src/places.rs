//! Where this user's supervisor keeps its things (design: the table of paths). It makes directories, and nothing
//! in them.

use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use wjob_model::message::OwnFolder;

/// Folders of one user.
#[derive(Clone, Debug)]
pub struct Places {
    /// Compiled programs.
    pub cache: PathBuf,
    /// What must survive: the key of the cache.
    pub state: PathBuf,
}

impl Places {
    /// The folders of `uid`; `variable` answers for the environment.
    ///
    /// # Errors
    /// When an ordinary user has neither the XDG variables nor HOME.
    pub fn of(uid: u32, variable: impl Fn(&str) -> Option<String>) -> Result<Self, String> {
        if uid == 0 {
            return Ok(Self { cache: "/var/cache/wjob".into(), state: "/var/lib/wjob".into() });
        }
        let absolute = |name: &str| variable(name).filter(|path| path.starts_with('/')).map(PathBuf::from);
        let home = absolute("HOME");
        let place = |own: &str, below: &str| {
            absolute(own)
                .or_else(|| home.as_ref().map(|home| home.join(below)))
                .map(|folder| folder.join("wjob"))
                .ok_or_else(|| format!("neither {own} nor HOME is set"))
        };
        Ok(Self { cache: place("XDG_CACHE_HOME", ".cache")?, state: place("XDG_STATE_HOME", ".local/state")? })
    }
}

/// Makes a folder for this user alone, or checks that it is one.
///
/// # Errors
/// When it cannot be made, belongs to somebody else or lets others in.
pub fn private_folder(folder: &Path, uid: u32) -> Result<(), String> {
    let name = folder.display();
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(|error| format!("{name}: {error}"))?;
    let status = std::fs::symlink_metadata(folder).map_err(|error| format!("{name}: {error}"))?;
    if !status.is_dir() {
        return Err(format!("{name}: not a directory"));
    }
    if status.uid() != uid {
        return Err(format!("{name}: belongs to user {}, not to {uid}", status.uid()));
    }
    if status.mode() & 0o077 != 0 {
        return Err(format!("{name}: mode {:o} lets others in, expected 700", status.mode() & 0o777));
    }
    Ok(())
}

/// Links to nothing that are followed on the way to a place; the kernel follows as many (path_resolution(7)).
const MOST_LINKS: usize = 40;

/// A folder or file that no job may reach: who can write to it decides what runs, or speaks as somebody else. One that is
/// not there yet is known by what is there above it, since who makes it is its owner. `None` = the path is not absolute.
pub fn own_place(path: &Path) -> Option<OwnFolder> {
    own_place_behind(path, MOST_LINKS)
}

fn own_place_behind(path: &Path, links: usize) -> Option<OwnFolder> {
    for above in path.ancestors() {
        let missing = path.strip_prefix(above).ok()?;
        if let Ok(real) = std::fs::canonicalize(above) {
            return own_place_below(&real, missing);
        }
        // A link at which nothing is: it would be made where that leads.
        if let Ok(target) = std::fs::read_link(above) {
            let behind = above.parent()?.join(target).join(missing);
            return own_place_behind(&behind, links.checked_sub(1)?);
        }
    }
    None
}

fn own_place_below(there: &Path, missing: &Path) -> Option<OwnFolder> {
    let status = std::fs::metadata(there).ok()?;
    let is_there = missing.as_os_str().is_empty();
    // Joined with nothing, a path ends in a slash.
    let path = if is_there { there.to_path_buf() } else { there.join(missing) };
    Some(OwnFolder {
        path: path.to_string_lossy().into_owned(),
        device: status.dev(),
        inode: status.ino(),
        missing: missing.to_string_lossy().into_owned(),
    })
}

/// Where a supervisor of this user reads its configuration and job files: whoever writes them decides what runs, and with
/// which grants. `variable` answers for the environment, which may be another one than the supervisor has.
pub fn configured_places(variable: impl Fn(&str) -> Option<String>) -> Vec<OwnFolder> {
    let absolute = |name: &str| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let folders = [absolute("XDG_CONFIG_HOME"), absolute("HOME").map(|home| home.join(".config"))];
    folders.into_iter().flatten().filter_map(|folder| own_place(&folder.join("wjob"))).collect()
}

/// Where supervisors of this user answer: whoever reaches them speaks as that user. `variable` answers for the
/// environment. Where they answer by default is known from the path alone.
pub fn answering_places(variable: impl Fn(&str) -> Option<String>) -> Vec<OwnFolder> {
    let absolute = |name: &str| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let of_user = absolute("XDG_RUNTIME_DIR").map(|folder| folder.join("wjob"));
    let named = absolute("WJOB_SOCKET");
    let beside = named.as_ref().map(|socket| socket.with_file_name("log.sock"));
    of_user.into_iter().chain(named).chain(beside).filter_map(|place| own_place(&place)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_follow_the_table() {
        let none = |_: &str| None;
        let home = |name: &str| (name == "HOME").then(|| "/home/x".to_owned());
        let xdg = |name: &str| (name == "XDG_CACHE_HOME" || name == "XDG_STATE_HOME").then(|| "/c".to_owned());
        assert_eq!(Places::of(0, none).unwrap().cache, Path::new("/var/cache/wjob"));
        assert_eq!(Places::of(7, home).unwrap().cache, Path::new("/home/x/.cache/wjob"));
        assert_eq!(Places::of(7, home).unwrap().state, Path::new("/home/x/.local/state/wjob"));
        assert_eq!(Places::of(7, xdg).unwrap().cache, Path::new("/c/wjob"));
        assert!(Places::of(7, none).is_err());
        assert!(Places::of(7, |_| Some("relative".into())).is_err());
    }

    #[test]
    fn supervisors_are_found_by_the_environment() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        std::fs::create_dir(path("wjob")).unwrap();
        std::fs::write(path("named.sock"), "").unwrap();
        let variable = |name: &str| match name {
            "XDG_RUNTIME_DIR" => Some(path("")),
            "WJOB_SOCKET" => Some(path("named.sock")),
            _ => None,
        };
        let found: Vec<String> = answering_places(variable).into_iter().map(|place| place.path).collect();
        let real = std::fs::canonicalize(folder.path()).unwrap();
        // The last is not there yet.
        assert_eq!(found, ["wjob", "named.sock", "log.sock"].map(|name| real.join(name).display().to_string()));
        assert!(answering_places(|_| Some("relative".into())).is_empty());
    }

    #[test]
    fn configurations_are_found_by_the_environment() {
        let folder = tempfile::tempdir().unwrap();
        let real = std::fs::canonicalize(folder.path()).unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        let variable = |name: &str| match name {
            "XDG_CONFIG_HOME" => Some(path("config")),
            "HOME" => Some(path("home")),
            _ => None,
        };
        let found: Vec<String> = configured_places(variable).into_iter().map(|place| place.path).collect();
        assert_eq!(found, ["config/wjob", "home/.config/wjob"].map(|name| real.join(name).display().to_string()));
        assert!(configured_places(|_| Some("relative".into())).is_empty());
    }

    #[test]
    fn a_place_that_is_not_there_yet_is_known_by_what_is_above_it() {
        let folder = tempfile::tempdir().unwrap();
        let real = std::fs::canonicalize(folder.path()).unwrap();
        std::fs::create_dir_all(real.join("disk/home/there")).unwrap();
        for (target, link) in [("disk/home", "home"), ("disk/none", "dangling"), ("circle", "circle")] {
            std::os::unix::fs::symlink(target, real.join(link)).unwrap();
        }
        for (name, path, above, missing) in [
            ("disk/home/there", "disk/home/there", "disk/home/there", ""),
            ("home/there", "disk/home/there", "disk/home/there", ""),
            ("home/wjob", "disk/home/wjob", "disk/home", "wjob"),
            ("home/a/wjob/jobs", "disk/home/a/wjob/jobs", "disk/home", "a/wjob/jobs"),
            ("dangling", "disk/none", "disk", "none"),
            ("dangling/wjob/jobs", "disk/none/wjob/jobs", "disk", "none/wjob/jobs"),
        ] {
            let place = own_place(&real.join(name)).unwrap();
            let status = std::fs::metadata(real.join(above)).unwrap();
            assert_eq!(place.path, real.join(path).display().to_string(), "{name}");
            assert_eq!((place.device, place.inode), (status.dev(), status.ino()), "{name}");
            assert_eq!(place.missing, missing, "{name}");
        }
        assert_eq!(own_place(&real.join("circle/wjob")), None);
        assert_eq!(own_place(Path::new("relative/and/not/there")), None);
    }

    #[test]
    fn a_folder_others_can_enter_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let uid = rustix::process::geteuid().as_raw();
        let mine = folder.path().join("mine");
        private_folder(&mine, uid).unwrap();
        private_folder(&mine, uid).unwrap();
        assert!(private_folder(&mine, uid + 1).unwrap_err().contains("belongs to user"));
        std::fs::set_permissions(&mine, std::fs::Permissions::from_mode(0o755)).unwrap();
        assert!(private_folder(&mine, uid).unwrap_err().contains("lets others in"));
    }
}
