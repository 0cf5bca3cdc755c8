//! The two ends of a stream, as far as what lies between sees them. They are processes, `zfs send`
//! and `zfs receive`; what lies between would be the same with others.

use std::io;

use tokio::io::AsyncWrite;
use zfs::process::{Ended, ReceiveError, ReceiveProcess, SendProcess};

/// Gives a stream.
pub(crate) trait Giver {
    /// Waits for more of the stream, and tells how many bytes of it can be taken; 0 at its end.
    async fn ready(&self) -> io::Result<usize>;

    /// Fills the buffer, which must not be larger than [`Self::ready`] has said.
    fn take(&self, buffer: &mut [u8]) -> io::Result<()>;
}

impl Giver for SendProcess {
    async fn ready(&self) -> io::Result<usize> {
        SendProcess::ready(self).await
    }

    fn take(&self, buffer: &mut [u8]) -> io::Result<()> {
        SendProcess::take(self, buffer)
    }
}

/// Takes a stream. A write that fails means that it has ended by itself; [`Self::finish`] tells why.
pub(crate) trait Taker: AsyncWrite + Unpin {
    /// Ends the stream, which is whole, and waits until it is stored; gives warnings.
    async fn finish(self) -> Result<String, ReceiveError>;

    /// Stops it, without an end of the stream, and waits until it is gone.
    async fn stop(self) -> Result<Ended, ReceiveError>;
}

impl Taker for ReceiveProcess {
    async fn finish(self) -> Result<String, ReceiveError> {
        ReceiveProcess::finish(self).await
    }

    async fn stop(self) -> Result<Ended, ReceiveError> {
        ReceiveProcess::stop(self).await
    }
}
