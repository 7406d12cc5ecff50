//! Tests and measurements of the store crates side by side, in `tests/` and `benches/`. The library
//! is empty.
#![forbid(unsafe_code)]
