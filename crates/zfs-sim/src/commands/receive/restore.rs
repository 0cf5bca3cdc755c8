//! Turns a stream's records back into files. Whatever a stream says, nothing outside its folder is touched.
//!
//! Each record does the same when it comes twice, so a resumed stream may begin with the object that was last.

use std::ffi::OsStr;
use std::fs::{self, File, FileTimes, Permissions};
use std::io::{self, ErrorKind, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, PermissionsExt, symlink};
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use anyhow::Error;

use crate::name;
use crate::sizes::Sizes;
use crate::state::{Busy, Pool, Progress, remove_all};
use crate::stream::{Begin, Broken, Content, Entry, Item, Reader};

/// Why a receive didn't come to its end.
pub(super) enum Stopped {
    /// The stream is broken.
    Stream(Broken),
    /// Files couldn't be written.
    Local(Error),
    /// A quota above or on the dataset is used up.
    Quota,
    /// The pool is.
    Full,
}

impl From<Broken> for Stopped {
    fn from(broken: Broken) -> Self {
        Self::Stream(broken)
    }
}

impl From<Error> for Stopped {
    fn from(error: Error) -> Self {
        Self::Local(error)
    }
}

impl From<io::Error> for Stopped {
    fn from(error: io::Error) -> Self {
        Self::Local(error.into())
    }
}

/// Bytes that may still come.
pub(super) struct Space {
    quota: u64,
    pool: u64,
}

impl Space {
    /// What is left for a dataset.
    pub(super) fn of(pool: &Pool, on: &str) -> anyhow::Result<Self> {
        let sizes = Sizes::of(pool)?;
        let datasets = std::iter::successors(Some(on), |on| name::parent(on));
        let quota = datasets.filter_map(|on| sizes.quota_left(pool, on)).min();
        Ok(Self { quota: quota.unwrap_or(u64::MAX), pool: sizes.available })
    }

    fn take(&mut self, bytes: u64) -> Result<(), Stopped> {
        self.quota = self.quota.checked_sub(bytes).ok_or(Stopped::Quota)?;
        self.pool = self.pool.checked_sub(bytes).ok_or(Stopped::Full)?;
        Ok(())
    }
}

/// A file that is being restored.
struct Open {
    file: File,
    entry: Entry,
    length: u64,
}

/// A snapshot being restored into a folder or, for a volume, a file.
pub(super) struct Restore<'a> {
    root: &'a Path,
    begin: &'a Begin,
    busy: &'a Busy,
    progress: Progress,
    /// The lowest number that the next object may have.
    next: u64,
    open: Option<Open>,
    volsize: Option<u64>,
    space: Space,
}

impl<'a> Restore<'a> {
    /// Goes on below `root` from `progress`.
    pub(super) fn new(
        root: &'a Path,
        begin: &'a Begin,
        busy: &'a Busy,
        progress: Progress,
        space: Space,
    ) -> anyhow::Result<Self> {
        if !begin.is_volume {
            fs::create_dir_all(root)?;
        }
        let next = progress.object.max(1);
        Ok(Self { root, begin, busy, progress, next, open: None, volsize: None, space })
    }

    /// Reads records to the END. Returns a volume's size.
    pub(super) fn run(mut self, mut reader: Reader<impl Read>) -> Result<Option<u64>, Stopped> {
        loop {
            match reader.next()? {
                Item::Object { object, bonus } => self.object(object, &bonus)?,
                Item::Write { object, offset, data } => self.write(object, offset, &data)?,
                Item::Other => {}
                Item::End { toguid } if toguid == self.begin.toguid => break,
                Item::End { .. } => return Err(Broken::Malformed.into()),
            }
            self.busy.note(self.progress)?;
        }
        self.close()?;
        if self.begin.is_volume && self.volsize.is_none() {
            return Err(Broken::Malformed.into());
        }
        Ok(self.volsize)
    }

    fn object(&mut self, object: u64, bonus: &[u8]) -> Result<(), Stopped> {
        if object < self.next {
            return Err(Broken::Malformed.into());
        }
        self.next = object + 1;
        self.close()?;
        let (entry, _): (Entry, _) =
            postcard::take_from_bytes(bonus).map_err(|_| Broken::Malformed)?;
        let path = self.place(&entry)?;
        let there = fs::symlink_metadata(&path).ok().map(|metadata| metadata.file_type());
        match &entry.content {
            Content::Folder => {
                if !there.is_some_and(|kind| kind.is_dir()) {
                    remove_all(&path)?;
                    fs::create_dir(&path)?;
                }
                stamp(&File::open(path)?, &entry)?;
            }
            Content::Link(target) => {
                remove_all(&path)?;
                symlink(OsStr::from_bytes(target), &path)?;
            }
            Content::Gone => remove_all(&path)?,
            Content::File(length) => {
                if !there.is_some_and(|kind| kind.is_file()) {
                    remove_all(&path)?;
                }
                let length = *length;
                let file = File::options()
                    .read(true)
                    .write(true)
                    .create(true)
                    .truncate(false)
                    .open(&path)?;
                file.set_len(length)?;
                self.volsize = self.begin.is_volume.then_some(length);
                self.open = Some(Open { file, entry, length });
            }
        }
        if object != self.progress.object {
            self.progress = Progress { object, offset: 0, ..self.progress };
        }
        Ok(())
    }

    fn write(&mut self, object: u64, offset: u64, data: &[u8]) -> Result<(), Stopped> {
        let Some(open) = self.open.as_mut().filter(|_| object == self.progress.object) else {
            return Err(Broken::Malformed.into());
        };
        let bytes = data.len() as u64;
        self.space.take(bytes)?;
        let end = offset.checked_add(bytes).ok_or(Broken::Malformed)?;
        // ZFS stores blocks behind a file's end, too; nobody ever sees them.
        let within = end.min(open.length).saturating_sub(offset);
        let within = usize::try_from(within).unwrap_or(data.len());
        open.file.write_all_at(&data[..within], offset)?;
        self.progress = Progress { object, offset: end, bytes: self.progress.bytes + bytes };
        Ok(())
    }

    /// Ends the file that is being restored: its mode, its time.
    fn close(&mut self) -> Result<(), Stopped> {
        if let Some(open) = self.open.take() {
            stamp(&open.file, &open.entry)?;
        }
        Ok(())
    }

    /// Where an object belongs: below the root, by plain names only, in folders that are made when they are
    /// missing. A volume is a single file.
    fn place(&self, entry: &Entry) -> Result<PathBuf, Stopped> {
        let path = Path::new(OsStr::from_bytes(&entry.path));
        if self.begin.is_volume {
            let is_file = matches!(entry.content, Content::File(_));
            let fits = is_file && entry.path.is_empty() && self.volsize.is_none();
            return if fits { Ok(self.root.to_owned()) } else { Err(Broken::Malformed.into()) };
        }
        let plain = path.components().all(|part| matches!(part, Component::Normal(_)));
        if entry.path.is_empty() || !plain {
            return Err(Broken::Malformed.into());
        }
        let mut folder = self.root.to_owned();
        for part in path.parent().into_iter().flat_map(Path::components) {
            folder.push(part);
            // A link or file that was there before is in the way; a link is never followed.
            match fs::symlink_metadata(&folder) {
                Ok(metadata) if metadata.is_dir() => continue,
                Ok(_) => fs::remove_file(&folder)?,
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(error.into()),
            }
            fs::create_dir(&folder)?;
        }
        Ok(self.root.join(path))
    }
}

fn stamp(file: &File, entry: &Entry) -> io::Result<()> {
    let (seconds, nanoseconds) = entry.modified;
    let modified = UNIX_EPOCH.checked_add(Duration::new(seconds, nanoseconds.min(999_999_999)));
    file.set_times(
        modified.map_or(FileTimes::new(), |modified| FileTimes::new().set_modified(modified)),
    )?;
    file.set_permissions(Permissions::from_mode(entry.mode & 0o7777))
}
