//! Bytes in a file of memory that nobody can change any more, to be passed as a descriptor. What they mean is the
//! business of whoever passes them.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, fcntl_get_seals, memfd_create};

/// Neither its bytes nor its length change, and neither do the seals.
const SEALS: SealFlags = SealFlags::SEAL.union(SealFlags::SHRINK).union(SealFlags::GROW).union(SealFlags::WRITE);

/// A sealed file with these bytes, close-on-exec; the name is shown in /proc.
///
/// # Errors
/// When the system has no memory or no descriptors left.
pub fn sealed(name: &str, body: &[u8]) -> io::Result<OwnedFd> {
    let mut file = File::from(memfd_create(name, MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?);
    file.write_all(body)?;
    fcntl_add_seals(&file, SEALS)?;
    Ok(file.into())
}

/// Whether a descriptor is of such a file.
pub fn is_sealed(file: impl AsFd) -> bool {
    fcntl_get_seals(file).is_ok_and(|seals| seals.contains(SEALS))
}

/// All bytes of a file, from its beginning; `None` = they are more than `most`.
///
/// # Errors
/// When it cannot be read.
pub fn read(file: OwnedFd, most: usize) -> io::Result<Option<Vec<u8>>> {
    let mut file = File::from(file);
    file.seek(SeekFrom::Start(0))?;
    let mut body = Vec::new();
    file.take(most as u64 + 1).read_to_end(&mut body)?;
    Ok((body.len() <= most).then_some(body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_can_be_read_and_not_be_changed() {
        let file = sealed("wjob-test", b"bytes").unwrap();
        assert!(is_sealed(&file));
        let copy = File::from(file.try_clone().unwrap());
        assert!((&copy).write_all(b"other").is_err());
        assert!(copy.set_len(0).is_err());
        assert_eq!(read(file.try_clone().unwrap(), 5).unwrap().as_deref(), Some(&b"bytes"[..]));
        assert_eq!(read(file, 4).unwrap(), None);
    }

    #[test]
    fn other_files_are_not_sealed() {
        assert!(!is_sealed(tempfile::tempfile().unwrap()));
        let open = memfd_create("wjob-test", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).unwrap();
        assert!(!is_sealed(&open));
        fcntl_add_seals(&open, SealFlags::GROW | SealFlags::SHRINK).unwrap();
        assert!(!is_sealed(open), "its bytes can change");
    }
}
