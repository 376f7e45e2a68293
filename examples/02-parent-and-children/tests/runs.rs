//! The example does what it says.

use std::process::Command;

#[test]
fn it_starts_in_order_survives_a_bad_child_and_stops_children_before_their_parent() {
    let output = Command::new(env!("CARGO_BIN_EXE_example-parent-and-children")).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(
        String::from_utf8(output.stdout).unwrap(),
        "/line: Stopped -> Limping, because told to run\n\
         /line/cutter: Stopped -> Running, because healthy\n\
         /line/feeder: Stopped -> Running, because healthy\n\
         /line: Limping -> Up, because 2 of 2 machines are healthy\n\
         /line: Up -> Limping, because 2 of 3 machines are healthy\n\
         \x20 /line is degraded: 2 of 3 machines are healthy\n\
         \x20 /line/cutter is running: healthy\n\
         \x20 /line/feeder is running: healthy\n\
         \x20 /line/wrapper is degraded: invalid: config: the config of kind `machine` does not fit at `speed`: \
         unknown field `speed`, there are no fields\n\
         /line/feeder: Running -> Stopped, because told to stop\n\
         /line/cutter: Running -> Stopped, because told to stop\n\
         /line: Limping -> Stopped, because told to stop, and all machines have stopped\n"
    );
}
