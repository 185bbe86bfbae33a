//! What the watchers of `wasi:filesystem` 0.2 and 0.3 have in common: the functions that name a path, what an error
//! says of the grants, and what opening takes. It is text that each of them expands, because the bindings of the two
//! versions are different types of the same names; how a call is made is each one's own.

/// Defines `add_to_linker` and what it needs where the bindings of one version are imported. `$version` is its number,
/// `$watch` its macro that wraps one method; it also has `Fd`, `add_open` and `add_listing` of its own.
macro_rules! watch_paths {
    ($version:ident, $watch:ident) => {
        /// Puts the watching functions in the place of wasmtime-wasi's; the linker must allow shadowing.
        ///
        /// # Errors
        /// Where the linker does not allow shadowing.
        pub fn add_to_linker(linker: &mut Linker<State>) -> wasmtime::Result<()> {
            let mut instance = linker.instance(&at("wasi:filesystem/preopens", $version))?;
            instance.func_wrap("get-directories", get_directories)?;
            let mut instance = linker.instance(&at("wasi:filesystem/types", $version))?;
            add_open(&mut instance)?;
            add_listing(&mut instance)?;
            add_reads(&mut instance)?;
            add_changes(&mut instance)?;
            add_pairs(&mut instance)
        }

        fn get_directories(mut store: StoreContextMut<'_, State>, (): ()) -> wasmtime::Result<(Vec<(Fd, String)>,)> {
            let state = store.data_mut();
            let list = preopens::Host::get_directories(&mut state.filesystem())?;
            let named = list.iter().map(|(fd, name)| (fd.rep(), name.as_str()));
            state.watched.preopened(named);
            Ok((list,))
        }

        impl Refused for ErrorCode {
            fn refusal(&self) -> Option<Refusal> {
                match self {
                    Self::NotPermitted => Some(Refusal::Forbidden(HeldBy::Guest)),
                    // Modes, landlock and read-only mounts: only the kernel says so.
                    Self::Access | Self::ReadOnly => Some(Refusal::Forbidden(HeldBy::Kernel)),
                    Self::NoEntry => Some(Refusal::Missing),
                    _ => None,
                }
            }
        }

        /// What opening a file so takes. Whether it was there already is not asked: the next time it may not be.
        fn need(open_flags: OpenFlags, flags: DescriptorFlags) -> Need {
            if open_flags.contains(OpenFlags::CREATE) || open_flags.contains(OpenFlags::EXCLUSIVE) {
                Need::Entry
            } else if open_flags.contains(OpenFlags::TRUNCATE) || flags.contains(DescriptorFlags::WRITE) {
                Need::Change
            } else {
                Need::Read
            }
        }

        fn add_reads(i: &mut LinkerInstance<'_, State>) -> wasmtime::Result<()> {
            $watch!(
                i, "stat-at", stat_at, Look,
                (fd: Fd, flags: PathFlags, path: String), fd / path
            );
            $watch!(
                i, "readlink-at", readlink_at, Look,
                (fd: Fd, path: String), fd / path
            );
            $watch!(
                i, "metadata-hash-at", metadata_hash_at, Look,
                (fd: Fd, flags: PathFlags, path: String), fd / path
            );
            Ok(())
        }

        fn add_changes(i: &mut LinkerInstance<'_, State>) -> wasmtime::Result<()> {
            $watch!(
                i, "create-directory-at", create_directory_at, Entry,
                (fd: Fd, path: String), fd / path
            );
            $watch!(
                i, "remove-directory-at", remove_directory_at, Entry,
                (fd: Fd, path: String), fd / path
            );
            $watch!(
                i, "unlink-file-at", unlink_file_at, Entry,
                (fd: Fd, path: String), fd / path
            );
            $watch!(
                i, "symlink-at", symlink_at, Entry,
                (fd: Fd, to: String, path: String), fd / path
            );
            $watch!(
                i, "set-times-at", set_times_at, Change,
                (fd: Fd, flags: PathFlags, path: String, read: NewTimestamp, changed: NewTimestamp), fd / path
            );
            Ok(())
        }

        fn add_pairs(i: &mut LinkerInstance<'_, State>) -> wasmtime::Result<()> {
            $watch!(
                i, "rename-at", rename_at, Entry,
                (from: Fd, old: String, to: Fd, new: String), from / old, to / new
            );
            $watch!(
                i, "link-at", link_at, Entry,
                (from: Fd, flags: PathFlags, old: String, to: Fd, new: String), from / old, to / new
            );
            Ok(())
        }
    };
}

pub(super) use watch_paths;
