//! Project automation: ci, tidy, codegen, bench, coverage, new-worker
fn main() {}
