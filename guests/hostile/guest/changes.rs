//! Attacks on what is granted ReadOnly, and on what a ReadWrite grant holds together: links, names and the folder itself.
//! What is only read is in `paths`.

use wasip2::filesystem::types::{Descriptor, DescriptorFlags, ErrorCode, NewTimestamp, OpenFlags, PathFlags};

use super::paths::{named, open};
use super::stage::{Stage, must};
use super::{Attack, Attempt, first_allowed};

/// The table.
pub const ATTACKS: &[Attack] = &[
    ("truncate_read_only", truncate_read_only),
    ("write_read_only", write_read_only),
    ("rearrange_read_only", rearrange_read_only),
    ("link_out_of_read_only", link_out_of_read_only),
    ("move_into_read_only", move_into_read_only),
    ("hard_link_from_outside", hard_link_from_outside),
    ("change_through_links", change_through_links),
    ("move_the_granted_folder", move_the_granted_folder),
    ("write_without_rights_of_its_own", write_without_rights_of_its_own),
];

const FOLLOW: PathFlags = PathFlags::SYMLINK_FOLLOW;
const NO_FOLLOW: PathFlags = PathFlags::empty();
const READ: DescriptorFlags = DescriptorFlags::READ;
const WRITE: DescriptorFlags = DescriptorFlags::WRITE;

/// The file is emptied by being opened, with the right to read alone.
fn truncate_read_only(stage: &Stage) -> Attempt {
    let folder = stage.folder("ro");
    let file = must("reading", open(&folder, "file"));
    let opened = |flags, rights| folder.open_at(FOLLOW, "file", flags, rights).map(drop);
    let tried = first_allowed(
        [
            ("opening it for reading, emptied", opened(OpenFlags::TRUNCATE, READ)),
            ("opening it without rights, emptied", opened(OpenFlags::TRUNCATE, DescriptorFlags::empty())),
            ("opening or creating it, emptied", opened(OpenFlags::TRUNCATE | OpenFlags::CREATE, READ)),
            ("opening it as a folder may be, emptied", opened(OpenFlags::TRUNCATE, DescriptorFlags::MUTATE_DIRECTORY)),
            ("setting its size to nothing", file.set_size(0)),
            ("setting its size", file.set_size(1 << 20)),
        ],
        named,
    );
    match file.stat() {
        Ok(status) if status.size == 0 => Ok("the file is empty".into()),
        _ => tried,
    }
}

fn write_read_only(stage: &Stage) -> Attempt {
    let folder = stage.folder("ro");
    let file = must("reading", open(&folder, "file"));
    first_allowed(
        [
            ("opening for writing", folder.open_at(FOLLOW, "file", OpenFlags::empty(), READ | WRITE).map(drop)),
            ("opening a folder to change it", opened_to_change(&folder)),
            ("writing", file.write(b"x", 0).map(drop)),
            ("writing by a stream", file.write_via_stream(0).map(drop)),
            ("appending by a stream", file.append_via_stream().map(drop)),
            ("setting times", file.set_times(NewTimestamp::Now, NewTimestamp::Now)),
            ("setting times by name", folder.set_times_at(FOLLOW, "file", NewTimestamp::Now, NewTimestamp::Now)),
        ],
        named,
    )
}

/// A folder may be opened so and still let nothing be changed: then making something in it is what counts.
fn opened_to_change(folder: &Descriptor) -> Result<(), ErrorCode> {
    let rights = READ | DescriptorFlags::MUTATE_DIRECTORY;
    let inner = folder.open_at(FOLLOW, "folder", OpenFlags::DIRECTORY, rights)?;
    inner.create_directory_at("made")
}

fn rearrange_read_only(stage: &Stage) -> Attempt {
    let folder = stage.folder("ro");
    first_allowed(
        [
            ("making a folder", folder.create_directory_at("made")),
            ("making a file", folder.open_at(FOLLOW, "made", OpenFlags::CREATE, READ).map(drop)),
            ("making a link", folder.symlink_at("file", "made")),
            ("making a second name", folder.link_at(NO_FOLLOW, "file", &folder, "made")),
            ("renaming", folder.rename_at("file", &folder, "made")),
            ("renaming a folder", folder.rename_at("folder", &folder, "made")),
            ("removing", folder.unlink_file_at("file")),
            ("removing a link", folder.unlink_file_at("link")),
            ("removing a folder", folder.remove_directory_at("folder")),
        ],
        named,
    )
}

/// A second name where writing is granted would be written to.
fn link_out_of_read_only(stage: &Stage) -> Attempt {
    let (from, to) = (stage.folder("ro"), stage.folder("rw"));
    first_allowed(
        [
            ("a second name elsewhere", from.link_at(NO_FOLLOW, "file", &to, "stolen")),
            ("a second name through a link", from.link_at(FOLLOW, "file-link", &to, "stolen")),
            ("a name elsewhere", from.rename_at("file", &to, "stolen")),
            ("a name elsewhere, of a folder", from.rename_at("folder", &to, "stolen")),
            ("a name elsewhere, of a link", from.rename_at("link/", &to, "stolen")),
        ],
        named,
    )
}

fn move_into_read_only(stage: &Stage) -> Attempt {
    let (from, to) = (stage.folder("rw"), stage.folder("ro"));
    first_allowed(
        [
            ("a second name there", from.link_at(NO_FOLLOW, "file", &to, "planted")),
            ("a name there", from.rename_at("file", &to, "planted")),
            ("a name over another", from.rename_at("file", &to, "file")),
            ("a folder's name there", from.rename_at("folder", &to, "planted")),
        ],
        named,
    )
}

fn hard_link_from_outside(stage: &Stage) -> Attempt {
    let folder = stage.folder("rw");
    let outside = stage.text("outside");
    first_allowed(
        [
            ("by ..", folder.link_at(NO_FOLLOW, "../outside/secret", &folder, "stolen")),
            ("by an absolute path", folder.link_at(NO_FOLLOW, outside, &folder, "stolen")),
            ("through a link to the folder", folder.link_at(NO_FOLLOW, "link/secret", &folder, "stolen")),
            ("following a link", folder.link_at(FOLLOW, "file-link", &folder, "stolen")),
            ("by renaming", folder.rename_at("../outside/secret", &folder, "stolen")),
            ("by renaming through a link", folder.rename_at("absolute-link/secret", &folder, "stolen")),
        ],
        named,
    )
}

fn change_through_links(stage: &Stage) -> Attempt {
    let folder = stage.folder("rw");
    let new = OpenFlags::CREATE | OpenFlags::TRUNCATE;
    first_allowed(
        [
            ("emptying", folder.open_at(FOLLOW, "file-link", OpenFlags::TRUNCATE, READ | WRITE).map(drop)),
            ("making a file", folder.open_at(FOLLOW, "link/planted", new, READ | WRITE).map(drop)),
            ("making a file by ..", folder.open_at(FOLLOW, "../planted", new, READ | WRITE).map(drop)),
            ("making a folder", folder.create_directory_at("absolute-link/planted")),
            ("making a link", folder.symlink_at("x", "link/planted")),
            ("removing", folder.unlink_file_at("link/secret")),
            ("removing by ..", folder.unlink_file_at("../outside/secret")),
            ("moving out", folder.rename_at("file", &folder, "link/planted")),
            ("moving out by ..", folder.rename_at("file", &folder, "../planted")),
            ("setting times", folder.set_times_at(FOLLOW, "file-link", NewTimestamp::Now, NewTimestamp::Now)),
        ],
        named,
    )
}

/// The folder itself is a mount: it has no name of its own that could be taken away.
fn move_the_granted_folder(stage: &Stage) -> Attempt {
    let folder = stage.folder("rw");
    let tried = first_allowed(
        [
            ("renaming .", folder.rename_at(".", &folder, "elsewhere")),
            ("renaming it into itself", folder.rename_at("", &folder, "folder/elsewhere")),
            ("renaming over ..", folder.rename_at("folder", &folder, "..")),
            ("removing .", folder.remove_directory_at(".")),
            ("removing ..", folder.remove_directory_at("..")),
            ("removing it as a file", folder.unlink_file_at(".")),
            ("a link in its place", folder.symlink_at("/", ".")),
        ],
        named,
    );
    match open(&folder, "file") {
        Ok(_) => tried,
        Err(code) => Ok(format!("its file is gone: {}", named(code))),
    }
}

/// A descriptor that was opened for reading must not write, though the folder's grant would allow it.
fn write_without_rights_of_its_own(stage: &Stage) -> Attempt {
    let folder = stage.folder("rw");
    let file = must("reading", open(&folder, "file"));
    let flags = must("asking for its rights", file.get_flags());
    if flags.contains(WRITE) {
        return Ok(format!("it was opened for reading and has {flags:?}"));
    }
    first_allowed([("writing", file.write(b"x", 0).map(drop)), ("setting its size", file.set_size(0))], named)
}
