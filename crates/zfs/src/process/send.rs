//! `zfs send`: what a stream is made of, how large it will be, and the process that makes it.

use std::io;

use super::Zfs;
use super::child::{Ended, LongLived};
use super::command::text;
use super::error::{CommandError, EstimateError, SendError};
use super::pipe::{self, Output};
use crate::estimate;
use crate::names::{Base, SnapshotName};

/// How a stream is made. All off: blocks decompressed, decrypted, of at most 128 KiB.
///
/// Never with `-e` (small blocks within their pointers): OpenZFS 2.3.2 then loses extended
/// attributes in silence, and with it but without `-L` it receives wrong bytes of large blocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SendFlags {
    /// `-w`: encrypted blocks as they are on disk. Without it an encrypted dataset is decrypted.
    pub raw: bool,
    /// `-L`: blocks above 128 KiB are not split. Never to be changed within a lineage.
    pub large_blocks: bool,
    /// `-c`: blocks as they were compressed on disk.
    pub compressed: bool,
}

impl SendFlags {
    /// The flags that are on.
    fn arguments(self) -> impl Iterator<Item = &'static str> {
        let Self { raw, large_blocks, compressed } = self;
        let flags = [(raw, "-w"), (large_blocks, "-L"), (compressed, "-c")];
        flags.into_iter().filter_map(|(wanted, flag)| wanted.then_some(flag))
    }
}

/// What a stream is made of. It always makes one snapshot, and carries no properties.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stream {
    /// A snapshot from its beginning.
    Snapshot {
        /// What is sent.
        snapshot: SnapshotName,
        /// What the receiver has already; `None`: nothing, and all is sent.
        base: Option<Base>,
        /// How it is made.
        flags: SendFlags,
    },
    /// The rest of an interrupted one, made as that one was.
    Resumed {
        /// What is sent; the token says the same.
        snapshot: SnapshotName,
        /// Where to go on, in ZFS's form. The dataset in it is no more than a hint: ZFS takes
        /// any of that pool that has the snapshot's GUID.
        token: String,
    },
}

impl Stream {
    /// The snapshot that the stream makes.
    pub fn snapshot(&self) -> &SnapshotName {
        match self {
            Self::Snapshot { snapshot, .. } | Self::Resumed { snapshot, .. } => snapshot,
        }
    }

    /// `head`, then what `zfs send` needs for this stream.
    fn arguments(&self, head: &[&str]) -> Vec<String> {
        let mut arguments: Vec<String> = head.iter().copied().map(str::to_owned).collect();
        match self {
            Self::Snapshot { snapshot, base, flags } => {
                arguments.extend(flags.arguments().map(str::to_owned));
                arguments.extend(base.iter().flat_map(|base| ["-i".to_owned(), base.to_string()]));
                arguments.push(snapshot.to_string());
            }
            Self::Resumed { token, .. } => arguments.extend(["-t".to_owned(), token.clone()]),
        }
        arguments
    }
}

impl Zfs {
    /// About how many bytes a stream has, of a resumed one the rest; `None` if ZFS can't tell.
    ///
    /// Where a resumed one's snapshot or base is gone, ZFS fails here without a word; only the
    /// send itself says why.
    pub async fn estimate(&self, stream: &Stream) -> Result<Option<u64>, EstimateError> {
        match text(self.zfs(&stream.arguments(&["send", "-nvP"]))).await {
            Ok(output) => Ok(estimate::parse(&output)),
            Err(error) => Err(EstimateError::new(stream.snapshot(), error)),
        }
    }

    /// Starts to send a stream. Call it within a runtime.
    pub fn send(&self, stream: &Stream) -> Result<SendProcess, SendError> {
        let subject = stream.snapshot().to_string();
        let command = self.long_lived(&self.zfs, &stream.arguments(&["send"]));
        let started = LongLived::spawn(command).and_then(|mut child| {
            let stdout = child.stdout().ok_or_else(pipe::missing)?;
            Ok((child, Output::new(stdout).map_err(CommandError::Lost)?))
        });
        match started {
            Ok((child, stdout)) => Ok(SendProcess { child, stdout, subject }),
            Err(error) => Err(SendError::new(subject, error)),
        }
    }
}

/// A running `zfs send`; take the stream from it. Dropped, it is killed.
///
/// The end of the stream says nothing: only [`Self::finish`] tells whether it was whole.
#[derive(Debug)]
pub struct SendProcess {
    child: LongLived,
    stdout: Output,
    subject: String,
}

impl SendProcess {
    /// The process's id.
    pub fn pid(&self) -> Option<u32> {
        self.child.pid()
    }

    /// Waits for more of the stream, and tells how many bytes of it can be [taken](Self::take); 0 at
    /// its end.
    pub async fn ready(&self) -> io::Result<usize> {
        self.stdout.ready().await
    }

    /// Fills the buffer, which must not be larger than [`Self::ready`] has said.
    pub fn take(&self, buffer: &mut [u8]) -> io::Result<()> {
        self.stdout.read(buffer)
    }

    /// Waits for the end, after all of the stream has been read. Gives what ZFS warned of.
    pub async fn finish(mut self) -> Result<String, SendError> {
        let ended = self.child.wait().await.and_then(Ended::check);
        ended.map_err(|error| SendError::new(&self.subject, error))
    }

    /// Kills it and waits until it is gone. Tells how it ended: by itself, perhaps.
    pub async fn stop(mut self) -> Result<Ended, SendError> {
        self.child.kill();
        // Closed before the wait: blocked in a write to a full pipe, it can outlive its kill.
        drop(self.stdout);
        self.child.wait().await.map_err(|error| SendError::new(&self.subject, error))
    }
}
