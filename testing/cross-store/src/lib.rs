//! Nothing by itself: what is proven of the store crates side by side is in `tests/`, and what is
//! measured in `benches/`.
#![forbid(unsafe_code)]
