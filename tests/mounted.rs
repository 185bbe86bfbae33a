//! What a grant shows beside what its path says: mounts inside of it, other names of wjob's own folders, and folders that
//! wjob is still to make. Grants whose path tells all are in `grants`.

use std::path::Path;

use crate::harness::{self, Job, Running, Sandbox};

/// Folders to grant, and one to mount.
fn furnished() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.make_folder("data/folder");
    sandbox.make_folder("secret");
    sandbox.write("data/file", "hello\n");
    sandbox
}

/// A folder is shown with everything that is mounted in it, and a bind mount gives a folder another name.
#[test]
fn what_is_mounted_in_a_grant_shows_neither_the_kernel_nor_wjobs_own_folders() {
    if !harness::is_root() {
        return println!("skipped: only root can mount something in the places of a test");
    }
    let sandbox = furnished();
    // It makes wjob's folders.
    sandbox.run(&Job::guest("probe-exit", &["0"])).exits(0);
    for (script, name, refused) in [
        ("mount -t proc proc data/folder", "data", Some("proc is mounted at")),
        ("mount -t proc proc data/folder", "data/file", None),
        ("mount -t sysfs sysfs data/folder", "data", Some("sysfs is mounted at")),
        ("mount -t proc proc data/folder && mount -t tmpfs none data/folder", "data", Some("proc is mounted at")),
        ("mount -t tmpfs none data/folder", "data", None),
        ("mount --bind secret data/folder", "data", None),
        ("mount --bind /var/lib data/folder", "data", Some("leads to /var/lib/wjob, which is wjob's own")),
        ("mount --bind /var/lib data", "data", Some("leads to /var/lib/wjob, which is wjob's own")),
        ("mount --bind /var/cache/wjob/objects data/folder", "data", Some("which is wjob's own")),
        ("mount --bind /var/lib/wjob/cache.key data/file", "data", Some("which is wjob's own")),
        ("mount --bind /var/lib/wjob/cache.key data/file", "data/file", Some("which is wjob's own")),
    ] {
        let file = sandbox.job_file(&Job::guest("probe-exit", &["0"]).path(&sandbox.name(name), "/in", "ReadWrite"));
        let (wjob, script_of_it) = (harness::text(&harness::binary("wjob")), format!("{script} && exec \"$@\""));
        let words = ["--mount", "sh", "-c", script_of_it.as_str(), "sh", wjob.as_str(), "run", file.as_str()];
        let ran = Running::start(sandbox.command_at(Path::new("/usr/bin/unshare"), &words)).end();
        assert_eq!(ran.status, if refused.is_some() { 78 } else { 0 }, "{script}\n{}", ran.described());
        refused.into_iter().for_each(|words| {
            ran.complains(words);
        });
    }
}

/// Who can make the folder of job files where there is none decides what runs: its place is known by the folder above.
#[test]
fn what_contains_a_folder_that_wjob_has_not_made_yet_is_no_path_to_grant() {
    let sandbox = furnished();
    sandbox.make_folder("disk/config");
    sandbox.link("disk", "link");
    let config = sandbox.path("link/config");
    for (name, refused) in [("disk/config", true), ("disk", true), ("link", true), ("data", false)] {
        let job = Job::guest("probe-exit", &["0"]).path(&sandbox.name(name), "/in", "ReadWrite");
        let mut command = sandbox.command("wjob", &["run", &sandbox.job_file(&job)]);
        command.env("XDG_CONFIG_HOME", &config);
        let ran = Running::start(command).end();
        assert_eq!(ran.status, if refused { 78 } else { 0 }, "{name}\n{}", ran.described());
        if refused {
            ran.complains("disk/config/wjob, which is wjob's own");
        }
    }
    assert!(!sandbox.path("disk/config/wjob").exists());
}
