//! Attacks on paths: reading what lies outside the granted folders. What changes something is in `changes`.

use wasip2::filesystem::types::{Descriptor, DescriptorFlags, ErrorCode, OpenFlags, PathFlags};

use super::stage::{Stage, must};
use super::{Attack, Attempt};

/// The table.
pub const ATTACKS: &[Attack] = &[
    ("leave_by_dot_dot", leave_by_dot_dot),
    ("leave_by_an_absolute_path", leave_by_an_absolute_path),
    ("leave_by_a_trailing_slash", leave_by_a_trailing_slash),
    ("leave_by_proc", leave_by_proc),
    ("leave_by_a_link_of_its_own", leave_by_a_link_of_its_own),
    ("leave_by_a_renamed_link", leave_by_a_renamed_link),
    ("open_odd_names", open_odd_names),
    ("open_long_names", open_long_names),
    ("open_a_fifo", open_a_fifo),
    ("open_and_fail_without_end", open_and_fail_without_end),
    ("look_outside", look_outside),
    ("follow_a_folder_that_is_replaced", follow_a_folder_that_is_replaced),
    ("read_through_what_is_swapped", read_through_what_is_swapped),
];

/// More failed openings than a guest can have descriptors.
const FAILURES: usize = 20_000;
/// How often a name is read whose folder becomes a link and a folder again meanwhile.
const READS: usize = 20_000;
/// The length of a name that no file system takes (255 bytes, limits.h).
const LONG: usize = 4_000;

/// Opens for reading; links are followed.
pub fn open(folder: &Descriptor, path: &str) -> Result<Descriptor, ErrorCode> {
    folder.open_at(PathFlags::SYMLINK_FOLLOW, path, OpenFlags::empty(), DescriptorFlags::READ)
}

/// An error's name.
pub fn named(code: ErrorCode) -> String {
    code.name().to_owned()
}

/// What is read through the first of these paths that opens.
fn read_any(folder: &Descriptor, paths: &[String]) -> Attempt {
    let mut last = "nothing was tried".to_owned();
    for path in paths {
        match open(folder, path) {
            Ok(opened) => return Ok(format!("{path:?} opened: {}", content(&opened))),
            Err(code) => last = named(code),
        }
    }
    Err(last)
}

fn content(file: &Descriptor) -> String {
    match file.read(64, 0) {
        Ok((bytes, _)) => guests::show(&bytes),
        Err(code) => named(code),
    }
}

fn leave_by_dot_dot(stage: &Stage) -> Attempt {
    let up = "../".repeat(40);
    let outside = stage.text("outside").trim_start_matches('/');
    let paths = [
        "..".to_owned(),
        "../outside/secret".to_owned(),
        "./.././outside/secret".to_owned(),
        "folder/../../outside/secret".to_owned(),
        format!("{up}{outside}"),
        format!("folder/{up}etc/passwd"),
    ];
    read_any(&stage.folder("ro"), &paths)
}

fn leave_by_an_absolute_path(stage: &Stage) -> Attempt {
    let outside = stage.text("outside");
    let paths = [outside.to_owned(), format!("/{outside}"), format!("/./{outside}"), "/etc/passwd".to_owned()];
    read_any(&stage.folder("ro"), &paths)
}

fn leave_by_a_trailing_slash(stage: &Stage) -> Attempt {
    let names = [
        "link",
        "link/",
        "link//",
        "link/.",
        "link/secret",
        "link/./secret/",
        "absolute-link",
        "absolute-link/",
        "absolute-link/secret",
        "file-link",
        "file-link/",
        "folder/../link/",
    ];
    read_any(&stage.folder("ro"), &names.map(ToOwned::to_owned))
}

fn leave_by_proc(stage: &Stage) -> Attempt {
    let outside = stage.text("outside");
    let up = "../".repeat(40);
    let paths = [
        format!("/proc/self/root{outside}"),
        format!("{up}proc/self/root{outside}"),
        format!("{up}proc/1/root{outside}"),
        format!("{up}proc/self/cwd/{up}{outside}"),
        format!("{up}proc/self/mem"),
        format!("{up}dev/mem"),
    ];
    read_any(&stage.folder("ro"), &paths)
}

fn leave_by_a_link_of_its_own(stage: &Stage) -> Attempt {
    let folder = stage.folder("rw");
    let mut last = "nothing was tried".to_owned();
    for (number, target) in
        [stage.text("outside"), "../outside/secret", "../outside", "/", ".."].into_iter().enumerate()
    {
        let name = format!("own-{number}");
        let made = folder.symlink_at(target, &name);
        match made.and_then(|()| open(&folder, &name)) {
            Ok(opened) => return Ok(format!("a link to {target:?} opened: {}", content(&opened))),
            Err(code) => last = named(code),
        }
    }
    Err(last)
}

/// A link that stays inside where it was made leads outside from where it was moved to.
fn leave_by_a_renamed_link(stage: &Stage) -> Attempt {
    let folder = stage.folder("rw");
    must("making a folder", folder.create_directory_at("deep"));
    must("making a link that stays inside", folder.symlink_at("../outside/secret", "deep/up"));
    let moved = ["deep/up", "deep/up/", "deep/./up"].iter().any(|name| folder.rename_at(name, &folder, "up").is_ok());
    let taken = ["link/secret", "absolute-link/secret", "link/."]
        .iter()
        .find(|name| folder.rename_at(name, &folder, "taken").is_ok());
    if let Some(name) = taken {
        return Ok(format!("{name} was renamed"));
    }
    let result = read_any(&folder, &["up", "up/", "deep/../up", "taken"].map(ToOwned::to_owned));
    result.map_err(|why| if moved { format!("{why}, though it was renamed") } else { why })
}

fn open_odd_names(stage: &Stage) -> Attempt {
    let names = [
        "file\0",
        "\0",
        "file\0/../../outside/secret",
        "..\0/outside/secret",
        "..\\outside\\secret",
        "FILE",
        "CON",
        "NUL",
        "COM\u{b9}",
        "CONOUT$",
        "file::$DATA",
        "",
        "~root",
        "\u{ff0e}\u{ff0e}/outside/secret",
        "%2e%2e/outside/secret",
    ];
    read_any(&stage.folder("ro"), &names.map(ToOwned::to_owned))
}

fn open_long_names(stage: &Stage) -> Attempt {
    let many = LONG * 100;
    let paths = [
        "x".repeat(LONG),
        "x/".repeat(many),
        format!("{}outside/secret", "folder/../".repeat(LONG)) + "/..",
        format!("{}../outside/secret", "./".repeat(many)),
        "/".repeat(many),
    ];
    read_any(&stage.folder("ro"), &paths)
}

/// Nobody writes to it: whoever opens it waits for ever.
fn open_a_fifo(stage: &Stage) -> Attempt {
    match open(&stage.folder("ro"), "fifo") {
        Ok(opened) => Ok(format!("it opened: {}", content(&opened))),
        Err(code) => Err(named(code)),
    }
}

/// Openings that fail after the host has a descriptor already must give it back.
fn open_and_fail_without_end(stage: &Stage) -> Attempt {
    let folder = stage.folder("ro");
    for number in 0..FAILURES {
        let (name, flags) = [
            ("file", OpenFlags::DIRECTORY),
            ("file", OpenFlags::CREATE | OpenFlags::EXCLUSIVE),
            ("file", OpenFlags::TRUNCATE),
            ("link/secret", OpenFlags::empty()),
        ][number % 4];
        if folder.open_at(PathFlags::SYMLINK_FOLLOW, name, flags, DescriptorFlags::READ).is_ok() {
            return Ok(format!("{name} opened with {flags:?}"));
        }
    }
    match open(&folder, "file") {
        Ok(_) => Err(format!("{FAILURES} openings failed, and one more works")),
        Err(code) => Ok(format!("descriptors were lost: {}", named(code))),
    }
}

fn look_outside(stage: &Stage) -> Attempt {
    let folder = stage.folder("ro");
    let outside = stage.text("outside");
    let follow = PathFlags::SYMLINK_FOLLOW;
    super::first_allowed(
        [
            ("looking at ..", folder.stat_at(follow, "..").map(drop)),
            ("looking at a file by an absolute path", folder.stat_at(follow, outside).map(drop)),
            ("looking through a link", folder.stat_at(follow, "link/secret").map(drop)),
            ("hashing through a link", folder.metadata_hash_at(follow, "absolute-link").map(drop)),
            ("reading a link behind a link", folder.readlink_at("link/secret").map(drop)),
            ("listing through a link", open(&folder, "link").and_then(|link| link.read_directory()).map(drop)),
        ],
        named,
    )
}

/// Waits until somebody else has put another folder in the place of the one that is granted, and looks what is read then.
fn follow_a_folder_that_is_replaced(stage: &Stage) -> Attempt {
    let (granted, signs) = (stage.folder("ro"), stage.folder("rw"));
    super::say("ready");
    while open(&signs, "go").is_err() {
        wasip2::clocks::monotonic_clock::subscribe_duration(5_000_000).block();
    }
    match open(&granted, "secret") {
        Ok(opened) => Ok(format!("the other folder is read: {}", content(&opened))),
        Err(code) => Err(named(code)),
    }
}

/// Somebody else swaps a folder and a link that leads outside all the time.
fn read_through_what_is_swapped(stage: &Stage) -> Attempt {
    let folder = stage.folder("rw");
    super::say("ready");
    let mut inside = 0;
    for _ in 0..READS {
        let Ok(opened) = open(&folder, "turn/secret") else { continue };
        let said = content(&opened);
        if said.contains("a secret") {
            return Ok(said);
        }
        inside += 1;
    }
    Err(format!("{inside} of {READS} times it was the folder"))
}
