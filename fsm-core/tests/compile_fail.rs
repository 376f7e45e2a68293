//! What must not compile: the rules that the types hold instead of a check.

// spec: S-4, S-5
#[test]
fn what_the_rules_forbid_does_not_compile() {
    trybuild::TestCases::new().compile_fail("tests/compile_fail/*.rs");
}
