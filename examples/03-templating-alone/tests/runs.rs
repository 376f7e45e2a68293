//! The example does what it says.

use std::process::Command;

#[test]
fn it_renders_keeps_values_as_data_and_names_the_mistake() {
    let output = Command::new(env!("CARGO_BIN_EXE_example-templating-alone")).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let said = String::from_utf8(output.stdout).unwrap();
    for part in [
        "\"host\": \"10.0.0.7\"",
        "\"port\": 502",
        "\"topic\": \"plant/acme.cologne.l4/press-7\"",
        "\"host\": \"x, port: 1}} {{ global.broker }}\"",
        "error[E0103]: unknown variable `ipp`\n --> press.yaml:4:19\n",
        "help: did you mean `ip`?",
    ] {
        assert!(said.contains(part), "no `{part}` in:\n{said}");
    }
}
