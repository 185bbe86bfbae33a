//! Files and folders that others could change, and what is said of each.

use std::fs::{self, Permissions};
use std::io::Read;
use std::os::unix::fs::{PermissionsExt, chown, lchown, symlink};

use rustix::fs::{FileType, mknodat};
use tempfile::TempDir;

use super::*;

fn user() -> u32 {
    rustix::process::geteuid().as_raw()
}

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// A folder with `sub/job.plist`, both as they should be.
fn folder() -> (TempDir, PathBuf) {
    let top = tempfile::tempdir().unwrap();
    let file = top.path().join("sub/job.plist");
    fs::create_dir(top.path().join("sub")).unwrap();
    mode(&top.path().join("sub"), 0o755);
    fs::write(&file, "content").unwrap();
    mode(&file, 0o644);
    (top, file)
}

fn relink(file: &Path, target: &str) {
    fs::rename(file, file.with_file_name("other")).unwrap();
    symlink(target, file).unwrap();
}

#[test]
fn what_others_could_change_is_refused_and_named() {
    type Spoil = fn(&Path, &Path);
    type Case = (&'static str, Spoil, Option<(Fault, &'static str)>);
    let cases: &[Case] = &[
        ("as it should be", |_, _| {}, None),
        ("private", |_, file| mode(file, 0o600), None),
        ("read-only", |_, file| mode(file, 0o400), None),
        ("group may write", |_, file| mode(file, 0o664), Some((Fault::Writable, "sub/job.plist"))),
        ("all may write", |_, file| mode(file, 0o646), Some((Fault::Writable, "sub/job.plist"))),
        ("folder, group", |top, _| mode(&top.join("sub"), 0o775), Some((Fault::Writable, "sub"))),
        ("folder, all", |top, _| mode(&top.join("sub"), 0o777), Some((Fault::Writable, "sub"))),
        ("sticky folder", |top, _| mode(&top.join("sub"), 0o1777), None),
        ("sticky file", |_, file| mode(file, 0o1666), Some((Fault::Writable, "sub/job.plist"))),
        ("folder above", |top, _| mode(top, 0o770), Some((Fault::Writable, ""))),
        ("link", |_, file| relink(file, "other"), None),
        ("link by ..", |_, file| relink(file, "../sub/./other"), None),
        ("dangling link", |_, file| relink(file, "nowhere"), Some((Fault::Missing, "sub/nowhere"))),
        ("link to itself", |_, file| relink(file, "job.plist"), Some((Fault::Links, "sub/job.plist"))),
        ("link to a folder", |_, file| relink(file, "."), Some((Fault::Kind, "sub/job.plist"))),
        ("link to the root", |_, file| relink(file, "/"), Some((Fault::Kind, "sub/job.plist"))),
        ("missing", |_, file| fs::remove_file(file).unwrap(), Some((Fault::Missing, "sub/job.plist"))),
        ("device", |_, file| relink(file, "/dev/null"), Some((Fault::Kind, "/dev/null"))),
    ];
    for (name, spoil, expected) in cases {
        let (top, file) = folder();
        spoil(top.path(), &file);
        let fault = open_trusted(&file, user(), TrustedKind::JobFile).err();
        let found = fault.map(|fault| (fault.fault, fault.component));
        let expected = expected.map(|(fault, component)| (fault, top.path().join(component)));
        // A joined "" ends in a slash, which paths do not compare.
        assert_eq!(found, expected, "{name}");
    }
}

#[test]
fn below_another_root_links_and_parents_stay_inside() {
    let (top, file) = folder();
    fs::rename(&file, file.with_file_name("program")).unwrap();
    fs::write(top.path().join("outside"), "outside").unwrap();
    for (target, name) in [("/program", "absolute"), ("../../program", "up"), ("../outside", "out")] {
        symlink(target, top.path().join("sub").join(name)).unwrap();
    }
    let root = top.path().join("sub");
    for (path, expected) in [
        ("/program", None),
        ("/absolute", None),
        ("/up", None),
        ("/../../program", None),
        ("/out", Some((Fault::Missing, "sub/outside"))),
        ("/..", Some((Fault::Kind, "/.."))),
    ] {
        let fault = open_trusted_below(&root, Path::new(path), user()).err();
        let found = fault.map(|fault| (fault.fault, fault.component));
        assert_eq!(found, expected.map(|(fault, component)| (fault, top.path().join(component))), "{path}");
    }
    mode(top.path(), 0o777);
    let fault = open_trusted_below(&root, Path::new("/program"), user()).unwrap_err();
    assert_eq!((fault.fault, fault.component), (Fault::Writable, top.path().to_owned()));
}

#[test]
fn a_target_in_an_open_folder_is_refused() {
    let (top, file) = folder();
    let open = top.path().join("open");
    fs::create_dir(&open).unwrap();
    fs::write(open.join("target"), "").unwrap();
    mode(&open.join("target"), 0o644);
    mode(&open, 0o777);
    relink(&file, "../open/target");
    let fault = open_trusted(&file, user(), TrustedKind::JobFile).unwrap_err();
    assert_eq!((fault.fault, fault.component.as_path()), (Fault::Writable, open.as_path()));
    assert!(fault.to_string().contains("chmod go-w"), "{fault}");
    mode(&open, 0o755);
    assert!(open_trusted(&file, user(), TrustedKind::JobFile).is_ok());
}

#[test]
fn what_is_opened_is_the_file() {
    let (_top, file) = folder();
    let mut content = String::new();
    open_trusted(&file, user(), TrustedKind::JobFile).unwrap().read_to_string(&mut content).unwrap();
    assert_eq!(content, "content");
}

#[test]
fn a_fifo_is_refused_without_waiting() {
    let (_top, file) = folder();
    let fifo = file.with_file_name("fifo.plist");
    mknodat(CWD, &fifo, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
    let fault = open_trusted(&fifo, user(), TrustedKind::JobFile).unwrap_err();
    assert!(fault.to_string().contains("found a FIFO; expected a regular file"), "{fault}");
}

#[test]
fn names_count_for_job_files_only() {
    use TrustedKind::{Configuration, JobFile, Program};
    let (_top, file) = folder();
    for (name, kind, expected) in [
        ("job.plist", JobFile, true),
        ("JOB.PLIST", JobFile, true),
        ("job.Plist", JobFile, true),
        ("job.txt", JobFile, false),
        ("plist", JobFile, false),
        (".plist", JobFile, false),
        ("job.txt", Program, true),
        ("plist", Program, true),
        ("job.txt", Configuration, true),
    ] {
        let path = file.with_file_name(name);
        fs::write(&path, "").unwrap();
        mode(&path, 0o644);
        let fault = open_trusted(&path, user(), kind).err().map(|fault| fault.fault);
        assert_eq!(fault, (!expected).then_some(Fault::Name), "{name} {kind:?}");
    }
}

#[test]
fn a_relative_path_is_refused() {
    for path in ["job.plist", "./job.plist", "../job.plist", ""] {
        let fault = open_trusted(Path::new(path), user(), TrustedKind::JobFile).unwrap_err();
        assert_eq!(fault.fault, Fault::Relative, "{path}");
        assert!(fault.to_string().contains("write it from / on"), "{fault}");
    }
}

#[test]
fn a_file_named_as_a_folder_is_refused() {
    let (_top, file) = folder();
    let fault = open_trusted(&file.join("job.plist"), user(), TrustedKind::JobFile).unwrap_err();
    assert_eq!((fault.fault, fault.component), (Fault::Kind, file));
    assert_eq!(fault.wrong, "found a file");
}

#[test]
fn only_root_and_the_owner_are_trusted() {
    let (_top, file) = folder();
    let stranger = user() + 1;
    let by_stranger = open_trusted(&file, stranger, TrustedKind::Program);
    if user() == 0 {
        assert!(by_stranger.is_ok(), "root's files are everybody's to trust");
    } else {
        let fault = by_stranger.unwrap_err();
        assert_eq!(fault.fault, Fault::Owner);
        assert!(file.starts_with(&fault.component) && fault.component != file, "the first folder: {fault}");
        let fault = open_trusted(&file, 0, TrustedKind::Program).unwrap_err();
        assert_eq!((fault.fault, fault.expected.as_str()), (Fault::Owner, "root"));
    }
}

#[test]
fn another_users_file_folder_or_link_is_refused() {
    const OTHER: u32 = 54_321;
    type Give = fn(&Path, u32) -> std::io::Result<()>;
    let cases: &[(&str, Give)] = &[
        ("sub/job.plist", |path, uid| chown(path, Some(uid), None)),
        ("sub", |path, uid| chown(path, Some(uid), None)),
        ("sub/link.plist", |path, uid| lchown(path, Some(uid), None)),
    ];
    for (name, give) in cases {
        let (top, file) = folder();
        let link = file.with_file_name("link.plist");
        symlink("job.plist", &link).unwrap();
        let given = give(&top.path().join(name), OTHER);
        if user() == 0 {
            given.unwrap();
            let fault = open_trusted(&link, 0, TrustedKind::JobFile).unwrap_err();
            assert_eq!((fault.fault, fault.component), (Fault::Owner, top.path().join(name)));
            assert!(fault.advice.contains("chown") && fault.advice.ends_with(*name), "{name}: {}", fault.advice);
            assert!(open_trusted(&link, OTHER, TrustedKind::JobFile).is_ok(), "{name}: the owner's own");
        } else {
            assert!(given.is_err(), "{name}: only root gives files away");
            assert!(open_trusted(&link, user(), TrustedKind::JobFile).is_ok(), "{name}");
        }
    }
}

/// Does something where `/proc`, which is a mount wherever this runs, is said to be of this type: in a thread of its own,
/// which has met no mounts before.
fn where_proc_is(kind: &str, options: &str, act: impl FnOnce() + Send) {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let number = |line: &str| line.split(' ').next().unwrap().to_owned();
    let of_proc = mounts.lines().rfind(|line| line.split(' ').nth(4) == Some("/proc")).map(number).unwrap();
    let said = format!("{of_proc} 1 0:1 / /proc rw - {kind} none {options}");
    let lines = mounts.lines().map(|line| if number(line) == of_proc { said.as_str() } else { line });
    let folder = tempfile::tempdir().unwrap();
    let table = folder.path().join("table");
    fs::write(&table, lines.collect::<Vec<&str>>().join("\n")).unwrap();
    let known = Mounts::of_table(&table).unwrap();
    std::thread::scope(|scope| {
        let act = move || {
            MOUNTS.set(Some(known));
            act();
        };
        scope.spawn(act).join().unwrap();
    });
}

/// What is wrong with the ways into `/proc`, and which component is to blame.
fn ways_into_proc(link: &Path) -> [Option<(Fault, PathBuf)>; 4] {
    let inside = Path::new("/proc/version");
    let faults = [
        open_trusted(inside, user(), TrustedKind::Program).err(),
        open_trusted(link, user(), TrustedKind::Program).err(),
        open_trusted_folder(Path::new("/proc/sys"), user()).err(),
        open_trusted_below(Path::new("/proc"), Path::new("/version"), user()).err(),
    ];
    faults.map(|fault| fault.map(|fault| (fault.fault, fault.component)))
}

#[test]
fn where_another_users_process_answers_nothing_is_asked_and_a_server_is() {
    let top = tempfile::tempdir().unwrap();
    let link = top.path().join("link");
    symlink("/proc/version", &link).unwrap();
    where_proc_is("fuse.x", "rw,user_id=54321", || {
        let refused = ways_into_proc(&link);
        let closed = Some((Fault::Mount, PathBuf::from("/proc")));
        assert_eq!(refused, [(); 4].map(|()| closed.clone()));
        let fault = open_trusted_folder(Path::new("/proc"), user()).unwrap_err();
        assert!(fault.to_string().contains("/proc: it lies on fuse.x mounted by uid 54321"), "{fault}");
    });
    // That is said of none of these, whatever else is wrong with it where this runs.
    for (kind, options) in [("nfs4", "rw"), ("autofs", "rw"), ("fuse", "rw,user_id=0"), ("proc", "rw")] {
        where_proc_is(kind, options, || {
            let entered = ways_into_proc(&link);
            assert!(entered.iter().flatten().all(|(fault, _)| *fault != Fault::Mount), "{kind}: {entered:?}");
        });
    }
}
