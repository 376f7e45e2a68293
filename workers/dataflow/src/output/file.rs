//! Lines in a file that is rotated by size. A message is taken when its line is written, and by default on the disk.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::fs::{self, File, OpenOptions};
use tokio::io::AsyncWriteExt;

use super::line;
use crate::config::{FileOutput, Fsync, Line};
use crate::flow::Shared;
use crate::message::{Delivery, Message};
use crate::stats::{ErrorKind, Stage};

/// The first wait after a failed write; doubled up to [`LAST_WAIT`].
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LAST_WAIT: Duration = Duration::from_secs(30);

/// See the module.
pub(crate) struct FileSink {
    config: FileOutput,
    file: Option<(File, u64)>,
    lines: Vec<u8>,
    flow: Arc<Shared>,
}

impl FileSink {
    pub(super) fn new(config: &FileOutput, flow: &Arc<Shared>) -> Self {
        Self { config: config.clone(), file: None, lines: Vec::new(), flow: Arc::clone(flow) }
    }

    pub(super) async fn write(&mut self, batch: &mut Vec<(Message, Delivery)>) {
        let topic = self.config.line == Line::TopicPayload;
        let mut batch = batch.drain(..);
        let mut next = batch.next();
        while let Some(first) = next.take() {
            self.lines.clear();
            line(&mut self.lines, &first.0, topic);
            let room = self.room(self.lines.len() as u64).await;
            let mut part = vec![first];
            // As many lines as fit the file; at least one, however long it is.
            for (message, delivery) in batch.by_ref() {
                let before = self.lines.len();
                line(&mut self.lines, &message, topic);
                if self.lines.len() as u64 > room {
                    self.lines.truncate(before);
                    next = Some((message, delivery));
                    break;
                }
                part.push((message, delivery));
            }
            self.write_lines(part.len()).await;
            for (_, delivery) in part {
                delivery.taken(1);
            }
        }
    }

    /// Bytes that fit before the file is full; rotates it if `needed` bytes don't.
    async fn room(&mut self, needed: u64) -> u64 {
        self.until_done(0, async move |sink: &mut Self| {
            let written = sink.open().await?.1;
            if written > 0 && written + needed > sink.config.max_size.get() {
                sink.rotate().await?;
            }
            Ok(sink.config.max_size.get().saturating_sub(sink.open().await?.1))
        })
        .await
    }

    async fn write_lines(&mut self, messages: usize) {
        self.until_done(messages, async |sink: &mut Self| {
            let lines = std::mem::take(&mut sink.lines);
            let sync = sink.config.fsync == Fsync::Batch;
            let (file, written) = sink.open().await?;
            let before = *written;
            let result = async {
                file.write_all(&lines).await?;
                file.flush().await?;
                if sync { file.sync_data().await } else { Ok(()) }
            }
            .await;
            if result.is_ok() {
                *written += lines.len() as u64;
            } else {
                // Half a line must not stay: cut it off before the lines are written again.
                let _ = file.set_len(before).await;
            }
            sink.lines = lines;
            result
        })
        .await;
    }

    /// Tries until it works: a full disk is waited for, and the source with it.
    async fn until_done<T>(
        &mut self,
        messages: usize,
        mut attempt: impl AsyncFnMut(&mut Self) -> io::Result<T>,
    ) -> T {
        let mut wait = FIRST_WAIT;
        loop {
            match attempt(self).await {
                Ok(done) => {
                    self.flow.set_up(Stage::Output, true);
                    return done;
                }
                Err(error) => {
                    self.file = None;
                    self.flow.set_up(Stage::Output, false);
                    let text = format!("can't write {}: {error}", self.config.path.display()).into();
                    self.flow.stats().error(Stage::Output, ErrorKind::Io, text);
                    self.flow.stats().retried(messages);
                    tokio::time::sleep(wait).await;
                    wait = (wait * 2).min(LAST_WAIT);
                }
            }
        }
    }

    async fn open(&mut self) -> io::Result<&mut (File, u64)> {
        if self.file.is_none() {
            let path = &self.config.path;
            if let Some(folder) = path.parent().filter(|p| !p.as_os_str().is_empty()) {
                fs::create_dir_all(folder).await?;
            }
            let file = OpenOptions::new().create(true).append(true).open(path).await?;
            let length = file.metadata().await?.len();
            self.file = Some((file, length));
        }
        self.file.as_mut().ok_or_else(|| io::Error::other("the file was closed"))
    }

    async fn rotate(&mut self) -> io::Result<()> {
        self.file = None;
        let path = &self.config.path;
        for number in (1..self.config.keep).rev() {
            match fs::rename(part(path, number), part(path, number + 1)).await {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                Ok(()) | Err(_) => {}
            }
        }
        if self.config.keep == 0 {
            fs::remove_file(path).await
        } else {
            fs::rename(path, part(path, 1)).await
        }
    }
}

fn part(path: &Path, number: u32) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    name.into()
}
