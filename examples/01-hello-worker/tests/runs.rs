//! The example does what it says.

use std::process::Command;

#[test]
fn it_follows_the_mood_and_ends_by_itself() {
    let output = Command::new(env!("CARGO_BIN_EXE_example-hello-worker")).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(
        String::from_utf8(output.stdout).unwrap(),
        "/ann: Stopped -> Happy, because the mood is good\n\
         /ann: Happy -> Sad, because the mood is sad\n\
         /ann: Sad -> Happy, because the mood is good\n\
         /ann: Happy -> Stopped, because told to stop\n"
    );
}
