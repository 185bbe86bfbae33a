//! Paths as text: resolving, normalising, and which folders no grant may touch. No path is looked up; links are
//! the business of whoever opens.

/// The kernel's own trees, which grants may not open.
const KERNEL_FOLDERS: [&str; 3] = ["/proc", "/sys", "/dev"];
/// wjob's own folders in the system.
const OWN_FOLDERS: [&str; 4] = ["/etc/wjob", "/var/lib/wjob", "/var/cache/wjob", "/run/wjob"];
/// wjob's own folders below a user's home.
const OWN_HOME_FOLDERS: [&str; 3] = [".config/wjob", ".local/state/wjob", ".cache/wjob"];
/// Where supervisors answer: the system's, and each user's in that user's runtime folder.
const SUPERVISORS: (&str, &str, &str) = ("/run/wjob", "/run/user/", "wjob");
/// The device files that hold nothing and harm nobody.
const DEVICE_FILES: [&str; 5] = ["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"];

/// An absolute path as it is, any other below `folder`.
pub fn resolve(folder: &str, path: &str) -> String {
    if path.starts_with('/') {
        return path.into();
    }
    let mut below = path;
    while let Some(rest) = below.strip_prefix("./") {
        below = rest.trim_start_matches('/');
    }
    format!("{}/{below}", folder.trim_end_matches('/'))
}

/// An absolute path without `.`, `..`, double and trailing slashes; `..` takes back the name before it.
pub fn normalise(path: &str) -> String {
    let mut names: Vec<&str> = Vec::new();
    for name in path.split('/') {
        match name {
            "" | "." => {}
            ".." => {
                names.pop();
            }
            _ => names.push(name),
        }
    }
    format!("/{}", names.join("/"))
}

/// Where an absolute path is on the host when a folder takes the place of the root; `..` does not lead out of it.
pub fn below(root: Option<&str>, path: String) -> String {
    match root {
        Some(root) => normalise(&format!("{root}{}", normalise(&path))),
        None => path,
    }
}

/// Whether a normalised path is a folder or lies in it.
pub fn lies_in(path: &str, folder: &str) -> bool {
    folder == "/" || path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Whether a path is one of the device files that may be granted.
pub fn is_device_file(path: &str) -> bool {
    DEVICE_FILES.contains(&path)
}

/// wjob's own folders, of the system and of a user with this home.
pub fn own_folders(home: &str) -> Vec<String> {
    let mut folders: Vec<String> = OWN_FOLDERS.map(String::from).into();
    if home.starts_with('/') {
        folders.extend(OWN_HOME_FOLDERS.map(|folder| normalise(&resolve(home, folder))));
    }
    folders
}

/// The folder that a grant of this normalised host path would open although no grant may, if there is one.
pub fn protected(path: &str, home: &str) -> Option<String> {
    if is_device_file(path) {
        return None;
    }
    let kernel = KERNEL_FOLDERS.map(String::from);
    kernel.into_iter().chain(own_folders(home)).find(|folder| lies_in(path, folder) || lies_in(folder, path))
}

/// The folder of a supervisor, of the system or of a user, in which a normalised path lies, if it does. Whoever is let in
/// there speaks to the supervisor as the user that he is.
pub fn supervisors_folder(path: &str) -> Option<&str> {
    let (system, users, own) = SUPERVISORS;
    if lies_in(path, system) {
        return Some(system);
    }
    let (user, inside) = path.strip_prefix(users)?.split_once('/')?;
    let folder = users.len() + user.len() + 1 + own.len();
    lies_in(&format!("/{inside}"), &format!("/{own}")).then(|| &path[..folder])
}

/// The kernel's tree in which a normalised path of the job's own view lies, if it does.
pub fn kernel_folder(path: &str) -> Option<&'static str> {
    KERNEL_FOLDERS.into_iter().find(|folder| lies_in(path, folder) && !is_device_file(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relative_paths_begin_at_the_folder() {
        for (path, expected) in
            [("/a/../b", "/a/../b"), ("a", "/jobs/a"), ("./a", "/jobs/a"), (".//a", "/jobs/a"), ("../a", "/jobs/../a")]
        {
            assert_eq!(resolve("/jobs", path), expected);
        }
        assert_eq!(resolve("/", "a"), "/a");
    }

    #[test]
    fn normal_forms() {
        for (path, expected) in [("/", "/"), ("//a//b/", "/a/b"), ("/a/./b/../c", "/a/c"), ("/../..", "/")] {
            assert_eq!(normalise(path), expected);
        }
    }

    #[test]
    fn a_root_is_not_left() {
        for (root, path, expected) in [
            (None, "/a/../b", "/a/../b"),
            (Some("/srv/root"), "/", "/srv/root"),
            (Some("/srv/root"), "/a//b", "/srv/root/a/b"),
            (Some("/srv/root"), "/a/../../../etc", "/srv/root/etc"),
        ] {
            assert_eq!(below(root, path.into()), expected, "{root:?} {path}");
        }
    }

    #[test]
    fn folders_of_supervisors_are_known() {
        for (path, expected) in [
            ("/run/wjob/wjob.sock", Some("/run/wjob")),
            ("/run/user/1000/wjob/wjob.sock", Some("/run/user/1000/wjob")),
            ("/run/user/1000/wjob", Some("/run/user/1000/wjob")),
            ("/run/user/1000/wjobs/x", None),
            ("/run/user/1000/bus", None),
            ("/run/user/1000", None),
            ("/run/wjobs", None),
            ("/srv/run/wjob/x", None),
        ] {
            assert_eq!(supervisors_folder(path), expected, "{path}");
        }
    }

    #[test]
    fn protected_folders_are_named() {
        for (path, expected) in [
            ("/", Some("/proc")),
            ("/proc/self", Some("/proc")),
            ("/dev/null", None),
            ("/dev/sda", Some("/dev")),
            ("/etc", Some("/etc/wjob")),
            ("/etc/wjobs", None),
            ("/run/wjob/x", Some("/run/wjob")),
            ("/home/me", Some("/home/me/.config/wjob")),
            ("/home/me/.cache", Some("/home/me/.cache/wjob")),
            ("/home/me/data", None),
            ("/srv", None),
        ] {
            assert_eq!(protected(path, "/home/me").as_deref(), expected, "{path}");
        }
    }
}
