//! Turns a stream's records back into files. Whatever a stream says, nothing outside its folder is touched.

use std::ffi::OsStr;
use std::fs::{self, File, FileTimes, Permissions};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, PermissionsExt, symlink};
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use anyhow::Error;

use crate::state::{Busy, Progress};
use crate::stream::{Begin, Broken, Content, Entry, Item, Reader};

/// Why a receive didn't come to its end.
pub(super) enum Stopped {
    /// The stream is broken.
    Stream(Broken),
    /// Files couldn't be written.
    Local(Error),
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
    open: Option<Open>,
    /// Folders get their times last, when nothing changes them any more.
    folders: Vec<(PathBuf, Entry)>,
    volsize: Option<u64>,
}

impl<'a> Restore<'a> {
    /// Begins below `root`, which doesn't exist yet.
    pub(super) fn new(root: &'a Path, begin: &'a Begin, busy: &'a Busy) -> anyhow::Result<Self> {
        if !begin.is_volume {
            fs::create_dir(root)?;
        }
        Ok(Self {
            root,
            begin,
            busy,
            progress: Progress::default(),
            open: None,
            folders: Vec::new(),
            volsize: None,
        })
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
        for (path, entry) in self.folders.iter().rev() {
            stamp(&File::open(path)?, entry)?;
        }
        if self.begin.is_volume && self.volsize.is_none() {
            return Err(Broken::Malformed.into());
        }
        Ok(self.volsize)
    }

    fn object(&mut self, object: u64, bonus: &[u8]) -> Result<(), Stopped> {
        if object <= self.progress.object {
            return Err(Broken::Malformed.into());
        }
        self.close()?;
        let (entry, _): (Entry, _) =
            postcard::take_from_bytes(bonus).map_err(|_| Broken::Malformed)?;
        let path = self.place(&entry)?;
        match &entry.content {
            Content::Folder => {
                fs::create_dir(&path)?;
                self.folders.push((path, entry));
            }
            Content::Link(target) => symlink(OsStr::from_bytes(target), &path)?,
            Content::File(length) => {
                let length = *length;
                let file = File::options().read(true).write(true).create_new(true).open(&path)?;
                self.volsize = self.begin.is_volume.then_some(length);
                self.open = Some(Open { file, entry, length });
            }
        }
        self.progress = Progress { object, offset: 0, ..self.progress };
        Ok(())
    }

    fn write(&mut self, object: u64, offset: u64, data: &[u8]) -> Result<(), Stopped> {
        let Some(open) = self
            .open
            .as_mut()
            .filter(|open| object == self.progress.object && offset < open.length)
        else {
            return Err(Broken::Malformed.into());
        };
        open.file.write_all_at(data, offset)?;
        let end = offset + data.len() as u64;
        self.progress =
            Progress { object, offset: end, bytes: self.progress.bytes + data.len() as u64 };
        Ok(())
    }

    /// Ends the file that is being restored: its length, its mode, its time.
    fn close(&mut self) -> Result<(), Stopped> {
        if let Some(open) = self.open.take() {
            open.file.set_len(open.length)?;
            stamp(&open.file, &open.entry)?;
        }
        Ok(())
    }

    /// Where an object belongs: below the root, by plain names only. A volume is a single file.
    fn place(&self, entry: &Entry) -> Result<PathBuf, Stopped> {
        let path = Path::new(OsStr::from_bytes(&entry.path));
        let is_file = matches!(entry.content, Content::File(_));
        let fits = match self.begin.is_volume {
            true => is_file && entry.path.is_empty() && self.volsize.is_none(),
            false => {
                !entry.path.is_empty()
                    && path.components().all(|part| matches!(part, Component::Normal(_)))
            }
        };
        let through_link = path.ancestors().skip(1).any(|above| self.root.join(above).is_symlink());
        match fits && !through_link {
            true if self.begin.is_volume => Ok(self.root.to_owned()),
            true => Ok(self.root.join(path)),
            false => Err(Broken::Malformed.into()),
        }
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
