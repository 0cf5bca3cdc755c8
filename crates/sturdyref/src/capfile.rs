//! Capability files: one URI and a newline, mode 0600. This module never prints what they hold.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::uri::{Auth, ParseUriError, SturdyRef};

/// The longest capability file that is read: a URI is some 100 bytes, plus a path of at most 4 KiB.
const LONGEST: u64 = 16 << 10;

/// Why a capability file could not be read.
#[derive(Debug, Error)]
pub enum ReadError {
    /// The file is missing, unreadable, or a folder.
    #[error("can't read the capability file {name}")]
    Io {
        /// The file.
        name: String,
        /// Why.
        source: io::Error,
    },
    /// Nothing but white space.
    #[error("{name} is empty, not a capability file")]
    Empty {
        /// The file.
        name: String,
    },
    /// Longer than any capability file, or no text.
    #[error("{name} is not a capability file (one line, capnp://...)")]
    NotText {
        /// The file.
        name: String,
    },
    /// Text, but no URI; or the URI was cut.
    #[error("{name} is not a capability file, or was cut")]
    Uri {
        /// The file.
        name: String,
        /// What is wrong with the URI.
        source: ParseUriError,
    },
}

/// Reads the capability in a file; `-` stands for standard input.
///
/// # Errors
/// The file can't be read, or holds no capability. The error names the file and no byte of what it holds.
pub fn read(path: impl AsRef<Path>) -> Result<SturdyRef, ReadError> {
    let path = path.as_ref();
    if path == Path::new("-") {
        return read_from(io::stdin().lock(), "standard input");
    }
    let name = path.display().to_string();
    match File::open(path) {
        Ok(file) => read_from(file, &name),
        Err(source) => Err(ReadError::Io { name, source }),
    }
}

/// Reads a capability from a reader, which messages call `name`.
///
/// # Errors
/// As for [`read`].
pub fn read_from(reader: impl Read, name: &str) -> Result<SturdyRef, ReadError> {
    let name = || name.to_owned();
    // As large as it may get from the start: growing would leave copies of the secret behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(LONGEST as usize + 1));
    reader
        .take(LONGEST + 1)
        .read_to_end(&mut bytes)
        .map_err(|source| ReadError::Io { name: name(), source })?;
    if bytes.len() as u64 > LONGEST {
        return Err(ReadError::NotText { name: name() });
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| ReadError::NotText { name: name() })?;
    match text.trim() {
        "" => Err(ReadError::Empty { name: name() }),
        uri => uri.parse().map_err(|source| ReadError::Uri { name: name(), source }),
    }
}

/// Why a capability file could not be written.
#[derive(Debug, Error)]
pub enum WriteError {
    /// The system refused.
    #[error("can't write the capability file {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A symbolic link stands where the file should go.
    #[error("{} is a symbolic link; a capability is written to no place but the named one", path.display())]
    SymbolicLink {
        /// The link.
        path: PathBuf,
    },
    /// The file there belongs to a vat with another key.
    #[error("{} holds a capability of another key; move it away, or restore that key", path.display())]
    OtherKey {
        /// The file.
        path: PathBuf,
    },
    /// Something else stands where the file should go.
    #[error("something else is in the capability file's place; move it away")]
    Foreign(#[source] ReadError),
}

/// Writes a capability file, mode 0600, whole or not at all.
///
/// Does nothing if the file holds these very bytes already. A file that holds a capability of another key
/// is left alone, as is anything that is no capability file; no symbolic link is followed.
///
/// # Errors
/// The file was left alone, or the system refused.
pub fn write(path: impl AsRef<Path>, sturdyref: &SturdyRef) -> Result<(), WriteError> {
    let path = path.as_ref();
    match existing(path)? {
        Some(old) if old == *sturdyref => return Ok(()),
        Some(SturdyRef { auth: old @ Auth::Tls(_), .. }) if old != sturdyref.auth => {
            return Err(WriteError::OtherKey { path: path.to_owned() });
        }
        _ => {}
    }
    replace(path, &sturdyref.to_uri())
        .map_err(|source| WriteError::Io { path: path.to_owned(), source })
}

/// The capability in the file at `path`, if there is a file.
fn existing(path: &Path) -> Result<Option<SturdyRef>, WriteError> {
    let no_follow = OFlags::NOFOLLOW.bits() as i32;
    match OpenOptions::new().read(true).custom_flags(no_follow).open(path) {
        Ok(file) => {
            read_from(file, &path.display().to_string()).map(Some).map_err(WriteError::Foreign)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) => {
            Err(WriteError::SymbolicLink { path: path.to_owned() })
        }
        Err(source) => Err(WriteError::Io { path: path.to_owned(), source }),
    }
}

/// Puts a file with this URI in the place of `path`, by way of a temporary file beside it.
fn replace(path: &Path, uri: &str) -> io::Result<()> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let mut hidden = std::ffi::OsString::from(".");
    hidden.push(name);
    hidden.push(format!(".{:016x}.tmp", fastrand::u64(..)));
    let temporary = path.with_file_name(hidden);
    // `create_new` follows no symbolic link.
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
    let filled = file.write_all(uri.as_bytes()).and_then(|()| file.write_all(b"\n"));
    filled.and_then(|()| file.sync_all()).and_then(|()| fs::rename(&temporary, path)).inspect_err(
        |_| {
            // What matters is why the writing failed.
            let _ = fs::remove_file(&temporary);
        },
    )
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, symlink};

    use super::*;
    use crate::{Address, Fingerprint, ObjectId};

    fn sturdyref(key: u8, id: &str) -> SturdyRef {
        SturdyRef {
            auth: Auth::Tls(Fingerprint([key; 32])),
            address: Address::Tcp { host: "host".into(), port: 1 },
            id: ObjectId::new(id),
        }
    }

    #[test]
    fn what_was_written_is_read_back_and_is_private() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("user.cap");
        write(&path, &sturdyref(1, "secret")).unwrap();
        assert_eq!(read(&path).unwrap(), sturdyref(1, "secret"));
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o600);
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text, format!("{}\n", *sturdyref(1, "secret").to_uri()));
        assert_eq!(
            fs::read_dir(dir.path()).unwrap().count(),
            1,
            "a temporary file was left behind"
        );
    }

    #[test]
    fn the_same_bytes_are_not_written_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("user.cap");
        write(&path, &sturdyref(1, "secret")).unwrap();
        let inode = fs::metadata(&path).unwrap().ino();
        write(&path, &sturdyref(1, "secret")).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().ino(), inode);
        write(&path, &sturdyref(1, "reissued")).unwrap();
        assert_eq!(read(&path).unwrap(), sturdyref(1, "reissued"));
    }

    #[test]
    fn a_capability_of_another_key_is_never_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("user.cap");
        write(&path, &sturdyref(1, "secret")).unwrap();
        let insecure = SturdyRef { auth: Auth::Insecure, ..sturdyref(1, "secret") };
        for other in [sturdyref(2, "secret"), insecure] {
            assert!(matches!(write(&path, &other), Err(WriteError::OtherKey { .. })));
        }
        assert_eq!(read(&path).unwrap(), sturdyref(1, "secret"));
    }

    #[test]
    fn an_insecure_capability_may_become_a_secure_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("user.cap");
        write(&path, &SturdyRef { auth: Auth::Insecure, ..sturdyref(1, "secret") }).unwrap();
        write(&path, &sturdyref(1, "secret")).unwrap();
        assert_eq!(read(&path).unwrap(), sturdyref(1, "secret"));
    }

    #[test]
    fn no_symbolic_link_is_followed() {
        let dir = tempfile::tempdir().unwrap();
        let (target, link) = (dir.path().join("target"), dir.path().join("user.cap"));
        for content in [None, Some("precious")] {
            if let Some(content) = content {
                fs::write(&target, content).unwrap();
            }
            let _ = fs::remove_file(&link);
            symlink(&target, &link).unwrap();
            let error = write(&link, &sturdyref(1, "secret")).unwrap_err();
            assert!(matches!(error, WriteError::SymbolicLink { .. }), "{error}");
            assert_eq!(fs::read_to_string(&target).ok().as_deref(), content);
        }
    }

    #[test]
    fn what_is_no_capability_file_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("user.cap");
        fs::write(&path, "shopping list").unwrap();
        let error = write(&path, &sturdyref(1, "secret")).unwrap_err();
        assert!(matches!(error, WriteError::Foreign(_)), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "shopping list");
    }

    #[test]
    fn bad_files_are_told_apart_and_never_quoted() {
        let whole = format!("{}\n", *sturdyref(1, "a secret").to_uri());
        let cut = &whole[..whole.len() - 3];
        let missing = read("/nowhere/user.cap").unwrap_err();
        assert_eq!(missing.to_string(), "can't read the capability file /nowhere/user.cap");
        for (bytes, expected) in [
            (&b""[..], "f is empty, not a capability file"),
            (b" \n", "f is empty, not a capability file"),
            (b"\xff\xfe", "f is not a capability file (one line, capnp://...)"),
            (&[b'a'; LONGEST as usize + 1], "f is not a capability file (one line, capnp://...)"),
            (b"shopping list", "f is not a capability file, or was cut"),
            (cut.as_bytes(), "f is not a capability file, or was cut"),
            (&cut.as_bytes()[..40], "f is not a capability file, or was cut"),
        ] {
            let error = read_from(bytes, "f").unwrap_err();
            assert_eq!(error.to_string(), expected);
            assert!(!format!("{error:?}").contains("YSBzZWNyZX"), "{error:?}");
        }
        assert_eq!(
            read_from(format!("  {whole}\n\n").as_bytes(), "f").unwrap().id.as_bytes(),
            b"a secret"
        );
    }
}
