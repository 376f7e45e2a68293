//! Which files a config was made of, and whether they still say the same: asked of their metadata first, which reads nothing.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, Hasher};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

use super::files::list;

/// A file that was changed less than this before it was read may have been changed again with the same times: the coarsest
/// file system in use (FAT) counts in steps of two seconds.
const SETTLED: Duration = Duration::from_secs(2);

/// The files a config was made of, with a hash of what was in them.
#[derive(Debug, Clone, Default)]
pub struct Inputs {
    files: BTreeMap<PathBuf, Seen>,
    /// The folder whose list of files counts, if the config is one.
    folder: Option<PathBuf>,
    /// Nothing outside of this folder is read.
    enclosed_in: Option<PathBuf>,
    under_way: UnderWay,
}

impl Inputs {
    /// Inputs of a config that somebody else wrote: it may name no file outside of this folder.
    pub(crate) fn enclosed_in(folder: &Path) -> Self {
        // One that isn't there encloses nothing.
        let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_path_buf());
        Self { enclosed_in: Some(folder), ..Self::default() }
    }

    /// Reads a file and remembers what was in it.
    pub(crate) fn read(&mut self, path: &Path) -> std::io::Result<String> {
        if let Some(folder) = &self.enclosed_in
            && !path.canonicalize().is_ok_and(|path| path.starts_with(folder))
        {
            let what = "a config that was sent may name only files that were sent with it";
            return Err(std::io::Error::new(std::io::ErrorKind::PermissionDenied, what));
        }
        let _guard = self.under_way.begin(path);
        let (seen, text) = Seen::read(path, SystemTime::now());
        self.files.insert(path.to_path_buf(), seen);
        text
    }

    /// Whether files outside of one folder are not read.
    pub(super) const fn is_enclosed(&self) -> bool {
        self.enclosed_in.is_some()
    }

    /// Whether it is a folder; the first question to the file system, and so the first that may hang.
    pub(super) fn is_folder(&self, path: &Path) -> bool {
        let _guard = self.under_way.begin(path);
        path.is_dir()
    }

    /// From now on the list of files in this folder counts.
    pub(super) fn list(&mut self, folder: &Path) -> std::io::Result<Vec<PathBuf>> {
        self.folder = Some(folder.to_path_buf());
        let _guard = self.under_way.begin(folder);
        list(folder)
    }

    /// The same files as they are now. Symbolic links are followed: one that was swapped shows the new content.
    ///
    /// Reads only what may have changed since it was read. What is no regular file (a pipe, a device) is never read: it would
    /// wait for a writer, and take what it says away from others.
    #[must_use]
    pub fn now(&self) -> Self {
        self.at(SystemTime::now())
    }

    fn at(&self, time: SystemTime) -> Self {
        let under_way = self.under_way.clone();
        let (folder, enclosed_in) = (self.folder.clone(), self.enclosed_in.clone());
        let mut now = Self { files: BTreeMap::new(), folder, enclosed_in, under_way };
        let listed = self.folder.as_deref().and_then(|folder| {
            let _guard = self.under_way.begin(folder);
            list(folder).ok()
        });
        for path in self.files.keys().chain(listed.iter().flatten()) {
            let _guard = self.under_way.begin(path);
            let stamp = Stamp::of(path);
            let seen = match (self.files.get(path), stamp) {
                (Some(before), Some(stamp)) if before.is_still(&stamp) => *before,
                (_, Some(stamp)) if !stamp.regular => Seen::unread(stamp),
                (_, _) => Seen::read(path, time).0,
            };
            now.files.insert(path.clone(), seen);
        }
        if let Some(folder) = &self.folder {
            // A file that left the folder is no input any more; one that could not be read before still can't.
            now.files.retain(|path, seen| {
                let was_unreadable =
                    || self.files.get(path).is_some_and(|before| before.content == Content::Unreadable);
                seen.content != Content::Unreadable || path.parent() != Some(folder) || was_unreadable()
            });
        }
        now
    }

    /// Whether they say what the others say, whenever they were written.
    #[must_use]
    pub fn same(&self, other: &Self) -> bool {
        let mine = self.files.iter().map(|(path, seen)| (path, seen.content));
        let theirs = other.files.iter().map(|(path, seen)| (path, seen.content));
        self.folder == other.folder && mine.eq(theirs)
    }

    /// The files.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.files.keys().map(PathBuf::as_path)
    }

    /// Tells another thread what is being read.
    pub(crate) fn under_way(&self) -> UnderWay {
        self.under_way.clone()
    }
}

/// What was in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Content {
    /// A text with this hash.
    Text(u64),
    /// It isn't there, may not be read, or is no text.
    Unreadable,
    /// It is no regular file and was not read.
    Unread,
}

/// A file as it was seen.
#[derive(Debug, Clone, Copy)]
struct Seen {
    content: Content,
    stamp: Option<Stamp>,
    /// As long as the stamp is the same, so is the content.
    settled: bool,
}

impl Seen {
    fn read(path: &Path, time: SystemTime) -> (Self, std::io::Result<String>) {
        // Before, so that a change while it is read shows in the next stamp.
        let stamp = Stamp::of(path);
        let text = std::fs::read_to_string(path);
        let content = text.as_ref().map_or(Content::Unreadable, |text| Content::Text(hash(text)));
        let settled = stamp.is_some_and(|stamp| stamp.is_settled(time));
        (Self { content, stamp, settled }, text)
    }

    const fn unread(stamp: Stamp) -> Self {
        Self { content: Content::Unread, stamp: Some(stamp), settled: true }
    }

    /// Whether it need not be read again.
    fn is_still(&self, now: &Stamp) -> bool {
        match self.stamp {
            // Whoever reads or writes a pipe changes its times.
            Some(before) if !now.regular => {
                let which = |of: &Stamp| (of.regular, of.device, of.inode);
                which(&before) == which(now)
            }
            Some(before) => self.settled && before == *now,
            None => false,
        }
    }
}

/// What the file system says of a file without its being read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    regular: bool,
    length: u64,
    /// Seconds and nanoseconds of the last write, which programs can set as they like.
    modified: (i64, i64),
    /// The same of the last change of any sort, which they can't.
    changed: (i64, i64),
}

impl Stamp {
    /// None when there is no such file.
    fn of(path: &Path) -> Option<Self> {
        let data = std::fs::metadata(path).ok()?;
        Some(Self {
            device: data.dev(),
            inode: data.ino(),
            regular: data.is_file(),
            length: data.len(),
            modified: (data.mtime(), data.mtime_nsec()),
            changed: (data.ctime(), data.ctime_nsec()),
        })
    }

    /// Whether a change after `read` must show in the times. Times in the future come from another clock: not these.
    fn is_settled(&self, read: SystemTime) -> bool {
        let Ok(read) = read.duration_since(UNIX_EPOCH) else { return false };
        let (seconds, nanos) = self.modified.max(self.changed);
        let last = Duration::new(u64::try_from(seconds).unwrap_or(0), u32::try_from(nanos).unwrap_or(0));
        read.checked_sub(last).is_some_and(|since| since > SETTLED)
    }
}

/// What is being read, for those who wait for it.
#[derive(Debug, Clone, Default)]
pub(crate) struct UnderWay(Arc<Mutex<Option<(PathBuf, Instant)>>>);

impl UnderWay {
    fn begin(&self, path: &Path) -> Guard<'_> {
        self.set(Some((path.to_path_buf(), Instant::now())));
        Guard(self)
    }

    /// The file that has not answered for longer than this.
    pub(crate) fn hangs(&self, longer_than: Duration) -> Option<PathBuf> {
        let at = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        at.as_ref().filter(|(_, since)| since.elapsed() > longer_than).map(|(path, _)| path.clone())
    }

    fn set(&self, at: Option<(PathBuf, Instant)>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = at;
    }
}

/// Ends with the reading of one file.
struct Guard<'a>(&'a UnderWay);

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        self.0.set(None);
    }
}

fn hash(content: &str) -> u64 {
    let mut hasher = fsm_core::NameHasher::default().build_hasher();
    hasher.write(content.as_bytes());
    hasher.finish()
}

#[cfg(test)]
mod tests;
