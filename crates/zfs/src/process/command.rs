//! Commands that end by themselves: their output line by line, their last words, their status.

use std::borrow::Cow;
use std::io;

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};
use tokio::process::{Child, Command};

use super::child::Ended;
use super::error::CommandError;
use super::pipe;
use crate::escape::Escaped;
use crate::output::UnexpectedLine;

/// Bytes of a line of output, its end included: far above a resume token or a user's property.
const MAX_LINE: usize = 64 << 10;
/// Bytes kept of what is written to standard error: the last ones.
const MAX_MESSAGE: usize = 64 << 10;
/// Bytes of an output that is taken as a whole.
const MAX_TEXT: usize = 1 << 20;

/// Starts a command.
pub(super) fn spawn(mut command: Command) -> Result<Child, CommandError> {
    let described = command.as_std();
    tracing::debug!(program = ?described.get_program(), arguments = ?described.get_args(), "run");
    command.spawn().map_err(|source| CommandError::NotStarted {
        program: command.as_std().get_program().to_string_lossy().into_owned(),
        source,
    })
}

/// Runs a command and hands on its output line by line, however long it is.
///
/// Lines may have been handed on when it fails. The first that isn't understood ends it.
pub(super) async fn each_line(
    command: Command,
    mut take: impl FnMut(&str) -> Result<(), UnexpectedLine>,
) -> Result<(), CommandError> {
    let mut child = spawn(command)?;
    let stdout = child.stdout.take().ok_or_else(pipe::missing)?;
    let stderr = child.stderr.take().ok_or_else(pipe::missing)?;
    let read = async {
        let mut lines = Lines::new(stdout);
        while let Some(line) = lines.next().await.map_err(CommandError::Lost)? {
            take(&line)?;
        }
        Ok::<_, CommandError>(())
    };
    let last_words = async { Ok(message(stderr).await) };
    // A line that isn't understood ends this at once: dropping the child then kills it.
    let ((), message) = tokio::try_join!(read, last_words)?;
    let status = child.wait().await.map_err(CommandError::Lost)?;
    Ended { status, message }.check().map(drop)
}

/// Runs a command for nothing but its effect.
pub(super) async fn run(command: Command) -> Result<(), CommandError> {
    each_line(command, |_| Ok(())).await
}

/// Runs a command and gives its output as a whole.
pub(super) async fn text(command: Command) -> Result<String, CommandError> {
    let mut text = String::new();
    each_line(command, |line| {
        if text.len() + line.len() > MAX_TEXT {
            return Err(UnexpectedLine::new(line, "less output"));
        }
        text.push_str(line);
        text.push('\n');
        Ok(())
    })
    .await?;
    Ok(text)
}

/// The lines of a process's output, as they come.
#[derive(Debug)]
pub(super) struct Lines<R> {
    reader: BufReader<R>,
    line: Vec<u8>,
    whole: bool,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    pub(super) fn new(output: R) -> Self {
        Self { reader: BufReader::with_capacity(MAX_LINE, output), line: Vec::new(), whole: false }
    }

    /// The next line without its end, `None` at the end. Can be cancelled: nothing is lost.
    pub(super) async fn next(&mut self) -> io::Result<Option<Cow<'_, str>>> {
        if std::mem::take(&mut self.whole) {
            self.line.clear();
        }
        let room = MAX_LINE - self.line.len();
        (&mut self.reader).take(room as u64).read_until(b'\n', &mut self.line).await?;
        if self.line.is_empty() {
            return Ok(None);
        }
        if self.line.last() == Some(&b'\n') {
            self.line.pop();
        } else if self.line.len() == MAX_LINE {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a line without an end"));
        }
        self.whole = true;
        Ok(Some(String::from_utf8_lossy(&self.line)))
    }
}

/// What a process writes to its standard error until it closes it, fit to be shown.
pub(super) async fn message(mut stderr: impl AsyncRead + Unpin) -> String {
    let (mut kept, mut chunk) = (Vec::new(), [0; 4096]);
    // An error here is as good as the end: the process's status tells how it went.
    while let Ok(length @ 1..) = stderr.read(&mut chunk).await {
        kept.extend_from_slice(&chunk[..length]);
        if kept.len() > 2 * MAX_MESSAGE {
            kept.drain(..kept.len() - MAX_MESSAGE);
        }
    }
    presentable(&kept[kept.len().saturating_sub(MAX_MESSAGE)..])
}

/// ZFS's words without the usage that some errors are followed by, and safe for a terminal.
fn presentable(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let lines = text.lines().take_while(|line| *line != "usage:");
    lines.map(|line| Escaped(line).to_string()).collect::<Vec<_>>().join("\n").trim().to_owned()
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::task::Poll;

    use tokio::io::AsyncWriteExt;

    use super::*;

    #[tokio::test]
    async fn a_line_that_was_waited_for_and_given_up_comes_whole_the_next_time() {
        let (mut writer, reader) = tokio::io::duplex(64);
        let mut lines = Lines::new(reader);
        writer.write_all(b"first\nsec").await.unwrap();
        assert_eq!(lines.next().await.unwrap().unwrap(), "first");
        {
            let mut waiting = std::pin::pin!(lines.next());
            poll_fn(|context| {
                assert!(waiting.as_mut().poll(context).is_pending());
                Poll::Ready(())
            })
            .await;
        }
        writer.write_all(b"ond\n\nlast").await.unwrap();
        drop(writer);
        for line in ["second", "", "last"] {
            assert_eq!(lines.next().await.unwrap().unwrap(), line);
        }
        assert!(lines.next().await.unwrap().is_none());
    }
}
