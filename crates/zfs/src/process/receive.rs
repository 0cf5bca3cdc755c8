//! `zfs receive` of a stream: always resumable, never mounted, never by force.

use std::io;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::process::Stdio;
use std::task::{Context, Poll};

use tokio::io::AsyncWrite;
use tokio::net::UnixStream;

use super::Zfs;
use super::child::{Ended, LongLived};
use super::error::{CommandError, ReceiveError};
use crate::dataset::Kind;
use crate::names::SnapshotName;
use crate::property::PropertyName;

/// What is set on a dataset as it is received, and what is left out of the stream's properties.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReceiveOptions {
    set: Vec<(PropertyName, String)>,
    excluded: Vec<PropertyName>,
}

impl ReceiveOptions {
    /// For the receive that makes the dataset, and for one that goes on with it.
    ///
    /// It is marked as ours by the id of the transfer. A filesystem is kept from being mounted
    /// over something at the next boot, too; a volume has no such properties, and `zfs` refuses
    /// them.
    pub fn first(kind: Kind, transfer: &str) -> Self {
        let transfer = (PropertyName::TRANSFER, transfer.to_owned());
        match kind {
            Kind::Filesystem => Self {
                set: vec![(PropertyName::CANMOUNT, "noauto".to_owned()), transfer],
                excluded: vec![PropertyName::MOUNTPOINT],
            },
            Kind::Volume => Self { set: vec![transfer], excluded: Vec::new() },
        }
    }

    /// For an increment: it changes no property of the dataset.
    pub fn increment() -> Self {
        Self::default()
    }

    /// Sets one more property. A resumed receive needs all of them again.
    pub fn set(&mut self, name: PropertyName, value: impl Into<String>) {
        self.set.push((name, value.into()));
    }

    fn arguments(&self) -> Vec<String> {
        let set =
            self.set.iter().flat_map(|(name, value)| ["-o".into(), format!("{name}={value}")]);
        let excluded = self.excluded.iter().flat_map(|name| ["-x".into(), name.to_string()]);
        set.chain(excluded).collect()
    }
}

impl Zfs {
    /// Starts to receive a stream, which makes this snapshot, whatever it is called in the stream.
    /// Call it within a runtime.
    pub fn receive(
        &self,
        snapshot: &SnapshotName,
        options: &ReceiveOptions,
    ) -> Result<ReceiveProcess, ReceiveError> {
        let subject = snapshot.dataset().to_string();
        let head = ["receive", "-s", "-u"].map(str::to_owned);
        let arguments = [&head, options.arguments().as_slice(), &[snapshot.to_string()]].concat();
        let mut command = self.long_lived(&self.zfs, &arguments);
        let not_started = |source| CommandError::NotStarted {
            program: self.zfs.to_string_lossy().into_owned(),
            source,
        };
        let started = socket().map_err(not_started).and_then(|(stdin, theirs)| {
            command.stdin(OwnedFd::from(theirs)).stdout(Stdio::null());
            Ok((LongLived::spawn(command)?, stdin))
        });
        match started {
            Ok((child, stdin)) => Ok(ReceiveProcess { child, stdin, subject }),
            Err(error) => Err(ReceiveError::new(subject, error)),
        }
    }
}

/// Both ends of a process's standard input, ours first. A socket, as sshd's is: the memory of a pipe is taken and given
/// back page by page, which made writing a stream and reading it cost half as much again. (A script in the place of
/// `zfs` can't open it anew as `/dev/stdin`.)
fn socket() -> io::Result<(UnixStream, std::os::unix::net::UnixStream)> {
    let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
    ours.set_nonblocking(true)?;
    Ok((UnixStream::from_std(ours)?, theirs))
}

/// A running `zfs receive`; write the stream to it. Dropped, it is killed.
///
/// Only [`Self::finish`] lets it see the end of the stream. A write that fails with
/// [`io::ErrorKind::BrokenPipe`] means that it has ended by itself: [`Self::finish`] tells why.
#[derive(Debug)]
pub struct ReceiveProcess {
    // Dropped in this order: killed first, so that the closing socket is no end of the stream.
    child: LongLived,
    stdin: UnixStream,
    subject: String,
}

impl ReceiveProcess {
    /// The process's id.
    pub fn pid(&self) -> Option<u32> {
        self.child.pid()
    }

    /// Ends the stream, once all of it has been written and is known to be whole, and waits.
    /// Gives what ZFS warned of: properties that it had no right to set, for one.
    pub async fn finish(mut self) -> Result<String, ReceiveError> {
        drop(self.stdin);
        let ended = self.child.wait().await.and_then(Ended::check);
        ended.map_err(|error| ReceiveError::new(&self.subject, error))
    }

    /// Kills it and waits until it is gone. What it has received stays, to be continued or
    /// aborted. Tells how it ended: by itself, perhaps.
    pub async fn stop(mut self) -> Result<Ended, ReceiveError> {
        self.child.kill();
        // Only now: before, it would be the end of the stream. Asleep in the kernel, waiting for
        // more of it, a process can outlive its kill for as long as the socket is open.
        drop(self.stdin);
        self.child.wait().await.map_err(|error| ReceiveError::new(&self.subject, error))
    }
}

impl AsyncWrite for ReceiveProcess {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stdin).poll_write(context, bytes).map_err(|error| match error.kind() {
            // It has left some of the stream unread.
            io::ErrorKind::ConnectionReset => io::ErrorKind::BrokenPipe.into(),
            _ => error,
        })
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stdin).poll_flush(context)
    }

    /// Flushes and no more: only [`ReceiveProcess::finish`] ends the stream.
    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(context)
    }
}
