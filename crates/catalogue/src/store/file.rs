//! Opening the file, and making it when there is none.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use redb::backends::FileBackend;
use redb::{Builder, Database, DatabaseError, StorageError};

use super::{OpenError, tables};

/// All of it is in memory anyway, as the catalogue.
const CACHE_BYTES: usize = 16 << 20;

pub(super) fn open(path: &Path) -> Result<Database, OpenError> {
    match path.try_exists() {
        Ok(true) => {}
        Ok(false) => make(path)?,
        Err(source) => return Err(OpenError::Io { path: path.to_owned(), source }),
    }
    builder().open(path).map_err(|error| open_error(path, error))
}

fn builder() -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE_BYTES).set_check_integrity_on_open(true);
    builder
}

/// Makes an empty catalogue, whole or not at all.
fn make(path: &Path) -> Result<(), OpenError> {
    let temporary = path.with_added_extension("new");
    let io_error = |source| OpenError::Io { path: temporary.clone(), source };
    // An earlier attempt may have been cut short.
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(io_error(error)),
        _ => {}
    }
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&temporary)
        .map_err(io_error)?;
    let database = FileBackend::new(file)
        .and_then(|file| builder().create_with_backend(file))
        .map_err(|error| open_error(&temporary, error))?;
    tables::make(&database).map_err(|error| io_error(io::Error::other(error)))?;
    drop(database);
    fs::rename(&temporary, path).map_err(io_error)?;
    // The name must be as durable as what will be written under it.
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))
        .and_then(|folder| folder.sync_all())
        .map_err(io_error)
}

fn open_error(path: &Path, error: DatabaseError) -> OpenError {
    let path = path.to_owned();
    match error {
        DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch => {
            OpenError::InUse { path }
        }
        // A file that is too short, or isn't redb's, shows as one of these two.
        DatabaseError::Storage(StorageError::Io(source))
            if !matches!(
                source.kind(),
                io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof
            ) =>
        {
            OpenError::Io { path, source }
        }
        error => OpenError::Damaged { path, why: error.to_string() },
    }
}
