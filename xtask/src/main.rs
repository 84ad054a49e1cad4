//! Every task a person or CI runs: `cargo xtask <task>`.

fn main() {}
