//! `zfs send` of a snapshot: how large it will be, and the process that does it.

use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, ReadBuf};
use tokio::process::ChildStdout;

use super::Zfs;
use super::child::{Ended, LongLived};
use super::command::text;
use super::error::{EstimateError, SendError};
use super::pipe;
use crate::estimate;
use crate::names::SnapshotName;

/// How a stream is made. All off: blocks decompressed, decrypted, of at most 128 KiB.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SendFlags {
    /// `-w`: encrypted blocks as they are on disk. Without it an encrypted dataset is decrypted.
    pub raw: bool,
    /// `-L`: blocks above 128 KiB are not split. Never to be changed within a lineage.
    pub large_blocks: bool,
    /// `-e`: small blocks within their pointers. Can't be received below an encrypted dataset.
    pub embedded: bool,
    /// `-c`: blocks as they were compressed on disk.
    pub compressed: bool,
}

impl SendFlags {
    /// `head`, the flags that are on, `subject`.
    fn arguments<'a>(self, head: &[&'a str], subject: &'a str) -> Vec<&'a str> {
        let Self { raw, large_blocks, embedded, compressed } = self;
        let flags = [(raw, "-w"), (large_blocks, "-L"), (embedded, "-e"), (compressed, "-c")];
        let wanted = flags.into_iter().filter_map(|(wanted, flag)| wanted.then_some(flag));
        head.iter().copied().chain(wanted).chain([subject]).collect()
    }
}

impl Zfs {
    /// About how many bytes the stream of a snapshot has; `None` if ZFS can't tell.
    pub async fn estimate(
        &self,
        snapshot: &SnapshotName,
        flags: SendFlags,
    ) -> Result<Option<u64>, EstimateError> {
        let subject = snapshot.to_string();
        let arguments = flags.arguments(&["send", "-nvP"], &subject);
        match text(self.zfs(&arguments)).await {
            Ok(output) => Ok(estimate::parse(&output)),
            Err(error) => Err(EstimateError::new(subject, error)),
        }
    }

    /// Starts to send a snapshot whole: one stream, no properties. Call it within a runtime.
    pub fn send(
        &self,
        snapshot: &SnapshotName,
        flags: SendFlags,
    ) -> Result<SendProcess, SendError> {
        let subject = snapshot.to_string();
        let arguments = flags.arguments(&["send"], &subject);
        let command = self.long_lived(&self.zfs, &arguments);
        let started = LongLived::spawn(command).and_then(|mut child| {
            let stdout = child.stdout().ok_or_else(pipe::missing)?;
            pipe::enlarge(&stdout);
            Ok((child, stdout))
        });
        match started {
            Ok((child, stdout)) => Ok(SendProcess { child, stdout, subject }),
            Err(error) => Err(SendError::new(subject, error)),
        }
    }
}

/// A running `zfs send`; read the stream from it. Dropped, it is killed.
///
/// The end of the stream says nothing: only [`Self::finish`] tells whether it was whole.
#[derive(Debug)]
pub struct SendProcess {
    child: LongLived,
    stdout: ChildStdout,
    subject: String,
}

impl SendProcess {
    /// The process's id.
    pub fn pid(&self) -> Option<u32> {
        self.child.pid()
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

impl AsyncRead for SendProcess {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stdout).poll_read(context, buffer)
    }
}
