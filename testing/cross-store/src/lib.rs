//! Empty: the tests of the store crates side by side are in `tests/`, and their measurements in
//! `benches/`.
#![forbid(unsafe_code)]
