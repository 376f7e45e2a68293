//! What must not compile: the rules that the types hold instead of a check.

// spec: I4, I9
#[test]
fn what_the_rules_forbid_does_not_compile() {
    trybuild::TestCases::new().compile_fail("tests/compile_fail/*.rs");
}
