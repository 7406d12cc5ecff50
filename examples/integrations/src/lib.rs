//! Examples of grantcore with other crates. Each is a file next to `Cargo.toml`.
//!
//! This library is empty. Its tests compile the code of the README, which needs the crates that a
//! reader of the README has added.

#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
