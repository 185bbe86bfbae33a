//! Links of other users on the way to a watched path: they are watched and not followed.

use std::os::unix::fs::lchown;

use super::*;

/// A user that nobody is.
const STRANGER: Option<u32> = Some(12_345);

/// `a/b` is somebody else's link to the folder `target`, which has an entry.
fn anothers_link(top: &Path) -> io::Result<()> {
    dangling(top)?;
    fs::create_dir(top.join("target"))?;
    fs::write(top.join("target/entry"), "")?;
    lchown(top.join("a/b"), STRANGER, None)
}

/// The same link, root's own, in somebody else's folder.
fn link_in_anothers_folder(top: &Path) -> io::Result<()> {
    anothers_link(top)?;
    lchown(top.join("a/b"), Some(0), None)?;
    lchown(top.join("a"), STRANGER, None)
}

/// `a` is somebody else's link, which `a/b` would lead through.
fn anothers_folder(top: &Path) -> io::Result<()> {
    linked_folder(top)?;
    lchown(top.join("a"), STRANGER, None)
}

/// Root would look there with its own eyes, and the jobs that start would tell what it saw.
#[test]
fn another_users_link_is_watched_and_not_followed() {
    if !rustix::process::geteuid().is_root() {
        return println!("skipped: only root can give links away");
    }
    let fill: Act = |top| fs::write(top.join("target/second"), "");
    let replace: Act = |top| relink(top, "elsewhere", "a/b");
    let write: Act = |top| append(&top.join("one/b"));
    for (name, want, before, then, first, after) in [
        ("queue", Want::Queue, anothers_link as Act, fill, &[What::Queue { entries: false }][..], &[][..]),
        ("in a folder", Want::Queue, link_in_anothers_folder, fill, &[What::Queue { entries: false }], &[]),
        ("through", Want::Existence, anothers_folder, write, &[What::Exists(false)], &[]),
        ("behind", Want::Change, anothers_link, fill, &[], &[]),
        ("itself", Want::Existence, anothers_link, nothing, &[What::Exists(true)], &[]),
        ("replaced", Want::Change, anothers_link, replace, &[], CHANGED),
    ] {
        let (told, seen) = watched(want, before, then);
        assert_eq!((told.as_slice(), seen.as_slice()), (first, after), "{name}");
    }
}
