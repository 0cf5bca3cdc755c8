//! Writes small pieces together with the large one that follows them.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures::io::AsyncWrite;

/// As much is gathered. Any more goes out at once, with what was gathered, and isn't copied.
const MOST: usize = 8 << 10;

/// A writer that gathers. As any that buffers, it needs a flush at the end of a message.
pub(crate) struct Gather<W> {
    inner: W,
    gathered: Vec<u8>,
    /// How much of that is written.
    written: usize,
}

impl<W: AsyncWrite + Unpin> Gather<W> {
    pub(crate) fn new(inner: W) -> Self {
        Self { inner, gathered: Vec::with_capacity(MOST), written: 0 }
    }

    /// Writes what was gathered and then `next`, in one go; tells how much of `next` was taken.
    fn poll_write_with(&mut self, cx: &mut Context<'_>, next: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            let gathered = &self.gathered[self.written..];
            let both = [IoSlice::new(gathered), IoSlice::new(next)];
            let left = gathered.len();
            let count = match left {
                0 if next.is_empty() => return Poll::Ready(Ok(0)),
                0 => return Pin::new(&mut self.inner).poll_write(cx, next),
                _ => ready!(Pin::new(&mut self.inner).poll_write_vectored(cx, &both))?,
            };
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.written += count.min(left);
            if self.written == self.gathered.len() {
                self.gathered.clear();
                self.written = 0;
            }
            if count > left {
                return Poll::Ready(Ok(count - left));
            }
        }
    }
}

impl<W: AsyncWrite + Unpin> AsyncWrite for Gather<W> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.gathered.len() + buf.len() <= MOST {
            self.gathered.extend(buf);
            return Poll::Ready(Ok(buf.len()));
        }
        self.poll_write_with(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_write_with(cx, &[]))?;
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.as_mut().poll_flush(cx))?;
        Pin::new(&mut self.inner).poll_close(cx)
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use futures::io::AsyncWriteExt;

    use super::*;

    /// Takes at most so many bytes of each write, and remembers how many those were.
    struct Stingy {
        most: usize,
        taken: Vec<u8>,
        writes: usize,
    }

    impl AsyncWrite for Stingy {
        fn poll_write(
            self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            buf: &[u8],
        ) -> Poll<io::Result<usize>> {
            self.poll_write_vectored(cx, &[IoSlice::new(buf)])
        }

        fn poll_write_vectored(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            bufs: &[IoSlice<'_>],
        ) -> Poll<io::Result<usize>> {
            let all: Vec<u8> = bufs.iter().flat_map(|buf| buf.iter().copied()).collect();
            let count = all.len().min(self.most);
            self.taken.extend(&all[..count]);
            self.writes += 1;
            Poll::Ready(Ok(count))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    fn write(most: usize, sizes: &[usize]) -> (Vec<u8>, Stingy) {
        let mut gather = Gather::new(Stingy { most, taken: Vec::new(), writes: 0 });
        let mut all = Vec::new();
        for (index, size) in sizes.iter().enumerate() {
            let piece = vec![index as u8; *size];
            gather.write_all(&piece).now_or_never().unwrap().unwrap();
            all.extend(piece);
        }
        gather.flush().now_or_never().unwrap().unwrap();
        (all, gather.inner)
    }

    #[test]
    fn small_pieces_go_out_with_the_large_one_that_follows() {
        let (all, inner) = write(usize::MAX, &[8, 100, 1 << 20]);
        assert!(inner.taken == all);
        assert_eq!(inner.writes, 1);
    }

    #[test]
    fn nothing_is_lost_or_doubled_however_little_is_taken_at_a_time() {
        for most in [1, 7, 8, 9, 1000] {
            let (all, inner) = write(most, &[8, MOST, 5, 3 * MOST, 1, 0, MOST - 1, 2]);
            assert!(inner.taken == all, "at most {most} a time");
        }
    }
}
