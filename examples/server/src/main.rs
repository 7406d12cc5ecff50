//! The example server.
fn main() {}
