//! A file that rests is not read, and no change hides.

use std::process::Command;

use tempfile::TempDir;

use super::*;

/// Far more than anything else that a thread reads while a file is looked at.
const LARGE: usize = 1 << 20;
const LATER: Duration = Duration::from_secs(3);

/// Bytes that this thread has read so far, as the kernel counts them.
fn bytes_read() -> usize {
    let io = std::fs::read_to_string("/proc/thread-self/io").unwrap();
    let line = io.lines().find_map(|line| line.strip_prefix("rchar: ")).unwrap();
    line.parse().unwrap()
}

/// Looks, and says whether the file was read for it.
fn look(inputs: &Inputs, time: SystemTime) -> (Inputs, bool) {
    let before = bytes_read();
    let now = inputs.at(time);
    (now, bytes_read() - before >= LARGE)
}

fn one_file(letter: &str) -> (TempDir, PathBuf, Inputs) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("fsmd.yaml");
    std::fs::write(&path, letter.repeat(LARGE)).unwrap();
    let mut inputs = Inputs::default();
    inputs.read(&path).unwrap();
    (folder, path, inputs)
}

// spec: C-5
#[test]
fn a_file_that_rests_is_not_read_again() {
    let (_folder, _path, inputs) = one_file("a");
    let (inputs, read) = look(&inputs, SystemTime::now() + LATER);
    assert!(read, "it was written just before it was read: its times could hide a change");
    let (same, read) = look(&inputs, SystemTime::now() + LATER);
    assert!(!read, "nothing was written since");
    assert!(same.same(&inputs));
}

// spec: C-5
#[test]
fn a_change_is_seen_however_it_is_made() {
    let (folder, path, inputs) = one_file("a");
    let inputs = inputs.at(SystemTime::now() + LATER);
    let times = || std::fs::metadata(&path).unwrap().modified().unwrap();
    let before = times();

    // As long as before, and its time is set back.
    let file = std::fs::File::options().write(true).open(&path).unwrap();
    std::io::Write::write_all(&mut &file, "b".repeat(LARGE).as_bytes()).unwrap();
    file.set_modified(before).unwrap();
    assert_eq!(times(), before);
    let edited = inputs.at(SystemTime::now() + LATER);
    assert!(!edited.same(&inputs), "edited in place");

    let other = folder.path().join("other");
    std::fs::write(&other, "c".repeat(LARGE)).unwrap();
    std::fs::File::options().write(true).open(&other).unwrap().set_modified(before).unwrap();
    std::fs::rename(&other, &path).unwrap();
    let replaced = edited.at(SystemTime::now() + LATER);
    assert!(!replaced.same(&edited), "replaced by rename");

    // Written again with what it held: other times, the same text.
    std::fs::write(&path, "c".repeat(LARGE)).unwrap();
    let touched = replaced.at(SystemTime::now() + LATER);
    assert!(touched.same(&replaced), "it says what it said");

    std::fs::remove_file(&path).unwrap();
    assert!(!touched.at(SystemTime::now()).same(&touched), "removed");
}

#[test]
fn times_are_trusted_only_when_a_change_must_show_in_them() {
    let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
    let stamp = |modified, changed| Stamp {
        device: 1,
        inode: 1,
        regular: true,
        length: 1,
        modified: (modified, 0),
        changed: (changed, 0),
    };
    assert!(stamp(100, 100).is_settled(at(103)));
    assert!(!stamp(100, 100).is_settled(at(101)), "the same second");
    assert!(!stamp(100, 100).is_settled(at(102)), "one step of the coarsest clock");
    assert!(!stamp(50, 102).is_settled(at(103)), "its time was set back");
    assert!(!stamp(900, 900).is_settled(at(103)), "another machine's clock");
}

// spec: C-5
#[test]
fn a_pipe_in_the_place_of_a_file_is_a_change_and_is_not_read() {
    let (_folder, path, inputs) = one_file("a");
    std::fs::remove_file(&path).unwrap();
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    // Reading it would never end: nobody writes.
    let piped = inputs.now();
    assert!(!piped.same(&inputs));
    assert!(piped.now().same(&piped));
}

// spec: C-1, C-5
#[test]
fn the_files_of_a_folder_come_and_go() {
    let folder = TempDir::new().unwrap();
    let file = |name: &str| folder.path().join(name);
    std::fs::write(file("a.yaml"), "version: 1").unwrap();
    let mut inputs = Inputs::default();
    for path in inputs.list(folder.path()).unwrap() {
        inputs.read(&path).unwrap();
    }
    assert!(inputs.now().same(&inputs));
    std::fs::write(file("b.yaml"), "workers: []").unwrap();
    let two = inputs.now();
    assert!(!two.same(&inputs));
    std::fs::write(file("notes.txt"), "no config").unwrap();
    assert!(two.now().same(&two));
    std::fs::remove_file(file("b.yaml")).unwrap();
    assert!(two.now().same(&inputs), "as before it came");
}

#[test]
fn what_hangs_is_named_while_it_hangs() {
    let (_folder, path, inputs) = one_file("a");
    let under_way = inputs.under_way();
    assert_eq!(under_way.hangs(Duration::ZERO), None);
    let guard = inputs.under_way.begin(&path);
    assert_eq!(under_way.hangs(Duration::ZERO), Some(path.clone()));
    assert_eq!(under_way.hangs(Duration::from_secs(600)), None);
    drop(guard);
    assert_eq!(under_way.hangs(Duration::ZERO), None);
}
