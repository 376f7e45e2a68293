//! Reads on threads that may block, and gives up on files that don't answer: a file system that hangs, a pipe without a writer.

use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::config::UnderWay;

/// How long one file may take. A network file system that is only slow answers within seconds; checking what was read is not
/// counted.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often it is asked whether a file hangs.
const PACE: Duration = Duration::from_millis(500);
/// Each read that hangs holds a thread until its file answers. With so many of them no other is begun.
const MAX_HANGING: usize = 4;

/// What keeps a read from ending well.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum ReadError {
    /// A file doesn't answer.
    #[error("`{}` does not answer: is it a pipe without a writer, or on a file system that hangs?", .0.display())]
    Hangs(PathBuf),
    /// Too many reads hang already.
    #[error("{0} reads of it hang already: mend the file system, or restart fsmd")]
    TooMany(usize),
    /// A mistake of this program.
    #[error("it can't be checked because of a bug: reading it panicked")]
    Panicked,
}

/// Runs one read after the other.
#[derive(Debug, Default)]
pub(super) struct Reader {
    /// The one under way, and those that were given up. Dropping this waits for nobody.
    tasks: JoinSet<()>,
}

impl Reader {
    /// Reads, as long as no single file hangs.
    ///
    /// # Cancel safety
    /// What a dropped call reads is forgotten.
    pub(super) async fn read<T: Send + 'static>(
        &mut self,
        under_way: &UnderWay,
        read: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, ReadError> {
        while self.tasks.try_join_next().is_some() {}
        if self.tasks.len() >= MAX_HANGING {
            return Err(ReadError::TooMany(self.tasks.len()));
        }
        let (done, mut result) = oneshot::channel();
        self.tasks.spawn_blocking(move || {
            // Who gave up is not there any more.
            let _ = done.send(read());
        });
        loop {
            match timeout(PACE, &mut result).await {
                Ok(answer) => {
                    // It ends at once: it must not count as one that hangs when the next read begins.
                    let _ = self.tasks.join_next().await;
                    return answer.map_err(|_| ReadError::Panicked);
                }
                Err(_) => {
                    if let Some(path) = under_way.hangs(PATIENCE) {
                        return Err(ReadError::Hangs(path));
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::process::Command;

    use tempfile::TempDir;

    use super::*;
    use crate::config::Inputs;

    fn pipe(folder: &TempDir) -> PathBuf {
        let path = folder.path().join("pipe");
        assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
        path
    }

    /// Ends those that wait for a writer, so that the test's threads end.
    fn release(path: &Path) {
        // Opened for both it is its own writer, and doesn't wait for one.
        drop(std::fs::File::options().read(true).write(true).open(path).unwrap());
    }

    /// Reads the pipe while the clock is turned on.
    async fn read(reader: &mut Reader, path: &Path) -> Result<(), ReadError> {
        let (mut inputs, at) = (Inputs::default(), path.to_path_buf());
        let under_way = inputs.under_way();
        let reading = reader.read(&under_way, move || drop(inputs.read(&at)));
        let turning = async {
            loop {
                tokio::time::advance(PACE).await;
            }
        };
        // Cancel-safe: the clock is dropped with the test's end of waiting.
        tokio::select! {
            result = reading => result,
            () = turning => Ok(()),
        }
    }

    // spec: C-5
    #[tokio::test(start_paused = true)]
    async fn a_file_that_hangs_is_named_and_given_up_and_others_are_read() {
        let folder = TempDir::new().unwrap();
        let path = pipe(&folder);
        let mut reader = Reader::default();
        let nothing = Inputs::default().under_way();
        for hanging in 0..MAX_HANGING {
            assert_eq!(reader.read(&nothing, || 1).await, Ok(1), "{hanging} hang");
            assert_eq!(read(&mut reader, &path).await, Err(ReadError::Hangs(path.clone())));
        }
        assert_eq!(reader.read(&nothing, || 1).await, Err(ReadError::TooMany(MAX_HANGING)));
        release(&path);
        reader.tasks.join_next().await;
        assert_eq!(reader.read(&nothing, || 1).await, Ok(1));
    }

    #[tokio::test]
    async fn a_panic_is_an_error_and_not_the_end() {
        let mut reader = Reader::default();
        let nothing = Inputs::default().under_way();
        let result: Result<(), _> = reader.read(&nothing, || panic!("on purpose")).await;
        assert_eq!(result, Err(ReadError::Panicked));
        assert_eq!(reader.read(&nothing, || 1).await, Ok(1));
    }
}
